"""Topics: create, alter, grow, delete; for the console as for Kafka's admin APIs.

Always true: the change, its audit row and the catalogue version commit together or not at all; a deleted topic's name
is free at once, while its data waits for the brokers' purge (`platform/cluster/purge.py`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from . import topic_configs
from .actor import Actor
from .audit import Subject, record
from .catalogue import NamespaceEntry, TopicEntry
from .database import session_now_ms
from .errors import InvalidConfig, InvalidPartitions, InvalidTopicName, NotFound, QuotaExceeded, TopicExists
from .models import Durability, Topic
from .names import check_topic_name, collision_form, is_topic_name
from .scope import namespace_scope_by_id
from .topic_configs import ConfigType
from .versions import Counter, bump

PARTITIONS_DEFAULT = 1  # what -1 asks for (KIP-464)


class ConfigOperation(IntEnum):
    """Operations of IncrementalAlterConfigs (KIP-339)."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


@dataclass(frozen=True, slots=True)
class ConfigChange:
    name: str
    operation: ConfigOperation
    value: str | None = None


async def create_topic(
    session: AsyncSession,
    actor: Actor,
    namespace_id: UUID,
    name: str,
    partitions: int,
    configs: Mapping[str, str],
    validate_only: bool = False,
    *,
    durability: str = Durability.LOCAL,
) -> TopicEntry:
    """With `validate_only` everything is checked and nothing kept. `partitions` -1 means the default.

    Raises NotFound (namespace), InvalidTopicName, InvalidPartitions, InvalidConfig, TopicExists, QuotaExceeded.
    """
    namespace = (await namespace_scope_by_id(session, namespace_id)).entry
    check_topic_name(name)
    partitions = PARTITIONS_DEFAULT if partitions == -1 else partitions
    check_partitions(partitions, namespace)
    overrides = topic_configs.validate(configs, namespace.defaults)
    if durability != Durability.LOCAL:
        raise InvalidConfig(f"durability {durability[:40]!r} is not offered yet: topics are 'local'")
    version = 0 if validate_only else (await bump(session, Counter.CATALOGUE)).catalogue
    await _check_free(session, namespace, name)
    await _check_room(session, namespace, topics=1, partitions=partitions)
    topic = Topic(
        id=uuid4(),
        namespace_id=namespace_id,
        name=name,
        partitions=partitions,
        configs=overrides,
        durability=durability,
        version=version,
        created_at_ms=await session_now_ms(session),
    )
    if not validate_only:
        session.add(topic)
        await session.flush()
        await record(session, actor, "topic.create", subject_of(topic, namespace), after=_described(topic))
    return TopicEntry.of(topic)


async def delete_topic(
    session: AsyncSession, actor: Actor, namespace_id: UUID, name: str, *, topic_id: UUID | None = None
) -> TopicEntry:
    """Frees the name at once. With `topic_id` only that very topic, not a later one of its name. Raises NotFound."""
    version = (await bump(session, Counter.CATALOGUE)).catalogue
    namespace = (await namespace_scope_by_id(session, namespace_id)).entry
    topic = await _live_topic(session, namespace, name, topic_id)
    mark_deleted(topic, version, await session_now_ms(session))
    await record(session, actor, "topic.delete", subject_of(topic, namespace), before=_described(topic))
    await session.flush()
    return TopicEntry.of(topic)


async def alter_configs(
    session: AsyncSession,
    actor: Actor,
    namespace_id: UUID,
    name: str,
    changes: Iterable[ConfigChange],
    validate_only: bool = False,
) -> TopicEntry:
    """Applies the changes together. DELETE returns a config to its default. Raises NotFound, InvalidConfig."""
    version = 0 if validate_only else (await bump(session, Counter.CATALOGUE)).catalogue
    namespace = (await namespace_scope_by_id(session, namespace_id)).entry
    topic = await _live_topic(session, namespace, name)
    before = dict(topic.configs)
    after = altered(before, changes, namespace.defaults)
    if validate_only:
        session.expunge(topic)
        topic.configs = after
        return TopicEntry.of(topic)
    if after != before:
        topic.configs, topic.version = after, version
        await record(
            session,
            actor,
            "topic.alter",
            subject_of(topic, namespace),
            before={"configs": before},
            after={"configs": after},
        )
    await session.flush()
    return TopicEntry.of(topic)


async def add_partitions(
    session: AsyncSession, actor: Actor, namespace_id: UUID, name: str, partitions: int, validate_only: bool = False
) -> TopicEntry:
    """Grows a topic to `partitions` in total. Raises NotFound, InvalidPartitions, QuotaExceeded."""
    version = 0 if validate_only else (await bump(session, Counter.CATALOGUE)).catalogue
    namespace = (await namespace_scope_by_id(session, namespace_id)).entry
    topic = await _live_topic(session, namespace, name)
    check_partitions(partitions, namespace)
    was = topic.partitions
    if partitions <= was:
        raise InvalidPartitions(f"topic {name!r} has {was} partitions already; their number can only grow")
    await _check_room(session, namespace, topics=0, partitions=partitions - was)
    if validate_only:
        session.expunge(topic)
    topic.partitions = partitions
    if not validate_only:
        topic.version = version
        subject = subject_of(topic, namespace)
        await record(
            session, actor, "topic.alter", subject, before={"partitions": was}, after={"partitions": partitions}
        )
        await session.flush()
    return TopicEntry.of(topic)


def altered(
    configs: Mapping[str, str], changes: Iterable[ConfigChange], namespace_defaults: Mapping[str, str]
) -> dict[str, str]:
    """The overrides after the changes, validated. Raises InvalidConfig."""
    result = dict(configs)
    seen: set[str] = set()
    for change in changes:
        definition = topic_configs.definition_of(change.name)
        if change.name in seen:
            raise InvalidConfig(f"{change.name} is given more than once")
        seen.add(change.name)
        if change.operation is ConfigOperation.DELETE:
            result.pop(change.name, None)
            continue
        if change.value is None:
            raise InvalidConfig(f"{change.name}: a value is needed to {change.operation.name.lower()}")
        if change.operation is ConfigOperation.SET:
            result[change.name] = change.value
            continue
        if definition.type is not ConfigType.LIST:
            raise InvalidConfig(f"{change.name} is not a list: set it instead")
        items = [item for item in result.get(change.name, str(definition.default)).split(",") if item]
        given = [item.strip() for item in change.value.split(",") if item.strip()]
        if change.operation is ConfigOperation.APPEND:
            items += [item for item in given if item not in items]
        else:
            items = [item for item in items if item not in given]
        result[change.name] = ",".join(items)
    return topic_configs.validate(result, namespace_defaults)


def mark_deleted(topic: Topic, version: int, now_ms: int) -> None:
    topic.deleted_at_ms, topic.version = now_ms, version


def subject_of(topic: Topic, namespace: NamespaceEntry) -> Subject:
    return Subject(
        kind="topic", id=str(topic.id), name=topic.name, tenant_id=namespace.tenant_id, namespace_id=namespace.id
    )


def check_partitions(partitions: int, namespace: NamespaceEntry) -> None:
    most = namespace.partitions_per_topic_max
    if not 1 <= partitions <= most:
        raise InvalidPartitions(f"{partitions} partitions: a topic of this namespace has 1 to {most}")


async def _live_topic(
    session: AsyncSession, namespace: NamespaceEntry, name: str, topic_id: UUID | None = None
) -> Topic:
    live = select(Topic).where(Topic.namespace_id == namespace.id, Topic.name == name, Topic.deleted_at_ms.is_(None))
    topic = await session.scalar(live) if is_topic_name(name) else None
    if topic is None or (topic_id is not None and topic.id != topic_id):
        raise NotFound(f"no topic {name[:249]!r} in {namespace.tenant}/{namespace.name}")
    return topic


async def _check_free(session: AsyncSession, namespace: NamespaceEntry, name: str) -> None:
    form = collision_form(name)
    same_form = func.replace(Topic.name, ".", "_") == form
    taken = await session.scalar(
        select(Topic.name)
        .where(Topic.namespace_id == namespace.id, Topic.deleted_at_ms.is_(None), same_form)
        .order_by(Topic.name != name)
        .limit(1)
    )
    if taken == name:
        raise TopicExists(f"topic {name!r} already exists")
    if taken is not None:
        raise InvalidTopicName(f"topic name {name!r} collides with {taken!r}: '.' and '_' are the same in metric names")


async def _check_room(session: AsyncSession, namespace: NamespaceEntry, *, topics: int, partitions: int) -> None:
    live = (
        select(func.count(), func.coalesce(func.sum(Topic.partitions), 0))
        .select_from(Topic)
        .where(Topic.namespace_id == namespace.id, Topic.deleted_at_ms.is_(None))
    )
    topics_now, partitions_now = (await session.execute(live)).one()
    if topics_now + topics > namespace.topics_max:
        raise QuotaExceeded(
            f"the namespace has {topics_now} topics and may have {namespace.topics_max}: "
            "delete one, or ask a platform administrator for more"
        )
    if partitions_now + partitions > namespace.partitions_max:
        raise QuotaExceeded(
            f"the namespace has {partitions_now} partitions and may have {namespace.partitions_max}, "
            f"{partitions} more do not fit: use fewer, or ask a platform administrator for more"
        )


def _described(topic: Topic) -> dict[str, Any]:
    return {"partitions": topic.partitions, "configs": dict(topic.configs), "durability": topic.durability}
