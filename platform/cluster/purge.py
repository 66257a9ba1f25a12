"""The end of deleted topics and namespaces: their rows go once nothing in the object store needs them any more.

Always true: a topic's rows outlive its cold rows, and a cold row outlives its object (I5); what is removed here
raises the catalogue's floor, so that a reader that missed the deletion reads everything again.
"""

from uuid import UUID

from sqlalchemy import Select, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from ...tenants.catalogue import forget_versions_up_to
from ...tenants.database import Database
from ...tenants.models import AccessRule, ApiKey, Job, Namespace, RoleGrant, ServiceAccount, Tenant, Topic
from ...tenants.versions import Counter, bump
from .tables import ColdSegmentRow, EpochStart, Partition, ProducerIdBlock


async def purge_finished(db: Database, topic_id: UUID) -> bool:
    """Removes the rows of a deleted topic; False while cold rows are left, or if it is not deleted.

    Call it after `Manifest.mark_topic`, when collection has had its turn. True also when there is nothing left to
    remove.
    """
    async with db.read() as session:  # asked once per pass, and mostly too early
        if (answer := await _too_early(session, topic_id)) is not None:
            return answer
    async with db.write() as session:
        await bump(session, Counter.CATALOGUE)
        if (answer := await _too_early(session, topic_id)) is not None:
            return answer
        topic = await session.get_one(Topic, topic_id)
        for table in (EpochStart, Partition):
            await session.execute(delete(table).where(table.topic_id == topic_id))
        await forget_versions_up_to(session, topic.version)
        await session.delete(topic)
        return True


async def purge_namespaces(db: Database) -> int:
    """Removes deleted namespaces that have no topic rows left, and deleted tenants that have no namespaces; how
    many.
    """
    async with db.read() as session:
        if not await session.scalar(_finished().limit(1)) and not await session.scalar(_empty_tenants().limit(1)):
            return 0
    async with db.write() as session:
        await bump(session, Counter.CATALOGUE)
        namespaces = (await session.scalars(_finished())).all()
        for namespace in namespaces:
            await _remove_namespace(session, namespace)
        await session.flush()
        tenants = (await session.scalars(_empty_tenants())).all()
        for tenant in tenants:
            await session.delete(tenant)
        return len(namespaces) + len(tenants)


async def _too_early(session: AsyncSession, topic_id: UUID) -> bool | None:
    """What to answer without removing anything; None when the time has come."""
    deleted = (await session.execute(select(Topic.deleted_at_ms).where(Topic.id == topic_id))).one_or_none()
    if deleted is None:
        return True
    cold = select(ColdSegmentRow.object_id).where(ColdSegmentRow.topic_id == topic_id).limit(1)
    return False if deleted[0] is None or await session.scalar(cold) is not None else None


async def _remove_namespace(session: AsyncSession, namespace: Namespace) -> None:
    accounts = select(ServiceAccount.id).where(ServiceAccount.namespace_id == namespace.id)
    await session.execute(delete(ApiKey).where(ApiKey.service_account_id.in_(accounts)))
    for table in (RoleGrant, AccessRule, ServiceAccount, ProducerIdBlock, Job):
        await session.execute(delete(table).where(table.namespace_id == namespace.id))
    await forget_versions_up_to(session, namespace.version)
    await session.delete(namespace)


def _finished() -> "Select[Namespace]":
    topics = select(Topic.id).where(Topic.namespace_id == Namespace.id).exists()
    return select(Namespace).where(Namespace.deleted_at_ms.is_not(None), ~topics)


def _empty_tenants() -> "Select[Tenant]":
    namespaces = select(Namespace.id).where(Namespace.tenant_id == Tenant.id).exists()
    return select(Tenant).where(Tenant.deleted_at_ms.is_not(None), ~namespaces)
