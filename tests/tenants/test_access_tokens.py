"""Access tokens: what ends one, and that every refusal says the same."""

import pytest
from coldstream.tenants import access_tokens
from coldstream.tenants.access_tokens import create_token, list_tokens, revoke_token, touch_token, verify_token
from coldstream.tenants.errors import InvalidArgument, NotFound, QuotaExceeded
from coldstream.tenants.keys import AuthenticationFailed, TokenKind, new_token
from coldstream.tenants.members import create_member, reset_password
from coldstream.tenants.models import Member
from coldstream.tenants.passwords import generate_password
from sqlalchemy import update

from .world import ACTOR, World, in_world


async def refused(awaitable: object) -> str:
    with pytest.raises(AuthenticationFailed) as refusal:
        await awaitable  # type: ignore[misc]
    assert str(refusal.value) == "Authentication failed"
    return refusal.value.reason


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


def test_a_reset_password_stops_tokens_as_it_ends_sessions(url: str) -> None:
    """It is what an administrator does when somebody else got hold of a sign-in, who may have made a token with it."""

    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            joe, ann = [await create_member(session, ACTOR, name, None) for name in ("joe", "ann")]
            his, hers = [await create_token(session, ACTOR, each.id, "laptop") for each in (joe, ann)]
        generated = await generate_password()
        async with world.db.write() as session:
            await reset_password(session, ACTOR, "joe", generated)
        assert await refused(verify_token(world.db, his.secret)) == "revoked"
        assert (await verify_token(world.db, hers.secret)).id == ann.id

    in_world(url, scenario)


def test_a_member_has_so_many_tokens_and_not_more(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_tokens, "TOKENS_MAX", 3)
    monkeypatch.setattr(access_tokens, "ENDED_KEPT_MAX", 2)

    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            joe = await create_member(session, ACTOR, "joe", None)
            kept = [await create_token(session, ACTOR, joe.id, f"kept-{number}") for number in range(2)]
            for number in range(5):
                gone = await create_token(session, ACTOR, joe.id, f"gone-{number}")
                await revoke_token(session, ACTOR, joe.id, gone.token.id)
                world.pass_time(1)
            kept.append(await create_token(session, ACTOR, joe.id, "kept-2"))
            with pytest.raises(QuotaExceeded, match="3 access tokens"):
                await create_token(session, ACTOR, joe.id, "one-more")
            names = {token.name for token in await list_tokens(session, joe.id)}
        assert names == {"kept-0", "kept-1", "kept-2", "gone-3", "gone-4"}, "what ended long ago is forgotten"
        assert [(await verify_token(world.db, each.secret)).name for each in kept] == ["joe"] * 3

    in_world(url, scenario)
