"""Access tokens: what a member's programs present to the HTTP API.

Always true: a token is 256 random bits of which the database keeps the SHA-256; it is shown once, where it was made,
and works while its member does, until somebody else gives the member another password. A member has so many and not
more; of those that ended, the audit log knows all and the list the newest.
"""

import hmac
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from .actor import Actor
from .audit import Subject, record
from .database import Database, session_now_ms
from .errors import InvalidArgument, NotFound, QuotaExceeded
from .keys import LAST_USED_EVERY_MS, NOBODYS_DIGEST, AuthenticationFailed, TokenKind, digest_of, new_token, parse_token
from .member_entry import MemberEntry, locked_member
from .models import AccessToken, Member
from .names import check_title

TOKENS_MAX = 100  # of a member, that work
ENDED_KEPT_MAX = 100


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """An access token as lists show it."""

    id: str
    member_id: UUID
    name: str
    created_at_ms: int
    expires_at_ms: int | None
    last_used_at_ms: int | None
    revoked_at_ms: int | None


@dataclass(frozen=True, slots=True)
class CreatedToken:
    token: TokenEntry
    secret: str = field(repr=False)


async def create_token(
    session: AsyncSession, actor: Actor, member_id: UUID, name: str, *, expires_at_ms: int | None = None
) -> CreatedToken:
    """A bearer token that acts as the member. Raises NotFound, InvalidName, InvalidArgument, QuotaExceeded."""
    check_title("token", name)
    member = await locked_member(session, member_id)
    now_ms = await session_now_ms(session)
    if expires_at_ms is not None and expires_at_ms <= now_ms:
        raise InvalidArgument("the token would be expired already: choose a later time")
    await _make_room(session, member_id, now_ms)
    token = new_token(TokenKind.TOKEN)
    row = AccessToken(
        id=token.id,
        member_id=member_id,
        name=name,
        secret_sha256=token.digest,
        created_at_ms=now_ms,
        expires_at_ms=expires_at_ms,
    )
    session.add(row)
    await session.flush()
    subject = Subject(kind="token", id=token.id, name=name)
    await record(session, actor, "token.create", subject, after={"member": member.name})
    return CreatedToken(_token_entry(row), token.text)


async def list_tokens(session: AsyncSession, member_id: UUID) -> list[TokenEntry]:
    """The newest first, revoked and expired ones too."""
    query = select(AccessToken).where(AccessToken.member_id == member_id)
    rows = await session.scalars(query.order_by(AccessToken.created_at_ms.desc(), AccessToken.id))
    return [_token_entry(row) for row in rows]


async def revoke_token(session: AsyncSession, actor: Actor, member_id: UUID, token_id: str) -> None:
    """Revoking a revoked token changes nothing. Raises NotFound."""
    row = await session.scalar(
        select(AccessToken).where(AccessToken.id == token_id, AccessToken.member_id == member_id)
    )
    if row is None:
        raise NotFound(f"no token {token_id[:12]!r}")
    if row.revoked_at_ms is None:
        row.revoked_at_ms = await session_now_ms(session)
        await record(session, actor, "token.revoke", Subject(kind="token", id=row.id, name=row.name))


async def stop_tokens(session: AsyncSession, member_id: UUID) -> None:
    """All of the member's, for good. Whoever calls it says why in the audit log."""
    live = (AccessToken.member_id == member_id) & AccessToken.revoked_at_ms.is_(None)
    await session.execute(update(AccessToken).where(live).values(revoked_at_ms=await session_now_ms(session)))


async def verify_token(db: Database, token: str, now_ms: int | None = None) -> MemberEntry:
    """Whose bearer token this is. Raises AuthenticationFailed."""
    token_id = parse_token(token, TokenKind.TOKEN)
    if token_id is None:
        raise AuthenticationFailed("malformed token")
    if now_ms is None:
        now_ms = await db.now_ms()
    query = select(AccessToken, Member).join(Member, Member.id == AccessToken.member_id)
    async with db.read() as session:
        row = (await session.execute(query.where(AccessToken.id == token_id))).one_or_none()
    expected = NOBODYS_DIGEST if row is None else row.AccessToken.secret_sha256
    right = hmac.compare_digest(digest_of(token), expected)
    if row is None:
        raise AuthenticationFailed("unknown token", token_id)
    if not right:
        raise AuthenticationFailed("wrong secret", token_id)
    unusable = _unusable(row.AccessToken, row.Member, now_ms)
    if unusable is not None:
        raise AuthenticationFailed(unusable, token_id, secret_was_right=True)
    return MemberEntry.of(row.Member)


async def touch_token(db: Database, token: str, now_ms: int) -> None:
    """Notes that the token was used, at most once a minute; call it after the request was answered."""
    token_id = parse_token(token, TokenKind.TOKEN)
    due_ms = now_ms - LAST_USED_EVERY_MS
    due = AccessToken.last_used_at_ms.is_(None) | (AccessToken.last_used_at_ms <= due_ms)
    async with db.read() as session:
        if await session.scalar(select(AccessToken.id).where(AccessToken.id == token_id, due)) is None:
            return
    async with db.write() as session:
        await session.execute(update(AccessToken).where(AccessToken.id == token_id, due).values(last_used_at_ms=now_ms))


async def _make_room(session: AsyncSession, member_id: UUID, now_ms: int) -> None:
    """For one more. Raises QuotaExceeded."""
    theirs = AccessToken.member_id == member_id
    ended: ColumnElement[bool] = or_(AccessToken.revoked_at_ms.is_not(None), AccessToken.expires_at_ms <= now_ms)
    if (await session.scalar(select(func.count()).where(theirs, ended.is_not(True))) or 0) >= TOKENS_MAX:
        raise QuotaExceeded(f"a member has at most {TOKENS_MAX} access tokens that work: revoke one that is not needed")
    newest_first = (
        select(AccessToken.id).where(theirs, ended).order_by(AccessToken.created_at_ms.desc(), AccessToken.id)
    )
    await session.execute(
        delete(AccessToken).where(theirs, ended, AccessToken.id.not_in(newest_first.limit(ENDED_KEPT_MAX)))
    )


def _unusable(token: AccessToken, member: Member, now_ms: int) -> str | None:
    if token.revoked_at_ms is not None:
        return "revoked"
    if token.expires_at_ms is not None and token.expires_at_ms <= now_ms:
        return "expired"
    return "member disabled" if member.disabled_at_ms is not None or member.deleted_at_ms is not None else None


def _token_entry(row: AccessToken) -> TokenEntry:
    return TokenEntry(
        row.id,
        row.member_id,
        row.name,
        row.created_at_ms,
        row.expires_at_ms,
        row.last_used_at_ms,
        row.revoked_at_ms,
    )
