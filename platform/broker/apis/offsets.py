"""ListOffsets (key 2), versions 1 to 11, and OffsetForLeaderEpoch (key 23), versions 2 to 4.

A timestamp is looked up where its records are: first among cold segments, by their index, then in the local log; both
on threads or in the cold worker, never on the loop. -4 is the earliest local offset, -5 the latest tiered one
(KIP-1005), -6 the earliest that is not yet tiered.
"""

import asyncio
import logging
from collections.abc import Awaitable
from typing import NamedTuple

from ....storage.cold_format import CorruptObject
from ....storage.cold_worker import ColdWorkerUnavailable
from ....storage.errors import LogError
from ....storage.object_store import ObjectStoreError
from ....tenants.permissions import Operation, ResourceType
from ...wire.api import ApiKey
from ...wire.errors import ErrorCode
from ...wire.messages import list_offsets as wire
from ...wire.messages import offset_for_leader_epoch as epochs
from ..context import Context
from ..errors import ApiError
from ..fetch import epoch_error
from ..namespace import Partition
from ..registry import Right, Scope, handles

log = logging.getLogger("coldstream.offsets")

LOOKUP_S_MAX = 20.0
LOOKUPS_AT_ONCE = 8
NOT_FOUND = -1


class Found(NamedTuple):
    """An offset, and the timestamp of the record there where it was looked up by time."""

    offset: int
    timestamp_ms: int = -1


class LookUp(NamedTuple):
    """A question that memory cannot answer, and where its answer belongs."""

    partition: Partition
    asked: wire.ListOffsetsPartition
    answers: list[wire.ListOffsetsPartitionResponse]
    at: int


@handles(ApiKey.LIST_OFFSETS, scopes={Scope.TOPICS}, authorises=(Right(Operation.DESCRIBE, ResourceType.TOPIC),))
async def list_offsets(request: wire.ListOffsetsRequest, context: Context) -> wire.ListOffsetsResponse:
    """Offsets by timestamp or special timestamp. What has to be looked up is, a few at a time and not for ever."""
    look_ups: list[LookUp] = []
    topics = [
        wire.ListOffsetsTopicResponse(name=topic.name, partitions=answer_topic(context, topic, look_ups))
        for topic in request.topics
    ]
    deadline_s = context.services.loop.time() + LOOKUP_S_MAX
    for at in range(0, len(look_ups), LOOKUPS_AT_ONCE):
        await asyncio.gather(*(look_up(context, each, deadline_s) for each in look_ups[at : at + LOOKUPS_AT_ONCE]))
    return wire.ListOffsetsResponse(topics=topics)


def answer_topic(
    context: Context, topic: wire.ListOffsetsTopic, look_ups: list[LookUp]
) -> list[wire.ListOffsetsPartitionResponse]:
    """An answer for each partition asked for; those that take a look-up are errors until it is done."""
    answers: list[wire.ListOffsetsPartitionResponse] = []
    for asked in topic.partitions:
        try:
            partition = find(context, topic.name, asked.partition_index)
            error = epoch_error(asked.current_leader_epoch, partition.leader_epoch)
            if error:
                answers.append(failed(asked.partition_index, error))
                continue
            offset = known_offset(partition, asked.timestamp)
        except ApiError as refused:
            answers.append(failed(asked.partition_index, refused.code))
            continue
        if offset is None:
            look_ups.append(LookUp(partition, asked, answers, len(answers)))
            answers.append(failed(asked.partition_index, ErrorCode.OFFSET_NOT_AVAILABLE))
        else:
            answers.append(answered(asked.partition_index, partition, Found(offset)))
    return answers


async def look_up(context: Context, each: LookUp, deadline_s: float) -> None:
    """Put the answer in its place, unless reading fails or takes too long: then the client asks again."""
    slow_reads = context.services.slow_reads
    by_largest = each.asked.timestamp == wire.MAX_TIMESTAMP
    try:
        async with asyncio.timeout_at(deadline_s), slow_reads.permits(context.caller):
            found = await (
                largest_timestamp(context, each.partition)
                if by_largest
                else by_timestamp(context, each.partition, each.asked.timestamp)
            )
    except (LogError, ObjectStoreError, ColdWorkerUnavailable, CorruptObject, TimeoutError, FileNotFoundError) as error:
        log.warning("look-up by time failed", extra={"topic_id": str(each.partition.topic.id), "error": repr(error)})
        return
    each.answers[each.at] = answered(each.asked.partition_index, each.partition, found)


def answered(index: int, partition: Partition, found: Found) -> wire.ListOffsetsPartitionResponse:
    """What was found, with the leader epoch of the record there."""
    epoch = epoch_of(partition.log.epoch_history(), found.offset) if found.offset >= 0 else -1
    return wire.ListOffsetsPartitionResponse(
        partition_index=index,
        error_code=ErrorCode.NONE,
        timestamp=found.timestamp_ms,
        offset=found.offset,
        leader_epoch=epoch,
    )


def epoch_of(history: tuple[tuple[int, int], ...], offset: int) -> int:
    """The leader epoch that an offset was written in, -1 when nothing was written yet."""
    return next((epoch for epoch, start in reversed(history) if start <= offset), -1)


def failed(index: int, error: int) -> wire.ListOffsetsPartitionResponse:
    """An answer that is only an error."""
    return wire.ListOffsetsPartitionResponse(partition_index=index, error_code=error)


def find(context: Context, name: str, index: int) -> Partition:
    """The partition, if the caller may describe its topic. Raises ApiError."""
    partition = context.topic(Operation.DESCRIBE, name).partition(index)
    if partition is None:
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"topic {name!r} has no partition {index}")
    return partition


def known_offset(partition: Partition, timestamp_ms: int) -> int | None:
    """What memory says; None where it takes a look-up. Raises ApiError."""
    log = partition.log
    match timestamp_ms:
        case wire.LATEST_TIMESTAMP:
            return log.last_stable
        case wire.EARLIEST_TIMESTAMP:
            return log.log_start
        case wire.EARLIEST_LOCAL_TIMESTAMP:
            return max(log.local_start, log.log_start)
        case wire.LATEST_TIERED_TIMESTAMP:
            return partition.cold[-1].end - 1 if partition.cold else NOT_FOUND
        case wire.EARLIEST_PENDING_UPLOAD_TIMESTAMP:
            return partition.cold_end
        case wire.MAX_TIMESTAMP:
            return None
        case _ if timestamp_ms < 0:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"no such special timestamp: {timestamp_ms}")
        case _:
            return None


async def by_timestamp(context: Context, partition: Partition, timestamp_ms: int) -> Found:
    """The first offset at or after the log start whose record is at least that new."""
    services, log = context.services, partition.log
    cold = [
        s
        for s in partition.cold
        if s.end > log.log_start and s.base < log.local_start and s.max_timestamp_ms >= timestamp_ms
    ]
    if cold:
        found = await services.cold.offset_for_timestamp(cold, timestamp_ms, from_offset=log.log_start)
        if found is not None and found.offset < log.local_start:
            return Found(*found)
    local = await services.slow_reads.run_blocking(lambda: log.offset_for_timestamp(timestamp_ms))
    return Found(*local) if local is not None else Found(NOT_FOUND)


async def largest_timestamp(context: Context, partition: Partition) -> Found:
    """The offset of the record with the largest timestamp, in either tier."""
    log = partition.log
    local = await context.services.slow_reads.run_blocking(log.max_timestamp)
    best = Found(*local) if local is not None else Found(NOT_FOUND)
    cold = [s for s in partition.cold if s.end > log.log_start and s.base < log.local_start]
    if not cold:
        return best
    newest = max(cold, key=lambda segment: segment.max_timestamp_ms)
    if newest.max_timestamp_ms <= best.timestamp_ms:
        return best
    found = await context.services.cold.offset_for_timestamp(
        [newest], newest.max_timestamp_ms, from_offset=log.log_start
    )
    return Found(*found) if found is not None else best


@handles(
    ApiKey.OFFSET_FOR_LEADER_EPOCH, scopes={Scope.TOPICS}, authorises=(Right(Operation.DESCRIBE, ResourceType.TOPIC),)
)
def offset_for_leader_epoch(
    request: epochs.OffsetForLeaderEpochRequest, context: Context
) -> epochs.OffsetForLeaderEpochResponse | Awaitable[epochs.OffsetForLeaderEpochResponse]:
    """Where leader epochs ended, so that a consumer can tell whether its log was cut (KIP-320)."""
    topics = [
        epochs.OffsetForLeaderTopicResult(
            topic=topic.topic, partitions=[answer_epoch(context, topic.topic, asked) for asked in topic.partitions]
        )
        for topic in request.topics
    ]
    return epochs.OffsetForLeaderEpochResponse(topics=topics)


def answer_epoch(context: Context, name: str, asked: epochs.OffsetForLeaderPartition) -> epochs.EpochEndOffset:
    """The newest epoch at or below the one asked for, and where it ended."""
    try:
        partition = find(context, name, asked.partition)
    except ApiError as refused:
        return epochs.EpochEndOffset(error_code=refused.code, partition=asked.partition)
    error = epoch_error(asked.current_leader_epoch, partition.leader_epoch)
    if error:
        return epochs.EpochEndOffset(error_code=error, partition=asked.partition)
    epoch, end = epoch_end(
        partition.log.epoch_history(), asked.leader_epoch, partition.leader_epoch, partition.log.durable
    )
    return epochs.EpochEndOffset(
        error_code=ErrorCode.NONE, partition=asked.partition, leader_epoch=epoch, end_offset=end
    )


def epoch_end(history: tuple[tuple[int, int], ...], asked: int, current: int, log_end: int) -> tuple[int, int]:
    """(epoch, end offset) of the newest epoch not above `asked`; (-1, -1) when nothing is known of it."""
    if asked >= current:
        return (current, log_end) if asked == current else (-1, -1)
    before = [(epoch, start) for epoch, start in history if epoch <= asked]
    after = [start for epoch, start in history if epoch > asked]
    if not before:
        return (asked, after[0]) if after else (-1, -1)
    return before[-1][0], after[0] if after else log_end
