"""What belongs to no single tenant: jobs, and the audit log."""

from uuid import UUID

from msgspec import UNSET

from ..tenants import audit
from ..tenants.errors import InvalidArgument
from ..tenants.jobs import JobEntry, get_job
from ..tenants.rights import Right
from ..tenants.scope import namespace_scope
from . import schemas
from .operations import Call, Operation
from .schemas import time_of, time_of_or_none


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


async def show_job(call: Call) -> schemas.JobView:
    async with call.database.read() as session:
        return job_view(await get_job(session, UUID(call.path["job_id"])))


async def list_audit(call: Call, query: schemas.AuditFilter) -> schemas.AuditList:
    if (query.tenant is UNSET) != (query.namespace is UNSET):
        raise InvalidArgument("tenant and namespace belong together: give both, or neither for the whole platform")
    async with call.database.read() as session:
        namespace_id = None
        if query.tenant is not UNSET and query.namespace is not UNSET:
            namespace = (await namespace_scope(session, query.tenant, query.namespace)).entry
            call.require(Right.AUDIT_VIEW, namespace.tenant_id, namespace.id)
            namespace_id = namespace.id
        else:
            call.require(Right.AUDIT_VIEW)
        rows = await audit.entries(
            session,
            namespace_id=namespace_id,
            limit=query.limit,
            before_seq=None if query.before is UNSET else query.before,
        )
    return schemas.AuditList(
        entries=[
            schemas.AuditView(
                seq=row.seq,
                at=time_of(row.at_ms),
                actor_kind=row.actor_kind,
                actor=row.actor_name,
                action=row.action,
                object_kind=row.object_kind,
                object_id=row.object_id,
                object_name=row.object_name,
                before=row.before,
                after=row.after,
            )
            for row in rows
        ]
    )


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
