"""The audit log: one row for every change, written in the transaction that makes the change.

`before` and `after` hold what changed and never a secret: services pass descriptions, not rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from .actor import Actor
from .database import session_now_ms
from .models import AuditEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What was changed, and in whose tenancy."""

    kind: str
    id: str
    name: str
    tenant_id: UUID | None = None
    namespace_id: UUID | None = None


async def record(
    session: AsyncSession,
    actor: Actor,
    action: str,
    subject: Subject,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Adds the row; `action` is `<object kind>.<verb>`, such as `topic.create`."""
    session.add(
        AuditEntry(
            at_ms=await session_now_ms(session),
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_name=actor.name,
            action=action,
            object_kind=subject.kind,
            object_id=subject.id,
            object_name=subject.name,
            tenant_id=subject.tenant_id,
            namespace_id=subject.namespace_id,
            before=before,
            after=after,
        )
    )


async def entries(
    session: AsyncSession,
    *,
    tenant_id: UUID | None = None,
    namespace_id: UUID | None = None,
    object_kind: str | None = None,
    object_id: str | None = None,
    actor_id: str | None = None,
    actor_name: str | None = None,
    limit: int = 100,
    before_seq: int | None = None,
) -> Sequence[AuditEntry]:
    """What matches all that is given, the newest first; `before_seq` continues a listing.

    A tenant's entries include those of its namespaces. Without a tenant or namespace: the whole platform's.
    """
    given = (
        (AuditEntry.tenant_id, tenant_id),
        (AuditEntry.namespace_id, namespace_id),
        (AuditEntry.object_kind, object_kind),
        (AuditEntry.object_id, object_id),
        (AuditEntry.actor_id, actor_id),
        (AuditEntry.actor_name, actor_name),
    )
    if any("\0" in value for _, value in given if isinstance(value, str)):
        return []  # nothing is called so, and PostgreSQL refuses to compare
    query = select(AuditEntry).where(*(column == value for column, value in given if value is not None))
    if before_seq is not None:
        query = query.where(AuditEntry.seq < before_seq)
    return (await session.scalars(query.order_by(AuditEntry.seq.desc()).limit(limit))).all()
