"""A member as everybody but the database sees one: nothing here can be turned into a way to sign in."""

from dataclasses import dataclass, field
from typing import Self
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from .actor import Actor
from .audit import Subject
from .errors import NotFound
from .models import Member
from .names import is_title
from .preferences import DEFAULTS, Preferences


@dataclass(frozen=True, slots=True)
class MemberEntry:
    """`password_version` grows with every new password: what was proven with an older one is worth nothing.

    `home_tenant_id` is the tenant whose administrators made the member, and no other's may ever change their sign-in.
    """

    id: UUID
    name: str
    platform_admin: bool
    disabled: bool
    created_at_ms: int
    has_password: bool = False
    password_temporary: bool = False
    preferences: Preferences = DEFAULTS
    password_version: int = field(default=0, repr=False)
    home_tenant_id: UUID | None = None

    @classmethod
    def of(cls, row: Member) -> Self:
        return cls(
            row.id,
            row.name,
            row.platform_admin,
            row.disabled_at_ms is not None,
            row.created_at_ms,
            row.password_hash is not None,
            row.password_temporary,
            Preferences.of_json(row.preferences),
            row.password_version,
            row.home_tenant_id,
        )

    @property
    def actor(self) -> Actor:
        return Actor.member(self.id, self.name)


async def find_member(session: AsyncSession, name: str) -> Member | None:
    """The live row of that name."""
    if not is_title(name):  # PostgreSQL refuses even to compare with some strings
        return None
    return await session.scalar(select(Member).where(Member.name == name, Member.deleted_at_ms.is_(None)))


async def locked_member(session: AsyncSession, which: str | UUID) -> Member:
    """The live row of that name or id as it is now, which nobody else changes before this transaction ends.

    Raises NotFound.
    """
    what = which[:100] if isinstance(which, str) else str(which)
    if isinstance(which, UUID) or is_title(which):
        condition = Member.id == which if isinstance(which, UUID) else Member.name == which
        query = select(Member).where(condition, Member.deleted_at_ms.is_(None)).with_for_update()
        row = await session.scalar(query.execution_options(populate_existing=True))
        if row is not None:
            return row
    raise NotFound(f"no member {what!r}")


def member_subject(row: Member) -> Subject:
    return Subject(kind="member", id=str(row.id), name=row.name)
