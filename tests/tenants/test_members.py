"""Members, access tokens and the first start."""

import asyncio

import pytest
from coldstream.tenants import audit
from coldstream.tenants.access_tokens import create_token, list_tokens, revoke_token, touch_token, verify_token
from coldstream.tenants.actor import Actor
from coldstream.tenants.bootstrap import bootstrap, renew_local_token
from coldstream.tenants.database import Database
from coldstream.tenants.errors import AlreadyExists, InvalidArgument, InvalidName, NotFound
from coldstream.tenants.keys import AuthenticationFailed, TokenKind, new_token
from coldstream.tenants.members import create_member, list_members, set_password, verify_password
from coldstream.tenants.models import Member
from coldstream.tenants.scope import namespace_scope
from sqlalchemy import text, update

from .world import ACTOR, World, in_world

PASSWORD = "correct horse battery"


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

    in_world(url, scenario, empty=True)


def test_members_sign_in_with_their_password(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            await create_member(session, ACTOR, "joe", PASSWORD)
            await create_member(session, ACTOR, "robot", None)
            with pytest.raises(AlreadyExists):
                await create_member(session, ACTOR, "joe", PASSWORD)
            for name, password, error in (("a b", PASSWORD, InvalidName), ("jim", "short", InvalidArgument)):
                with pytest.raises(error):
                    await create_member(session, ACTOR, name, password)
            assert [m.name for m in await list_members(session)] == ["joe", "robot"]
        joe = await verify_password(world.db, "joe", PASSWORD)
        assert joe.name == "joe" and not joe.platform_admin
        assert await refused(verify_password(world.db, "joe", PASSWORD + "!")) == "wrong password"
        assert await refused(verify_password(world.db, "robot", "")) == "unknown member"
        assert await refused(verify_password(world.db, "nobody", PASSWORD)) == "unknown member"
        async with world.db.write() as session:
            await set_password(session, ACTOR, "joe", "a new password")
            with pytest.raises(NotFound):
                await set_password(session, ACTOR, "nobody", PASSWORD)
        assert await refused(verify_password(world.db, "joe", PASSWORD)) == "wrong password"
        await verify_password(world.db, "joe", "a new password")
        async with world.db.write() as session:
            await session.execute(update(Member).where(Member.name == "joe").values(disabled_at_ms=1))
        assert await refused(verify_password(world.db, "joe", "a new password")) == "member disabled"

    in_world(url, scenario)


def test_tokens_end_by_expiry_revocation_and_with_their_member(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            joe = await create_member(session, ACTOR, "joe", None)
            kept = await create_token(session, ACTOR, joe.id, "laptop")
            short = await create_token(session, ACTOR, joe.id, "ci", expires_at_ms=world.now_ms + 10)
            gone = await create_token(session, ACTOR, joe.id, "old")
            await revoke_token(session, ACTOR, joe.id, gone.token.id)
            await revoke_token(session, ACTOR, joe.id, gone.token.id)
            with pytest.raises(NotFound):
                await revoke_token(session, ACTOR, world.tenant_id, kept.token.id)
            with pytest.raises(InvalidArgument):
                await create_token(session, ACTOR, joe.id, "late", expires_at_ms=world.now_ms)
            with pytest.raises(NotFound):
                await create_token(session, ACTOR, world.tenant_id, "nobodys")
        assert (await verify_token(world.db, kept.secret)).id == joe.id
        await verify_token(world.db, short.secret, world.now_ms + 9)
        assert await refused(verify_token(world.db, short.secret, world.now_ms + 10)) == "expired"
        assert await refused(verify_token(world.db, gone.secret, world.now_ms)) == "revoked"
        assert await refused(verify_token(world.db, new_token(TokenKind.TOKEN).text, 0)) == "unknown token"
        assert await refused(verify_token(world.db, new_token(TokenKind.KEY).text, 0)) == "malformed token"
        for text_given in ("", "Bearer x", kept.secret[:-1], kept.secret + " ", "é" * 70):
            assert await refused(verify_token(world.db, text_given, 0)) == "malformed token"
        await touch_token(world.db, kept.secret, world.now_ms)
        await touch_token(world.db, kept.secret, world.now_ms + 59_999)
        async with world.db.write() as session:
            used = {token.name: token.last_used_at_ms for token in await list_tokens(session, joe.id)}
            assert used == {"laptop": world.now_ms, "ci": None, "old": None}
            await session.execute(update(Member).where(Member.id == joe.id).values(disabled_at_ms=1))
        assert await refused(verify_token(world.db, kept.secret, world.now_ms)) == "member disabled"

    in_world(url, scenario)
