import pytest
from coldstream.storage.batch import HEADER_BYTES, crc_agrees, iterate_headers, last_sequence, parse_header
from coldstream.storage.errors import CorruptBatch
from coldstream.storage.records import Record, build_batch

from .local_log import NOW_MS, batch_of


def test_a_header_says_what_the_batch_was_built_from() -> None:
    header = parse_header(batch_of(b"a", b"b", b"c", step_ms=5, producer_id=7, producer_epoch=2, base_sequence=9))
    assert (header.magic, header.record_count, header.last_offset_delta) == (2, 3, 2)
    assert (header.first_timestamp_ms, header.max_timestamp_ms) == (NOW_MS, NOW_MS + 10)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (7, 2, 9)
    assert (header.compression, header.timestamp_type, header.is_transactional, header.is_control) == (
        "none",
        0,
        False,
        False,
    )


def test_offsets_of_a_batch_are_half_open() -> None:
    header = parse_header(build_batch([Record(0, 0, None, b"v")] * 4, base_offset=100))
    assert (header.base_offset, header.last_offset, header.end_offset) == (100, 103, 104)


def test_attributes_are_named() -> None:
    header = parse_header(batch_of(b"v", compression="zstd", transactional=True, control=True))
    assert (header.compression, header.is_transactional, header.is_control) == ("zstd", True, True)


def test_iterating_stops_at_a_cut_off_batch() -> None:
    first, second = batch_of(b"one"), batch_of(b"two")
    both = bytes(first) + bytes(second)
    assert [position for position, _ in iterate_headers(both)] == [0, len(first)]
    assert [position for position, _ in iterate_headers(both[:-1])] == [0]
    assert list(iterate_headers(both[: HEADER_BYTES - 1])) == []


def test_a_length_below_the_header_is_not_walked_over() -> None:
    broken = batch_of(b"v")
    broken[8:12] = (10).to_bytes(4, "big")
    with pytest.raises(CorruptBatch, match="10 bytes"):
        list(iterate_headers(broken))


def test_fewer_bytes_than_a_header_are_refused() -> None:
    with pytest.raises(CorruptBatch, match="60 bytes"):
        parse_header(bytes(60))


def test_the_crc_covers_everything_from_the_attributes_on() -> None:
    batch = batch_of(b"value")
    header = parse_header(batch)
    for position in range(len(batch)):
        changed = bytearray(batch)
        changed[position] ^= 0xFF
        assert crc_agrees(changed, header) == (position < 21)


@pytest.mark.parametrize(
    ("first", "delta", "last"), [(0, 0, 0), (5, 3, 8), (2**31 - 1, 0, 2**31 - 1), (2**31 - 2, 3, 1)]
)
def test_sequences_wrap(first: int, delta: int, last: int) -> None:
    assert last_sequence(first, delta) == last
