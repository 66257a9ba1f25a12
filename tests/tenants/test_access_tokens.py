"""Access tokens: what ends one, and that every refusal says the same."""

import pytest
from coldstream.tenants.access_tokens import create_token, list_tokens, revoke_token, touch_token, verify_token
from coldstream.tenants.errors import InvalidArgument, NotFound
from coldstream.tenants.keys import AuthenticationFailed, TokenKind, new_token
from coldstream.tenants.members import create_member
from coldstream.tenants.models import Member
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
