"""The members of one tenant: everybody with a role in it or in a namespace of it."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from .member_entry import MemberEntry
from .member_grants import MemberGrantEntry, list_grants
from .models import Member, MemberGrant


@dataclass(frozen=True, slots=True)
class TenantMember:
    """`administered_here`: the tenant made the member, and nothing outside it depends on this sign-in, so the tenant's
    administrators may change it; what they may is decided by `check_may_administer`, when they do."""

    member: MemberEntry
    grants: tuple[MemberGrantEntry, ...]
    administered_here: bool


async def members_of(session: AsyncSession, tenant_id: UUID) -> list[TenantMember]:
    """By name, in three statements however many they are."""
    grants = await list_grants(session, tenant_id=tenant_id)
    here = select(MemberGrant.member_id).where(MemberGrant.tenant_id == tenant_id)
    rows = await session.scalars(
        select(Member).where(Member.id.in_(here), Member.deleted_at_ms.is_(None)).order_by(Member.name)
    )
    elsewhere = await session.scalars(
        select(MemberGrant.member_id)
        .where(MemberGrant.member_id.in_(here), MemberGrant.tenant_id != tenant_id)
        .distinct()
    )
    known_elsewhere = set(elsewhere)
    by_member: dict[UUID, list[MemberGrantEntry]] = {}
    for grant in grants:
        by_member.setdefault(grant.member_id, []).append(grant)
    return [
        TenantMember(
            MemberEntry.of(row),
            tuple(by_member[row.id]),
            row.home_tenant_id == tenant_id and not row.platform_admin and row.id not in known_elsewhere,
        )
        for row in rows
        if row.id in by_member
    ]
