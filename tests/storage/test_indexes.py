"""The sparse indexes and their files."""

import struct

import pytest
from coldstream.storage.offset_index import OffsetIndex, decode_offset_index
from coldstream.storage.time_index import TimeIndex, decode_time_index


def offset_index(*entries: tuple[int, int]) -> OffsetIndex:
    index = OffsetIndex()
    for offset, position in entries:
        index.append(offset, position)
    return index


def time_index(*entries: tuple[int, int]) -> TimeIndex:
    index = TimeIndex()
    for timestamp_ms, offset in entries:
        index.append_if_later(timestamp_ms, offset)
    return index


def test_a_lookup_starts_at_or_before_the_batch() -> None:
    index = offset_index((9, 500), (19, 1000), (29, 1500))
    assert [index.position_before(offset) for offset in (0, 8, 9, 18, 19, 1000)] == [0, 0, 500, 500, 1000, 1500]
    assert [index.boundary_at_or_before(position) for position in (0, 499, 500, 1400, 9999)] == [0, 0, 500, 1000, 1500]


def test_a_time_lookup_starts_before_the_first_record_that_is_late_enough() -> None:
    index = time_index((100, 5), (200, 9), (300, 20))
    assert [index.offset_before(ms) for ms in (0, 100, 101, 200, 201, 999)] == [0, 0, 5, 5, 9, 20]


def test_timestamps_that_do_not_rise_make_no_entry() -> None:
    index = time_index((-1, 2), (100, 5), (100, 6), (90, 7), (101, 8))
    assert list(zip(index.timestamps, index.offsets, strict=True)) == [(100, 5), (101, 8)]


def test_the_files_are_kafkas() -> None:
    assert offset_index((9, 500), (19, 1000)).encode() == struct.pack(">4i", 9, 500, 19, 1000)
    assert time_index((100, 5), (2**40, 9)).encode() == struct.pack(">qiqi", 100, 5, 2**40, 9)


def test_what_was_written_is_read_back() -> None:
    index = decode_offset_index(offset_index((9, 500), (19, 1000)).encode(), 2000)
    assert index is not None
    assert (list(index.offsets), list(index.positions)) == ([9, 19], [500, 1000])
    times = decode_time_index(time_index((100, 5), (200, 9)).encode())
    assert times is not None
    assert (list(times.timestamps), list(times.offsets)) == ([100, 200], [5, 9])
    assert len(decode_offset_index(b"", 1) or ()) == len(decode_time_index(b"") or ()) == 0


@pytest.mark.parametrize(
    "raw",
    [
        struct.pack(">4i", 9, 500, 19, 1000)[:-1],  # cut inside an entry
        struct.pack(">4i", 9, 500, 0, 0),  # a torn end reads as zeros
        struct.pack(">4i", 9, 500, 9, 600),  # an offset twice
        struct.pack(">4i", 9, 500, 10, 500),  # a position twice
        struct.pack(">2i", 9, 2000),  # beyond the log
        struct.pack(">2i", -1, 0),
    ],
)
def test_a_damaged_offset_index_is_noticed(raw: bytes) -> None:
    assert decode_offset_index(raw, 2000) is None


@pytest.mark.parametrize(
    "raw",
    [
        struct.pack(">qiqi", 100, 5, 200, 9)[:-1],
        struct.pack(">qiqi", 100, 5, 0, 0),
        struct.pack(">qiqi", 100, 5, 100, 9),
        struct.pack(">qiqi", 100, 5, 200, 5),
        struct.pack(">qi", -5, 0),
    ],
)
def test_a_damaged_time_index_is_noticed(raw: bytes) -> None:
    assert decode_time_index(raw) is None


def test_truncating_forgets_the_last_entries() -> None:
    index, times = offset_index((9, 500), (19, 1000)), time_index((100, 5), (200, 9))
    index.truncate(1)
    times.truncate(0)
    assert (list(index.offsets), list(index.positions), len(times)) == ([9], [500], 0)
