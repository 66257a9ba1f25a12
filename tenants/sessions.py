"""Sessions of members in the console: an opaque id in a cookie, and a row that says whose it is and until when.

Always true: the id is 256 random bits of which the database keeps the SHA-256, so that what the database holds opens
no session; it changes at every sign-in and at every proof of the password (nobody can plant one); a session ends for
good when it is idle or old enough, when its member is disabled or deleted, and with every new password of its member.
"""

import secrets
from dataclasses import dataclass, field, replace
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncSession

from .actor import Actor
from .audit import Subject, record
from .database import Database, session_now_ms
from .errors import NotFound
from .keys import AuthenticationFailed, digest_of
from .member_entry import MemberEntry, locked_member
from .models import Member, MemberSession

IDLE_MS = 12 * 3_600_000
MAX_MS = 7 * 24 * 3_600_000
CONFIRMED_MS = 10 * 60_000  # how long after a proof of the password dangerous acts need no other
SEEN_EVERY_MS = 60_000
SESSIONS_MAX = 50  # of a member; beyond that those used least recently end
PRUNED_AT_ONCE_MAX = 500
USER_AGENT_LENGTH_MAX, ADDRESS_LENGTH_MAX = 200, 64
_COOKIE_BYTES, _COOKIE_LENGTH = 32, 43


@dataclass(frozen=True, slots=True)
class SessionEntry:
    """`id` names the session in lists and opens nothing. `confirmed_at_ms` is when the password was last proven."""

    id: str
    member: MemberEntry
    created_at_ms: int
    last_seen_at_ms: int
    expires_at_ms: int
    confirmed_at_ms: int
    address: str
    user_agent: str

    def confirmed(self, now_ms: int) -> bool:
        """Whether the password was proven recently enough for a dangerous act."""
        return now_ms < self.confirmed_at_ms + CONFIRMED_MS


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """`cookie` is kept by the browser and by nobody else."""

    entry: SessionEntry
    cookie: str = field(repr=False)


async def open_session(
    session: AsyncSession, member: MemberEntry, *, address: str, user_agent: str, replaces: str | None = None
) -> OpenedSession:
    """For a member whose password was just proven, who `member` is; ends the session that the browser had.

    Raises AuthenticationFailed if the member was disabled or deleted, or got another password, since that proof.
    """
    row = await _still(session, member)
    if replaces is not None:
        await _end(session, MemberSession.digest == digest_of(replaces))
    now_ms = await session_now_ms(session)
    cookie = secrets.token_urlsafe(_COOKIE_BYTES)
    opened = MemberSession(
        digest=digest_of(cookie),
        id=secrets.token_hex(6),
        member_id=member.id,
        created_at_ms=now_ms,
        last_seen_at_ms=now_ms,
        expires_at_ms=now_ms + MAX_MS,
        confirmed_at_ms=now_ms,
        address=_printable(address)[:ADDRESS_LENGTH_MAX],
        user_agent=_printable(user_agent)[:USER_AGENT_LENGTH_MAX],
    )
    session.add(opened)
    await session.flush()
    await _end_excess(session, member.id)
    await prune_sessions(session)
    await record(session, member.actor, "session.open", _subject(opened, row), after={"address": opened.address})
    return OpenedSession(_entry(opened, row), cookie)


async def find_session(db: Database, cookie: str, now_ms: int | None = None) -> SessionEntry:
    """Whose browser this is. Raises AuthenticationFailed."""
    if len(cookie) != _COOKIE_LENGTH:
        raise AuthenticationFailed("malformed session")
    async with db.read() as session:
        return await _find(session, cookie, await session_now_ms(session) if now_ms is None else now_ms)


async def touch_session(db: Database, cookie: str, now_ms: int) -> None:
    """Notes that the session was used, at most once a minute; call it after the request was answered."""
    due = (MemberSession.digest == digest_of(cookie)) & (MemberSession.last_seen_at_ms <= now_ms - SEEN_EVERY_MS)
    async with db.read() as session:
        if await session.scalar(select(MemberSession.id).where(due)) is None:
            return
    async with db.write() as session:
        await session.execute(update(MemberSession).where(due).values(last_seen_at_ms=now_ms))


async def confirm_session(session: AsyncSession, cookie: str) -> OpenedSession:
    """Notes that the member has just proven the password, under a new id: the old cookie opens nothing any more.

    A password set since that proof has ended the session, so the proof cannot be stale. Raises AuthenticationFailed.
    """
    now_ms = await session_now_ms(session)
    found = await _find(session, cookie, now_ms)
    fresh = secrets.token_urlsafe(_COOKIE_BYTES)
    confirmed = await session.scalar(
        update(MemberSession)
        .where(MemberSession.digest == digest_of(cookie))
        .values(digest=digest_of(fresh), confirmed_at_ms=now_ms, last_seen_at_ms=now_ms)
        .returning(MemberSession.id)
        .execution_options(synchronize_session=False)
    )
    if confirmed is None:
        raise AuthenticationFailed("session ended meanwhile")
    return OpenedSession(replace(found, confirmed_at_ms=now_ms, last_seen_at_ms=now_ms), fresh)


async def end_session(session: AsyncSession, cookie: str) -> None:
    """Signs out. Ending a session that is over changes nothing."""
    row = (await session.execute(_joined().where(MemberSession.digest == digest_of(cookie)))).one_or_none()
    if row is not None:
        await _end(session, MemberSession.digest == row.MemberSession.digest)
        await record(session, MemberEntry.of(row.Member).actor, "session.end", _subject(row.MemberSession, row.Member))


async def end_session_by_id(session: AsyncSession, actor: Actor, member_id: UUID, public_id: str) -> None:
    """Signs another browser of the member out. Raises NotFound."""
    row = (
        await session.execute(_joined().where(MemberSession.id == public_id[:12], MemberSession.member_id == member_id))
    ).one_or_none()
    if row is None:
        raise NotFound(f"no session {public_id[:12]!r}")
    await _end(session, MemberSession.digest == row.MemberSession.digest)
    await record(session, actor, "session.end", _subject(row.MemberSession, row.Member))


async def end_sessions(session: AsyncSession, member_id: UUID, *, but: str | None = None) -> int:
    """Signs the member out everywhere, or everywhere but in the browser of that cookie; how many sessions ended.

    Whoever calls it says why in the audit log.
    """
    theirs = MemberSession.member_id == member_id
    return await _end(session, theirs if but is None else theirs & (MemberSession.digest != digest_of(but)))


async def list_sessions(session: AsyncSession, member_id: UUID) -> list[SessionEntry]:
    """Those that are open, the last used first."""
    now_ms = await session_now_ms(session)
    rows = await session.execute(
        _joined()
        .where(
            MemberSession.member_id == member_id,
            MemberSession.expires_at_ms > now_ms,
            MemberSession.last_seen_at_ms > now_ms - IDLE_MS,
        )
        .order_by(MemberSession.last_seen_at_ms.desc(), MemberSession.id)
    )
    return [_entry(row.MemberSession, row.Member) for row in rows]


async def prune_sessions(session: AsyncSession) -> int:
    """Removes sessions that were idle for too long, some at a time; how many. Every sign-in does it.

    One that is too old ends earlier and is removed when it has been idle for that long too.
    """
    idle = MemberSession.last_seen_at_ms <= await session_now_ms(session) - IDLE_MS
    # Rows that somebody else is removing are left to them: two who wait for each other's would be a deadlock.
    some = select(MemberSession.digest).where(idle).limit(PRUNED_AT_ONCE_MAX).with_for_update(skip_locked=True)
    return await _end(session, MemberSession.digest.in_(some))


async def _end_excess(session: AsyncSession, member_id: UUID) -> None:
    theirs = MemberSession.member_id == member_id
    newest_first = (MemberSession.last_seen_at_ms.desc(), MemberSession.created_at_ms.desc(), MemberSession.id)
    kept = select(MemberSession.digest).where(theirs).order_by(*newest_first).limit(SESSIONS_MAX)
    await _end(session, theirs & MemberSession.digest.not_in(kept))


def _joined() -> Select[MemberSession, Member]:
    return select(MemberSession, Member).join(Member, Member.id == MemberSession.member_id)


async def _find(session: AsyncSession, cookie: str, now_ms: int) -> SessionEntry:
    row = (await session.execute(_joined().where(MemberSession.digest == digest_of(cookie)))).one_or_none()
    if row is None:
        raise AuthenticationFailed("unknown session")
    over = _over(row.MemberSession, row.Member, now_ms)
    if over is not None:
        raise AuthenticationFailed(over)
    return _entry(row.MemberSession, row.Member)


async def _still(session: AsyncSession, member: MemberEntry) -> Member:
    """The member's row, locked, if what was proven of the member is true of it still. Raises AuthenticationFailed."""
    try:
        row = await locked_member(session, member.id)
    except NotFound:
        raise AuthenticationFailed("member deleted") from None
    if row.disabled_at_ms is not None:
        raise AuthenticationFailed("member disabled", secret_was_right=True)
    if row.password_version != member.password_version:
        raise AuthenticationFailed("password changed meanwhile")
    return row


async def _end(session: AsyncSession, which: ColumnElement[bool]) -> int:
    result = await session.execute(delete(MemberSession).where(which).execution_options(synchronize_session=False))
    assert isinstance(result, CursorResult)
    return result.rowcount


def _over(row: MemberSession, member: Member, now_ms: int) -> str | None:
    if row.expires_at_ms <= now_ms:
        return "session expired"
    if row.last_seen_at_ms + IDLE_MS <= now_ms:
        return "session idle"
    return "member disabled" if member.disabled_at_ms is not None or member.deleted_at_ms is not None else None


def _entry(row: MemberSession, member: Member) -> SessionEntry:
    return SessionEntry(
        row.id,
        MemberEntry.of(member),
        row.created_at_ms,
        row.last_seen_at_ms,
        row.expires_at_ms,
        row.confirmed_at_ms,
        row.address,
        row.user_agent,
    )


def _subject(row: MemberSession, member: Member) -> Subject:
    return Subject(kind="session", id=row.id, name=member.name)


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
