"""Members, their passwords and preferences, access tokens, and the first start."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from coldstream.tenants import audit
from coldstream.tenants.access_tokens import create_token, verify_token
from coldstream.tenants.actor import Actor
from coldstream.tenants.bootstrap import bootstrap, renew_local_token
from coldstream.tenants.database import Database
from coldstream.tenants.errors import AlreadyExists, Conflict, InvalidArgument, InvalidName, NotFound
from coldstream.tenants.keys import AuthenticationFailed
from coldstream.tenants.members import (
    Preferences,
    Theme,
    Times,
    change_password,
    create_member,
    delete_member,
    disable_member,
    enable_member,
    get_member,
    list_members,
    load_member,
    reset_password,
    set_password,
    set_platform_admin,
    set_preferences,
    verify_password,
)
from coldstream.tenants.passwords import generate_password
from coldstream.tenants.scope import namespace_scope
from coldstream.tenants.sessions import find_session, open_session
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from .world import ACTOR, World, in_world

PASSWORD, NEW = "correct horse battery", "staple of another kind"


async def refused(awaitable: object) -> str:
    with pytest.raises(AuthenticationFailed) as refusal:
        await awaitable  # type: ignore[misc]
    assert str(refusal.value) == "Authentication failed"
    return refusal.value.reason


def test_the_first_start_makes_what_a_user_needs_once(url: str) -> None:
    async def scenario(world: World) -> None:
        other = Database.open(url)
        try:  # two processes on a fresh database at the same moment
            results = await asyncio.gather(*(bootstrap(db) for db in (world.db, other, world.db, other)))
        finally:
            await other.dispose()
        ((first),) = [result for result in results if result.created]
        assert first.password and first.token
        assert [(r.password, r.token) for r in results if not r.created] == [(None, None)] * 3
        assert first.password not in repr(first) and first.token not in repr(first)
        admin = await verify_password(world.db, "admin", first.password)
        assert admin == await verify_token(world.db, first.token, world.now_ms)
        assert admin.platform_admin and admin.actor == Actor.member(admin.id, "admin")
        async with world.db.read() as session:
            assert (await namespace_scope(session, "default", "default")).path == "default/default"
            dump = str([tuple(row) for row in await session.execute(text("SELECT * FROM members"))])
            dump += str([tuple(row) for row in await session.execute(text("SELECT * FROM access_tokens"))])
            dump += str([(e.before, e.after) for e in await audit.entries(session)])
        assert first.password not in dump and first.token[20:63] not in dump

    in_world(url, scenario, empty=True)


def test_a_given_admin_password_is_used_and_not_repeated(url: str) -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(InvalidArgument, match="8 to 1024"):
            await bootstrap(world.db, "short")
        result = await bootstrap(world.db, PASSWORD)
        assert result.created and result.password is None
        await verify_password(world.db, "admin", PASSWORD)
        assert not (await bootstrap(world.db, "another password")).created
        await verify_password(world.db, "admin", PASSWORD)

    in_world(url, scenario, empty=True)


def test_a_lost_local_token_is_replaced(url: str) -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(NotFound):
            await renew_local_token(world.db)
        first = (await bootstrap(world.db, PASSWORD)).token
        assert first is not None
        second = await renew_local_token(world.db)
        assert await refused(verify_token(world.db, first, world.now_ms)) == "revoked"
        assert (await verify_token(world.db, second, world.now_ms)).name == "admin"
        async with world.db.write() as session:
            await create_member(session, ACTOR, "heir", None, platform_admin=True)
            await delete_member(session, ACTOR, "admin")
        third = await renew_local_token(world.db)  # somebody is left who administers the platform
        assert (await verify_token(world.db, third, world.now_ms)).name == "heir"
        assert await refused(verify_token(world.db, second, world.now_ms)) == "revoked"
        assert not (await bootstrap(world.db, PASSWORD)).created

    in_world(url, scenario, empty=True)


def test_members_sign_in_with_their_password(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            await create_member(session, ACTOR, "joe", PASSWORD)
            robot = await create_member(session, ACTOR, "robot", None)
            with pytest.raises(AlreadyExists):
                await create_member(session, ACTOR, "joe", PASSWORD)
            for name, password, error in (("a b", PASSWORD, InvalidName), ("jim", "short", InvalidArgument)):
                with pytest.raises(error):
                    await create_member(session, ACTOR, name, password)
            assert [m.name for m in await list_members(session)] == ["joe", "robot"]
            assert await get_member(session, "robot") == await load_member(session, robot.id) == robot
            for nobody in ("nobody", "a\x00b", "x" * 10_000):
                with pytest.raises(NotFound):
                    await get_member(session, nobody)
        joe = await verify_password(world.db, "joe", PASSWORD)
        assert joe.name == "joe" and joe.has_password and not joe.platform_admin and not joe.password_temporary
        assert not robot.has_password and not robot.password_temporary
        for password in (PASSWORD + "!", "", PASSWORD.upper(), "x" * 10_000):
            assert await refused(verify_password(world.db, "joe", password)) == "wrong password"
        for name in ("nobody", "robot", "Joe", "joe ", "a\x00b", "x" * 10_000, ""):
            assert await refused(verify_password(world.db, name, PASSWORD)) == "unknown member"
        async with world.db.write() as session:
            await disable_member(session, ACTOR, "joe")
        assert await refused(verify_password(world.db, "joe", PASSWORD + "!")) == "wrong password"
        assert await refused(verify_password(world.db, "joe", PASSWORD)) == "member disabled"

    in_world(url, scenario)


def test_a_password_set_from_the_machine_ends_every_session(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            joe = await create_member(session, ACTOR, "joe", PASSWORD)
            cookie = (await open_session(session, joe, address="", user_agent="")).cookie
        async with world.db.write() as session:
            await set_password(session, ACTOR, "joe", NEW)
            for name, password, error in (("nobody", PASSWORD, NotFound), ("joe", "x" * 1025, InvalidArgument)):
                with pytest.raises(error):
                    await set_password(session, ACTOR, name, password)
        assert await refused(verify_password(world.db, "joe", PASSWORD)) == "wrong password"
        assert not (await verify_password(world.db, "joe", NEW)).password_temporary
        assert await refused(find_session(world.db, cookie)) == "unknown session"

    in_world(url, scenario)


def test_a_member_changes_their_password_and_stays_signed_in_where_they_did(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            joe = await create_member(session, ACTOR, "joe", PASSWORD)
            here, there = [(await open_session(session, joe, address="", user_agent="")).cookie for _ in range(2)]
            token = await create_token(session, ACTOR, joe.id, "laptop")
        for old, new, error in (
            ("wrong", NEW, AuthenticationFailed),
            (None, NEW, AuthenticationFailed),  # only a temporary password is changed without saying it
            (PASSWORD, "short", InvalidArgument),
            (PASSWORD, PASSWORD, InvalidArgument),
        ):
            with pytest.raises(error):
                await change_password(world.db, joe.actor, joe.id, old, new, but=here)
        changed = await change_password(world.db, joe.actor, joe.id, PASSWORD, NEW, but=here)
        assert changed == await verify_password(world.db, "joe", NEW)
        assert await refused(verify_password(world.db, "joe", PASSWORD)) == "wrong password"
        assert (await find_session(world.db, here)).member == changed
        assert await refused(find_session(world.db, there)) == "unknown session"
        assert await verify_token(world.db, token.secret) == changed
        await change_password(world.db, joe.actor, joe.id, NEW, PASSWORD)
        assert await refused(find_session(world.db, here)) == "unknown session"
        with pytest.raises(NotFound):
            await change_password(world.db, joe.actor, world.tenant_id, PASSWORD, NEW)
        async with world.db.read() as session:
            newest, *_ = await audit.entries(session, object_kind="member", object_id=str(joe.id))
        assert (newest.action, newest.actor_name, newest.before, newest.after) == (
            *("member.change_password", "joe"),
            *(None, None),
        )

    in_world(url, scenario)


def test_a_reset_password_is_shown_once_and_must_be_changed(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            joe = await create_member(session, ACTOR, "joe", PASSWORD)
            before = (await open_session(session, joe, address="", user_agent="")).cookie
            ann = await create_member(session, ACTOR, "ann", await generate_password())
        generated = await generate_password()
        given = generated.text
        async with world.db.write() as session:
            await reset_password(session, ACTOR, "joe", generated)
            with pytest.raises(NotFound):
                await reset_password(session, ACTOR, "nobody", generated)
        assert await refused(find_session(world.db, before)) == "unknown session"
        assert await refused(verify_password(world.db, "joe", PASSWORD)) == "wrong password"
        joe = await verify_password(world.db, "joe", given)
        assert joe.password_temporary and ann.password_temporary
        async with world.db.write() as session:
            his, hers = [(await open_session(session, each, address="", user_agent="")).cookie for each in (joe, ann)]
            dump = str([tuple(row) for row in await session.execute(text("SELECT * FROM members"))])
            dump += str([(e.before, e.after) for e in await audit.entries(session)])
        assert given not in dump
        for but in (None, hers, "x" * 43):  # without the old password, only in a session that it opened
            with pytest.raises(AuthenticationFailed):
                await change_password(world.db, joe.actor, joe.id, None, NEW, but=but)
        with pytest.raises(InvalidArgument, match="another"):
            await change_password(world.db, joe.actor, joe.id, None, given, but=his)
        joe = await change_password(world.db, joe.actor, joe.id, None, NEW, but=his)
        assert not joe.password_temporary and (await find_session(world.db, his)).member == joe

    in_world(url, scenario)


def test_a_member_without_a_password_gets_one_from_an_administrator_only(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            robot = await create_member(session, ACTOR, "robot", None)
        with pytest.raises(Conflict, match="administrator"):
            await change_password(world.db, robot.actor, robot.id, None, NEW)
        given = await generate_password()
        async with world.db.write() as session:
            await reset_password(session, ACTOR, "robot", given)
        assert (await verify_password(world.db, "robot", given.text)).has_password

    in_world(url, scenario)


def test_of_two_changes_of_a_password_at_once_one_is_refused(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            joe = await create_member(session, ACTOR, "joe", PASSWORD)
        changes = [change_password(world.db, joe.actor, joe.id, PASSWORD, f"{NEW} {n}") for n in range(2)]
        results = await asyncio.gather(*changes, return_exceptions=True)
        (refusal,) = [result for result in results if isinstance(result, BaseException)]
        # Whether the second one reads before or after the first one writes, its old password is not the password.
        assert isinstance(refusal, Conflict | AuthenticationFailed)
        (changed,) = [n for n, result in enumerate(results) if not isinstance(result, BaseException)]
        await verify_password(world.db, "joe", f"{NEW} {changed}")

    in_world(url, scenario)


def test_disabling_stops_tokens_until_enabled_and_deleting_for_good(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            joe = await create_member(session, ACTOR, "joe", PASSWORD)
            token = await create_token(session, ACTOR, joe.id, "laptop")
            assert (await disable_member(session, ACTOR, "joe")).disabled
            await disable_member(session, ACTOR, "joe")
        assert await refused(verify_token(world.db, token.secret)) == "member disabled"
        async with world.db.write() as session:
            assert not (await enable_member(session, ACTOR, "joe")).disabled
            await enable_member(session, ACTOR, "joe")
        await verify_token(world.db, token.secret)
        async with world.db.write() as session:
            await delete_member(session, ACTOR, "joe")
            again = await create_member(session, ACTOR, "joe", NEW)
            for change in (disable_member, enable_member, delete_member):
                with pytest.raises(NotFound):
                    await change(session, ACTOR, "nobody")
            actions = [each.action for each in await audit.entries(session, object_id=str(joe.id))]
            hashes = await session.scalars(text("SELECT password_hash FROM members WHERE deleted_at_ms IS NOT NULL"))
            assert hashes.all() == [None]
        assert actions == ["member.delete", "member.enable", "member.disable", "member.create"]
        assert again.id != joe.id and (await verify_password(world.db, "joe", NEW)).id == again.id
        assert await refused(verify_token(world.db, token.secret)) == "revoked"
        with pytest.raises(NotFound):
            async with world.db.write() as session:
                await create_token(session, ACTOR, joe.id, "late")

    in_world(url, scenario)


def test_somebody_always_administers_the_platform(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            await create_member(session, ACTOR, "first", None, platform_admin=True)
            await create_member(session, ACTOR, "second", None)
            await create_member(session, ACTOR, "off", None, platform_admin=True)
            await disable_member(session, ACTOR, "off")
        removals: list[Callable[[AsyncSession, str], Awaitable[object]]] = [
            lambda session, name: disable_member(session, ACTOR, name),
            lambda session, name: delete_member(session, ACTOR, name),
            lambda session, name: set_platform_admin(session, ACTOR, name, False),
        ]
        for remove in removals:
            with pytest.raises(Conflict, match="last who administers"):
                async with world.db.write() as session:
                    await remove(session, "first")
        async with world.db.write() as session:
            assert (await get_member(session, "first")).platform_admin
            assert (await set_platform_admin(session, ACTOR, "second", True)).platform_admin
            await set_platform_admin(session, ACTOR, "second", True)
            newest, *_ = await audit.entries(session, object_kind="member")
            assert (newest.before, newest.after) == ({"platform_admin": False}, {"platform_admin": True})
            await delete_member(session, ACTOR, "first")
            await delete_member(session, ACTOR, "off")  # who does not count, being disabled
            with pytest.raises(Conflict):
                await delete_member(session, ACTOR, "second")

    in_world(url, scenario)


def test_two_administrators_cannot_remove_each_other_at_once(url: str) -> None:
    async def scenario(world: World) -> None:
        other = Database.open(url, clock=lambda: world.now_ms)

        async def disable(db: Database, name: str) -> None:
            async with db.write() as session:
                await disable_member(session, ACTOR, name)

        async def demote(db: Database, name: str) -> None:
            async with db.write() as session:
                await set_platform_admin(session, ACTOR, name, False)

        async with world.db.write() as session:
            for name in ("first", "second"):
                await create_member(session, ACTOR, name, None, platform_admin=True)
        try:
            removals = (disable(world.db, "first"), demote(other, "second"))
            results = await asyncio.gather(*removals, return_exceptions=True)
        finally:
            await other.dispose()
        assert sorted(type(result).__name__ for result in results) == ["Conflict", "NoneType"]

    in_world(url, scenario)


def test_preferences_are_kept_and_checked(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            joe = await create_member(session, ACTOR, "joe", None)
            assert joe.preferences == Preferences(Theme.AUTO, "UTC", Times.RELATIVE)
            wanted = Preferences(Theme.DARK, "Europe/Berlin", Times.ABSOLUTE, shortcuts=False)
            assert (await set_preferences(session, joe.actor, joe.id, wanted)).preferences == wanted
            await set_preferences(session, joe.actor, joe.id, wanted)  # no change, no entry
            for zone in ("", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "utc\x00", "x" * 10_000):
                with pytest.raises(InvalidArgument, match="IANA"):
                    await set_preferences(session, joe.actor, joe.id, Preferences(time_zone=zone))
            with pytest.raises(NotFound):
                await set_preferences(session, joe.actor, world.tenant_id, wanted)
            first, second = await audit.entries(session, object_kind="member")
        assert (first.action, second.action) == ("member.set_preferences", "member.create")
        assert first.before == {"theme": "auto", "time_zone": "UTC", "times": "relative", "shortcuts": True}
        assert first.after == {
            "theme": "dark",
            "time_zone": "Europe/Berlin",
            "times": "absolute",
            "shortcuts": False,
        }
        async with world.db.read() as session:
            assert (await get_member(session, "joe")).preferences == wanted

    in_world(url, scenario)
