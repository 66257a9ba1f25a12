"""What a tenant can make of its own compacted topic must cost neither the topic its compaction nor others theirs."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from coldstream.storage.batch import HEADER_BYTES
from coldstream.storage.cleaning import Clean
from coldstream.storage.cold_tasks import ColdTasks
from coldstream.storage.compaction import plan_compaction
from coldstream.storage.compactor import CompactionOutcome, compact, file_of
from coldstream.storage.config import LogConfig
from coldstream.storage.log import Log
from coldstream.storage.readable_log import SealedSegment
from coldstream.storage.record_spans import encode_varint, problem_with_keys

from .local_log import NOW_MS, Place
from .memory_store import MemoryStore
from .test_compaction import CONFIG, HereCleaner, keyed, left_in, place_at, run_pass, segment_of, with_crc


def with_delta(encoded_delta: bytes) -> memoryview:
    """A batch of two records of the key `a`, the second with this timestamp delta."""
    batch = bytearray(keyed((b"a", b"1"), (b"a", None)))
    first_bytes = 1 + batch[HEADER_BYTES] // 2
    fields = b"\0" + encoded_delta + encode_varint(1) + encode_varint(1) + b"a" + encode_varint(-1) + encode_varint(0)
    batch[HEADER_BYTES + first_bytes :] = encode_varint(len(fields)) + fields
    batch[8:12] = (len(batch) - 12).to_bytes(4, "big")
    return memoryview(with_crc(batch))


@pytest.mark.parametrize(
    "delta", [encode_varint(2**63 - 1), encode_varint(-(2**63)), b"\xff" * 9 + b"\x7f"], ids=["future", "past", "long"]
)
def test_a_timestamp_that_no_header_can_hold_keeps_no_topic_from_being_compacted(tmp_path: Path, delta: bytes) -> None:
    batch = with_delta(delta)
    assert "cannot be read" in str(problem_with_keys(batch))
    place = place_at(tmp_path)
    log = place.open(**CONFIG)  # produced before the topic was compacted: then nobody looks
    segment_of(place, log, keyed((b"b", b"1")), batch, keyed((b"b", b"2")))
    segment_of(place, log, keyed((b"a", b"2")))
    outcome = run_pass(place, log)
    assert outcome.unreadable_batches == 1 and log.clean_below == 5
    assert sum(segment.size for segment in log.segments) > 0 and log.read_blocking(1, 2**20)


def test_a_pass_covers_no_more_segments_than_can_be_spoken_of() -> None:
    config = LogConfig(compacted=True)
    sealed = [SealedSegment(at, at + 1, 100, 0, 0, Path(f"/{at}"), 0) for at in range(50_000)]
    began_s = time.process_time()
    plan = plan_compaction(sealed, config, NOW_MS, clean_below=0, checkpointed=2**40, log_start=0, cold_end=0)
    assert time.process_time() - began_s < 0.5
    assert len(plan.dirty) == 1_000 and plan.dirty_to == 1_000
    plan = plan_compaction(sealed, config, NOW_MS, clean_below=49_500, checkpointed=2**40, log_start=0, cold_end=0)
    assert len(plan.dirty) == 500 and len(plan.targets) == 50_000


def test_a_pass_that_is_cancelled_ends_when_the_segment_is_in_place_and_not_before(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    log = place.open(**CONFIG)
    segment_of(place, log, keyed((b"a", b"1"), (b"a", b"2")))
    begun, go_on = threading.Event(), threading.Event()
    replace = Log.replace_segment

    def slow(self: Log, *arguments: Any) -> bool:
        begun.set()
        go_on.wait(10)
        return replace(self, *arguments)

    async def scenario() -> None:
        work = asyncio.create_task(
            compact(log, HereCleaner(place), LogConfig(**CONFIG), NOW_MS, CompactionOutcome(), keys_max=100)
        )
        await asyncio.to_thread(begun.wait, 10)
        work.cancel()
        done, _ = await asyncio.wait({work}, timeout=0.05)
        assert not done, "whoever waits for the pass would take the segment for one that stays as it is"
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert log.segments[0].size < before

    before = log.segments[0].size
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Log, "replace_segment", slow)
        asyncio.run(scenario())
    assert left_in(log) == {1: (b"a", b"2")}


def test_an_estimate_in_between_costs_a_pass_no_second_look_at_its_keys(tmp_path: Path) -> None:
    place = Place(tmp_path)
    log = place.open(**CONFIG)
    for value in range(3):
        segment_of(place, log, keyed((b"a", b"%d" % value), (b"b", b"%d" % value)))
    log.checkpoint(NOW_MS)
    files = tuple(map(file_of, log.sealed_segments()))

    def request(pass_id: UUID, target: int, write: bool) -> Clean:
        return Clean(
            pass_id=pass_id,
            dirty=files,
            dirty_from=0,
            dirty_to=6,
            target=files[target],
            write=write,
            now_ms=NOW_MS,
            delete_retention_ms=0,
            tombstones_may_go=False,
            kept_ends=(),
            index_interval_bytes=100,
            keys_max=100,
            is_last=False,
        )

    async def scenario() -> None:
        tasks = ColdTasks(MemoryStore(), tmp_path / "work", cache_bytes_max=2**20, cache_files_max=10)
        compaction, preview = uuid4(), uuid4()
        assert (await tasks.clean(request(compaction, 0, True))).records == 0
        assert (await tasks.clean(request(preview, 0, False))).records == 0
        Path(files[2].path).unlink()  # no map can be made again
        assert (await tasks.clean(request(compaction, 1, True))).records == 0
        assert (await tasks.clean(request(preview, 1, False))).records == 0

    asyncio.run(scenario())
