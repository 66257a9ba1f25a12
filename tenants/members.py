"""Members: people who use the console, their passwords, and access tokens for the HTTP API.

Always true: a password is kept as an Argon2id hash, a token (256 random bits) as its SHA-256; both are shown or known
only where they were made. A name that does not exist costs the same hash as one that does.
"""

import asyncio
import hmac
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from .actor import Actor
from .audit import Subject, record
from .database import Database, session_now_ms
from .errors import AlreadyExists, InvalidArgument, NotFound
from .keys import LAST_USED_EVERY_MS, NOBODYS_DIGEST, AuthenticationFailed, TokenKind, digest_of, new_token, parse_token
from .models import AccessToken, Member
from .names import check_title
from .versions import Counter, bump

if TYPE_CHECKING:
    from argon2 import PasswordHasher

PASSWORD_LENGTH_MIN, PASSWORD_LENGTH_MAX = 8, 1024


@dataclass(frozen=True, slots=True)
class MemberEntry:
    id: UUID
    name: str
    platform_admin: bool
    disabled: bool
    created_at_ms: int

    @property
    def actor(self) -> Actor:
        return Actor.member(self.id, self.name)


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


async def create_member(
    session: AsyncSession, actor: Actor, name: str, password: str | None, *, platform_admin: bool = False
) -> MemberEntry:
    """Without a password the member can use tokens only. Raises InvalidName, InvalidArgument, AlreadyExists."""
    check_title("member", name)
    hashed = None if password is None else await hash_password(password)
    await bump(session, Counter.POLICY)
    if await _find(session, name) is not None:
        raise AlreadyExists(f"member {name!r} already exists")
    member = Member(
        id=uuid4(),
        name=name,
        password_hash=hashed,
        platform_admin=platform_admin,
        created_at_ms=await session_now_ms(session),
    )
    session.add(member)
    await session.flush()
    await record(session, actor, "member.create", _subject(member), after={"platform_admin": platform_admin})
    return _entry(member)


async def list_members(session: AsyncSession) -> list[MemberEntry]:
    rows = await session.scalars(select(Member).where(Member.deleted_at_ms.is_(None)).order_by(Member.name))
    return [_entry(row) for row in rows]


async def set_password(session: AsyncSession, actor: Actor, name: str, password: str) -> None:
    """Raises NotFound, InvalidArgument."""
    hashed = await hash_password(password)
    member = await _find(session, name)
    if member is None:
        raise NotFound(f"no member {name[:100]!r}")
    member.password_hash = hashed
    await record(session, actor, "member.set_password", _subject(member))


async def verify_password(db: Database, name: str, password: str) -> MemberEntry:
    """Who signs in with this name and password. Raises AuthenticationFailed."""
    async with db.read() as session:
        member = await _find(session, name)
    expected = member.password_hash if member is not None else None
    right = await asyncio.to_thread(_matches, expected or _nobodys_hash(), password)
    if member is None or expected is None:
        raise AuthenticationFailed("unknown member")
    if not right:
        raise AuthenticationFailed("wrong password")
    if member.disabled_at_ms is not None:
        raise AuthenticationFailed("member disabled", secret_was_right=True)
    return _entry(member)


async def create_token(
    session: AsyncSession, actor: Actor, member_id: UUID, name: str, *, expires_at_ms: int | None = None
) -> CreatedToken:
    """A bearer token that acts as the member. Raises NotFound, InvalidName, InvalidArgument."""
    check_title("token", name)
    member = await session.scalar(select(Member).where(Member.id == member_id, Member.deleted_at_ms.is_(None)))
    if member is None:
        raise NotFound(f"no member {member_id}")
    now_ms = await session_now_ms(session)
    if expires_at_ms is not None and expires_at_ms <= now_ms:
        raise InvalidArgument("the token would be expired already: choose a later time")
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
    return _entry(row.Member)


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


async def hash_password(password: str) -> str:
    """Raises InvalidArgument."""
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        raise InvalidArgument(f"a password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters")
    return await asyncio.to_thread(_hasher().hash, password)


@cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher  # only who signs in with a password pays for it

    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)  # OWASP's Argon2id setting, 19 MiB


@cache
def _nobodys_hash() -> str:
    return _hasher().hash("nobody has this password")


def _matches(hashed: str, password: str) -> bool:
    from argon2.exceptions import Argon2Error, InvalidHashError

    try:
        return _hasher().verify(hashed, password[:PASSWORD_LENGTH_MAX])
    except (Argon2Error, InvalidHashError):
        return False


def _unusable(token: AccessToken, member: Member, now_ms: int) -> str | None:
    if token.revoked_at_ms is not None:
        return "revoked"
    if token.expires_at_ms is not None and token.expires_at_ms <= now_ms:
        return "expired"
    return "member disabled" if member.disabled_at_ms is not None or member.deleted_at_ms is not None else None


async def _find(session: AsyncSession, name: str) -> Member | None:
    return await session.scalar(select(Member).where(Member.name == name, Member.deleted_at_ms.is_(None)))


def _entry(row: Member) -> MemberEntry:
    return MemberEntry(row.id, row.name, row.platform_admin, row.disabled_at_ms is not None, row.created_at_ms)


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


def _subject(member: Member) -> Subject:
    return Subject(kind="member", id=str(member.id), name=member.name)
