"""Tenants, namespaces and service accounts: create, show, alter, suspend, delete.

Always true: deleting a parent takes nothing by surprise (it is refused while live topics are below, unless a cascade is
asked for), and keys of what was deleted or suspended stop working at once, as members' roles in what was deleted do.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from . import topic_configs
from .actor import Actor
from .audit import Subject, record
from .catalogue import NamespaceEntry, with_tenant
from .database import session_now_ms
from .errors import AlreadyExists, InvalidArgument, InvalidConfig, NotEmpty, NotFound
from .member_grants import drop_member_grants
from .models import (
    PARTITIONS_MAX,
    PARTITIONS_PER_TOPIC_MAX,
    TOPICS_MAX,
    AccessRule,
    ApiKey,
    Namespace,
    RoleGrant,
    ServiceAccount,
    Tenant,
    Topic,
)
from .names import check_label, check_title, is_label
from .scope import NamespaceScope, namespace_scope
from .topics import mark_deleted, subject_of
from .versions import Counter, bump


@dataclass(frozen=True, slots=True)
class TenantEntry:
    id: UUID
    name: str
    suspended: bool
    created_at_ms: int


async def create_tenant(session: AsyncSession, actor: Actor, name: str) -> TenantEntry:
    """Raises InvalidName, AlreadyExists."""
    check_label("tenant", name)
    await bump(session, Counter.CATALOGUE)
    if await _find_tenant(session, name) is not None:
        raise AlreadyExists(f"tenant {name!r} already exists")
    tenant = Tenant(id=uuid4(), name=name, created_at_ms=await session_now_ms(session))
    session.add(tenant)
    await session.flush()
    await record(session, actor, "tenant.create", _tenant_subject(tenant))
    return _tenant_entry(tenant)


async def list_tenants(session: AsyncSession) -> list[TenantEntry]:
    rows = await session.scalars(select(Tenant).where(Tenant.deleted_at_ms.is_(None)).order_by(Tenant.name))
    return [_tenant_entry(row) for row in rows]


async def get_tenant(session: AsyncSession, name: str) -> TenantEntry:
    """Raises NotFound."""
    return _tenant_entry(await _tenant(session, name))


async def suspend_tenant(session: AsyncSession, actor: Actor, name: str, suspended: bool = True) -> TenantEntry:
    """Stops (or lets work again) every key of the tenant, without losing anything. Raises NotFound."""
    version = (await bump(session, Counter.CATALOGUE, Counter.REVOCATIONS)).catalogue
    tenant = await _tenant(session, name)
    tenant.suspended_at_ms = await session_now_ms(session) if suspended else None
    await session.execute(update(Namespace).where(Namespace.tenant_id == tenant.id).values(version=version))
    await record(session, actor, "tenant.suspend" if suspended else "tenant.resume", _tenant_subject(tenant))
    return _tenant_entry(tenant)


async def delete_tenant(session: AsyncSession, actor: Actor, name: str, *, cascade: bool = False) -> None:
    """With its namespaces and their keys; topics only with `cascade`. Raises NotFound, NotEmpty."""
    version = (await bump(session, Counter.CATALOGUE, Counter.POLICY, Counter.REVOCATIONS)).catalogue
    tenant = await _tenant(session, name)
    namespaces = await session.scalars(
        select(Namespace).where(Namespace.tenant_id == tenant.id, Namespace.deleted_at_ms.is_(None))
    )
    for namespace in namespaces.all():
        await _delete_namespace(session, actor, NamespaceEntry.of(namespace, tenant), version, cascade)
    await drop_member_grants(session, tenant_id=tenant.id)
    tenant.deleted_at_ms = await session_now_ms(session)
    await record(session, actor, "tenant.delete", _tenant_subject(tenant))


async def create_namespace(
    session: AsyncSession,
    actor: Actor,
    tenant: str,
    name: str,
    *,
    auto_create_topics: bool = False,
    defaults: Mapping[str, str] | None = None,
    topics_max: int = TOPICS_MAX,
    partitions_max: int = PARTITIONS_MAX,
    partitions_per_topic_max: int = PARTITIONS_PER_TOPIC_MAX,
) -> NamespaceEntry:
    """A virtual Kafka cluster of the tenant; `defaults` are topic configs for its topics.

    Raises InvalidName, InvalidConfig, InvalidArgument, NotFound (tenant), AlreadyExists.
    """
    check_label("namespace", name)
    checked = topic_configs.validate(defaults or {})
    _check_limits(topics_max, partitions_max, partitions_per_topic_max)
    version = (await bump(session, Counter.CATALOGUE)).catalogue
    owner = await _tenant(session, tenant)
    taken = select(Namespace.id).where(
        Namespace.tenant_id == owner.id, Namespace.name == name, Namespace.deleted_at_ms.is_(None)
    )
    if await session.scalar(taken) is not None:
        raise AlreadyExists(f"namespace '{tenant}/{name}' already exists")
    namespace = Namespace(
        id=uuid4(),
        tenant_id=owner.id,
        name=name,
        cluster_id=new_cluster_id(),
        auto_create_topics=auto_create_topics,
        defaults=checked,
        topics_max=topics_max,
        partitions_max=partitions_max,
        partitions_per_topic_max=partitions_per_topic_max,
        version=version,
        created_at_ms=await session_now_ms(session),
    )
    session.add(namespace)
    await session.flush()
    entry = NamespaceEntry.of(namespace, owner)
    await record(session, actor, "namespace.create", namespace_subject(entry), after=_namespace_described(entry))
    return entry


async def list_namespaces(session: AsyncSession, tenant: str | None = None) -> list[NamespaceEntry]:
    """Of one tenant, or of all. Raises NotFound (tenant)."""
    query = with_tenant().where(Namespace.deleted_at_ms.is_(None), Tenant.deleted_at_ms.is_(None))
    if tenant is not None:
        query = query.where(Tenant.id == (await _tenant(session, tenant)).id)
    rows = await session.execute(query.order_by(Tenant.name, Namespace.name))
    return [NamespaceEntry.of(namespace, owner) for namespace, owner in rows]


async def alter_namespace(
    session: AsyncSession,
    actor: Actor,
    tenant: str,
    name: str,
    *,
    auto_create_topics: bool | None = None,
    suspended: bool | None = None,
    defaults: Mapping[str, str] | None = None,
    topics_max: int | None = None,
    partitions_max: int | None = None,
    partitions_per_topic_max: int | None = None,
) -> NamespaceEntry:
    """Changes what is given; `defaults` replaces all of them. Raises NotFound, InvalidConfig, InvalidArgument."""
    checked = None if defaults is None else topic_configs.validate(defaults)
    version = (await bump(session, Counter.CATALOGUE, Counter.REVOCATIONS)).catalogue
    before = (await namespace_scope(session, tenant, name)).entry
    row, owner = (await session.execute(with_tenant().where(Namespace.id == before.id))).one()
    if checked is not None:
        await _check_topics(session, before.id, checked)
    given = {
        "auto_create_topics": auto_create_topics,
        "defaults": checked,
        "topics_max": topics_max,
        "partitions_max": partitions_max,
        "partitions_per_topic_max": partitions_per_topic_max,
    }
    for column, value in given.items():
        if value is not None:
            setattr(row, column, value)
    _check_limits(row.topics_max, row.partitions_max, row.partitions_per_topic_max)
    if suspended is not None:
        row.suspended_at_ms = await session_now_ms(session) if suspended else None
    row.version = version
    await session.flush()
    after = NamespaceEntry.of(row, owner)
    await record(
        session,
        actor,
        "namespace.alter",
        namespace_subject(after),
        before=_namespace_described(before),
        after=_namespace_described(after),
    )
    return after


async def _check_topics(session: AsyncSession, namespace_id: UUID, defaults: Mapping[str, str]) -> None:
    """Raises InvalidConfig when the defaults contradict what a live topic says of itself."""
    topics = select(Topic.name, Topic.configs).where(Topic.namespace_id == namespace_id, Topic.deleted_at_ms.is_(None))
    for name, configs in await session.execute(topics):
        try:
            topic_configs.check_tiers({**defaults, **configs})
        except InvalidConfig as error:
            raise InvalidConfig(f"topic {name!r}: {error}") from None


async def delete_namespace(
    session: AsyncSession, actor: Actor, tenant: str, name: str, *, cascade: bool = False
) -> None:
    """With its service accounts and keys; topics only with `cascade`. Raises NotFound, NotEmpty."""
    version = (await bump(session, Counter.CATALOGUE, Counter.POLICY, Counter.REVOCATIONS)).catalogue
    entry = (await namespace_scope(session, tenant, name)).entry
    await _delete_namespace(session, actor, entry, version, cascade)


async def create_service_account(
    session: AsyncSession, actor: Actor, scope: NamespaceScope, name: str
) -> ServiceAccount:
    """Raises InvalidName, AlreadyExists."""
    check_title("service account", name)
    await bump(session, Counter.POLICY)
    if await find_service_account(scope, name) is not None:
        raise AlreadyExists(f"service account {name!r} already exists in {scope.path}")
    account = ServiceAccount(id=uuid4(), namespace_id=scope.id, name=name, created_at_ms=await session_now_ms(session))
    session.add(account)
    await session.flush()
    await record(session, actor, "service_account.create", _account_subject(account, scope.entry))
    return account


async def find_service_account(scope: NamespaceScope, name: str) -> ServiceAccount | None:
    query = select(ServiceAccount).where(
        ServiceAccount.namespace_id == scope.id, ServiceAccount.name == name, ServiceAccount.deleted_at_ms.is_(None)
    )
    return await scope.session.scalar(query)


async def delete_service_account(session: AsyncSession, actor: Actor, scope: NamespaceScope, name: str) -> None:
    """Its keys are revoked and its grants go. Raises NotFound."""
    await bump(session, Counter.POLICY, Counter.REVOCATIONS)
    account = await find_service_account(scope, name)
    if account is None:
        raise NotFound(f"no service account {name[:100]!r} in {scope.path}")
    account.deleted_at_ms = await session_now_ms(session)
    live_keys = (ApiKey.service_account_id == account.id) & ApiKey.revoked_at_ms.is_(None)
    await session.execute(update(ApiKey).where(live_keys).values(revoked_at_ms=account.deleted_at_ms))
    await _drop_grants(session, scope.id, [str(account.id)])
    await record(session, actor, "service_account.delete", _account_subject(account, scope.entry))


def new_cluster_id() -> str:
    """What clients see as the cluster's id: a random UUID as Kafka writes one, 22 characters of url-safe base64."""
    while True:
        text = base64.urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):  # an option to command line tools, as Kafka's Uuid.randomUuid avoids too
            return text


def namespace_subject(entry: NamespaceEntry) -> Subject:
    return Subject(
        kind="namespace",
        id=str(entry.id),
        name=f"{entry.tenant}/{entry.name}",
        tenant_id=entry.tenant_id,
        namespace_id=entry.id,
    )


async def _delete_namespace(
    session: AsyncSession, actor: Actor, entry: NamespaceEntry, version: int, cascade: bool
) -> None:
    now_ms = await session_now_ms(session)
    topics = await session.scalars(
        select(Topic).where(Topic.namespace_id == entry.id, Topic.deleted_at_ms.is_(None)).order_by(Topic.name)
    )
    live = topics.all()
    if live and not cascade:
        raise NotEmpty(
            f"namespace '{entry.tenant}/{entry.name}' still has {len(live)} topics: delete them first, or cascade"
        )
    for topic in live:
        mark_deleted(topic, version, now_ms)
        await record(session, actor, "topic.delete", subject_of(topic, entry))
    await session.execute(
        update(ServiceAccount)
        .where(ServiceAccount.namespace_id == entry.id, ServiceAccount.deleted_at_ms.is_(None))
        .values(deleted_at_ms=now_ms)
    )
    await _drop_grants(session, entry.id)
    await drop_member_grants(session, namespace_id=entry.id)
    await session.execute(
        update(Namespace).where(Namespace.id == entry.id).values(deleted_at_ms=now_ms, version=version)
    )
    await record(session, actor, "namespace.delete", namespace_subject(entry))


async def _drop_grants(session: AsyncSession, namespace_id: UUID, subjects: Sequence[str] | None = None) -> None:
    for table in (RoleGrant, AccessRule):
        statement = delete(table).where(table.namespace_id == namespace_id)
        if subjects is not None:
            statement = statement.where(table.subject.in_(subjects))
        await session.execute(statement)


async def _find_tenant(session: AsyncSession, name: str) -> Tenant | None:
    if not is_label(name):
        return None
    return await session.scalar(select(Tenant).where(Tenant.name == name, Tenant.deleted_at_ms.is_(None)))


async def _tenant(session: AsyncSession, name: str) -> Tenant:
    tenant = await _find_tenant(session, name)
    if tenant is None:
        raise NotFound(f"no tenant {name[:63]!r}")
    return tenant


def _check_limits(topics_max: int, partitions_max: int, partitions_per_topic_max: int) -> None:
    if topics_max < 0 or partitions_max < 0 or partitions_per_topic_max < 1:
        raise InvalidArgument("topics_max and partitions_max are at least 0, partitions_per_topic_max at least 1")


def _tenant_entry(tenant: Tenant) -> TenantEntry:
    return TenantEntry(tenant.id, tenant.name, tenant.suspended_at_ms is not None, tenant.created_at_ms)


def _tenant_subject(tenant: Tenant) -> Subject:
    return Subject(kind="tenant", id=str(tenant.id), name=tenant.name, tenant_id=tenant.id)


def _account_subject(account: ServiceAccount, entry: NamespaceEntry) -> Subject:
    return Subject(
        kind="service_account",
        id=str(account.id),
        name=account.name,
        tenant_id=entry.tenant_id,
        namespace_id=entry.id,
    )


def _namespace_described(entry: NamespaceEntry) -> dict[str, Any]:
    return {
        "auto_create_topics": entry.auto_create_topics,
        "suspended": entry.suspended,
        "defaults": dict(entry.defaults),
        "topics_max": entry.topics_max,
        "partitions_max": entry.partitions_max,
        "partitions_per_topic_max": entry.partitions_per_topic_max,
    }
