"""What belongs to no single tenant: jobs, and the audit log."""

from typing import TypeVar
from uuid import UUID

from msgspec import UNSET, UnsetType
from sqlalchemy.ext.asyncio import AsyncSession

from ..tenants import audit
from ..tenants.errors import InvalidArgument
from ..tenants.jobs import JobEntry, get_job
from ..tenants.models import AuditEntry
from ..tenants.rights import Right
from ..tenants.scope import namespace_scope
from ..tenants.tenancy import get_tenant
from . import schemas
from .operations import Call, Operation
from .schemas import time_of, time_of_or_none

T = TypeVar("T")


def job_view(job: JobEntry) -> schemas.JobView:
    return schemas.JobView(
        id=str(job.id),
        kind=job.kind,
        state=job.state.value,
        progress=dict(job.progress),
        error=job.error,
        attempts=job.attempts,
        created_by=job.created_by,
        created_at=time_of(job.created_at_ms),
        updated_at=time_of(job.updated_at_ms),
        finished_at=time_of_or_none(job.finished_at_ms),
    )


def audit_view(row: AuditEntry) -> schemas.AuditView:
    return schemas.AuditView(
        seq=row.seq,
        at=time_of(row.at_ms),
        actor_kind=row.actor_kind,
        actor=row.actor_name,
        action=row.action,
        object_kind=row.object_kind,
        object_id=row.object_id,
        object_name=row.object_name,
        tenant_id=None if row.tenant_id is None else str(row.tenant_id),
        namespace_id=None if row.namespace_id is None else str(row.namespace_id),
        before=row.before,
        after=row.after,
    )


async def show_job(call: Call) -> schemas.JobView:
    async with call.database.read() as session:
        return job_view(await get_job(session, UUID(call.path["job_id"])))


async def list_audit(call: Call, query: schemas.AuditFilter) -> schemas.AuditList:
    if query.tenant is UNSET and query.namespace is not UNSET:
        raise InvalidArgument("a namespace is named with its tenant: give both, or the tenant alone, or neither")
    async with call.database.read() as session:
        tenant_id, namespace_id = await _place(session, query)
        call.require(Right.AUDIT_VIEW, tenant_id, namespace_id)
        rows = await audit.entries(
            session,
            tenant_id=tenant_id,
            namespace_id=namespace_id,
            object_kind=_given(query.object_kind),
            object_id=_given(query.object_id),
            actor_name=_given(query.actor),
            limit=query.limit,
            before_seq=_given(query.before),
        )
    return schemas.AuditList(entries=[audit_view(row) for row in rows])


async def _place(session: AsyncSession, query: schemas.AuditFilter) -> tuple[UUID | None, UUID | None]:
    """Ids of the tenant and the namespace asked about. Raises NotFound."""
    if query.tenant is UNSET:
        return None, None
    if query.namespace is UNSET:
        return (await get_tenant(session, query.tenant)).id, None
    namespace = (await namespace_scope(session, query.tenant, query.namespace)).entry
    return namespace.tenant_id, namespace.id


def _given(value: T | UnsetType) -> T | None:
    return None if value is UNSET else value


OPERATIONS = (
    Operation(
        name="show_job",
        method="GET",
        path="/api/v1/jobs/{job_id}",
        summary="One job: its state, progress, and what went wrong",
        handler=show_job,
        needs=Right.NAMESPACE_VIEW,
        answer=schemas.JobView,
    ),
    Operation(
        name="list_audit",
        method="GET",
        path="/api/v1/audit",
        summary="Who changed what, newest first",
        handler=list_audit,
        needs=None,
        query=schemas.AuditFilter,
        answer=schemas.AuditList,
        errors=(404,),
    ),
)
