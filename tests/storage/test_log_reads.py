"""What readers see, and what it costs."""

import os
import random
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from coldstream.storage.batch import iterate_headers
from coldstream.storage.errors import BelowLocalStart, CorruptLog, OffsetOutOfRange, WouldBlock
from coldstream.storage.log import Log
from coldstream.storage.records import decode_records

from .local_log import NOW_MS, CountedDisk, Place, UnsyncedDisk, batch_of, read_all, read_some, values_of


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def filled(place: Place, count: int = 200, **config: int) -> Log:
    """Batches of 1 to 5 records, all durable."""
    log = place.open(**{"segment_bytes": 5000, "index_interval_bytes": 300, **config})
    for i in range(count):
        log.append(batch_of(*(b"%d.%d" % (i, j) for j in range(i % 5 + 1)), first_ms=NOW_MS + 10 * i), NOW_MS + 10 * i)
        if i % 9 == 0:
            log.flush()
    place.commit(log)
    return log


def test_nothing_above_the_durable_offset_is_read(place: Place) -> None:
    log = place.open()
    log.append(batch_of(b"a"), NOW_MS)
    place.commit(log)
    log.append(batch_of(b"b"), NOW_MS)
    assert (log.durable, log.end) == (1, 2)
    log.flush()
    assert values_of(log) == [b"a"]
    assert log.read(1, 1000) == log.read(2, 1000) == b""
    with pytest.raises(OffsetOutOfRange, match=r"offset 3 is outside \[0, 1\)"):
        log.read(3, 1000)
    with pytest.raises(OffsetOutOfRange):
        log.read(-1, 1000)
    place.commit(log)
    assert values_of(log) == [b"a", b"b"]


@pytest.mark.parametrize("max_bytes", [1, 61, 100, 333, 1000, 4096, 10**6])
def test_every_offset_is_found_and_reads_are_whole_batches(place: Place, max_bytes: int) -> None:
    log = filled(place)
    order = list(range(log.end))
    random.Random(max_bytes).shuffle(order)
    for offset in order[:150]:
        data = read_some(log, offset, max_bytes)
        headers = [header for _, header in iterate_headers(data)]
        assert headers[0].base_offset <= offset <= headers[0].last_offset
        assert sum(header.size_bytes for header in headers) == len(data)
        assert len(data) <= max_bytes or len(headers) == 1
        assert all(a.end_offset == b.base_offset for a, b in pairwise(headers))
        follows = headers[-1].end_offset
        if follows < log.end and len(data) < max_bytes:  # the next batch would not have fitted, or another file begins
            following = next(iterate_headers(read_some(log, follows, 1)))[1]
            assert len(data) + following.size_bytes > max_bytes or follows in {s.base for s in log.segments}


def test_without_at_least_one_a_large_batch_is_left_out(place: Place) -> None:
    log = place.open()
    log.append(batch_of(b"x" * 1000), NOW_MS)
    place.commit(log)
    assert log.read(0, 500, at_least_one=False) == b""
    assert len(log.read(0, 500)) > 1000
    assert len(log.read(0, 5000, at_least_one=False)) > 1000


def test_a_sequential_reader_costs_one_system_call_a_read(tmp_path: Path) -> None:
    disk = CountedDisk()
    place = Place(tmp_path, disk)
    log = filled(place, 400, segment_bytes=10**6)
    offset = parse_end(log.read(0, 2000))
    disk.calls.clear()
    reads = 0
    while offset < log.end:
        offset = parse_end(log.read(offset, 2000))
        reads += 1
    assert disk.counts() == {"preadv": reads} and reads > 5


def parse_end(data: bytearray) -> int:
    return [header for _, header in iterate_headers(data)][-1].end_offset


def test_the_loop_never_opens_a_sealed_file(tmp_path: Path) -> None:
    disk = CountedDisk()
    place = Place(tmp_path, disk)
    filled(place).close(clean=True)
    place.restart()
    log = place.open(segment_bytes=5000)
    disk.calls.clear()
    for segment in log.segments:
        with pytest.raises(WouldBlock):
            log.read(segment.base, 1000)
    assert disk.counts() == {}
    assert len(read_all(log)) == log.end
    disk.calls.clear()
    for segment in log.segments:
        assert log.read(segment.base, 1000)
    assert set(disk.counts()) == {"preadv"}


def test_bytes_that_are_not_in_the_page_cache_are_left_to_a_thread(place: Place) -> None:
    log = filled(place, 500, segment_bytes=10**7)
    fd = os.open(place.directory() / f"{0:020d}.log", os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)
    try:
        log.read(0, 10**6)
    except WouldBlock:
        pass
    else:
        pytest.skip("this file system keeps its pages")
    assert len(decode_records(log.read_blocking(0, 10**6))) == log.end
    assert len(decode_records(log.read(0, 10**6))) == log.end


def test_threads_read_while_the_log_goes_on(tmp_path: Path) -> None:
    """Appends, rolls, rounds, evictions and closing of descriptors beside two readers."""
    place = Place(tmp_path, UnsyncedDisk(), limit=16)
    log = place.open(segment_bytes=2000, index_interval_bytes=200)
    stop = threading.Event()
    wrong: list[str] = []
    reads = [0]

    def read(seed: int) -> None:
        rng = random.Random(seed)
        while not stop.is_set():
            start, end = log.local_start, log.durable
            if start >= end:
                continue
            offset = rng.randrange(start, end)
            try:
                records = decode_records(log.read_blocking(offset, rng.choice([1, 500, 5000])))
            except (BelowLocalStart, OffsetOutOfRange):
                continue
            reads[0] += 1
            if not records or any(record.value != b"%d" % record.offset for record in records):
                wrong.append(f"{offset}: {records[:3]}")

    threads = [threading.Thread(target=read, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for i in range(200):
        for _ in range(5):
            log.append(batch_of(*(b"%d" % (log.end + j) for j in range(i % 3 + 1))), NOW_MS)
        place.commit(log)
        if i % 20 == 19:
            log.checkpoint(NOW_MS)
            log.drop_local_below(log.end - 300)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == [] and reads[0] > 50
    assert len(place.files) <= 16


def test_what_left_local_disk_is_for_the_cold_tier(place: Place) -> None:
    log = filled(place)
    second = log.sealed_segments()[1]
    log.drop_local_below(second.end)
    with pytest.raises(BelowLocalStart) as raised:
        log.read(0, 100)
    assert raised.value.next_local == log.local_start == second.end
    log.advance_log_start(log.local_start + 3)
    with pytest.raises(OffsetOutOfRange):
        log.read(0, 100)
    with pytest.raises(OffsetOutOfRange):
        log.advance_log_start(log.end + 1)
    log.advance_log_start(0)
    assert log.log_start == log.local_start + 3


def test_a_damaged_file_is_an_error_and_not_garbage(place: Place) -> None:
    log = filled(place, segment_bytes=10**6)
    path = place.directory() / f"{0:020d}.log"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises((CorruptLog, WouldBlock)):
        log.read(log.end - 1, 1000)
    with pytest.raises(CorruptLog):
        log.read_blocking(log.end - 1, 1000)


def test_readable_bytes_is_never_too_few(place: Place) -> None:
    log = filled(place)
    total = sum(len(read_some(log, s.base, 10**9)) for s in log.segments)
    assert log.readable_bytes(0) >= total
    assert log.readable_bytes(log.durable) == log.readable_bytes(log.durable + 5) == 0
    for offset in range(0, log.end, 7):
        at, left = offset, 0
        while data := read_some(log, at, 10**9):
            left += len(data)
            at = decode_records(data)[-1].offset + 1
        assert log.readable_bytes(offset) >= left


# --- by time


def test_a_timestamp_finds_the_first_record_that_is_late_enough(place: Place) -> None:
    log = filled(place)
    for after_restart in (False, True):
        if after_restart:
            log.close()
            log = place.open()
        records = read_all(log)
        for ms in range(NOW_MS - 5, NOW_MS + 2010, 37):
            expected = next(((r.offset, r.timestamp_ms) for r in records if r.timestamp_ms >= ms), None)
            assert log.offset_for_timestamp(ms) == expected
        newest = max(records, key=lambda record: (record.timestamp_ms, -record.offset))
        assert log.max_timestamp() == (newest.offset, newest.timestamp_ms)


def test_timestamps_out_of_order_are_found_too(place: Place) -> None:
    rng = random.Random(5)
    log = place.open(segment_bytes=3000, index_interval_bytes=100)
    for _ in range(150):
        log.append(batch_of(b"a", b"b", first_ms=NOW_MS - rng.randrange(10**6), step_ms=rng.randrange(-50, 50)), NOW_MS)
    place.commit(log)
    log.advance_log_start(17)
    records = [record for record in read_all(log) if record.offset >= 17]
    for _ in range(100):
        ms = NOW_MS - rng.randrange(10**6)
        expected = next(((r.offset, r.timestamp_ms) for r in records if r.timestamp_ms >= ms), None)
        found = log.offset_for_timestamp(ms)
        # A header only promises its largest timestamp, and a client may have it lower than a record's.
        assert found == expected
    newest = max(records, key=lambda record: (record.timestamp_ms, -record.offset))
    assert log.max_timestamp() == (newest.offset, newest.timestamp_ms)


def test_undecodable_records_are_found_by_their_header(place: Place) -> None:
    log = place.open()
    broken = bytearray(batch_of(b"value" * 10, compression="zstd"))
    broken[61:] = os.urandom(len(broken) - 61)
    from crc32c import crc32c

    broken[17:21] = crc32c(memoryview(broken)[21:]).to_bytes(4, "big")
    log.append(memoryview(broken), NOW_MS)
    place.commit(log)
    assert log.offset_for_timestamp(NOW_MS) == log.max_timestamp() == (0, NOW_MS)


def test_an_empty_log_has_no_timestamps(place: Place) -> None:
    log = place.open()
    assert log.offset_for_timestamp(0) is None
    assert log.max_timestamp() is None
    log.append(batch_of(b"v"), NOW_MS)
    log.flush()
    assert log.offset_for_timestamp(0) is None  # not durable yet
