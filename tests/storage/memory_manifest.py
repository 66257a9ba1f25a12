"""A manifest in memory for the tests of offload and collection. It sits the same exam as the SQL one."""

import dataclasses
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

from coldstream.storage.manifest import (
    NEXT,
    ColdSegment,
    Fenced,
    PrepareExpired,
    RangeTaken,
    SegmentState,
    segment_key,
)


@dataclasses.dataclass
class Row:
    segment: ColdSegment
    expires_at_ms: int
    marked_at_ms: int = -1


@dataclasses.dataclass
class PartitionRow:
    leader_epoch: int
    log_start: int = 0


class MemoryManifest:
    def __init__(self) -> None:
        self.now_ms = 1_700_000_000_000
        self.partitions: dict[tuple[UUID, int], PartitionRow] = {}
        self.rows: dict[UUID, Row] = {}
        self.before: Callable[[str], None] = lambda method: None  # a test may raise here: nothing was changed
        self.after: Callable[[str], None] = lambda method: None  # a test may raise here: the outcome is unknown

    def _led(self, topic_id: UUID, partition: int, leader_epoch: int) -> PartitionRow:
        row = self.partitions.get((topic_id, partition))
        if row is None or row.leader_epoch != leader_epoch:
            raise Fenced(f"{topic_id}/{partition} is not led in epoch {leader_epoch}")
        return row

    def _move(self, row: Row, to: SegmentState) -> None:
        assert to in NEXT[row.segment.state]
        row.segment = dataclasses.replace(row.segment, state=to)
        if to is SegmentState.MARKED:
            row.marked_at_ms = self.now_ms

    async def prepare(
        self, topic_id: UUID, partition: int, leader_epoch: int, base: int, end: int, ttl_ms: int
    ) -> ColdSegment:
        self.before("prepare")
        self._led(topic_id, partition, leader_epoch)
        object_id = uuid4()
        key = segment_key("cluster", topic_id, partition, base, end, leader_epoch, object_id)
        segment = ColdSegment(
            object_id=object_id,
            topic_id=topic_id,
            partition=partition,
            base=base,
            end=end,
            leader_epoch=leader_epoch,
            key=key,
        )
        self.rows[object_id] = Row(segment, self.now_ms + ttl_ms)
        self.after("prepare")
        return segment

    async def commit(self, segment: ColdSegment) -> None:
        self.before("commit")
        self._led(segment.topic_id, segment.partition, segment.leader_epoch)
        row = self.rows.get(segment.object_id)
        if row is not None and row.segment.state is SegmentState.COMMITTED:
            return
        if row is None or row.segment.state is not SegmentState.PREPARED or row.expires_at_ms <= self.now_ms:
            raise PrepareExpired(str(segment.object_id))
        for other in await self.committed(segment.topic_id, segment.partition):
            if other.base < segment.end and segment.base < other.end:
                raise RangeTaken(other.key)
        row.segment = dataclasses.replace(segment, state=SegmentState.PREPARED)
        self._move(row, SegmentState.COMMITTED)
        self.after("commit")

    async def state_of(self, object_id: UUID) -> SegmentState | None:
        self.before("state_of")
        row = self.rows.get(object_id)
        return row.segment.state if row else None

    async def committed(self, topic_id: UUID, partition: int) -> list[ColdSegment]:
        mine = [
            row.segment
            for row in self.rows.values()
            if (row.segment.topic_id, row.segment.partition) == (topic_id, partition)
            and row.segment.state is SegmentState.COMMITTED
        ]
        return sorted(mine, key=lambda segment: segment.base)

    async def advance_log_start(self, topic_id: UUID, partition: int, leader_epoch: int, offset: int) -> int:
        self.before("advance_log_start")
        row = self._led(topic_id, partition, leader_epoch)
        row.log_start = max(row.log_start, offset)
        return row.log_start

    async def mark(self, segments: Sequence[ColdSegment], *, leader_epoch: int) -> None:
        self.before("mark")
        for segment in segments:
            self._led(segment.topic_id, segment.partition, leader_epoch)
        for segment in segments:
            row = self.rows.get(segment.object_id)
            if row is not None and row.segment.state is SegmentState.COMMITTED:
                self._move(row, SegmentState.MARKED)

    async def mark_topic(self, topic_id: UUID) -> int:
        for key in [key for key in self.partitions if key[0] == topic_id]:
            del self.partitions[key]
        alive = [
            row
            for row in self.rows.values()
            if row.segment.topic_id == topic_id and row.segment.state is not SegmentState.MARKED
        ]
        for row in alive:
            self._move(row, SegmentState.MARKED)
        return len(alive)

    async def expire_prepared(self) -> int:
        late = [
            row
            for row in self.rows.values()
            if row.segment.state is SegmentState.PREPARED and row.expires_at_ms <= self.now_ms
        ]
        for row in late:
            self._move(row, SegmentState.MARKED)
        return len(late)

    async def marked(self, limit: int, older_than_ms: int) -> list[ColdSegment]:
        found = [
            row
            for row in self.rows.values()
            if row.segment.state is SegmentState.MARKED and row.marked_at_ms <= self.now_ms - older_than_ms
        ]
        return [row.segment for row in sorted(found, key=lambda row: row.marked_at_ms)[:limit]]

    async def forget(self, object_ids: Collection[UUID]) -> None:
        self.before("forget")
        for object_id in object_ids:
            row = self.rows.get(object_id)
            if row is not None and row.segment.state is SegmentState.MARKED:
                del self.rows[object_id]


class MemoryHarness:
    def __init__(self) -> None:
        self.manifest = MemoryManifest()

    async def add_partition(self, *, leader_epoch: int, topic_id: UUID | None = None) -> tuple[UUID, int]:
        topic_id = topic_id or uuid4()
        partition = sum(1 for topic, _ in self.manifest.partitions if topic == topic_id)
        self.manifest.partitions[topic_id, partition] = PartitionRow(leader_epoch)
        return topic_id, partition

    async def new_leader(self, topic_id: UUID, partition: int, leader_epoch: int) -> None:
        self.manifest.partitions[topic_id, partition].leader_epoch = leader_epoch

    async def pass_time(self, ms: int) -> None:
        self.manifest.now_ms += ms

    async def rows(self) -> int:
        return len(self.manifest.rows)


@asynccontextmanager
async def memory_harness() -> AsyncIterator[MemoryHarness]:
    yield MemoryHarness()
