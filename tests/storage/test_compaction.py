"""What compaction keeps, batch by batch, and that putting a cleaned segment in place may be cut off at any step."""

import asyncio
import contextlib
import errno
import random
import threading
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from coldstream.storage.batch import CONTROL, DELETE_HORIZON, BatchHeader, iterate_headers
from coldstream.storage.cleaner import Cleaner
from coldstream.storage.cleaning import Clean, Cleaned, CompactionFailed
from coldstream.storage.compactor import CompactionOutcome, compact, estimate
from coldstream.storage.config import LogConfig
from coldstream.storage.errors import DecodeFailed
from coldstream.storage.log import Log
from coldstream.storage.offset_map import OffsetMap
from coldstream.storage.record_spans import decompressed, encode_varint, problem_with_keys, record_spans
from coldstream.storage.records import Record, build_batch, decode_records
from coldstream.storage.violations import violations
from hypothesis import given
from hypothesis import strategies as st

from ..faults.lossy_disk import LossyDisk
from .local_log import NOW_MS, Place, UnsyncedDisk, read_some

DAY_MS = 86_400_000
CONFIG = {"compacted": True, "tiered": False, "index_interval_bytes": 100}


class HereCleaner:
    """The cold worker's part, in this process; it may end after any segment, and then knows nothing any more."""

    def __init__(self, place: Place, *, forgets: bool = False) -> None:
        self._disk, self._forgets = place.disk, forgets
        self.cleaner = Cleaner(place.disk)
        self.requests: list[Clean] = []

    async def clean(self, request: Clean) -> Cleaned:
        if self._forgets:
            self.cleaner = Cleaner(self._disk)
        self.requests.append(request)
        return self.cleaner.clean(request)


def place_at(tmp_path: Path) -> Place:
    return Place(tmp_path, LossyDisk(str(tmp_path)))


def keyed(*pairs: tuple[bytes | None, bytes | None], first_ms: int = NOW_MS, **fields: Any) -> memoryview:
    records = [Record(0, first_ms + at, *pair) for at, pair in enumerate(pairs)]
    return memoryview(bytearray(build_batch(records, **fields)))


def segment_of(place: Place, log: Log, *batches: memoryview) -> None:
    """One sealed, durable segment of these batches."""
    for batch in batches:
        log.append(batch, NOW_MS)
    place.commit(log)
    log.seal(NOW_MS)


def run_pass(place: Place, log: Log, *, now_ms: int = NOW_MS, keys_max: int = 1000, **more: Any) -> CompactionOutcome:
    outcome = CompactionOutcome()
    cleaner = more.pop("cleaner", None) or HereCleaner(place)
    config = LogConfig(**{**CONFIG, **more.pop("config", {})})
    asyncio.run(compact(log, cleaner, config, now_ms, outcome, keys_max=keys_max, **more))
    return outcome


def raw_of(log: Log) -> bytes:
    found, offset = b"", max(log.log_start, log.local_start)
    while raw := read_some(log, offset):
        found += raw
        *_, (_, last) = iterate_headers(raw)
        offset = last.end_offset
    return found


def headers_of(log: Log) -> list[BatchHeader]:
    return [header for _, header in iterate_headers(raw_of(log))]


def left_in(log: Log) -> dict[int, tuple[bytes | None, bytes | None]]:
    return {record.offset: (record.key, record.value) for record in decode_records(raw_of(log))}


# --- what is kept


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_what_stays_of_a_batch_keeps_offset_time_codec_and_sequence(tmp_path: Path, codec: str) -> None:
    place = place_at(tmp_path)
    log = place.open(**CONFIG)
    fields = {"compression": codec, "producer_id": 7, "producer_epoch": 3, "base_sequence": 0}
    batch = keyed((b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"c", b"4"), (b"c", b"5"), **fields)
    segment_of(place, log, batch)
    before = headers_of(log)[0]
    run_pass(place, log)
    (after,) = headers_of(log)
    assert left_in(log) == {1: (b"b", b"2"), 2: (b"a", b"3"), 4: (b"c", b"5")}
    times = [(record.offset, record.timestamp_ms) for record in decode_records(raw_of(log))]
    assert times == [(1, NOW_MS + 1), (2, NOW_MS + 2), (4, NOW_MS + 4)]
    assert after._replace(length=0, crc=0, record_count=0) == before._replace(length=0, crc=0, record_count=0)
    assert (after.record_count, after.max_timestamp_ms) == (3, NOW_MS + 4)
    assert list(violations(log)) == []


def test_records_of_the_active_segment_hide_nothing_yet(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    log = place.open(**CONFIG)
    segment_of(place, log, keyed((b"a", b"1")), keyed((b"b", b"2")))
    log.append(keyed((b"a", b"3")), NOW_MS)
    place.commit(log)
    assert run_pass(place, log).segments_rewritten == 0
    assert left_in(log) == {0: (b"a", b"1"), 1: (b"b", b"2"), 2: (b"a", b"3")}


def test_an_emptied_batch_stays_at_the_end_of_a_segment_and_for_the_last_of_a_producer(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    log = place.open(**CONFIG)
    fields = {"producer_epoch": 0, "base_sequence": 0, "compression": "gzip"}
    first = keyed((b"a", b"1"), (b"a", b"2"), producer_id=1, **fields)
    segment_of(place, log, first, keyed((b"a", b"3")), keyed((b"a", b"4")))
    segment_of(place, log, keyed((b"a", b"5")))
    run_pass(place, log)
    kept = [(h.base_offset, h.end_offset, h.record_count, h.producer_id, h.attributes) for h in headers_of(log)]
    assert kept == [(0, 2, 0, 1, 0), (3, 4, 0, -1, 0), (4, 5, 1, -1, 0)]
    assert headers_of(log)[0].max_timestamp_ms == NOW_MS + 1 and headers_of(log)[0].first_timestamp_ms == -1
    assert log.append(keyed((b"a", b"1"), (b"a", b"2"), producer_id=1, **fields), NOW_MS).duplicate
    assert log.max_timestamp() == (4, NOW_MS)  # an emptied batch holds no record with the time it names
    assert run_pass(place, log).segments_rewritten == 0


def test_records_without_key_go_and_control_batches_and_unreadable_ones_stay(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    log = place.open(**CONFIG)
    log.append(keyed((None, b"no key"), (b"a", b"1")), NOW_MS)
    log.append_internal(build_batch([Record(0, NOW_MS, b"\0\0\0\1", b"")], control=True, producer_id=4), NOW_MS)
    log.append(keyed((b"a", b"2")), NOW_MS)
    garbled = bytearray(keyed((b"a", b"3")))
    garbled[61] = 0x7F
    log.append_internal(bytes(with_crc(garbled)), NOW_MS)
    segment_of(place, log, keyed((b"b", None), first_ms=NOW_MS - 5 * DAY_MS), keyed((b"z", b"z")))
    outcome = run_pass(place, log)
    assert [(h.base_offset, h.record_count) for h in headers_of(log)] == [(2, 1), (3, 1), (4, 1), (5, 1), (6, 1)]
    assert headers_of(log)[0].attributes & CONTROL and outcome.unreadable_batches == 1
    run_pass(place, log, now_ms=NOW_MS + 9 * DAY_MS)  # the unreadable one may hold what the tombstone hides
    assert [h.base_offset for h in headers_of(log)] == [2, 3, 4, 5, 6]


def with_crc(batch: bytearray) -> bytearray:
    from coldstream.storage.batch import CRC_AT, CRC_COVERS_FROM
    from crc32c import crc32c

    batch[CRC_AT:CRC_COVERS_FROM] = crc32c(memoryview(batch)[CRC_COVERS_FROM:]).to_bytes(4, "big")
    return batch


@pytest.mark.parametrize("append_time", [False, True])
def test_a_tombstone_is_stamped_by_the_first_pass_and_goes_once_its_time_has_come(
    tmp_path: Path, append_time: bool
) -> None:
    place = place_at(tmp_path)
    log = place.open(**CONFIG, log_append_time=append_time)
    segment_of(place, log, keyed((b"a", b"1"), (b"b", b"2")))
    segment_of(place, log, keyed((b"a", None), (b"c", b"3"), compression="lz4"))
    before = [(record.offset, record.timestamp_ms) for record in decode_records(raw_of(log))][1:]
    run_pass(place, log)
    stamped = headers_of(log)[1]
    assert stamped.attributes & DELETE_HORIZON and stamped.delete_horizon_ms == NOW_MS + DAY_MS
    assert stamped.compression == "lz4"
    assert [(record.offset, record.timestamp_ms) for record in decode_records(raw_of(log))] == before
    assert left_in(log)[2] == (b"a", None)
    run_pass(place, log, now_ms=NOW_MS + DAY_MS - 1)
    assert left_in(log) == {1: (b"b", b"2"), 2: (b"a", None), 3: (b"c", b"3")}
    run_pass(place, log, now_ms=NOW_MS + DAY_MS)
    assert left_in(log) == {1: (b"b", b"2"), 3: (b"c", b"3")}
    # Neither age nor lookups by time take the horizon for a record's time.
    assert max(segment.max_timestamp_ms for segment in log.sealed_segments()) <= NOW_MS + 1
    assert log.offset_for_timestamp(NOW_MS + 2) is None
    log.close()
    place.restart()
    log = place.open(leader_epoch=2, **CONFIG)
    assert max(segment.max_timestamp_ms for segment in log.sealed_segments()) <= NOW_MS + 1
    assert list(violations(log)) == []


def test_a_tombstone_stays_while_something_older_may_hold_its_key(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    log = place.open(**CONFIG)
    segment_of(place, log, keyed((b"a", b"1")))
    segment_of(place, log, keyed((b"a", None)), keyed((b"b", b"2")))
    for now_ms in (NOW_MS, NOW_MS + 2 * DAY_MS, NOW_MS + 4 * DAY_MS):
        run_pass(place, log, now_ms=now_ms, cold_end=1)  # the first segment is in the cold tier
    assert left_in(log) == {0: (b"a", b"1"), 1: (b"a", None), 2: (b"b", b"2")}
    log.advance_log_start(1)
    run_pass(place, log, now_ms=NOW_MS + 4 * DAY_MS, cold_end=1)
    assert left_in(log) == {2: (b"b", b"2")}


def test_what_is_younger_than_the_lag_waits_and_all_behind_it(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    log = place.open(**CONFIG, min_compaction_lag_ms=10_000)
    for first_ms in (NOW_MS - 20_000, NOW_MS - 5_000, NOW_MS - 30_000):
        segment_of(place, log, keyed((b"a", b"x"), (b"a", b"y"), first_ms=first_ms))
    run_pass(place, log)
    assert list(left_in(log)) == [1, 2, 3, 4, 5] and log.clean_below == 2
    run_pass(place, log, now_ms=NOW_MS + 10_000)
    assert list(left_in(log)) == [5] and log.clean_below == 6


def test_only_what_a_restart_would_not_read_again_is_rewritten(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    log = place.open(**CONFIG)
    segment_of(place, log, keyed((b"a", b"1"), (b"a", b"2")))
    assert log.plan_compaction(NOW_MS, 0).targets == ()
    log.checkpoint(NOW_MS)
    plan = log.plan_compaction(NOW_MS, 0)
    assert [(each.base, each.end) for each in plan.targets] == [(0, 2)] and plan.dirty_ratio == 1.0


# --- passes


def test_more_keys_than_there_is_room_for_take_more_passes_and_end_the_same(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    log = place.open(**CONFIG)
    rng = random.Random(1)
    newest: dict[bytes, int] = {}
    for _ in range(8):
        pairs = [(b"%d" % rng.randrange(40), b"v") for _ in range(10)]
        for key, _ in pairs:
            newest[key] = log.end + pairs.index((key, b"v"))
        for at, (key, _) in enumerate(pairs):
            newest[key] = log.end + at
        segment_of(place, log, keyed(*pairs))
    passes = 0
    while log.clean_below < log.end:
        before = log.clean_below
        run_pass(place, log, keys_max=7)
        assert log.clean_below > before
        passes += 1
    assert passes > 5 and sorted(left_in(log)) == sorted(newest.values())


def test_a_worker_that_starts_anew_at_every_segment_comes_to_the_same(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    log = place.open(**CONFIG)
    for value in range(5):
        segment_of(place, log, keyed(*((b"%d" % key, b"%d" % value) for key in range(value, 6))))
    cleaner = HereCleaner(place, forgets=True)
    run_pass(place, log, cleaner=cleaner, keys_max=1000)
    assert dict(left_in(log).values()) == {b"%d" % k: b"%d" % min(k, 4) for k in range(6)}
    assert len(left_in(log)) == 6 and len({request.pass_id for request in cleaner.requests}) == 1


def test_where_a_pass_ended_is_known_after_a_restart_and_losing_it_costs_only_work(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    log = place.open(**CONFIG)
    segment_of(place, log, keyed((b"a", b"1"), (b"a", b"2")))
    run_pass(place, log)
    log.close()
    note = place.directory() / "cleaner-offset-checkpoint"
    assert note.read_text().split() == ["0", "1", place.directory().parent.name, "0", "2"]
    place.restart()
    log = place.open(leader_epoch=2, **CONFIG)
    assert log.clean_below == 2 and log.was_compacted
    log.close()
    note.write_text("0\n1\nrubbish\n")
    place.restart()
    log = place.open(leader_epoch=3, **CONFIG)
    assert log.clean_below == 0 and log.was_compacted and left_in(log) == {1: (b"a", b"2")}


def test_a_damaged_segment_ends_the_pass_and_is_left_as_it_is(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    log = place.open(**CONFIG)
    segment_of(place, log, keyed((b"a", b"1"), (b"a", b"2")))
    segment_of(place, log, keyed((b"a", b"3")))
    path = place.directory() / f"{0:020d}.log"
    content = bytearray(path.read_bytes())
    content[-1] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(CompactionFailed, match="CRC-32C"):
        run_pass(place, log)
    assert path.read_bytes() == content and log.clean_below == 0
    assert not [name for name in place.names() if name.endswith(".cleaned")]


def test_a_segment_that_retention_took_meanwhile_is_not_brought_back(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    log = place.open(**CONFIG)
    segment_of(place, log, keyed((b"a", b"1"), (b"a", b"2")))
    segment_of(place, log, keyed((b"a", b"3")))

    class Slow(HereCleaner):
        async def clean(self, request: Clean) -> Cleaned:
            cleaned = await super().clean(request)
            if request.target.base == 0:
                log.advance_log_start(2)
                log.drop_local_below(2)
            return cleaned

    run_pass(place, log, cleaner=Slow(place))
    assert left_in(log) == {2: (b"a", b"3")} and log.local_start == 2
    assert not [name for name in place.names() if name.startswith(f"{0:020d}.")]


def test_a_reader_that_has_the_old_file_finishes_and_others_find_the_new_one(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    log = place.open(**CONFIG)
    segment_of(place, log, *(keyed((b"a", b"%d" % at), (b"%d" % at, b"x" * 50)) for at in range(20)))
    log.checkpoint(NOW_MS)
    old = log.segments[0]
    before = log.read_blocking(0, 2**20)
    with log._files.pinned(old.file) as fd:
        run_pass(place, log)
        assert place.disk.pread(fd, old.size, 0) == before
        with pytest.raises(FileNotFoundError), log._files.pinned(old.file):
            pass
    log._files.reap()
    assert log.segments[0] is not old and len(raw_of(log)) < len(before)
    assert log.read_blocking(7, 2**20)  # a gap: the next batch
    assert len(log._files) <= 3


def test_readers_on_other_threads_never_notice_a_segment_being_replaced(tmp_path: Path) -> None:
    place = Place(tmp_path, UnsyncedDisk(), limit=16)
    log = place.open(**CONFIG)
    written: dict[int, tuple[bytes | None, bytes | None]] = {}
    for value in range(6):
        segment_of(place, log, keyed(*((b"%d" % key, b"%d" % value) for key in range(10)), compression="lz4"))
    written = left_in(log)
    done, wrong = threading.Event(), list[object]()

    def read() -> None:
        try:
            while not done.is_set():
                offset = 0
                while raw := log.read_blocking(offset, 500):
                    for record in decode_records(raw):
                        assert written[record.offset] == (record.key, record.value)
                    *_, (_, last) = iterate_headers(raw)
                    offset = last.end_offset
                assert offset == 60
                assert log.offset_for_timestamp(NOW_MS + 9) is not None and log.max_timestamp() is not None
        except BaseException as error:
            wrong.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        while log.clean_below < 60 and not wrong:
            run_pass(place, log, keys_max=6)
            log._files.reap()
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert wrong == []
    assert sorted(left_in(log)) == list(range(50, 60))


def test_an_estimate_is_what_a_pass_then_does_and_says_when_it_saw_only_a_part(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    log = place.open(**CONFIG)
    for value in range(4):
        segment_of(place, log, keyed((b"a", b"%d" % value), (b"%d" % value, b"v")))
    log.append(keyed((b"a", b"last"), (None, b"goes too")), NOW_MS)
    place.commit(log)
    config = LogConfig(**CONFIG)
    found = asyncio.run(estimate(log, HereCleaner(place), config, NOW_MS))
    assert (found.records, found.records_removable, found.partial) == (10, 5, False)
    assert asyncio.run(estimate(log, HereCleaner(place), config, NOW_MS, keys_max=2)).partial
    log.seal(NOW_MS)
    place.commit(log)
    outcome = run_pass(place, log)
    assert outcome.records_before - outcome.records_after == found.records_removable
    assert outcome.bytes_before - outcome.bytes_after == found.bytes_removable


# --- cut off

STEPS = ["open", "pread", "pwrite", "fsync", "fdatasync", "stat", "rename", "unlink", "sync_directory"]


@pytest.mark.parametrize("then", ["goes on", "kill", "power"])
@pytest.mark.parametrize("what", STEPS)
def test_a_pass_cut_off_at_any_step_leaves_every_newest_record(tmp_path: Path, what: str, then: str) -> None:
    """Fail the first call of a kind, then the second, and so on, until a pass has fewer of them."""
    for calls in range(100):
        root = tmp_path / str(calls)
        root.mkdir()
        place = place_at(root)
        log = place.open(**CONFIG)
        for value in range(3):
            segment_of(place, log, keyed(*((b"%d" % key, b"%d" % value) for key in range(value, 4))))
        written = left_in(log)
        place.disk.fail(what, errno.EIO, after=calls)
        failed = False
        try:
            run_pass(place, log)
        except (CompactionFailed, OSError):
            failed = True
        place.disk.heal()
        if then != "goes on":
            place.disk.crash(random.Random(calls)) if then == "power" else place.disk.kill()
            place.restart()
            log = place.open(leader_epoch=2, **CONFIG)
            assert not [name for name in place.names() if name.endswith(".cleaned")]
        left = left_in(log)
        assert left.items() <= written.items() and dict(left.values()).items() >= dict(written.values()).items()
        assert list(violations(log)) == [] and not log.recovery.lost
        log.seal(NOW_MS)  # the last file was taken for the active one
        place.commit(log)
        run_pass(place, log)
        assert len(left_in(log)) == 4 and dict(left_in(log).values()) == dict(written.values())
        place.disk.kill()
        if not failed:
            break
    else:
        pytest.fail("a pass of three segments has fewer steps than that")
    assert calls > 0


# --- parts


def test_a_map_of_offsets_is_a_dictionary_with_a_limit() -> None:
    made, model = OffsetMap(5_000), dict[bytes, int]()
    rng = random.Random(3)
    for offset in range(20_000):
        key = b"%d" % rng.randrange(8_000)
        assert made.put(key, offset) == (key in model or len(model) < 5_000)
        if key in model or len(model) < 5_000:
            model[key] = offset
    assert len(made) == len(model) == 5_000
    assert all(made.get(b"%d" % key) == model.get(b"%d" % key, -1) for key in range(8_000))


def test_a_map_takes_24_bytes_for_a_slot_and_half_as_much_again_while_it_grows() -> None:
    tracemalloc.start()
    try:
        made = OffsetMap(3 * 2**13)  # 2**15 slots
        for offset in range(40_000):
            made.put(b"key %d" % offset, offset)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2**15 * 24 * 1.1 and peak < 2**15 * 24 * 1.6


@given(st.integers(-(2**63), 2**63 - 1))
def test_varints_are_those_of_records(number: int) -> None:
    batch = build_batch([Record(0, 0, b"k", b"v"), Record(0, number, None, None)]) if abs(number) < 2**62 else None
    assert len(encode_varint(number)) <= 10
    if batch is not None:
        header = next(header for _, header in iterate_headers(batch))
        assert [span.timestamp_delta for span in record_spans(decompressed(batch, header), header)] == [0, number]


@given(
    st.lists(
        st.tuples(st.none() | st.binary(max_size=300), st.none() | st.binary(max_size=300)), min_size=1, max_size=20
    )
)
def test_spans_are_the_records(pairs: Sequence[tuple[bytes | None, bytes | None]]) -> None:
    batch = bytes(keyed(*pairs))
    header = next(header for _, header in iterate_headers(batch))
    data = decompressed(batch, header)
    spans = list(record_spans(data, header))
    assert [(span.key, span.has_value) for span in spans] == [(key, value is not None) for key, value in pairs]
    assert b"".join(data[span.start : span.end] for span in spans) == data
    assert (problem_with_keys(batch) is None) == all(key is not None for key, _ in pairs)


@given(st.data())
def test_spans_of_damaged_records_raise_or_lie_inside(data: st.DataObject) -> None:
    batch = bytearray(keyed((b"key", b"value"), (b"other", None), (b"third", b"v" * 200)))
    header = next(header for _, header in iterate_headers(batch))
    body = bytearray(batch[61:])
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DecodeFailed):
        at = 0
        for span in record_spans(bytes(body), header):
            assert span.start == at <= span.body <= span.rest <= span.end <= len(body)
            assert 0 <= span.offset_delta <= 2
            at = span.end
