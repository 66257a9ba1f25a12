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
    session: AsyncSession, *, namespace_id: UUID | None = None, limit: int = 100, before_seq: int | None = None
) -> Sequence[AuditEntry]:
    """The newest first; `before_seq` continues a listing. Without a namespace: the whole platform's."""
    query = select(AuditEntry).order_by(AuditEntry.seq.desc()).limit(limit)
    if namespace_id is not None:
        query = query.where(AuditEntry.namespace_id == namespace_id)
    if before_seq is not None:
        query = query.where(AuditEntry.seq < before_seq)
    return (await session.scalars(query)).all()
