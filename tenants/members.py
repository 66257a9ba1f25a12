"""Members: people who use the console, how they prove who they are, and how they want to see it.

Always true: a password is kept as an Argon2id hash and a name that does not exist costs the same hash as one that
does; a new password ends the sessions opened with an older one; there is a member who administers the platform and is
not disabled. What a member may do where is in `member_grants.py`.
"""

from uuid import UUID, uuid4

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from .access_tokens import stop_tokens
from .actor import Actor
from .audit import record
from .database import Database, session_now_ms
from .errors import AlreadyExists, Conflict, InvalidArgument, NotFound
from .keys import AuthenticationFailed
from .member_entry import MemberEntry, find_member, locked_member, member_subject
from .models import Member, MemberGrant
from .names import check_title
from .passwords import GeneratedPassword, Lane, check_password, hash_password, password_matches
from .preferences import Preferences, Theme, Times, time_zones
from .sessions import end_sessions, find_session
from .versions import Counter, bump

__all__ = ["MemberEntry", "Preferences", "Theme", "Times", "time_zones"]


async def create_member(
    session: AsyncSession,
    actor: Actor,
    name: str,
    password: str | GeneratedPassword | None,
    *,
    platform_admin: bool = False,
    home_tenant_id: UUID | None = None,
) -> MemberEntry:
    """Without a password the member can use tokens only; a generated one must be changed at the first sign-in.

    Of any other this makes the hash, before it locks anything.
    Raises InvalidName, InvalidArgument, AlreadyExists, Busy.
    """
    check_title("member", name)
    if isinstance(password, GeneratedPassword):
        hashed: str | None = password.hashed
    else:
        hashed = None if password is None else await hash_password(password)
    await bump(session, Counter.POLICY)
    if await find_member(session, name) is not None:
        raise AlreadyExists(f"member {name!r} already exists")
    member = Member(
        id=uuid4(),
        name=name,
        password_hash=hashed,
        password_temporary=isinstance(password, GeneratedPassword),
        password_version=0,
        platform_admin=platform_admin,
        preferences={},
        home_tenant_id=home_tenant_id,
        created_at_ms=await session_now_ms(session),
    )
    session.add(member)
    await session.flush()
    await record(session, actor, "member.create", member_subject(member), after={"platform_admin": platform_admin})
    return MemberEntry.of(member)


async def list_members(session: AsyncSession) -> list[MemberEntry]:
    rows = await session.scalars(select(Member).where(Member.deleted_at_ms.is_(None)).order_by(Member.name))
    return [MemberEntry.of(row) for row in rows]


async def get_member(session: AsyncSession, name: str) -> MemberEntry:
    """Raises NotFound."""
    row = await find_member(session, name)
    if row is None:
        raise NotFound(f"no member {name[:100]!r}")
    return MemberEntry.of(row)


async def load_member(session: AsyncSession, member_id: UUID) -> MemberEntry:
    """Raises NotFound."""
    row = await session.scalar(select(Member).where(Member.id == member_id, Member.deleted_at_ms.is_(None)))
    if row is None:
        raise NotFound(f"no member {member_id}")
    return MemberEntry.of(row)


async def set_preferences(
    session: AsyncSession, actor: Actor, member_id: UUID, preferences: Preferences
) -> MemberEntry:
    """Raises InvalidArgument, NotFound."""
    after = preferences.checked().as_json()
    member = await locked_member(session, member_id)
    before, member.preferences = Preferences.of_json(member.preferences).as_json(), after
    if before != after:
        await record(session, actor, "member.set_preferences", member_subject(member), before=before, after=after)
    return MemberEntry.of(member)


async def disable_member(session: AsyncSession, actor: Actor, name: str) -> MemberEntry:
    """Ends the member's sessions and stops their tokens; nothing is lost. Raises NotFound, Conflict."""
    await bump(session, Counter.POLICY)
    member = await locked_member(session, name)
    if member.disabled_at_ms is None:
        await _keep_an_admin(session, member, "disabled")
        member.disabled_at_ms = await session_now_ms(session)
        await record(session, actor, "member.disable", member_subject(member))
    await end_sessions(session, member.id)
    return MemberEntry.of(member)


async def enable_member(session: AsyncSession, actor: Actor, name: str) -> MemberEntry:
    """Raises NotFound."""
    await bump(session, Counter.POLICY)
    member = await locked_member(session, name)
    if member.disabled_at_ms is not None:
        member.disabled_at_ms = None
        await record(session, actor, "member.enable", member_subject(member))
    return MemberEntry.of(member)


async def delete_member(session: AsyncSession, actor: Actor, name: str) -> None:
    """With sessions, tokens and roles; the name is free again. Raises NotFound, Conflict."""
    await bump(session, Counter.POLICY)
    member = await locked_member(session, name)
    await _keep_an_admin(session, member, "deleted")
    now_ms = await session_now_ms(session)
    member.deleted_at_ms, member.password_hash = now_ms, None
    await session.flush()
    await end_sessions(session, member.id)
    await session.execute(delete(MemberGrant).where(MemberGrant.member_id == member.id))
    await stop_tokens(session, member.id)
    await record(session, actor, "member.delete", member_subject(member))


async def set_platform_admin(session: AsyncSession, actor: Actor, name: str, platform_admin: bool) -> MemberEntry:
    """Raises NotFound, Conflict."""
    await bump(session, Counter.POLICY)
    member = await locked_member(session, name)
    if member.platform_admin != platform_admin:
        if not platform_admin:
            await _keep_an_admin(session, member, "made an ordinary member")
        before = {"platform_admin": member.platform_admin}
        member.platform_admin = platform_admin
        after = {"platform_admin": platform_admin}
        await record(session, actor, "member.set_platform_admin", member_subject(member), before=before, after=after)
    return MemberEntry.of(member)


async def verify_password(db: Database, name: str, password: str, *, lane: Lane = Lane.STRANGERS) -> MemberEntry:
    """Who signs in with this name and password. Raises AuthenticationFailed, Busy."""
    async with db.read() as session:
        member = await find_member(session, name)
    expected = member.password_hash if member is not None else None
    right = await password_matches(expected, password, lane)
    if member is None or expected is None:
        raise AuthenticationFailed("unknown member")
    if not right:
        raise AuthenticationFailed("wrong password")
    if member.disabled_at_ms is not None:
        raise AuthenticationFailed("member disabled", secret_was_right=True)
    return MemberEntry.of(member)


async def change_password(
    db: Database, actor: Actor, member_id: UUID, old: str | None, new: str, *, but: str | None = None
) -> MemberEntry:
    """The member's own choice; ends all their sessions except that of the cookie `but`.

    `old` may be left out only where a temporary password is changed in a session, which it opened. Hashing is done
    before the transaction, so that nobody waits for it. Raises AuthenticationFailed (wrong old password, no such
    session), InvalidArgument, Conflict, NotFound, Busy.
    """
    check_password(new)
    async with db.read() as session:
        known = await session.scalar(select(Member).where(Member.id == member_id, Member.deleted_at_ms.is_(None)))
    if known is None:
        raise NotFound(f"no member {member_id}")
    if known.password_hash is None:
        raise Conflict("this member has no password yet: an administrator can give a temporary one")
    if old is not None:
        if not await password_matches(known.password_hash, old, Lane.MEMBERS):
            raise AuthenticationFailed("wrong password")
    elif not known.password_temporary or but is None or (await find_session(db, but)).member.id != member_id:
        raise AuthenticationFailed("no proof of the old password")
    if new == old or await password_matches(known.password_hash, new, Lane.MEMBERS):
        raise InvalidArgument("that is the password there is: choose another")
    hashed = await hash_password(new)
    async with db.write() as session:
        member = await locked_member(session, member_id)
        if member.password_version != known.password_version:
            raise Conflict("the password was changed by somebody else meanwhile")
        await _set_password(session, member, hashed, temporary=False, but=but)
        await record(session, actor, "member.change_password", member_subject(member))
    return MemberEntry.of(member)


async def set_password(session: AsyncSession, actor: Actor, name: str, password: str) -> None:
    """By who has the machine; ends the member's sessions. Raises NotFound, InvalidArgument, Busy."""
    hashed = await hash_password(password)
    member = await locked_member(session, name)
    await _set_password(session, member, hashed, temporary=False)
    await record(session, actor, "member.set_password", member_subject(member))


async def reset_password(session: AsyncSession, actor: Actor, name: str, password: GeneratedPassword) -> None:
    """Gives the member a password to be handed over, which they must change at the next sign-in.

    Ends their sessions and stops their tokens: whoever had the sign-in before has nothing of it left. Raises NotFound.
    """
    member = await locked_member(session, name)
    await _set_password(session, member, password.hashed, temporary=True)
    await stop_tokens(session, member.id)
    await record(session, actor, "member.reset_password", member_subject(member))


async def _set_password(
    session: AsyncSession, member: Member, hashed: str, *, temporary: bool, but: str | None = None
) -> None:
    member.password_hash, member.password_temporary = hashed, temporary
    member.password_version += 1
    await session.flush()
    await end_sessions(session, member.id, but=but)


async def _keep_an_admin(session: AsyncSession, member: Member, done: str) -> None:
    """Raises Conflict. The policy counter is locked, so nobody else can take another administrator away meanwhile."""
    if not member.platform_admin or member.disabled_at_ms is not None:
        return
    others = await session.scalar(
        select(func.count()).where(
            Member.platform_admin,
            Member.id != member.id,
            Member.disabled_at_ms.is_(None),
            Member.deleted_at_ms.is_(None),
        )
    )
    if not others:
        raise Conflict(
            f"member {member.name!r} is the last who administers the platform and cannot be {done}: "
            "make another member an administrator first"
        )
