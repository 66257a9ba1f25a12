"""Offload and collection: the plans, one pass with every step failing, and that nothing is ever left behind."""

import asyncio
import dataclasses
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

import pytest
from coldstream.storage.cold_reader import ColdReader
from coldstream.storage.cold_tasks import ColdTasks
from coldstream.storage.collection import Collector
from coldstream.storage.manifest import ColdSegment, Fenced, PrepareExpired, RangeTaken, SegmentState
from coldstream.storage.object_store import ObjectStoreUnavailable
from coldstream.storage.offload import (
    BACKOFF_FIRST_MS,
    BACKOFF_MAX_MS,
    Backlog,
    Offload,
    OffloadTimes,
    backlog_of,
    backoff_ms,
    plan_uploads,
    uncovered,
    with_segment,
)
from coldstream.storage.retention import cold_end

from .cold_samples import START_MS, make_batches, spans, write_log
from .memory_manifest import MemoryManifest, PartitionRow
from .memory_store import MemoryStore

TIMES = OffloadTimes(put_deadline_ms=1_000, prepared_ttl_ms=5_000, grace_ms=60_000)
MARGIN_MS = 500


class File(NamedTuple):
    base: int
    end: int
    size_bytes: int
    path: Path
    sealed_at_ms: int


def segment_of(base: int, end: int) -> ColdSegment:
    return ColdSegment(
        object_id=uuid4(), topic_id=UUID(int=1), partition=0, base=base, end=end, leader_epoch=1, key="k", size_bytes=10
    )


def file_of(base: int, end: int, sealed_at_ms: int = 0) -> File:
    return File(base, end, (end - base) * 10, Path("/nowhere"), sealed_at_ms)


class TestPlans:
    @pytest.mark.parametrize(
        ("committed", "left"),
        [
            ([], [(10, 50)]),
            ([(0, 10)], [(10, 50)]),
            ([(0, 20)], [(20, 50)]),
            ([(40, 60)], [(10, 40)]),
            ([(10, 50)], []),
            ([(0, 100)], []),
            ([(0, 15), (20, 25), (25, 30), (45, 50)], [(15, 20), (30, 45)]),
            ([(50, 60)], [(10, 50)]),
        ],
    )
    def test_only_what_no_committed_segment_covers_is_left(
        self, committed: list[tuple[int, int]], left: list[tuple[int, int]]
    ) -> None:
        assert uncovered(10, 50, [segment_of(*span) for span in committed]) == left

    @pytest.mark.parametrize("seed", range(20))
    def test_uncovered_is_the_difference_of_two_sets(self, seed: int) -> None:
        rng, edge, committed = random.Random(seed), 0, []
        while edge < 60:
            base = edge + rng.randrange(0, 10)
            edge = base + rng.randrange(1, 12)
            committed.append(segment_of(base, edge))
        base = rng.randrange(30)
        end = base + rng.randrange(1, 40)
        covered = {offset for s in committed for offset in range(s.base, s.end)}
        left = {offset for a, b in uncovered(base, end, committed) for offset in range(a, b)}
        assert left == set(range(base, end)) - covered

    def test_files_below_the_log_start_above_the_last_stable_offset_or_covered_stay(self) -> None:
        sealed = [file_of(0, 10), file_of(10, 20), file_of(20, 30), file_of(30, 40), file_of(40, 50)]
        planned = plan_uploads(sealed, [segment_of(20, 30)], log_start=10, last_stable=45)
        assert [(p.base, p.end) for p in planned] == [(10, 20), (30, 40)]
        assert plan_uploads(sealed, [], log_start=15, last_stable=19) == []
        assert [p.base for p in plan_uploads(sealed, [], log_start=15, last_stable=20)] == [10]

    def test_the_cold_end_stops_at_a_gap(self) -> None:
        committed = [segment_of(0, 10), segment_of(10, 20), segment_of(25, 30)]
        assert [cold_end(committed, start) for start in (0, 5, 10, 20, 22, 25, 40)] == [20, 20, 20, 20, 22, 30, 40]
        assert cold_end([], 7) == 7

    def test_backlog_figures_add_up(self) -> None:
        planned = plan_uploads([file_of(0, 10, 100), file_of(10, 30, 400)], [], log_start=0, last_stable=30)
        assert backlog_of(planned, 1_000) == Backlog(2, 300, 900)
        assert Backlog(1, 2, 3) + Backlog(10, 20, 2) == Backlog(11, 22, 3)
        assert backlog_of([], 0) == Backlog()

    def test_backoff_doubles_up_to_its_limit_and_is_spread(self) -> None:
        assert [backoff_ms(n, 0.0) for n in (1, 2, 3)] == [
            BACKOFF_FIRST_MS // 2,
            BACKOFF_FIRST_MS,
            2 * BACKOFF_FIRST_MS,
        ]
        assert backoff_ms(1, 0.999) < BACKOFF_FIRST_MS
        assert backoff_ms(1000, 0.0) == BACKOFF_MAX_MS // 2 and backoff_ms(1000, 0.999) <= BACKOFF_MAX_MS

    @pytest.mark.parametrize(
        "times", [{"put_deadline_ms": 0}, {"put_deadline_ms": 900_000}, {"grace_ms": -1}, {"prepared_ttl_ms": 5}]
    )
    def test_times_that_cannot_work_are_refused(self, times: dict[str, int]) -> None:
        with pytest.raises(ValueError, match="not possible"):
            OffloadTimes(**times)


class FakeLog:
    """Sealed files on disk, and nothing else of a log."""

    def __init__(self, directory: Path, topic_id: UUID, partition: int) -> None:
        self.directory = directory / str(partition)
        self.directory.mkdir(parents=True)
        self.topic_id, self.partition, self.leader_epoch = topic_id, partition, 1
        self.log_start = self.last_stable = 0
        self.files = list[File]()
        self.batches = list[tuple[int, int, bytes]]()

    def seal(self, seed: int, batches: int = 5) -> None:
        made = make_batches(seed, batches, base=self.last_stable)
        path = self.directory / f"{made[0][0]:020d}.log"
        data = write_log(path, made)
        self.files.append(File(made[0][0], made[-1][1], len(data), path, START_MS))
        self.batches += made
        self.last_stable = made[-1][1]

    def sealed_segments(self) -> list[File]:
        return list(self.files)

    def epoch_history(self) -> tuple[tuple[int, int], ...]:
        return ((1, 0),)

    def producer_snapshot_at(self, offset: int, /) -> bytes:
        assert offset in {file.end for file in self.files}
        return b"snapshot at %d" % offset


@dataclasses.dataclass
class Tier:
    directory: Path
    manifest: MemoryManifest
    store: MemoryStore
    tasks: ColdTasks
    offload: Offload
    collector: Collector
    cold: tuple[ColdSegment, ...] = ()  # so that it is a holder, of its one log
    naps: list[float] = dataclasses.field(default_factory=list)

    def log(self, segments: int = 3) -> FakeLog:
        log = FakeLog(self.directory, uuid4(), 0)
        self.manifest.partitions[log.topic_id, 0] = PartitionRow(1)
        for seed in range(segments):
            log.seal(seed)
        return log

    def spans(self) -> list[tuple[int, int]]:
        return [(segment.base, segment.end) for segment in self.cold]

    def states(self) -> list[str]:
        return sorted(row.segment.state for row in self.manifest.rows.values())

    def consistent(self) -> None:
        """I5: every object has a row. And what is committed is there."""
        keys = {row.segment.key: row.segment.state for row in self.manifest.rows.values()}
        assert set(self.store.objects) <= set(keys)
        assert {key for key, state in keys.items() if state is SegmentState.COMMITTED} <= set(self.store.objects)

    async def drained(self) -> None:
        """Collection until everything that can go has gone."""
        for _ in range(4):
            self.manifest.now_ms += TIMES.grace_ms + TIMES.prepared_ttl_ms
            await self.collector.run()


def run(directory: Path, scenario: Callable[[Tier], Awaitable[None]]) -> None:
    async def opened() -> None:
        manifest, store = MemoryManifest(), MemoryStore()
        tasks = ColdTasks(store, directory / "cache", cache_bytes_max=2**30, cache_files_max=100)
        tasks.load()
        naps = list[float]()

        async def nap(seconds: float) -> None:
            naps.append(seconds)

        offload = Offload(manifest, tasks, times=TIMES, now_ms=lambda: manifest.now_ms, chance=lambda: 0.5, sleep=nap)
        collector = Collector(manifest, tasks.delete, times=TIMES, late_put_margin_ms=MARGIN_MS)
        tier = Tier(directory, manifest, store, tasks, offload, collector, naps=naps)
        try:
            await scenario(tier)
            tier.consistent()
        finally:
            await tasks.close()

    asyncio.run(opened())


def fail(method: str, error: Exception, times: int = 1) -> Callable[[str], None]:
    left = [times]

    def hook(called: str) -> None:
        if called == method and left[0]:
            left[0] -= 1
            raise error

    return hook


class TestPass:
    def test_all_sealed_segments_go_and_are_read_back(self, tmp_path: Path) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(3)
            assert tier.offload.backlog(log, tier).segments == 3
            outcome = await tier.offload.run(log, tier)
            assert (outcome.error, outcome.corrupt, outcome.skipped, len(outcome.uploaded)) == (None, (), False, 3)
            assert tier.spans() == [(file.base, file.end) for file in log.files]
            assert list(tier.cold) == await tier.manifest.committed(log.topic_id, 0)
            assert tier.offload.backlog(log, tier) == Backlog()
            reader, offset, pieces = ColdReader(tier.tasks), 0, []
            while data := await reader.read(tier.cold, offset, 3_000):
                pieces.append(data)
                *_, (_, offset) = spans(data)
            assert b"".join(pieces) == b"".join(batch for _, _, batch in log.batches)
            assert (await tier.offload.run(log, tier)).uploaded == ()
            log.seal(9)
            assert len((await tier.offload.run(log, tier)).uploaded) == 1
            assert cold_end(tier.cold, 0) == log.last_stable

        run(tmp_path, scenario)

    def test_what_is_not_stable_yet_stays(self, tmp_path: Path) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(2)
            log.last_stable -= 1
            await tier.offload.run(log, tier)
            assert tier.spans() == [(log.files[0].base, log.files[0].end)]

        run(tmp_path, scenario)

    def test_a_failed_put_leaves_a_row_that_expires_and_the_range_is_uploaded_again_later(self, tmp_path: Path) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(2)
            tier.store.lose_puts_after_storing = True  # the object is there, but we do not know it
            outcome = await tier.offload.run(log, tier)
            assert isinstance(outcome.error, ObjectStoreUnavailable) and outcome.uploaded == ()
            assert tier.states() == ["prepared"] and len(tier.store.objects) == 1
            assert (await tier.offload.run(log, tier)).skipped  # not before the backoff ends
            tier.store.lose_puts_after_storing = False
            tier.manifest.now_ms += BACKOFF_FIRST_MS
            assert len((await tier.offload.run(log, tier)).uploaded) == 2
            assert tier.states() == ["committed", "committed", "prepared"]
            await tier.drained()
            assert tier.states() == ["committed", "committed"] and len(tier.store.objects) == 2

        run(tmp_path, scenario)

    def test_failures_are_put_off_longer_each_time_and_at_once_does_not_wait(self, tmp_path: Path) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(1)
            tier.store.failing_puts = ObjectStoreUnavailable("down")
            for failures in range(1, 5):
                assert (await tier.offload.run(log, tier)).error is not None
                tier.manifest.now_ms += backoff_ms(failures, 0.5) - 1
                assert (await tier.offload.run(log, tier)).skipped
                tier.manifest.now_ms += 1
            assert (await tier.offload.run(log, tier)).error is not None
            tier.store.failing_puts = None
            assert len((await tier.offload.run(log, tier, at_once=True)).uploaded) == 1

        run(tmp_path, scenario)

    def test_one_segment_failing_keeps_what_was_committed_before_it(self, tmp_path: Path) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(3)
            tier.manifest.before = skip_first(1, fail("prepare", ConnectionError("gone")))
            outcome = await tier.offload.run(log, tier)
            assert len(outcome.uploaded) == 1 and isinstance(outcome.error, ConnectionError)
            assert tier.spans() == [(log.files[0].base, log.files[0].end)]

        run(tmp_path, scenario)

    @pytest.mark.parametrize("error", [Fenced("newer"), PrepareExpired("late"), RangeTaken("other")])
    def test_a_refused_commit_abandons_the_object_to_collection(self, tmp_path: Path, error: Exception) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(1)
            tier.manifest.before = fail("commit", error)
            outcome = await tier.offload.run(log, tier)
            assert outcome.error is error and tier.cold == ()
            assert tier.states() == ["prepared"] and len(tier.store.objects) == 1
            await tier.drained()
            assert tier.states() == [] and tier.store.objects == {}

        run(tmp_path, scenario)

    def test_a_commit_that_happened_although_it_failed_counts(self, tmp_path: Path) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(2)
            tier.manifest.after = fail("commit", ConnectionError("answer lost"))
            outcome = await tier.offload.run(log, tier)
            assert outcome.error is None and len(outcome.uploaded) == 2
            await tier.drained()
            assert len(tier.store.objects) == 2

        run(tmp_path, scenario)

    def test_a_commit_that_did_not_happen_is_told_apart_by_asking(self, tmp_path: Path) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(1)
            tier.manifest.before = fail("commit", ConnectionError("never sent"))
            assert isinstance((await tier.offload.run(log, tier)).error, ConnectionError)
            assert len((await tier.offload.run(log, tier, at_once=True)).uploaded) == 1
            await tier.drained()
            assert len(tier.store.objects) == 1 and tier.states() == ["committed"]

        run(tmp_path, scenario)

    def test_a_database_that_goes_away_after_a_commit_is_asked_again_before_anything_else(self, tmp_path: Path) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(1)
            down = ConnectionError("down")
            tier.manifest.after = fail("commit", down)
            tier.manifest.before = fail("state_of", down, times=3)
            assert (await tier.offload.run(log, tier)).error is down
            assert tier.cold == () and len(tier.naps) == 2  # it is committed, and we do not know it
            outcome = await tier.offload.run(log, tier, at_once=True)
            assert outcome.error is None and outcome.uploaded == ()
            assert tier.spans() == [(log.files[0].base, log.files[0].end)]
            assert len(tier.store.objects) == 1

        run(tmp_path, scenario)

    def test_who_is_about_to_rewrite_local_files_learns_of_a_commit_whose_outcome_was_unknown(
        self, tmp_path: Path
    ) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(1)
            down = ConnectionError("down")
            tier.manifest.after = fail("commit", down)
            tier.manifest.before = fail("state_of", down, times=3)
            await tier.offload.settle(log, tier)  # nothing is known of the partition yet: nothing to ask
            assert (await tier.offload.run(log, tier)).error is down
            assert tier.cold == ()
            await tier.offload.settle(log, tier)
            assert tier.spans() == [(log.files[0].base, log.files[0].end)]
            assert [(each.base, each.end) for each in tier.cold] == tier.spans()

        run(tmp_path, scenario)

    def test_someone_elses_coverage_is_learnt_from_the_refusal(self, tmp_path: Path) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(2)
            await tier.offload.run(log, tier)
            known, tier.cold = tier.cold, ()
            assert isinstance((await tier.offload.run(log, tier)).error, RangeTaken)
            assert (await tier.offload.run(log, tier, at_once=True)).error is None
            assert tier.cold == known

        run(tmp_path, scenario)

    def test_a_corrupt_segment_is_reported_kept_and_not_tried_again(self, tmp_path: Path) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(3)
            data = bytearray(log.files[1].path.read_bytes())
            data[100] ^= 1
            log.files[1].path.write_bytes(data)
            outcome = await tier.offload.run(log, tier)
            assert len(outcome.uploaded) == 2 and len(outcome.corrupt) == 1 and outcome.error is None
            assert cold_end(tier.cold, 0) == log.files[0].end  # so nothing behind it is evicted
            rows = len(tier.manifest.rows)
            assert len((await tier.offload.run(log, tier)).corrupt) == 1
            assert len(tier.manifest.rows) == rows
            assert tier.offload.backlog(log, tier).segments == 1

        run(tmp_path, scenario)

    def test_one_pass_at_a_time_works_on_a_partition(self, tmp_path: Path) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(3)
            outcomes = await asyncio.gather(*(tier.offload.run(log, tier, at_once=True) for _ in range(4)))
            assert sum(len(outcome.uploaded) for outcome in outcomes) == 3
            assert sum(outcome.skipped for outcome in outcomes) == 3

        run(tmp_path, scenario)

    def test_a_cancelled_pass_leaves_nothing_that_collection_does_not_find(self, tmp_path: Path) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(1)
            tier.store.gate.clear()
            going = asyncio.create_task(tier.offload.run(log, tier))
            while not tier.manifest.rows:
                await asyncio.sleep(0.001)
            going.cancel()
            with pytest.raises(asyncio.CancelledError):
                await going
            tier.store.gate.set()
            assert len((await tier.offload.run(log, tier)).uploaded) == 1
            await tier.drained()
            assert len(tier.store.objects) == len(tier.manifest.rows) == 1

        run(tmp_path, scenario)

    def test_partly_covered_files_send_only_the_rest(self, tmp_path: Path) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(1)
            (file,) = log.files
            edge = log.batches[2][0]
            log.files = [file._replace(end=edge), file._replace(base=edge)]
            log.producer_snapshot_at = lambda offset: b""  # type: ignore[method-assign]
            log.last_stable = edge
            await tier.offload.run(log, tier)
            log.files, log.last_stable = [file], file.end
            await tier.offload.run(log, tier)
            assert tier.spans() == [(0, edge), (edge, file.end)]
            assert await ColdReader(tier.tasks).read(tier.cold, edge, 1) == log.batches[2][2]

        run(tmp_path, scenario)


def skip_first(count: int, hook: Callable[[str], None]) -> Callable[[str], None]:
    """Lets `count` prepares pass before the hook sees any."""
    left = [count]

    def skipping(called: str) -> None:
        if called == "prepare" and left[0]:
            left[0] -= 1
            return
        hook(called)

    return skipping


class TestRetention:
    def test_the_log_start_moves_first_then_segments_below_it_go(self, tmp_path: Path) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(3)
            await tier.offload.run(log, tier)
            middle = log.files[1]
            assert await tier.offload.retire(log, tier, middle.end - 1) == middle.end - 1
            assert [s.base for s in tier.cold] == [middle.base, log.files[2].base]
            assert await tier.offload.retire(log, tier, 0) == middle.end - 1
            assert tier.manifest.partitions[log.topic_id, 0].log_start == middle.end - 1
            await tier.collector.run()
            assert len(tier.store.objects) == 3  # readers have their grace
            await tier.drained()
            assert len(tier.store.objects) == 2

        run(tmp_path, scenario)

    def test_a_failure_in_between_is_made_good_by_doing_it_again(self, tmp_path: Path) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(2)
            await tier.offload.run(log, tier)
            tier.manifest.before = fail("mark", ConnectionError("gone"))
            with pytest.raises(ConnectionError):
                await tier.offload.retire(log, tier, log.files[0].end)
            assert len(tier.cold) == 2
            await tier.offload.retire(log, tier, log.files[0].end)
            assert len(tier.cold) == 1

        run(tmp_path, scenario)

    def test_a_stale_leader_retires_nothing(self, tmp_path: Path) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(1)
            await tier.offload.run(log, tier)
            tier.manifest.partitions[log.topic_id, 0].leader_epoch = 2
            with pytest.raises(Fenced):
                await tier.offload.retire(log, tier, log.last_stable)
            assert tier.states() == ["committed"]

        run(tmp_path, scenario)


class TestCollection:
    def test_only_what_the_store_confirmed_gone_is_forgotten(self, tmp_path: Path) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(2)
            await tier.offload.run(log, tier)
            tier.store.undeletable = {tier.cold[0].key}
            await tier.offload.retire(log, tier, log.last_stable)
            tier.manifest.now_ms += TIMES.grace_ms
            report = await tier.collector.run()
            assert (report.forgotten, report.unconfirmed) == (1, 1) and tier.states() == ["marked"]
            tier.store.undeletable = set()
            assert (await tier.collector.run()).forgotten == 1
            assert tier.states() == [] and tier.store.objects == {}

        run(tmp_path, scenario)

    def test_a_late_put_of_an_upload_that_failed_meets_the_second_deletion(self, tmp_path: Path) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(1)
            tier.store.lose_puts_after_storing = True
            await tier.offload.run(log, tier)
            ((key, data),) = tier.store.objects.items()
            tier.manifest.now_ms += TIMES.prepared_ttl_ms
            assert (await tier.collector.run()).expired == 1
            assert tier.store.objects == {} and tier.states() == ["marked"]  # deleted, and still remembered
            await tier.collector.run()
            assert tier.store.deletes == [key]
            tier.store.objects[key] = data  # here it comes
            tier.manifest.now_ms += TIMES.put_deadline_ms + MARGIN_MS
            assert (await tier.collector.run()).forgotten == 1
            assert tier.store.objects == {} and tier.states() == []

        run(tmp_path, scenario)

    def test_a_store_that_is_down_forgets_nothing(self, tmp_path: Path) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(1)
            await tier.offload.run(log, tier)
            await tier.offload.retire(log, tier, log.last_stable)
            tier.manifest.now_ms += TIMES.grace_ms
            tier.store.failing = ObjectStoreUnavailable("down")
            with pytest.raises(ObjectStoreUnavailable):
                await tier.collector.run()
            assert tier.states() == ["marked"]
            tier.store.failing = None
            await tier.collector.run()
            assert tier.states() == []

        run(tmp_path, scenario)

    def test_a_deleted_topic_leaves_no_object_and_no_row_even_with_an_upload_in_flight(self, tmp_path: Path) -> None:
        async def scenario(tier: Tier) -> None:
            log = tier.log(3)
            await tier.offload.run(log, tier)
            log.seal(7)
            tier.store.gate.clear()
            going = asyncio.create_task(tier.offload.run(log, tier))
            while "prepared" not in tier.states():
                await asyncio.sleep(0.001)
            assert await tier.manifest.mark_topic(log.topic_id) == 4
            await tier.collector.run()
            tier.store.gate.set()
            assert (await going).error is not None
            tier.offload.forget_topic(log.topic_id)
            await tier.drained()
            assert tier.store.objects == {} and tier.manifest.rows == {}

        run(tmp_path, scenario)


@pytest.mark.parametrize("seed", range(12))
def test_any_mix_of_failures_ends_with_everything_cold_once_and_nothing_else(tmp_path: Path, seed: int) -> None:
    async def scenario(tier: Tier) -> None:
        rng, log = random.Random(seed), tier.log(1)

        def trouble(method: str) -> None:
            if rng.random() < 0.15:
                raise rng.choice((ConnectionError(method), TimeoutError(method)))

        tier.manifest.before = tier.manifest.after = trouble
        for step in range(25):
            tier.store.lose_puts_after_storing = rng.random() < 0.2
            tier.store.failing_puts = ObjectStoreUnavailable("down") if rng.random() < 0.2 else None
            if step % 6 == 0:
                log.seal(100 * seed + step, batches=3)
            await tier.offload.run(log, tier, at_once=rng.random() < 0.7)
            tier.manifest.now_ms += rng.choice((0, 500, 3_000, 20_000))
            if rng.random() < 0.3:
                with suppress(ConnectionError, TimeoutError):
                    await tier.collector.run()
            tier.consistent()
        tier.manifest.before = tier.manifest.after = lambda method: None
        tier.store.lose_puts_after_storing, tier.store.failing_puts = False, None
        for _ in range(3):
            await tier.offload.run(log, tier, at_once=True)
        await tier.drained()
        assert list(tier.cold) == await tier.manifest.committed(log.topic_id, 0)
        assert tier.spans() == [(file.base, file.end) for file in log.files]
        assert set(tier.store.objects) == {segment.key for segment in tier.cold}
        assert len(tier.manifest.rows) == len(tier.cold)

    run(tmp_path, scenario)


def test_segments_stay_in_order_whatever_order_they_come_in() -> None:
    segments = [segment_of(20, 30), segment_of(0, 10), segment_of(10, 20)]
    held: tuple[ColdSegment, ...] = ()
    for segment in segments:
        held = with_segment(held, segment)
    assert [segment.base for segment in held] == [0, 10, 20]
