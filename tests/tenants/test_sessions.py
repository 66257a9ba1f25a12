"""Sessions: what opens one, what ends one, and that the database holds nothing that opens one."""

import asyncio
from uuid import UUID

import pytest
from coldstream.tenants import audit
from coldstream.tenants.database import Database
from coldstream.tenants.errors import NotFound
from coldstream.tenants.keys import AuthenticationFailed, digest_of
from coldstream.tenants.members import (
    MemberEntry,
    create_member,
    delete_member,
    disable_member,
    enable_member,
    load_member,
    reset_password,
)
from coldstream.tenants.passwords import generate_password
from coldstream.tenants.sessions import (
    CONFIRMED_MS,
    IDLE_MS,
    MAX_MS,
    SESSIONS_MAX,
    OpenedSession,
    confirm_session,
    end_session,
    end_session_by_id,
    end_sessions,
    find_session,
    list_sessions,
    open_session,
    prune_sessions,
    touch_session,
)
from sqlalchemy import text

from .world import ACTOR, World, in_world

BREAK_MS = IDLE_MS - 3_600_000


async def member(world: World, name: str = "joe") -> MemberEntry:
    async with world.db.write() as session:
        return await create_member(session, ACTOR, name, None)


async def opened(world: World, who: MemberEntry, *, replaces: str | None = None) -> OpenedSession:
    async with world.db.write() as session:
        return await open_session(session, who, address="192.0.2.7", user_agent="Browser/1", replaces=replaces)


async def refused(world: World, cookie: str) -> str:
    with pytest.raises(AuthenticationFailed) as refusal:
        await find_session(world.db, cookie)
    assert str(refusal.value) == "Authentication failed"
    return refusal.value.reason


async def rows(world: World) -> int:
    async with world.db.read() as session:
        return int(await session.scalar(text("SELECT count(*) FROM sessions")) or 0)


def test_a_session_says_whose_it_is(url: str) -> None:
    async def scenario(world: World) -> None:
        joe = await member(world)
        first = await opened(world, joe)
        assert first.entry == await find_session(world.db, first.cookie)
        assert first.entry.member == joe and not first.entry.member.disabled
        assert (first.entry.address, first.entry.user_agent) == ("192.0.2.7", "Browser/1")
        assert first.entry.created_at_ms == first.entry.last_seen_at_ms == first.entry.confirmed_at_ms == world.now_ms
        assert first.entry.expires_at_ms == world.now_ms + MAX_MS
        for cookie in ("", "x", first.cookie[:-1], first.cookie + "x", first.entry.id, "é" * 43, "x" * 43):
            assert await refused(world, cookie) in ("malformed session", "unknown session")

    in_world(url, scenario)


def test_nothing_in_the_database_or_in_a_log_line_opens_a_session(url: str) -> None:
    async def scenario(world: World) -> None:
        first = await opened(world, await member(world))
        assert len(first.cookie) == 43  # 256 bits in base64
        assert first.cookie not in repr(first)
        async with world.db.read() as session:
            kept = [tuple(row) for row in await session.execute(text("SELECT * FROM sessions"))]
            kept += [(entry.before, entry.after, entry.object_id) for entry in await audit.entries(session)]
        assert first.cookie not in str(kept)
        assert digest_of(first.cookie) in {bytes(kept[0][0])}
        assert await refused(world, digest_of(first.cookie).hex()[:43]) == "unknown session"

    in_world(url, scenario)


def test_a_session_ends_when_idle_and_when_old(url: str) -> None:
    async def scenario(world: World) -> None:
        joe = await member(world)
        idle, used = await opened(world, joe), await opened(world, joe)
        start_ms = world.now_ms
        world.pass_time(IDLE_MS - 1)
        await find_session(world.db, idle.cookie)
        await touch_session(world.db, used.cookie, world.now_ms)
        world.pass_time(1)
        assert await refused(world, idle.cookie) == "session idle"
        while world.now_ms < start_ms + MAX_MS - BREAK_MS:
            world.pass_time(BREAK_MS)
            await touch_session(world.db, used.cookie, world.now_ms)
        await find_session(world.db, used.cookie, start_ms + MAX_MS - 1)
        world.clock[0] = start_ms + MAX_MS
        assert await refused(world, used.cookie) == "session expired"

    in_world(url, scenario)


def test_use_is_noted_once_a_minute(url: str) -> None:
    async def scenario(world: World) -> None:
        first = await opened(world, await member(world))
        for passed_ms, seen_ms in ((59_999, 0), (1, 60_000), (59_999, 60_000), (1, 120_000)):
            world.pass_time(passed_ms)
            await touch_session(world.db, first.cookie, world.now_ms)
            entry = await find_session(world.db, first.cookie)
            assert entry.last_seen_at_ms == first.entry.created_at_ms + seen_ms
        await touch_session(world.db, "x" * 43, world.now_ms)

    in_world(url, scenario)


def test_signing_in_again_ends_the_session_the_browser_had(url: str) -> None:
    async def scenario(world: World) -> None:
        joe, ann = await member(world), await member(world, "ann")
        first, elsewhere = await opened(world, joe), await opened(world, joe)
        second = await opened(world, ann, replaces=first.cookie)
        assert await refused(world, first.cookie) == "unknown session"
        assert (await find_session(world.db, second.cookie)).member.name == "ann"
        await find_session(world.db, elsewhere.cookie)
        await opened(world, joe, replaces="planted by somebody")
        assert await refused(world, "planted by somebody") == "malformed session"

    in_world(url, scenario)


def test_confirming_changes_the_id_and_keeps_the_session(url: str) -> None:
    async def scenario(world: World) -> None:
        first = await opened(world, await member(world))
        world.pass_time(CONFIRMED_MS - 1)
        assert first.entry.confirmed(world.now_ms)
        world.pass_time(1)
        assert not first.entry.confirmed(world.now_ms)
        async with world.db.write() as session:
            second = await confirm_session(session, first.cookie)
        assert second.entry == await find_session(world.db, second.cookie)
        assert second.entry.confirmed(world.now_ms) and second.entry.id == first.entry.id
        assert second.entry.expires_at_ms == first.entry.expires_at_ms
        assert await refused(world, first.cookie) == "unknown session"
        with pytest.raises(AuthenticationFailed):
            async with world.db.write() as session:
                await confirm_session(session, first.cookie)

    in_world(url, scenario)


def test_a_member_ends_sessions_of_their_own(url: str) -> None:
    async def scenario(world: World) -> None:
        joe, ann = await member(world), await member(world, "ann")
        here, there, hers = await opened(world, joe), await opened(world, joe), await opened(world, ann)
        world.pass_time(60_000)
        await touch_session(world.db, here.cookie, world.now_ms)
        async with world.db.write() as session:
            assert [s.id for s in await list_sessions(session, joe.id)] == [here.entry.id, there.entry.id]
            for public_id in (hers.entry.id, "nonexistent", here.cookie):
                with pytest.raises(NotFound):
                    await end_session_by_id(session, ACTOR, joe.id, public_id)
            await end_session_by_id(session, ACTOR, joe.id, there.entry.id)
            newest, *_ = await audit.entries(session, object_id=there.entry.id)
            assert (newest.action, newest.actor_name, newest.object_name) == ("session.end", ACTOR.name, "joe")
        assert await refused(world, there.cookie) == "unknown session"
        await find_session(world.db, hers.cookie)
        async with world.db.write() as session:
            await end_session(session, here.cookie)
            await end_session(session, here.cookie)
            actions = [entry.action for entry in await audit.entries(session, object_id=here.entry.id)]
        assert actions == ["session.end", "session.open"]
        assert await refused(world, here.cookie) == "unknown session"

    in_world(url, scenario)


def test_all_sessions_end_but_the_one_named(url: str) -> None:
    async def scenario(world: World) -> None:
        joe, ann = await member(world), await member(world, "ann")
        mine = [await opened(world, joe) for _ in range(3)]
        hers = await opened(world, ann)
        async with world.db.write() as session:
            assert await end_sessions(session, joe.id, but=mine[1].cookie) == 2
        await find_session(world.db, mine[1].cookie)
        assert [await refused(world, o.cookie) for o in (mine[0], mine[2])] == ["unknown session"] * 2
        async with world.db.write() as session:
            assert await end_sessions(session, joe.id) == 1
            assert await end_sessions(session, joe.id) == 0
        await find_session(world.db, hers.cookie)

    in_world(url, scenario)


def test_sessions_end_with_their_member(url: str) -> None:
    async def scenario(world: World) -> None:
        joe, ann = await member(world), await member(world, "ann")
        his, hers = await opened(world, joe), await opened(world, ann)
        async with world.db.write() as session:
            await disable_member(session, ACTOR, "joe")
            await delete_member(session, ACTOR, "ann")
        assert await refused(world, his.cookie) == await refused(world, hers.cookie) == "unknown session"
        async with world.db.write() as session:
            joe = await enable_member(session, ACTOR, "joe")
        assert await refused(world, his.cookie) == "unknown session"
        await find_session(world.db, (await opened(world, joe)).cookie)
        async with world.db.write() as session:  # as a release before would, which ends no sessions
            await session.execute(text("UPDATE members SET disabled_at_ms = 1 WHERE name = 'joe'"))
        async with world.db.read() as session:
            (still,) = await list_sessions(session, joe.id)
        assert still.member.disabled

    in_world(url, scenario)


def test_a_proof_is_worth_nothing_once_the_member_or_the_password_changed(url: str) -> None:
    """Somebody proves a password, and it is changed, or the member disabled, before their session is opened."""

    async def scenario(world: World) -> None:
        proven, given = await member(world), await generate_password()
        async with world.db.write() as session:
            await reset_password(session, ACTOR, "joe", given)
        assert await reason_of(world, proven) == "password changed meanwhile"
        async with world.db.read() as session:
            proven = await load_member(session, proven.id)
        async with world.db.write() as session:
            await disable_member(session, ACTOR, "joe")
        assert await reason_of(world, proven) == "member disabled"
        async with world.db.write() as session:
            await delete_member(session, ACTOR, "joe")
        assert await reason_of(world, proven) == "member deleted"
        assert await rows(world) == 0

    async def reason_of(world: World, proven: MemberEntry) -> str:
        with pytest.raises(AuthenticationFailed) as refusal:
            await opened(world, proven)
        return refusal.value.reason

    in_world(url, scenario)


def test_a_session_opened_while_the_password_changes_does_not_outlive_it(url: str) -> None:
    """Both at once, from two processes: whoever is second either waits and is refused, or is ended."""

    async def scenario(world: World) -> None:
        other = Database.open(url, clock=lambda: world.now_ms)

        given = await generate_password()

        async def reset() -> None:
            async with other.write() as session:
                await reset_password(session, ACTOR, "joe", given)

        proven = await member(world)
        try:
            for _ in range(3):
                results = await asyncio.gather(opened(world, proven), reset(), return_exceptions=True)
                assert isinstance(results[0], OpenedSession | AuthenticationFailed) and results[1] is None
                assert await rows(world) == 0
                async with world.db.read() as session:
                    proven = await load_member(session, proven.id)
        finally:
            await other.dispose()

    in_world(url, scenario)


def test_sessions_do_not_pile_up(url: str) -> None:
    async def scenario(world: World) -> None:
        joe, ann = await member(world), await member(world, "ann")
        hers = await opened(world, ann)
        first, *_, last = [await opened(world, joe) for _ in range(SESSIONS_MAX)]
        world.pass_time(60_000)
        await touch_session(world.db, first.cookie, world.now_ms)
        newest = await opened(world, joe)
        for still in (first, newest, hers):
            await find_session(world.db, still.cookie)
        assert await rows(world) == SESSIONS_MAX + 1
        world.pass_time(IDLE_MS - 60_000)
        await touch_session(world.db, newest.cookie, world.now_ms)
        async with world.db.write() as session:
            assert (
                await prune_sessions(session) == SESSIONS_MAX - 1
            )  # all but `first`, which was used later, and `newest`
            assert await prune_sessions(session) == 0
        await find_session(world.db, first.cookie)
        assert await refused(world, last.cookie) == "unknown session"
        world.pass_time(IDLE_MS)
        await opened(world, ann)
        assert await rows(world) == 1

    in_world(url, scenario)


def test_what_a_browser_says_of_itself_is_cut_and_made_printable(url: str) -> None:
    async def scenario(world: World) -> None:
        joe = await member(world)
        async with world.db.write() as session:
            odd = await open_session(session, joe, address="\x00" * 99, user_agent="a\x00\x1b[31m\n" + "b" * 500)
        entry = await find_session(world.db, odd.cookie)
        assert len(entry.user_agent) == 200 and entry.user_agent.startswith(
            "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}[31m"
        )
        assert (entry.user_agent + entry.address).isprintable()

    in_world(url, scenario)


def test_a_member_who_is_not_there_has_no_sessions(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            assert await list_sessions(session, UUID(int=7)) == []
            assert await end_sessions(session, UUID(int=7)) == 0

    in_world(url, scenario)
