"""Topics over HTTP: the catalogue's side from the database, the partitions' side from the broker."""

from collections.abc import Mapping, Sequence

from ..tenants import topic_configs, topics
from ..tenants.catalogue import NamespaceEntry, TopicEntry
from ..tenants.errors import Conflict
from ..tenants.jobs import COMPACT, OFFLOAD, enqueue
from ..tenants.rights import Right
from ..tenants.topics import ConfigChange, ConfigOperation
from . import schemas
from .kafka import NOTHING_KNOWN, BrokerUnavailable, PartitionFigures
from .operations import Call, Operation
from .platform_routes import job_view
from .schemas import time_of
from .scopes import scope_of
from .tenant_routes import NAMESPACE, spelled_out

TOPIC = f"{NAMESPACE}/topics/{{topic}}"


def topic_view(entry: TopicEntry) -> schemas.TopicView:
    return schemas.TopicView(
        id=str(entry.id),
        name=entry.name,
        partitions=entry.partitions,
        configs=dict(entry.configs),
        durability=entry.durability,
        created_at=time_of(entry.created_at_ms),
    )


def topic_detail(
    entry: TopicEntry,
    namespace: NamespaceEntry,
    figures: Mapping[int, PartitionFigures],
    missing_because: str | None,
) -> schemas.TopicDetail:
    known = [figures.get(index, NOTHING_KNOWN) for index in range(entry.partitions)]
    effective = topic_configs.resolve(entry.configs, namespace.defaults)
    return schemas.TopicDetail(
        id=str(entry.id),
        name=entry.name,
        partitions=[
            schemas.PartitionView(
                partition=index,
                log_start=partition.log_start,
                local_start=partition.local_start,
                end=partition.end,
                hot_bytes=partition.hot_bytes,
                cold_bytes=partition.cold_bytes,
            )
            for index, partition in enumerate(known)
        ],
        configs=dict(entry.configs),
        effective_configs={name: topic_configs.to_text(value) for name, value in effective.items()},
        durability=entry.durability,
        created_at=time_of(entry.created_at_ms),
        hot_bytes=total([partition.hot_bytes for partition in known]),
        cold_bytes=total([partition.cold_bytes for partition in known]),
        figures_missing_because=missing_because,
    )


def total(parts: Sequence[int | None]) -> int | None:
    """The sum, or None when a part is unknown: half a sum would be a wrong answer."""
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


async def list_topics(call: Call) -> schemas.TopicList:
    async with call.database.read() as session:
        entries = await (await scope_of(session, call)).topics()
    return schemas.TopicList(topics=[topic_view(entry) for entry in entries])


async def create_topic(call: Call, body: schemas.CreateTopic) -> schemas.TopicView:
    configs = spelled_out(body.configs)
    async with call.database.write() as session:
        namespace = (await scope_of(session, call)).entry
        entry = await topics.create_topic(
            session, call.actor, namespace.id, body.name, body.partitions, configs, body.validate_only
        )
    return topic_view(entry)


async def show_topic(call: Call) -> schemas.TopicDetail:
    async with call.database.read() as session:
        scope = await scope_of(session, call)
        entry = await scope.topic(call.path["topic"])
    try:
        figures = await call.services.broker.figures(scope.id, entry.name, entry.partitions)
    except BrokerUnavailable as unavailable:
        return topic_detail(entry, scope.entry, {}, str(unavailable))
    complete = all(_complete(figures.get(index, NOTHING_KNOWN)) for index in range(entry.partitions))
    missing_because = None if complete else "the broker does not answer for every partition yet"
    return topic_detail(entry, scope.entry, figures, missing_because)


def config_changes(body: schemas.AlterTopic) -> list[ConfigChange]:
    """What the body asks for. Raises InvalidConfig."""
    changes = [ConfigChange(name, ConfigOperation.SET, text) for name, text in spelled_out(body.configs).items()]
    return changes + [ConfigChange(name, ConfigOperation.DELETE) for name in body.unset]


async def alter_topic(call: Call, body: schemas.AlterTopic) -> schemas.TopicView:
    changes = config_changes(body)
    async with call.database.write() as session:
        scope = await scope_of(session, call)
        entry = await scope.topic(call.path["topic"])
        if changes:
            entry = await topics.alter_configs(session, call.actor, scope.id, entry.name, changes)
        if body.partitions is not None and body.partitions != entry.partitions:
            entry = await topics.add_partitions(session, call.actor, scope.id, entry.name, body.partitions)
    return topic_view(entry)


async def delete_topic(call: Call) -> None:
    async with call.database.write() as session:
        scope = await scope_of(session, call)
        await topics.delete_topic(session, call.actor, scope.id, call.path["topic"])


async def offload_topic(call: Call, body: schemas.Offload) -> schemas.JobView:
    async with call.database.write() as session:
        scope = await scope_of(session, call)
        entry = await scope.topic(call.path["topic"])
        payload = {"topic_id": str(entry.id), "drop_local": body.drop_local}
        return job_view(await enqueue(session, call.actor, OFFLOAD, payload, namespace_id=scope.id))


async def compact_topic(call: Call) -> schemas.JobView:
    async with call.database.write() as session:
        scope = await scope_of(session, call)
        entry = await scope.topic(call.path["topic"])
        policy = topic_configs.resolve(entry.configs, scope.entry.defaults)["cleanup.policy"]
        if "compact" not in str(policy):
            raise Conflict(
                f"topic {entry.name!r} has cleanup.policy={policy}: set it to compact, or compact,delete, first"
            )
        payload = {"topic_id": str(entry.id)}
        return job_view(await enqueue(session, call.actor, COMPACT, payload, namespace_id=scope.id))


def _complete(figures: PartitionFigures) -> bool:
    return None not in (figures.log_start, figures.local_start, figures.end, figures.hot_bytes, figures.cold_bytes)


OPERATIONS = (
    Operation(
        name="list_topics",
        method="GET",
        path=f"{NAMESPACE}/topics",
        summary="The namespace's topics, by name",
        handler=list_topics,
        needs=Right.NAMESPACE_VIEW,
        answer=schemas.TopicList,
    ),
    Operation(
        name="create_topic",
        method="POST",
        path=f"{NAMESPACE}/topics",
        summary="Make a topic; a producer can write to it within a second",
        handler=create_topic,
        needs=Right.TOPICS_MANAGE,
        body=schemas.CreateTopic,
        answer=schemas.TopicView,
        status=201,
        errors=(403, 409),
    ),
    Operation(
        name="show_topic",
        method="GET",
        path=TOPIC,
        summary="One topic, its offsets, and its bytes hot and cold",
        handler=show_topic,
        needs=Right.NAMESPACE_VIEW,
        answer=schemas.TopicDetail,
    ),
    Operation(
        name="alter_topic",
        method="PATCH",
        path=TOPIC,
        summary="Change a topic's configs, or give it more partitions",
        handler=alter_topic,
        needs=Right.TOPICS_MANAGE,
        dangerous=True,
        body=schemas.AlterTopic,
        answer=schemas.TopicView,
        errors=(403,),
    ),
    Operation(
        name="delete_topic",
        method="DELETE",
        path=TOPIC,
        summary="Delete a topic; its name is free at once",
        handler=delete_topic,
        needs=Right.TOPICS_MANAGE,
        dangerous=True,
        answer=None,
        status=204,
    ),
    Operation(
        name="offload_topic",
        method="POST",
        path=f"{TOPIC}/offload",
        summary="Move what the topic holds to the object store now; answers with a job to watch",
        handler=offload_topic,
        needs=Right.TOPICS_MANAGE,
        body=schemas.Offload,
        answer=schemas.JobView,
        status=202,
        errors=(409,),
    ),
    Operation(
        name="compact_topic",
        method="POST",
        path=f"{TOPIC}/compact",
        summary="Keep only the newest record of each key now; answers with a job to watch, whose progress is the gain",
        handler=compact_topic,
        needs=Right.TOPICS_MANAGE,
        answer=schemas.JobView,
        status=202,
        errors=(409,),
    ),
)
