"""Roles of members: who has which in a tenant or in one namespace of it, and who may administer whom.

Always true: a grant names a live tenant (and a live namespace of it), goes with either, and is there once; every
change moves the policy counter, whose lock also keeps two changes from missing each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from .actor import Actor
from .audit import Subject, record
from .database import session_now_ms
from .errors import AlreadyExists, Conflict, InvalidArgument, NotFound
from .member_entry import MemberEntry, find_member, locked_member
from .models import Member, MemberGrant, Namespace, Tenant
from .rights import NAMESPACE_ROLES, MemberRole, Right
from .scope import namespace_scope
from .versions import Counter, bump

if TYPE_CHECKING:
    from .member_access import MemberAccess


_ROLES = frozenset(role.value for role in MemberRole)


@dataclass(frozen=True, slots=True)
class MemberGrantEntry:
    """Without a namespace it is for the whole tenant. `created_by` is a name."""

    id: UUID
    member_id: UUID
    member: str
    tenant_id: UUID
    tenant: str
    namespace_id: UUID | None
    namespace: str | None
    role: MemberRole
    created_at_ms: int
    created_by: str

    @property
    def place(self) -> str:
        return self.tenant if self.namespace is None else f"{self.tenant}/{self.namespace}"


async def grant_role(
    session: AsyncSession, actor: Actor, tenant: str, member: str, role: MemberRole, namespace: str | None = None
) -> MemberGrantEntry:
    """Raises NotFound (tenant, namespace, member), InvalidArgument, AlreadyExists."""
    if namespace is not None and role not in NAMESPACE_ROLES:
        raise InvalidArgument(f"role {role} is for a whole tenant: grant it without a namespace")
    await bump(session, Counter.POLICY)
    place = await _place(session, tenant, namespace)
    row = await locked_member(session, member)
    if await _find(session, place, row, role) is not None:
        raise AlreadyExists(f"member {row.name!r} has role {role} in {place.name} already")
    grant = MemberGrant(
        id=uuid4(),
        member_id=row.id,
        tenant_id=place.tenant_id,
        namespace_id=place.namespace_id,
        role=role.value,
        created_at_ms=await session_now_ms(session),
        created_by=actor.name,
    )
    session.add(grant)
    await session.flush()
    await record(session, actor, "member.grant_role", place.subject(row), after={"role": role.value, "in": place.name})
    (entry,) = await _entries(session, MemberGrant.id == grant.id)
    return entry


async def revoke_role(
    session: AsyncSession, actor: Actor, tenant: str, member: str, role: MemberRole, namespace: str | None = None
) -> None:
    """Raises NotFound."""
    await bump(session, Counter.POLICY)
    place = await _place(session, tenant, namespace)
    row = await locked_member(session, member)
    grant = await _find(session, place, row, role)
    if grant is None:
        raise NotFound(f"member {row.name!r} has no role {role} in {place.name}")
    await session.delete(grant)
    await session.flush()
    before = {"role": role.value, "in": place.name}
    await record(session, actor, "member.revoke_role", place.subject(row), before=before)


async def list_grants(
    session: AsyncSession, *, tenant_id: UUID | None = None, member_id: UUID | None = None
) -> list[MemberGrantEntry]:
    """By member, tenant and namespace, what is for a whole tenant first. Those of a tenant include its namespaces'."""
    conditions = []
    if tenant_id is not None:
        conditions.append(MemberGrant.tenant_id == tenant_id)
    if member_id is not None:
        conditions.append(MemberGrant.member_id == member_id)
    return await _entries(session, *conditions)


def may_administer(access: "MemberAccess", member: MemberEntry, grants: Sequence[MemberGrantEntry]) -> bool:
    """Whether `access` may disable the member or give them a new password. `grants` are all that the member has.

    Who can sign in as somebody has their rights, those that are still to come too. So beside platform administrators
    only those of the tenant that made the member may, while the member has rights nowhere else.
    """
    if access.allows(Right.PLATFORM_MANAGE):
        return True
    home = member.home_tenant_id
    return (
        home is not None
        and not member.platform_admin
        and {grant.tenant_id for grant in grants} == {home}
        and access.allows(Right.MEMBERS_MANAGE, home)
    )


async def check_may_administer(session: AsyncSession, access: "MemberAccess", name: str) -> MemberEntry:
    """The member, who gets no other rights before this transaction ends; so call it in the one that makes the change.

    Raises NotFound unless `access` manages members where the member has a role, and Conflict for one that only others
    may administer.
    """
    await bump(session, Counter.POLICY)
    return await _administered(session, access, MemberEntry.of(await locked_member(session, name)))


async def would_administer(session: AsyncSession, access: "MemberAccess", name: str) -> None:
    """Raises what `check_may_administer` would, and locks nothing: before what is dear is done for the change."""
    row = await find_member(session, name)
    if row is None:
        raise NotFound(f"no member {name[:100]!r}")
    await _administered(session, access, MemberEntry.of(row))


async def _administered(session: AsyncSession, access: "MemberAccess", member: MemberEntry) -> MemberEntry:
    """Raises NotFound, Conflict."""
    grants = await list_grants(session, member_id=member.id)
    places = set(await session.scalars(select(MemberGrant.tenant_id).where(MemberGrant.member_id == member.id)))
    only_known = places == {grant.tenant_id for grant in grants}  # or a later release gave a role unknown here
    if access.allows(Right.PLATFORM_MANAGE) or (only_known and may_administer(access, member, grants)):
        return member
    if not any(access.allows(Right.MEMBERS_MANAGE, grant.tenant_id) for grant in grants):
        raise NotFound(f"no member {member.name!r}")
    raise Conflict(
        f"member {member.name!r} was not made by this tenant, or has rights elsewhere too: "
        "only a platform administrator can change their sign-in"
    )


async def drop_member_grants(
    session: AsyncSession, *, tenant_id: UUID | None = None, namespace_id: UUID | None = None
) -> None:
    """With the tenant or namespace they are in, whose deletion is what the audit log says."""
    assert (tenant_id is None) != (namespace_id is None), "one place at a time"
    column, place = (
        (MemberGrant.tenant_id, tenant_id) if namespace_id is None else (MemberGrant.namespace_id, namespace_id)
    )
    await session.execute(delete(MemberGrant).where(column == place))


@dataclass(frozen=True, slots=True)
class _Place:
    tenant_id: UUID
    namespace_id: UUID | None
    name: str

    def subject(self, member: Member) -> Subject:
        return Subject(
            kind="member",
            id=str(member.id),
            name=member.name,
            tenant_id=self.tenant_id,
            namespace_id=self.namespace_id,
        )


async def _place(session: AsyncSession, tenant: str, namespace: str | None) -> _Place:
    """Raises NotFound."""
    if namespace is not None:
        entry = (await namespace_scope(session, tenant, namespace)).entry
        return _Place(entry.tenant_id, entry.id, f"{entry.tenant}/{entry.name}")
    tenant_id = await session.scalar(select(Tenant.id).where(Tenant.name == tenant, Tenant.deleted_at_ms.is_(None)))
    if tenant_id is None:
        raise NotFound(f"no tenant {tenant[:63]!r}")
    return _Place(tenant_id, None, tenant)


async def _find(session: AsyncSession, place: _Place, member: Member, role: MemberRole) -> MemberGrant | None:
    namespace = (
        MemberGrant.namespace_id.is_(None)
        if place.namespace_id is None
        else MemberGrant.namespace_id == place.namespace_id
    )
    return await session.scalar(
        select(MemberGrant).where(
            MemberGrant.member_id == member.id,
            MemberGrant.tenant_id == place.tenant_id,
            namespace,
            MemberGrant.role == role.value,
        )
    )


async def _entries(session: AsyncSession, *conditions: ColumnElement[bool]) -> list[MemberGrantEntry]:
    rows = await session.execute(
        select(MemberGrant, Member.name, Tenant.name, Namespace.name)
        .join(Member, Member.id == MemberGrant.member_id)
        .join(Tenant, Tenant.id == MemberGrant.tenant_id)
        .outerjoin(Namespace, Namespace.id == MemberGrant.namespace_id)
        .where(
            Member.deleted_at_ms.is_(None),
            Tenant.deleted_at_ms.is_(None),
            Namespace.deleted_at_ms.is_(None),
            *conditions,
        )
        .order_by(Member.name, Tenant.name, Namespace.name.is_not(None), Namespace.name, MemberGrant.role)
    )
    return [
        MemberGrantEntry(
            id=grant.id,
            member_id=grant.member_id,
            member=member,
            tenant_id=grant.tenant_id,
            tenant=tenant,
            namespace_id=grant.namespace_id,
            namespace=namespace,
            role=MemberRole(grant.role),
            created_at_ms=grant.created_at_ms,
            created_by=grant.created_by,
        )
        for grant, member, tenant, namespace in rows
        if grant.role in _ROLES  # one that only a later release knows gives nothing here
    ]
