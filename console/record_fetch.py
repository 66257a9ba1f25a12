"""Fetching records of one topic over one conversation, a few at a time, in little memory.

Always true: an answer is asked for with FETCH_BYTES_MAX; since a broker sends a whole batch however large, answers of
up to ANSWER_READ_MAX are read, only one of that kind at a time in the whole process, and of a larger one nothing but
its beginning, which says what was left out. One answer at a time is decompressed. Whatever an answer holds, reading
moves on behind it: nothing is met twice.
"""

import asyncio
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ..platform.wire.api import ApiKey
from ..platform.wire.errors import ErrorCode
from ..platform.wire.messages import fetch as wire
from ..platform.wire.messages.list_offsets import EARLIEST_TIMESTAMP, LATEST_TIMESTAMP
from . import kafka_questions as questions
from .kafka_connection import DEADLINE_S, BrokerRefused, BrokerUnavailable, Conversation, error_name, plainly
from .record_batches import HEADER, BatchHead, Unreadable, batches, records
from .record_views import RecordView, view_of

FETCH_BYTES_MAX = 256 * 1024
ANSWER_READ_MAX = 8 * 2**20
BEGINNING_BYTES = 64 * 1024  # the answer's own part takes 38 bytes for each of at most 1,000 partitions
LARGE_BYTES = FETCH_BYTES_MAX + BEGINNING_BYTES
SHOWN_BYTES_MAX = 2**20  # of keys and values in one answer: looking at them takes time
TAKEN_APART_HERE_BYTES_MAX = 16 * 1024  # more, and whatever is compressed, is taken apart by a thread
REST_S_MAX = 0.2
VERSION = 11  # the last with names and without varints: its beginning can be read without its end
READ_COMMITTED = 1
NOT_NOW = frozenset(
    {
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,  # made a moment ago, or deleted: who waits finds out which
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.KAFKA_STORAGE_ERROR,
    }
)
_BEFORE_TOPICS_BYTES = 4 + 4 + 2 + 4  # correlation id, throttle time, error, session id
_PARTITION = struct.Struct(">ihqqq")  # index, error, high watermark, last stable offset, log start
_INT16, _INT32 = struct.Struct(">h"), struct.Struct(">i")
_ABORTED_BYTES = 16


@dataclass(frozen=True, slots=True)
class Room:
    """What all readers of the process share: one large answer in memory at a time, one being taken apart."""

    large_answer: asyncio.Lock = field(default_factory=asyncio.Lock)
    taking_apart: asyncio.Lock = field(default_factory=asyncio.Lock)


class Fetched(NamedTuple):
    """What an answer brought, and why a partition of it cannot be read just now. After one that is `broken`, another
    conversation has to go on."""

    views: list[RecordView]
    not_now_because: str | None = None
    broken: bool = False


class TopicReader:
    """`positions` are the next offsets to read, by partition; they move with what is read."""

    def __init__(self, room: Room, topic: str, positions: Mapping[int, int]) -> None:
        self._room = room
        self._topic = topic
        self.positions = dict(positions)

    async def fetch(self, conversation: Conversation, wait_ms: int, count_max: int) -> Fetched:
        """The next few records, as soon as there are any; none when `wait_ms` has passed. Raises BrokerUnavailable."""
        await conversation.send(ApiKey.FETCH, VERSION, self._request(wait_ms))
        size_bytes = await conversation.answer_bytes(wait_ms / 1000 + DEADLINE_S)
        if size_bytes <= LARGE_BYTES:
            return await self._taken_apart(conversation, await conversation.take(size_bytes), count_max)
        async with self._room.large_answer:
            if size_bytes <= ANSWER_READ_MAX:
                return await self._taken_apart(conversation, await conversation.take(size_bytes), count_max)
            return Fetched([self._left_out(await conversation.take(BEGINNING_BYTES))], broken=True)

    def _request(self, wait_ms: int) -> wire.FetchRequest:
        partitions = [
            wire.FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=FETCH_BYTES_MAX)
            for index, offset in self.positions.items()
        ]
        return wire.FetchRequest(
            max_wait_ms=wait_ms,
            min_bytes=1,
            max_bytes=FETCH_BYTES_MAX,
            isolation_level=READ_COMMITTED,
            topics=[wire.FetchTopic(topic=self._topic, partitions=partitions)],
        )

    async def _taken_apart(self, conversation: Conversation, frame: bytes, count_max: int) -> Fetched:
        with plainly(DEADLINE_S):
            answer: wire.FetchResponse = conversation.decoded(ApiKey.FETCH, VERSION, frame)
        views: list[RecordView] = []
        not_now_because: str | None = None
        lost: list[int] = []
        for data in (data for topic in answer.responses for data in topic.partitions):
            index = data.partition_index
            if index not in self.positions:
                continue
            if data.error_code == ErrorCode.OFFSET_OUT_OF_RANGE:
                lost.append(index)
            elif data.error_code in NOT_NOW:
                why = error_name(data.error_code)
                not_now_because = f"partition {index} of {self._topic} cannot be read now: {why}"
            elif data.error_code:
                raise BrokerRefused(f"the broker refuses to read {self._topic}: {error_name(data.error_code)}")
            elif data.records and len(views) < count_max:
                views += await self._views(index, data.records, count_max - len(views))
        if lost:
            await self._find_again(conversation, lost)
        return Fetched(views, not_now_because)

    async def _views(self, index: int, data: bytes, count_max: int) -> list[RecordView]:
        position = self.positions[index]
        if len(data) <= TAKEN_APART_HERE_BYTES_MAX and not any(head.codec for head, _ in batches(memoryview(data))):
            views, after = views_of(index, data, position, count_max)
        else:
            async with self._room.taking_apart:
                began_s = time.monotonic()
                views, after = await asyncio.to_thread(views_of, index, data, position, count_max)
                # No topic, however its batches are made, takes more than half of what this process can do.
                await asyncio.sleep(min(time.monotonic() - began_s, REST_S_MAX))
        if after <= position:
            raise BrokerUnavailable("the broker sent records that were not asked for")
        self.positions[index] = after
        return views

    async def _find_again(self, conversation: Conversation, indexes: list[int]) -> None:
        """Positions that retention passed go to the log start, those behind a lost tail to the end."""
        names = [(self._topic, index) for index in indexes]
        starts = await questions.offsets(conversation, names, EARLIEST_TIMESTAMP)
        ends = await questions.offsets(conversation, names, LATEST_TIMESTAMP)
        for name in names:
            if name in starts and name in ends:
                position = self.positions[name[1]]
                self.positions[name[1]] = min(max(position, starts[name].offset), ends[name].offset)

    def _left_out(self, beginning: bytes) -> RecordView:
        """What stands for a batch that is too large to be read; reading goes on behind it."""
        index, head = first_batch(beginning)
        offset = self.positions.get(index, 0)
        if head.last_offset < offset:
            raise BrokerUnavailable("the broker sent records that were not asked for")
        self.positions[index] = head.last_offset + 1
        size, limit = head.size_bytes / 2**20, ANSWER_READ_MAX // 2**20
        reason = f"its batch takes {size:.1f} MiB, and the console reads batches of up to {limit} MiB"
        return _unreadable(index, max(offset, head.base_offset), head, reason)


def views_of(index: int, data: bytes, position: int, count_max: int) -> tuple[list[RecordView], int]:
    """At most `count_max` records of some batches from `position` on, fewer when they are large, and the position after
    the last of them."""
    views: list[RecordView] = []
    shown_bytes = 0
    for head, batch in batches(memoryview(data)):
        if head.last_offset < position:
            continue
        try:
            for record in records(head, batch, position):
                if len(views) == count_max or shown_bytes > SHOWN_BYTES_MAX:
                    return views, position
                views.append(view_of(index, record))
                shown_bytes += views[-1].key.size_bytes + views[-1].value.size_bytes
                position = record.offset + 1
        except Unreadable as unreadable:
            views.append(_unreadable(index, max(position, head.base_offset), head, str(unreadable)))
        position = head.last_offset + 1
    return views, position


def _unreadable(index: int, offset: int, head: BatchHead, because: str) -> RecordView:
    return RecordView(index, offset, head.max_timestamp_ms, last_offset=head.last_offset, unreadable_because=because)


def first_batch(beginning: bytes) -> tuple[int, BatchHead]:
    """The partition with records in an answer's beginning, and the head of the first batch.

    Raises BrokerUnavailable.
    """
    try:
        at = _BEFORE_TOPICS_BYTES + 4
        at += 2 + _INT16.unpack_from(beginning, at)[0]  # one topic was asked for
        (count,) = _INT32.unpack_from(beginning, at)
        at += 4
        for _ in range(count):
            index = _PARTITION.unpack_from(beginning, at)[0]
            at += _PARTITION.size
            at += 4 + _ABORTED_BYTES * max(0, _INT32.unpack_from(beginning, at)[0])
            at += 4  # preferred read replica
            (size_bytes,) = _INT32.unpack_from(beginning, at)
            at += 4
            if size_bytes > 0:
                return index, BatchHead._make(HEADER.unpack_from(beginning, at))
    except struct.error:
        pass
    raise BrokerUnavailable("the broker ended the conversation or gave an answer that makes no sense")
