"""Where a path leads, and whether its caller may do there what is asked: once, here, before any handler runs.

Always true: who lacks the right is told the same as for what does not exist.
"""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ..tenants import key_service, tenancy
from ..tenants.database import Database
from ..tenants.errors import NotFound
from ..tenants.jobs import get_job
from ..tenants.member_access import MemberAccess
from ..tenants.rights import Right
from ..tenants.scope import namespace_scope, namespace_scope_by_id
from . import failures
from .operations import Place


async def authorise(database: Database, access: MemberAccess, needs: Right | None, path: Mapping[str, str]) -> Place:
    """The place of the path, if the caller has the right there. Raises Failure (404), NotFound."""
    try:
        async with database.read() as session:
            place = await _place(session, path)
    except NotFound:
        if access.member.platform_admin:
            raise  # who may see everything is told what is missing
        raise failures.not_found() from None
    if needs is not None and not access.allows(needs, place.tenant_id, place.namespace_id):
        raise failures.not_found()
    return place


async def _place(session: AsyncSession, path: Mapping[str, str]) -> Place:
    if "namespace" in path:
        return Place(namespace=(await namespace_scope(session, path["tenant"], path["namespace"])).entry)
    if "tenant" in path:
        return Place(tenant=await tenancy.get_tenant(session, path["tenant"]))
    if "key_id" in path:
        return await _by_namespace_id(session, await key_service.namespace_of_key(session, path["key_id"]))
    if "job_id" in path:
        job = await get_job(session, UUID(path["job_id"]))
        return Place() if job.namespace_id is None else await _by_namespace_id(session, job.namespace_id)
    return Place()


async def _by_namespace_id(session: AsyncSession, namespace_id: UUID) -> Place:
    return Place(namespace=(await namespace_scope_by_id(session, namespace_id)).entry)
