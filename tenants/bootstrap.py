"""What a first start makes: tenant `default`, namespace `default/default`, member `admin`, and a token for this
machine.

Always true: it happens once per database, whole or not at all, whoever starts first. Whoever calls it keeps the
password and the token; the database has only their verifiers. A token that was lost is replaced, not recovered.
"""

import secrets
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from .access_tokens import CreatedToken, create_token, list_tokens, revoke_token
from .actor import Actor
from .database import Database
from .errors import NotFound
from .members import create_member
from .models import Member
from .passwords import hash_password
from .tenancy import create_namespace, create_tenant
from .versions import Counter, bump

DEFAULT_TENANT, DEFAULT_NAMESPACE, ADMIN = "default", "default", "admin"
LOCAL_TOKEN = "local"  # noqa: S105 - the token's name


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """`password` only if it was generated, `token` only if it was made: by the first start."""

    created: bool
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


async def bootstrap(db: Database, admin_password: str | None = None) -> Bootstrapped:
    """Call it at every start; all but the first find everything made. Raises InvalidArgument for a bad password."""
    async with db.read() as session:
        if await _anybody(session):
            return Bootstrapped(created=False)
    password = admin_password or secrets.token_urlsafe(18)
    await hash_password(password)  # refuse a bad one, and load the hasher, before taking the write lock
    actor = Actor.system()
    async with db.write() as session:
        await bump(session, Counter.CATALOGUE)  # whoever comes second waits here, and then sees the first one's rows
        if await _anybody(session):
            return Bootstrapped(created=False)
        await create_tenant(session, actor, DEFAULT_TENANT)
        await create_namespace(session, actor, DEFAULT_TENANT, DEFAULT_NAMESPACE)
        member = await create_member(session, actor, ADMIN, password, platform_admin=True)
        token = await create_token(session, actor, member.id, LOCAL_TOKEN)
    return Bootstrapped(True, None if admin_password else password, token.secret)


async def renew_local_token(db: Database) -> str:
    """A new token for this machine in place of one whose file was lost. Raises NotFound before the first start."""
    actor = Actor.system()
    async with db.write() as session:
        await bump(session, Counter.POLICY)
        member = await _admin(session)
        if member is None:
            raise NotFound("there is no member yet: start the platform once")
        for token in await list_tokens(session, member.id):
            if token.name == LOCAL_TOKEN:
                await revoke_token(session, actor, member.id, token.id)
        created: CreatedToken = await create_token(session, actor, member.id, LOCAL_TOKEN)
    return created.secret


async def _anybody(session: AsyncSession) -> bool:
    """Whether there ever was a member: a database whose admin was deleted is not a fresh one."""
    return await session.scalar(select(Member.id).limit(1)) is not None


async def _admin(session: AsyncSession) -> Member | None:
    """The oldest who administers the platform; there is one from the first start on."""
    live = Member.platform_admin & Member.disabled_at_ms.is_(None) & Member.deleted_at_ms.is_(None)
    return await session.scalar(select(Member).where(live).order_by(Member.created_at_ms, Member.id).limit(1))
