"""What namespaces hold, counted for pages that show many of them.

Always true: one statement for each kind of thing, however many namespaces there are and however full they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from .models import ApiKey, Namespace, ServiceAccount, Topic


@dataclass(frozen=True, slots=True)
class Holdings:
    """Live topics, their partitions, and keys that work."""

    topics: int = 0
    partitions: int = 0
    keys: int = 0

    def __add__(self, other: "Holdings") -> "Holdings":
        return Holdings(self.topics + other.topics, self.partitions + other.partitions, self.keys + other.keys)


NOTHING = Holdings()


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A working key, and what its dates say of it."""

    id: str
    name: str
    created_at_ms: int
    expires_at_ms: int | None
    last_used_at_ms: int | None


async def holdings(
    session: AsyncSession, now_ms: int, *, tenant_id: UUID | None = None, namespace_id: UUID | None = None
) -> Mapping[UUID, Holdings]:
    """By namespace: of one, of a tenant's, or of all. What holds nothing is not in it."""
    topics = (
        select(Topic.namespace_id, func.count(), func.sum(Topic.partitions))
        .where(Topic.deleted_at_ms.is_(None), *_within(Topic.namespace_id, tenant_id, namespace_id))
        .group_by(Topic.namespace_id)
    )
    keys = (
        select(ServiceAccount.namespace_id, func.count())
        .join(ApiKey, ApiKey.service_account_id == ServiceAccount.id)
        .where(_works(now_ms), *_within(ServiceAccount.namespace_id, tenant_id, namespace_id))
        .group_by(ServiceAccount.namespace_id)
    )
    found = {row[0]: Holdings(row[1], int(row[2])) for row in await session.execute(topics)}
    for owner, count in await session.execute(keys):
        found[owner] = found.get(owner, NOTHING) + Holdings(keys=count)
    return found


async def keys_to_look_at(
    session: AsyncSession, namespace_id: UUID, now_ms: int, *, expire_before_ms: int, unused_since_ms: int
) -> list[KeyUse]:
    """Working keys that soon expire, or that were not used since then, by name."""
    used_or_made_ms = func.coalesce(ApiKey.last_used_at_ms, ApiKey.created_at_ms)
    query = (
        select(ApiKey.id, ApiKey.name, ApiKey.created_at_ms, ApiKey.expires_at_ms, ApiKey.last_used_at_ms)
        .join(ServiceAccount, ServiceAccount.id == ApiKey.service_account_id)
        .where(ServiceAccount.namespace_id == namespace_id, _works(now_ms))
        .where(or_(ApiKey.expires_at_ms < expire_before_ms, used_or_made_ms < unused_since_ms))
    )
    return [KeyUse(*row) for row in await session.execute(query.order_by(ApiKey.name, ApiKey.id))]


async def topics_made_before(session: AsyncSession, namespace_id: UUID, before_ms: int) -> frozenset[UUID]:
    """Ids of live topics that are older than that."""
    query = select(Topic.id).where(
        Topic.namespace_id == namespace_id, Topic.deleted_at_ms.is_(None), Topic.created_at_ms < before_ms
    )
    return frozenset((await session.scalars(query)).all())


async def topic_names(session: AsyncSession, namespace_id: UUID, limit: int) -> list[str]:
    """The first so many names of live topics, in order."""
    query = select(Topic.name).where(Topic.namespace_id == namespace_id, Topic.deleted_at_ms.is_(None))
    return list((await session.scalars(query.order_by(Topic.name).limit(limit))).all())


def _works(now_ms: int) -> ColumnElement[bool]:
    return and_(
        ApiKey.revoked_at_ms.is_(None),
        or_(ApiKey.expires_at_ms.is_(None), ApiKey.expires_at_ms > now_ms),
        ServiceAccount.deleted_at_ms.is_(None),
    )


def _within(
    column: InstrumentedAttribute[UUID], tenant_id: UUID | None, namespace_id: UUID | None
) -> list[ColumnElement[bool]]:
    namespaces = select(Namespace.id).where(Namespace.deleted_at_ms.is_(None))
    if namespace_id is not None:
        namespaces = namespaces.where(Namespace.id == namespace_id)
    if tenant_id is not None:
        namespaces = namespaces.where(Namespace.tenant_id == tenant_id)
    return [column.in_(namespaces)]
