"""The catalogue that brokers keep in memory: namespaces and topics, reloaded by version.

Always true: every change of a namespace or topic stores the catalogue version of its transaction in the row, and
versions are handed out in commit order; so what changed since a version is one index range, and nothing is missed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from .database import Database
from .models import Namespace, Tenant, Topic, VersionCounters
from .versions import Counter, Versions, bump, session_versions, versions

__all__ = ["CatalogueChange", "Counter", "NamespaceEntry", "TopicEntry", "Versions", "bump", "load_changes", "versions"]


@dataclass(frozen=True, slots=True)
class TopicEntry:
    """`configs` holds the overrides only; `topic_configs.resolve` adds the namespace's and the platform's defaults."""

    id: UUID
    namespace_id: UUID
    name: str
    partitions: int
    configs: Mapping[str, str]
    durability: str
    deleted: bool
    created_at_ms: int

    @classmethod
    def of(cls, row: Topic) -> "TopicEntry":
        return cls(
            row.id,
            row.namespace_id,
            row.name,
            row.partitions,
            dict(row.configs),
            row.durability,
            row.deleted_at_ms is not None,
            row.created_at_ms,
        )


@dataclass(frozen=True, slots=True)
class NamespaceEntry:
    """A virtual Kafka cluster; `suspended` counts its tenant's suspension."""

    id: UUID
    tenant_id: UUID
    tenant: str
    name: str
    cluster_id: str
    auto_create_topics: bool
    suspended: bool
    deleted: bool
    defaults: Mapping[str, str]
    topics_max: int
    partitions_max: int
    partitions_per_topic_max: int
    created_at_ms: int

    @classmethod
    def of(cls, row: Namespace, tenant: Tenant) -> "NamespaceEntry":
        return cls(
            row.id,
            row.tenant_id,
            tenant.name,
            row.name,
            row.cluster_id,
            row.auto_create_topics,
            row.suspended_at_ms is not None or tenant.suspended_at_ms is not None,
            row.deleted_at_ms is not None,
            dict(row.defaults),
            row.topics_max,
            row.partitions_max,
            row.partitions_per_topic_max,
            row.created_at_ms,
        )


@dataclass(frozen=True, slots=True)
class CatalogueChange:
    """What changed after a version, deleted things included.

    When `complete`, it is everything there is (deleted topics that still await their purge included, so that a
    restarted broker finishes it), and what is not listed is gone.
    """

    version: int
    namespaces: tuple[NamespaceEntry, ...]
    topics: tuple[TopicEntry, ...]
    complete: bool


def with_tenant() -> Select[Namespace, Tenant]:
    return select(Namespace, Tenant).join(Tenant, Tenant.id == Namespace.tenant_id)


async def load_changes(db: Database, since_version: int) -> CatalogueChange:
    """Costs what changed. Since 0, or since before a row was removed for good: everything there is."""
    async with db.read() as session:
        version = (await session_versions(session)).catalogue
        floor = await session.scalar(select(VersionCounters.catalogue_floor)) or 0
        complete = since_version == 0 or since_version < floor
        since = 0 if complete else since_version
        namespaces = await session.execute(with_tenant().where(Namespace.version > since))
        topics = await session.scalars(select(Topic).where(Topic.version > since))
        return CatalogueChange(
            version,
            tuple(NamespaceEntry.of(namespace, tenant) for namespace, tenant in namespaces),
            tuple(TopicEntry.of(topic) for topic in topics),
            complete,
        )


async def forget_versions_up_to(session: AsyncSession, version: int) -> None:
    """Rows up to this version are being removed for good: whoever has not read that far must read everything."""
    await session.execute(
        update(VersionCounters)
        .where(VersionCounters.id == 1, VersionCounters.catalogue_floor < version)
        .values(catalogue_floor=version)
    )
