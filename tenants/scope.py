"""What a handler gets instead of a session and ids: one namespace, out of which it cannot query.

Everything read through a scope belongs to its namespace, by construction; a foreign name or id is NotFound with the
same words as one that never was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from .catalogue import NamespaceEntry, TopicEntry, with_tenant
from .errors import NotFound
from .models import ApiKey, Job, Namespace, ServiceAccount, Tenant, Topic
from .names import is_label, is_topic_name


@dataclass(frozen=True, slots=True)
class NamespaceScope:
    """A live namespace within one session."""

    session: AsyncSession
    entry: NamespaceEntry

    @property
    def id(self) -> UUID:
        return self.entry.id

    @property
    def path(self) -> str:
        return f"{self.entry.tenant}/{self.entry.name}"

    async def topics(self) -> list[TopicEntry]:
        """Live ones, by name."""
        rows = await self.session.scalars(self._topics().order_by(Topic.name))
        return [TopicEntry.of(row) for row in rows]

    async def topic(self, name: str) -> TopicEntry:
        """Raises NotFound."""
        if is_topic_name(name):  # PostgreSQL refuses even to compare with some strings
            row = await self.session.scalar(self._topics().where(Topic.name == name))
            if row is not None:
                return TopicEntry.of(row)
        raise NotFound(f"no topic {name[:249]!r} in {self.path}")

    async def service_accounts(self) -> Sequence[ServiceAccount]:
        query = select(ServiceAccount).where(
            ServiceAccount.namespace_id == self.id, ServiceAccount.deleted_at_ms.is_(None)
        )
        return (await self.session.scalars(query.order_by(ServiceAccount.name))).all()

    async def key(self, key_id: str) -> tuple[ApiKey, ServiceAccount]:
        """Raises NotFound."""
        row = (await self.session.execute(self.keys_query().where(ApiKey.id == key_id))).one_or_none()
        if row is None:
            raise NotFound(f"no key {key_id[:12]!r} in {self.path}")
        return row.ApiKey, row.ServiceAccount

    def keys_query(self) -> Select[ApiKey, ServiceAccount]:
        return (
            select(ApiKey, ServiceAccount)
            .join(ServiceAccount, ServiceAccount.id == ApiKey.service_account_id)
            .where(ServiceAccount.namespace_id == self.id)
        )

    async def job(self, job_id: UUID) -> Job:
        """Raises NotFound."""
        row = await self.session.scalar(select(Job).where(Job.id == job_id, Job.namespace_id == self.id))
        if row is None:
            raise NotFound(f"no job {job_id} in {self.path}")
        return row

    def _topics(self) -> Select[Topic]:
        return select(Topic).where(Topic.namespace_id == self.id, Topic.deleted_at_ms.is_(None))


async def namespace_scope(session: AsyncSession, tenant: str, namespace: str) -> NamespaceScope:
    """The live namespace of that path. Raises NotFound."""
    if not (is_label(tenant) and is_label(namespace)):
        raise _no_namespace(f"{tenant[:63]}/{namespace[:63]}")
    query = with_tenant().where(Tenant.name == tenant, Namespace.name == namespace)
    return await _one(session, query, f"{tenant[:63]}/{namespace[:63]}")


async def namespace_scope_by_id(session: AsyncSession, namespace_id: UUID) -> NamespaceScope:
    """The live namespace of that id. Raises NotFound."""
    return await _one(session, with_tenant().where(Namespace.id == namespace_id), str(namespace_id))


async def _one(session: AsyncSession, query: Select[Namespace, Tenant], what: str) -> NamespaceScope:
    live = query.where(Namespace.deleted_at_ms.is_(None), Tenant.deleted_at_ms.is_(None))
    row = (await session.execute(live)).one_or_none()
    if row is None:
        raise _no_namespace(what)
    return NamespaceScope(session, NamespaceEntry.of(*row))


def _no_namespace(what: str) -> NotFound:
    return NotFound(f"no namespace {what!r}")
