"""What `append` takes and refuses, what it writes, and when it rolls."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from coldstream.storage.batch import crc_agrees, iterate_headers, parse_header
from coldstream.storage.errors import (
    CorruptBatch,
    InvalidProducerEpoch,
    InvalidRecord,
    InvalidTimestamp,
    LogClosed,
    MessageTooLarge,
    OutOfOrderSequence,
    Refused,
    TransactionsUnsupported,
    UnsupportedMagic,
)
from coldstream.storage.records import decode_records
from crc32c import crc32c

from .local_log import NOW_MS, CountedDisk, Place, batch_of, read_all, values_of


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def patched(batch: memoryview, at: int, form: str, value: int, *, with_crc: bool = True) -> memoryview:
    struct.pack_into(form, batch, at, value)
    if with_crc:
        struct.pack_into(">I", batch, 17, crc32c(batch[21:]))
    return batch


REFUSALS: dict[str, tuple[Callable[[], memoryview], type[Refused], str]] = {
    "nothing": (lambda: memoryview(bytearray()), CorruptBatch, "0 bytes"),
    "a cut-off header": (lambda: batch_of(b"v")[:60], CorruptBatch, "60 bytes"),
    "a cut-off batch": (lambda: batch_of(b"v")[:-1], CorruptBatch, "exactly one batch"),
    "two batches": (
        lambda: memoryview(bytearray(bytes(batch_of(b"a")) + bytes(batch_of(b"b")))),
        CorruptBatch,
        "exactly one batch",
    ),
    "message format v1": (lambda: patched(batch_of(b"v"), 16, ">b", 1), UnsupportedMagic, "v1"),
    "message format v3": (lambda: patched(batch_of(b"v"), 16, ">b", 3), UnsupportedMagic, "v3"),
    "a flipped bit": (lambda: patched(batch_of(b"value"), 70, ">b", 1, with_crc=False), CorruptBatch, "CRC-32C"),
    "too large": (lambda: batch_of(b"x" * 2000), MessageTooLarge, "max.message.bytes is 1500"),
    "a control batch": (lambda: batch_of(b"v", control=True), InvalidRecord, "control"),
    "a transaction": (
        lambda: batch_of(b"v", transactional=True, producer_id=1, producer_epoch=0, base_sequence=0),
        TransactionsUnsupported,
        "transactions",
    ),
    "codec 5": (lambda: patched(batch_of(b"v"), 21, ">H", 5), InvalidRecord, "codec 5"),
    "codec 7": (lambda: patched(batch_of(b"v"), 21, ">H", 7), InvalidRecord, "codec 7"),
    "unknown attributes": (lambda: patched(batch_of(b"v"), 21, ">H", 0x100), InvalidRecord, "0x0100"),
    "LogAppendTime": (lambda: patched(batch_of(b"v"), 21, ">H", 8), InvalidTimestamp, "LogAppendTime"),
    "no records": (lambda: patched(patched(batch_of(b"v"), 57, ">i", 0), 23, ">i", -1), InvalidRecord, "0 records"),
    "a gap in its offsets": (lambda: patched(batch_of(b"a", b"b"), 23, ">i", 4), InvalidRecord, "delta of 4"),
    "a count below": (lambda: patched(batch_of(b"a", b"b"), 57, ">i", 1), InvalidRecord, "1 records"),
    "more records than bytes": (
        lambda: patched(patched(batch_of(b"v"), 57, ">i", 1000), 23, ">i", 999),
        InvalidRecord,
        "1000 records do not fit",
    ),
    "absurdly many compressed records": (
        lambda: patched(patched(batch_of(b"v", compression="zstd"), 57, ">i", 2**30), 23, ">i", 2**30 - 1),
        InvalidRecord,
        "do not fit",
    ),
    "the future": (lambda: batch_of(b"v", first_ms=NOW_MS + 3_600_001), InvalidTimestamp, "after.max.ms is 3600000"),
    "a producer without an epoch": (
        lambda: batch_of(b"v", producer_id=5, producer_epoch=-1, base_sequence=0),
        InvalidRecord,
        "producer id 5",
    ),
    "a producer without a sequence": (
        lambda: batch_of(b"v", producer_id=5, producer_epoch=0, base_sequence=-1),
        InvalidRecord,
        "sequence -1",
    ),
    "a negative producer": (lambda: batch_of(b"v", producer_id=-2), InvalidRecord, "producer id -2"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_wrong_is_refused_by_name_and_changes_nothing(place: Place, name: str) -> None:
    make, error, says = REFUSALS[name]
    log = place.open(max_message_bytes=1500)
    with pytest.raises(error, match=says):
        log.append(make(), NOW_MS)
    assert (log.end, log.hot_bytes, log.is_flushed) == (0, 0, True)
    assert log.append(batch_of(b"fine"), NOW_MS).base_offset == 0


def test_every_single_flipped_bit_is_noticed(place: Place) -> None:
    """Only what the broker overwrites (base offset, leader epoch) may differ from what was checksummed."""
    log, good = place.open(), batch_of(b"value")
    for position in range(len(good)):
        for bit in (0x01, 0x80):
            changed = memoryview(bytearray(good))
            changed[position] ^= bit
            if position < 8 or 12 <= position < 16:
                continue
            with pytest.raises(Refused):
                log.append(changed, NOW_MS)
    assert log.end == 0


def test_old_records_are_refused_only_where_the_topic_says_so(place: Place) -> None:
    old = {"first_ms": NOW_MS - 5000}
    assert place.open(0).append(batch_of(b"v", **old), NOW_MS).base_offset == 0
    strict = place.open(1, timestamp_before_max_ms=4000)
    with pytest.raises(InvalidTimestamp, match=r"5000 ms old: message.timestamp.before.max.ms is 4000"):
        strict.append(batch_of(b"v", **old), NOW_MS)
    assert strict.append(batch_of(b"v", first_ms=-1, step_ms=0), NOW_MS).base_offset == 0  # no timestamp at all


def test_offsets_and_epoch_are_patched_in_place_and_nothing_else(place: Place) -> None:
    log = place.open(leader_epoch=7)
    log.append(batch_of(b"a", b"b", b"c"), NOW_MS)
    batch = batch_of(b"d", b"e", compression="lz4")
    before = bytes(batch)
    appended = log.append(batch, NOW_MS)
    assert (appended.base_offset, appended.last_offset, appended.log_append_time_ms) == (3, 4, -1)
    header = parse_header(batch)
    assert (header.base_offset, header.leader_epoch) == (3, 7)
    assert crc_agrees(batch, header)
    assert bytes(batch)[8:12] + bytes(batch)[16:] == before[8:12] + before[16:]


def test_log_append_time_is_stamped_with_a_new_crc(place: Place) -> None:
    log = place.open(log_append_time=True)
    appended = log.append(batch_of(b"a", b"b", first_ms=5), NOW_MS)
    assert appended.log_append_time_ms == NOW_MS
    place.commit(log)
    records = read_all(log)
    assert [record.timestamp_ms for record in records] == [NOW_MS, NOW_MS]
    (_, header), *_ = iterate_headers(log.read(0, 1000))
    assert crc_agrees(log.read(0, 1000), header)
    assert log.max_timestamp() == (0, NOW_MS)


def test_the_file_holds_the_clients_bytes(place: Place) -> None:
    log = place.open()
    batches = [batch_of(b"%d" % i * 10, compression=codec) for i, codec in enumerate(("none", "gzip", "zstd"))]
    for batch in batches:
        log.append(batch, NOW_MS)
    place.commit(log)
    assert (place.directory() / f"{0:020d}.log").read_bytes() == b"".join(batches) == bytes(log.read(0, 10**6))


def test_one_writev_for_each_log_and_flush_and_nothing_per_append(tmp_path: Path) -> None:
    disk = CountedDisk()
    place = Place(tmp_path, disk)
    logs = [place.open(i) for i in range(3)]
    for log in logs:
        log.append(batch_of(b"first"), NOW_MS)
    place.commit(*logs)
    disk.calls.clear()
    for _ in range(100):
        for log in logs:
            log.append(batch_of(b"v" * 50, producer_id=-1), NOW_MS)
    assert disk.counts() == {}
    for log in logs:
        log.flush()
    assert disk.counts() == {"writev": 3}


def test_a_thousand_and_more_slices_are_written_in_order(place: Place) -> None:
    log = place.open()
    for i in range(2500):
        log.append(batch_of(b"%d" % i), NOW_MS)
    place.commit(log)
    assert values_of(log) == [b"%d" % i for i in range(2500)]


def test_a_flush_with_nothing_queued_does_nothing(tmp_path: Path) -> None:
    disk = CountedDisk()
    log = Place(tmp_path, disk).open()
    disk.calls.clear()
    log.flush()
    assert disk.counts() == {}


def test_a_partition_without_records_has_no_file(place: Place) -> None:
    log = place.open()
    assert place.names() == set()
    log.close()
    assert place.names() == set()
    assert place.open().end == 0


def test_duplicates_get_the_original_answer_and_are_not_written(place: Place) -> None:
    log = place.open()
    fields = {"producer_id": 9, "producer_epoch": 0}
    log.append(batch_of(b"other"), NOW_MS)
    for i in range(5):
        log.append(batch_of(b"a", b"b", base_sequence=i * 2, **fields), NOW_MS)
    end = log.end
    for i in range(5):
        again = log.append(batch_of(b"a", b"b", base_sequence=i * 2, **fields), NOW_MS)
        assert (again.base_offset, again.last_offset, again.duplicate) == (1 + i * 2, 2 + i * 2, True)
    assert log.end == end
    with pytest.raises(OutOfOrderSequence):
        log.append(batch_of(b"gap", base_sequence=11, **fields), NOW_MS)
    log.append(batch_of(b"new epoch", base_sequence=0, producer_id=9, producer_epoch=1), NOW_MS)
    with pytest.raises(InvalidProducerEpoch):
        log.append(batch_of(b"zombie", base_sequence=10, **fields), NOW_MS)


def test_internal_batches_may_be_what_clients_may_not_send(place: Place) -> None:
    log = place.open(max_message_bytes=100)
    log.append_internal(bytes(batch_of(b"x" * 500, control=True)), NOW_MS)
    log.append_internal(bytes(batch_of(b"plain")), NOW_MS)
    with pytest.raises(CorruptBatch):
        log.append_internal(bytes(batch_of(b"x"))[:-1], NOW_MS)
    place.commit(log)
    assert len(decode_records(log.read(0, 10**6))) == 2


# --- rolls


def test_a_segment_rolls_before_it_would_grow_too_large(place: Place) -> None:
    size = len(batch_of(b"x" * 100))
    log = place.open(segment_bytes=3 * size)
    for i in range(7):
        log.append(batch_of(b"%d" % i * 100), NOW_MS)
    place.commit(log)
    assert [(s.base, s.end, s.size_bytes) for s in log.sealed_segments()] == [(0, 3, 3 * size), (3, 6, 3 * size)]
    assert values_of(log) == [b"%d" % i * 100 for i in range(7)]


def test_a_batch_larger_than_a_segment_has_one_of_its_own(place: Place) -> None:
    log = place.open(segment_bytes=200)
    for value in (b"a", b"b" * 1000, b"c"):
        log.append(batch_of(value), NOW_MS)
    place.commit(log)
    assert [(s.base, s.end) for s in log.sealed_segments()] == [(0, 1), (1, 2)]


def test_relative_offsets_never_leave_32_bits(place: Place) -> None:
    log = place.open(max_message_bytes=2**31)
    huge = patched(patched(batch_of(b"v" * 50, compression="lz4"), 57, ">i", 2**24), 23, ">i", 2**24 - 1)
    for _ in range(130):
        log.append(memoryview(bytearray(huge)), NOW_MS)
    assert log.end == 130 * 2**24
    assert all(segment.end - segment.base <= 2**31 for segment in log.segments)
    assert len(log.segments) == 2


def test_the_clock_rolls_an_idle_segment(place: Place) -> None:
    log = place.open(segment_ms=1000)
    assert not log.roll_if_due(NOW_MS + 10_000)  # empty
    log.append(batch_of(b"v"), NOW_MS)
    place.commit(log)
    assert not log.roll_if_due(NOW_MS + 999)
    assert log.roll_if_due(NOW_MS + 1000)
    assert not log.roll_if_due(NOW_MS + 9000)
    assert [(s.base, s.end) for s in log.sealed_segments()] == [(0, 1)]


def test_timestamps_roll_a_segment_that_is_worth_it(place: Place) -> None:
    """A year of old records must not become a file an hour; a mebibyte may."""
    day_ms, log = 86_400_000, place.open(segment_ms=3_600_000)
    for i in range(200):
        log.append(batch_of(b"x" * 10_000, first_ms=NOW_MS - (300 - i) * day_ms), NOW_MS)
    place.commit(log)
    assert [s.base for s in log.sealed_segments()] == [0]
    assert log.sealed_segments()[0].size_bytes >= 2**20


def test_a_roll_in_the_middle_of_a_queue_keeps_everything_in_order(tmp_path: Path) -> None:
    disk = CountedDisk()
    place = Place(tmp_path, disk)
    log = place.open(segment_bytes=500)
    for i in range(40):
        log.append(batch_of(b"%d" % i * 20), NOW_MS)
    disk.calls.clear()
    log.flush()
    assert disk.counts()["writev"] == len(log.segments)
    place.commit(log)
    assert values_of(log) == [b"%d" % i * 20 for i in range(40)]


def test_a_closed_log_takes_nothing(place: Place) -> None:
    log = place.open()
    log.close()
    with pytest.raises(LogClosed):
        log.append(batch_of(b"v"), NOW_MS)
    with pytest.raises(LogClosed):
        log.read(0, 10)
    log.close()


def test_a_changed_configuration_applies_from_the_next_append_on(place: Place) -> None:
    from coldstream.storage.config import LogConfig

    log = place.open()
    log.append(batch_of(b"x" * 500), NOW_MS)
    log.set_config(LogConfig(max_message_bytes=100, segment_bytes=600))
    with pytest.raises(MessageTooLarge):
        log.append(batch_of(b"x" * 500), NOW_MS)
    log.append(batch_of(b"x" * 30), NOW_MS)
    assert len(log.segments) == 2
