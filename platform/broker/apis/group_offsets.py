"""OffsetCommit (key 8), versions 2 to 10, and OffsetFetch (key 9), 1 to 10.

Offsets are kept by topic id and go with the topic.
"""

import asyncio
from collections.abc import Iterable, Sequence
from uuid import UUID

from ....tenants.permissions import Operation, ResourceType
from ...groups import exchange
from ...wire.api import ApiKey
from ...wire.errors import ErrorCode
from ...wire.messages import offset_commit as commits
from ...wire.messages import offset_fetch as fetches
from ...wire.schema import ZERO_UUID
from ..answers import setting
from ..context import Context
from ..errors import ApiError
from ..namespace import Topic
from ..registry import Right, Scope, handles

TOPIC_IDS_FROM = 10
SEVERAL_GROUPS_FROM = 8
RIGHTS = (Right(Operation.READ, ResourceType.GROUP), Right(Operation.READ, ResourceType.TOPIC))
FETCH_RIGHTS = (Right(Operation.DESCRIBE, ResourceType.GROUP), Right(Operation.DESCRIBE, ResourceType.TOPIC))


def resolve(context: Context, operation: Operation, name: str, topic_id: UUID) -> Topic:
    """The topic by id from version 10 on, by name before. Raises ApiError."""
    if context.api_version >= TOPIC_IDS_FROM:
        return context.topic_by_id(operation, topic_id)
    return context.topic(operation, name)


@handles(ApiKey.OFFSET_COMMIT, scopes={Scope.GROUPS, Scope.TOPICS}, authorises=RIGHTS)
async def offset_commit(request: commits.OffsetCommitRequest, context: Context) -> commits.OffsetCommitResponse:
    """Answered when the commit is durable; each partition answers for itself."""
    errors: dict[tuple[int, int], int] = {}
    offsets: list[exchange.OffsetToCommit] = []
    places: list[tuple[int, int]] = []
    may_commit = context.allows(Operation.READ, ResourceType.GROUP, request.group_id)
    for at, topic in enumerate(request.topics):
        for beside, asked in enumerate(topic.partitions):
            try:
                if not may_commit:
                    raise ApiError(ErrorCode.GROUP_AUTHORIZATION_FAILED, request.group_id)
                known = resolve(context, Operation.READ, topic.name, topic.topic_id)
                if known.partition(asked.partition_index) is None:
                    raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, topic.name)
            except ApiError as refused:
                errors[at, beside] = refused.code
                continue
            places.append((at, beside))
            offsets.append(
                exchange.OffsetToCommit(
                    known.id,
                    asked.partition_index,
                    asked.committed_offset,
                    asked.committed_leader_epoch,
                    asked.committed_metadata,
                )
            )
    if offsets or (may_commit and not errors):
        result = await commit(context, request, offsets)
        errors |= dict(zip(places, result.errors, strict=True))
    return commits.OffsetCommitResponse(
        topics=[
            commits.OffsetCommitResponseTopic(
                name=topic.name,
                topic_id=topic.topic_id,
                partitions=[
                    commits.OffsetCommitResponsePartition(
                        partition_index=asked.partition_index, error_code=errors.get((at, beside), ErrorCode.NONE)
                    )
                    for beside, asked in enumerate(topic.partitions)
                ],
            )
            for at, topic in enumerate(request.topics)
        ]
    )


async def commit(
    context: Context, request: commits.OffsetCommitRequest, offsets: Sequence[exchange.OffsetToCommit]
) -> exchange.CommitResult:
    """Hand the resolved offsets to the coordinator and wait until they are durable."""
    answered: asyncio.Future[exchange.CommitResult] = context.services.loop.create_future()
    context.services.coordinator.commit(
        context.namespace.id,
        exchange.CommitRequest(
            group_id=request.group_id,
            generation=request.generation_id_or_member_epoch,
            member_id=request.member_id,
            instance_id=request.group_instance_id,
            retention_ms=request.retention_time_ms,
            offsets=tuple(offsets),
        ),
        setting(answered),
    )
    return await answered


@handles(ApiKey.OFFSET_FETCH, scopes={Scope.GROUPS, Scope.TOPICS}, authorises=FETCH_RIGHTS)
def offset_fetch(request: fetches.OffsetFetchRequest, context: Context) -> fetches.OffsetFetchResponse:
    """Durable committed offsets of one group, or from version 8 on of several."""
    if context.api_version >= SEVERAL_GROUPS_FROM:
        return fetches.OffsetFetchResponse(groups=[fetch_group(context, group) for group in request.groups])
    error = group_error(context, request.group_id)
    if error:
        return fetches.OffsetFetchResponse(error_code=error, topics=refused_topics(request.topics or (), error))
    if request.topics is None:
        topics = [
            fetches.OffsetFetchResponseTopic(name=topic.name, partitions=partitions)
            for topic, partitions in every_offset(context, request.group_id)
        ]
        return fetches.OffsetFetchResponse(topics=topics)
    topics = [
        fetches.OffsetFetchResponseTopic(
            name=asked.name,
            partitions=offsets_of(context, request.group_id, asked.name, ZERO_UUID, asked.partition_indexes),
        )
        for asked in request.topics
    ]
    return fetches.OffsetFetchResponse(topics=topics)


def group_error(context: Context, group_id: str) -> ErrorCode:
    """What is wrong with the group as a whole: no right to it, or its coordinator is not ready."""
    if not context.allows(Operation.DESCRIBE, ResourceType.GROUP, group_id):
        return ErrorCode.GROUP_AUTHORIZATION_FAILED
    return context.services.coordinator.fetch(context.namespace.id, group_id, ()).error


def refused_topics(
    topics: Iterable[fetches.OffsetFetchRequestTopic], error: ErrorCode
) -> list[fetches.OffsetFetchResponseTopic]:
    """The same error for every partition: version 1 has no other place for it."""
    return [
        fetches.OffsetFetchResponseTopic(
            name=topic.name, partitions=[no_offset(index, error) for index in topic.partition_indexes]
        )
        for topic in topics
    ]


def no_offset(index: int, error: int) -> fetches.OffsetFetchResponsePartition:
    """A partition without a committed offset."""
    return fetches.OffsetFetchResponsePartition(
        partition_index=index, committed_offset=exchange.NO_OFFSET, metadata="", error_code=error
    )


def fetch_group(context: Context, group: fetches.OffsetFetchRequestGroup) -> fetches.OffsetFetchResponseGroup:
    """One group of a request for several."""
    error = group_error(context, group.group_id)
    if error:
        return fetches.OffsetFetchResponseGroup(group_id=group.group_id, topics=(), error_code=error)
    if group.topics is None:
        topics = [
            fetches.OffsetFetchResponseTopics(name=topic.name, topic_id=topic.id, partitions=partitions)
            for topic, partitions in every_offset(context, group.group_id)
        ]
        return fetches.OffsetFetchResponseGroup(group_id=group.group_id, topics=topics)
    topics = [
        fetches.OffsetFetchResponseTopics(
            name=asked.name,
            topic_id=asked.topic_id,
            partitions=offsets_of(context, group.group_id, asked.name, asked.topic_id, asked.partition_indexes),
        )
        for asked in group.topics
    ]
    return fetches.OffsetFetchResponseGroup(group_id=group.group_id, topics=topics)


def offsets_of(
    context: Context, group_id: str, name: str, topic_id: UUID, indexes: Sequence[int]
) -> list[fetches.OffsetFetchResponsePartition]:
    """The committed offsets of some partitions of one topic."""
    try:
        topic = resolve(context, Operation.DESCRIBE, name, topic_id)
    except ApiError as refused:
        return [no_offset(index, refused.code) for index in indexes]
    found = context.services.coordinator.fetch(context.namespace.id, group_id, [(topic.id, index) for index in indexes])
    return [answer(offset) for offset in found.offsets]


def every_offset(context: Context, group_id: str) -> list[tuple[Topic, list[fetches.OffsetFetchResponsePartition]]]:
    """All committed offsets of a group, of topics that the caller may describe."""
    found = context.services.coordinator.fetch(context.namespace.id, group_id, None)
    by_topic: dict[UUID, list[fetches.OffsetFetchResponsePartition]] = {}
    for offset in found.offsets:
        by_topic.setdefault(offset.topic_id, []).append(answer(offset))
    visible = []
    for topic_id, partitions in by_topic.items():
        topic = context.namespace.topic_by_id(topic_id.bytes)
        if topic is not None and context.allows_topic(Operation.DESCRIBE, topic.name):
            visible.append((topic, partitions))
    return visible


def answer(offset: exchange.FetchedOffset) -> fetches.OffsetFetchResponsePartition:
    """One committed offset in the wire's shape."""
    return fetches.OffsetFetchResponsePartition(
        partition_index=offset.partition,
        committed_offset=offset.offset,
        committed_leader_epoch=offset.leader_epoch,
        metadata=offset.metadata,
        error_code=ErrorCode.NONE,
    )
