"""The exam that every manifest sits: an in-memory one here, the SQL one in tests/platform/cluster.

To sit it: subclass `ManifestContract` as `TestSomething` and give `harness`, an async context manager around a fresh
manifest, a way to make partitions, to let a new leader epoch begin and to move the manifest's clock.
"""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID, uuid4

import pytest
from coldstream.storage.manifest import (
    ColdSegment,
    Fenced,
    Manifest,
    PrepareExpired,
    RangeTaken,
    SegmentState,
)

TTL_MS = 60_000


class ManifestHarness(Protocol):
    manifest: Manifest

    async def add_partition(self, *, leader_epoch: int, topic_id: UUID | None = None) -> tuple[UUID, int]:
        """A partition led in this epoch; of a new topic, or a further one of a topic that this harness made."""
        ...

    async def new_leader(self, topic_id: UUID, partition: int, leader_epoch: int) -> None: ...

    async def pass_time(self, ms: int) -> None:
        """What happened until now moves `ms` into the past."""
        ...

    async def rows(self) -> int:
        """How many rows of cold segments there are, in any state."""
        ...


def filled(segment: ColdSegment, **changes: int) -> ColdSegment:
    """The segment as an upload would complete it."""
    sizes = {
        "size_bytes": 1000,
        "tail_bytes": 200,
        "raw_bytes": 3000,
        "first_timestamp_ms": 1_700_000_000_000,
        "max_timestamp_ms": 1_700_000_000_500,
    }
    return dataclasses.replace(segment, **(sizes | changes))


class ManifestContract:
    def harness(self) -> AbstractAsyncContextManager[ManifestHarness]:
        raise AssertionError("the subclass gives one")

    def sit(self, scenario: Callable[[ManifestHarness], Awaitable[None]]) -> None:
        async def run() -> None:
            async with self.harness() as harness:
                await scenario(harness)

        asyncio.run(run())

    def test_a_prepared_row_has_a_fresh_key_and_is_no_coverage_yet(self) -> None:
        async def scenario(h: ManifestHarness) -> None:
            topic, partition = await h.add_partition(leader_epoch=3)
            one = await h.manifest.prepare(topic, partition, 3, 0, 100, TTL_MS)
            two = await h.manifest.prepare(topic, partition, 3, 0, 100, TTL_MS)
            assert one.object_id != two.object_id and one.key != two.key
            assert (one.topic_id, one.partition, one.base, one.end, one.leader_epoch) == (topic, partition, 0, 100, 3)
            assert one.state is SegmentState.PREPARED and not one.was_committed
            assert await h.manifest.state_of(one.object_id) is SegmentState.PREPARED
            assert await h.manifest.committed(topic, partition) == []
            key = one.key.split("/")
            assert key[0] == "v1" and key[2:4] == [str(topic), str(partition)]
            assert key[4] == f"{0:020d}-{100:020d}-3-{one.object_id.hex}.seg"

        self.sit(scenario)

    def test_a_commit_stores_sizes_and_makes_the_range_readable(self) -> None:
        async def scenario(h: ManifestHarness) -> None:
            topic, partition = await h.add_partition(leader_epoch=1)
            second = filled(await h.manifest.prepare(topic, partition, 1, 100, 180, TTL_MS), size_bytes=7)
            first = filled(await h.manifest.prepare(topic, partition, 1, 0, 100, TTL_MS))
            await h.manifest.commit(second)
            await h.manifest.commit(first)
            expected = [dataclasses.replace(s, state=SegmentState.COMMITTED) for s in (first, second)]
            assert await h.manifest.committed(topic, partition) == expected
            assert await h.manifest.committed(uuid4(), partition) == []

        self.sit(scenario)

    def test_committing_again_is_harmless(self) -> None:
        async def scenario(h: ManifestHarness) -> None:
            topic, partition = await h.add_partition(leader_epoch=1)
            segment = filled(await h.manifest.prepare(topic, partition, 1, 0, 100, TTL_MS))
            await h.manifest.commit(segment)
            await h.manifest.commit(segment)
            assert len(await h.manifest.committed(topic, partition)) == 1

        self.sit(scenario)

    def test_a_stale_leader_can_neither_prepare_commit_mark_nor_move_the_log_start(self) -> None:
        async def scenario(h: ManifestHarness) -> None:
            topic, partition = await h.add_partition(leader_epoch=1)
            old = filled(await h.manifest.prepare(topic, partition, 1, 0, 100, TTL_MS))
            older = filled(await h.manifest.prepare(topic, partition, 1, 100, 200, TTL_MS))
            await h.manifest.commit(older)
            await h.new_leader(topic, partition, 2)
            with pytest.raises(Fenced):
                await h.manifest.prepare(topic, partition, 1, 200, 300, TTL_MS)
            with pytest.raises(Fenced):
                await h.manifest.commit(old)
            with pytest.raises(Fenced):
                await h.manifest.mark([older], leader_epoch=1)
            with pytest.raises(Fenced):
                await h.manifest.advance_log_start(topic, partition, 1, 100)
            assert await h.manifest.state_of(old.object_id) is SegmentState.PREPARED
            assert await h.manifest.state_of(older.object_id) is SegmentState.COMMITTED
            with pytest.raises(Fenced):
                await h.manifest.prepare(uuid4(), 0, 1, 0, 100, TTL_MS)

        self.sit(scenario)

    def test_an_expired_row_cannot_be_committed_and_is_marked_by_collection(self) -> None:
        async def scenario(h: ManifestHarness) -> None:
            topic, partition = await h.add_partition(leader_epoch=1)
            late = filled(await h.manifest.prepare(topic, partition, 1, 0, 100, TTL_MS))
            assert await h.manifest.expire_prepared() == 0
            await h.pass_time(TTL_MS + 1)
            with pytest.raises(PrepareExpired):
                await h.manifest.commit(late)
            assert await h.manifest.expire_prepared() == 1
            assert await h.manifest.expire_prepared() == 0
            with pytest.raises(PrepareExpired):
                await h.manifest.commit(late)
            assert await h.manifest.state_of(late.object_id) is SegmentState.MARKED
            (marked,) = await h.manifest.marked(10, 0)
            assert marked.object_id == late.object_id and marked.key == late.key and not marked.was_committed

        self.sit(scenario)

    def test_a_committed_row_does_not_expire(self) -> None:
        async def scenario(h: ManifestHarness) -> None:
            topic, partition = await h.add_partition(leader_epoch=1)
            segment = filled(await h.manifest.prepare(topic, partition, 1, 0, 100, TTL_MS))
            await h.manifest.commit(segment)
            await h.pass_time(10 * TTL_MS)
            assert await h.manifest.expire_prepared() == 0
            await h.manifest.commit(segment)
            assert await h.manifest.state_of(segment.object_id) is SegmentState.COMMITTED

        self.sit(scenario)

    @pytest.mark.parametrize(("base", "end"), [(0, 100), (50, 150), (99, 100), (0, 1), (20, 30)])
    def test_committed_ranges_of_a_partition_never_overlap(self, base: int, end: int) -> None:
        async def scenario(h: ManifestHarness) -> None:
            topic, partition = await h.add_partition(leader_epoch=1)
            taken = filled(await h.manifest.prepare(topic, partition, 1, 0, 100, TTL_MS))
            other = filled(await h.manifest.prepare(topic, partition, 1, base, end, TTL_MS))
            await h.manifest.commit(taken)
            with pytest.raises(RangeTaken):
                await h.manifest.commit(other)
            assert [s.object_id for s in await h.manifest.committed(topic, partition)] == [taken.object_id]
            neighbour, elsewhere = await h.add_partition(leader_epoch=1)
            await h.manifest.commit(filled(await h.manifest.prepare(neighbour, elsewhere, 1, base, end, TTL_MS)))

        self.sit(scenario)

    def test_marking_hides_a_segment_at_once_and_remembers_since_when(self) -> None:
        async def scenario(h: ManifestHarness) -> None:
            topic, partition = await h.add_partition(leader_epoch=1)
            segments = [filled(await h.manifest.prepare(topic, partition, 1, b, b + 10, TTL_MS)) for b in (0, 10, 20)]
            for segment in segments:
                await h.manifest.commit(segment)
            await h.manifest.mark(segments[:1], leader_epoch=1)
            assert [s.base for s in await h.manifest.committed(topic, partition)] == [10, 20]
            assert await h.manifest.marked(10, 5_000) == []
            await h.pass_time(6_000)
            await h.manifest.mark(
                segments[:2], leader_epoch=1
            )  # the first one again: harmless, and it does not get younger
            assert [s.base for s in await h.manifest.marked(10, 5_000)] == [0]
            assert [s.base for s in await h.manifest.marked(10, 0)] == [0, 10]
            assert [s.base for s in await h.manifest.marked(1, 0)] == [0]
            (oldest,) = await h.manifest.marked(1, 0)
            assert oldest.was_committed and oldest.state is SegmentState.MARKED
            with pytest.raises(PrepareExpired):
                await h.manifest.commit(segments[0])

        self.sit(scenario)

    def test_only_marked_rows_are_forgotten(self) -> None:
        async def scenario(h: ManifestHarness) -> None:
            topic, partition = await h.add_partition(leader_epoch=1)
            prepared = await h.manifest.prepare(topic, partition, 1, 0, 10, TTL_MS)
            committed = filled(await h.manifest.prepare(topic, partition, 1, 10, 20, TTL_MS))
            marked = filled(await h.manifest.prepare(topic, partition, 1, 20, 30, TTL_MS))
            await h.manifest.commit(committed)
            await h.manifest.commit(marked)
            await h.manifest.mark([marked], leader_epoch=1)
            await h.manifest.forget([prepared.object_id, committed.object_id, marked.object_id, uuid4()])
            assert await h.manifest.state_of(prepared.object_id) is SegmentState.PREPARED
            assert await h.manifest.state_of(committed.object_id) is SegmentState.COMMITTED
            assert await h.manifest.state_of(marked.object_id) is None
            assert await h.rows() == 2
            await h.manifest.mark([marked], leader_epoch=1)  # gone: nothing to do
            await h.manifest.forget([])

        self.sit(scenario)

    def test_the_log_start_only_moves_up(self) -> None:
        async def scenario(h: ManifestHarness) -> None:
            topic, partition = await h.add_partition(leader_epoch=1)
            assert await h.manifest.advance_log_start(topic, partition, 1, 50) == 50
            assert await h.manifest.advance_log_start(topic, partition, 1, 20) == 50
            assert await h.manifest.advance_log_start(topic, partition, 1, 60) == 60

        self.sit(scenario)

    def test_a_deleted_topic_is_marked_whole_and_stays_closed(self) -> None:
        async def scenario(h: ManifestHarness) -> None:
            topic, partition = await h.add_partition(leader_epoch=1)
            _, further = await h.add_partition(leader_epoch=4, topic_id=topic)
            other, other_partition = await h.add_partition(leader_epoch=1)
            first = filled(await h.manifest.prepare(topic, partition, 1, 0, 10, TTL_MS))
            second = filled(await h.manifest.prepare(topic, further, 4, 0, 10, TTL_MS))
            in_flight = filled(await h.manifest.prepare(topic, further, 4, 10, 20, TTL_MS))
            kept = filled(await h.manifest.prepare(other, other_partition, 1, 0, 10, TTL_MS))
            for segment in (first, second, kept):
                await h.manifest.commit(segment)
            assert await h.manifest.mark_topic(topic) == 3
            assert await h.manifest.mark_topic(topic) == 0
            with pytest.raises((Fenced, PrepareExpired)):
                await h.manifest.commit(in_flight)
            with pytest.raises(Fenced):
                await h.manifest.prepare(topic, partition, 1, 20, 30, TTL_MS)
            marked = await h.manifest.marked(10, 0)
            assert {s.object_id for s in marked} == {first.object_id, second.object_id, in_flight.object_id}
            assert {s.object_id for s in marked if s.was_committed} == {first.object_id, second.object_id}
            await h.manifest.forget([s.object_id for s in marked])
            assert await h.rows() == 1
            assert [s.object_id for s in await h.manifest.committed(other, other_partition)] == [kept.object_id]

        self.sit(scenario)

    def test_the_state_of_an_unknown_object_is_none(self) -> None:
        async def scenario(h: ManifestHarness) -> None:
            assert await h.manifest.state_of(uuid4()) is None

        self.sit(scenario)
