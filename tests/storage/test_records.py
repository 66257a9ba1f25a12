import contextlib
import time

import pytest
from coldstream.storage.batch import CODECS, crc_agrees, parse_header
from coldstream.storage.codecs import compress, decompress
from coldstream.storage.errors import CorruptBatch, DecodeFailed
from coldstream.storage.records import Record, build_batch, decode_records, iterate_records, recompress
from hypothesis import given, settings
from hypothesis import strategies as st
from kio.records.readers import read_batch

from .local_log import NOW_MS, batch_of

RECORDS = st.lists(
    st.builds(
        Record,
        offset=st.just(0),
        timestamp_ms=st.integers(0, 2**43),
        key=st.none() | st.binary(max_size=20),
        value=st.none() | st.binary(max_size=300),
        headers=st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=9)), max_size=3).map(tuple),
    ),
    min_size=1,
    max_size=20,
)


@given(RECORDS, st.sampled_from(CODECS), st.integers(0, 2**50))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_records_come_back_as_they_went_in(records: list[Record], codec: str, base: int) -> None:
    batch = build_batch(records, base_offset=base, compression=codec)
    assert crc_agrees(batch, parse_header(batch))
    assert decode_records(batch) == [record._replace(offset=base + i) for i, record in enumerate(records)]


@given(RECORDS, st.sampled_from(CODECS), st.sampled_from(CODECS))
@settings(max_examples=30, derandomize=True, deadline=None)
def test_recompressing_keeps_records_and_header(records: list[Record], before: str, after: str) -> None:
    batch = build_batch(records, compression=before, producer_id=5, producer_epoch=1, base_sequence=3)
    made = recompress(batch, after)
    header, original = parse_header(made), parse_header(batch)
    assert crc_agrees(made, header)
    assert header.compression == after
    assert decode_records(made) == decode_records(batch)
    assert header._replace(length=0, crc=0, attributes=0) == original._replace(length=0, crc=0, attributes=0)


def test_an_independent_decoder_reads_our_batches() -> None:
    records = [Record(0, NOW_MS + i, b"key %d" % i, b"value", (("h", b"x"), ("n", None))) for i in range(5)]
    theirs, _ = read_batch(build_batch(records, base_offset=40), 0)
    assert theirs.base_offset == 40
    assert [(record.key, record.value) for record in theirs.records] == [(r.key, r.value) for r in records]


def test_several_batches_are_decoded_in_a_row() -> None:
    both = build_batch([Record(0, 1, None, b"a")]) + build_batch([Record(0, 2, None, b"b")], base_offset=1)
    assert [(record.offset, record.value) for record in decode_records(both)] == [(0, b"a"), (1, b"b")]


def test_log_append_time_counts_for_every_record() -> None:
    batch = bytearray(batch_of(b"a", b"b", step_ms=7))
    batch[21:23] = (0x08).to_bytes(2, "big")
    batch[35:43] = (12345).to_bytes(8, "big")
    assert [record.timestamp_ms for record in decode_records(batch)] == [12345, 12345]


@pytest.mark.parametrize("codec", CODECS)
def test_a_bomb_stops_at_the_limit(codec: str) -> None:
    bomb = compress(codec, bytes(8 * 2**20))
    with pytest.raises(DecodeFailed, match="larger than 1000000 bytes"):
        decompress(codec, bomb, bytes_max=1_000_000)
    assert len(decompress(codec, bomb, bytes_max=8 * 2**20)) == 8 * 2**20


def test_lz4_is_written_in_blocks_that_do_not_depend_on_each_other() -> None:
    data = bytes(range(256)) * 2000  # several blocks
    assert compress("lz4", data)[4] & 0x20, "Kafka's Java client reads no others"
    assert decompress("lz4", compress("lz4", data)) == data


@pytest.mark.parametrize("codec", ["gzip", "lz4"])
def test_thousands_of_empty_members_are_not_worth_their_time(codec: str) -> None:
    began_s = time.process_time()
    with pytest.raises(DecodeFailed, match="members"):
        decompress(codec, compress(codec, b"") * 40_000)
    assert time.process_time() - began_s < 0.5


def test_a_small_batch_is_not_paid_for_with_the_largest_buffer() -> None:
    packed = compress("zstd", bytes(200_000))
    began_s = time.process_time()
    for _ in range(50):
        assert len(decompress("zstd", packed)) == 200_000
    assert time.process_time() - began_s < 0.25  # with all of 64 MiB touched each time: 2 s


@pytest.mark.parametrize("codec", CODECS[1:])
def test_bytes_of_another_codec_are_refused(codec: str) -> None:
    for junk in (b"", b"\x00" * 40, b"not compressed at all", compress(codec, b"value" * 1000)[:-3]):
        with contextlib.suppress(DecodeFailed):
            assert decompress(codec, junk) == b""  # an empty stream is a stream to some


def test_raw_snappy_is_read_too() -> None:
    import cramjam

    assert decompress("snappy", bytes(cramjam.snappy.compress_raw(b"value" * 100))) == b"value" * 100


def test_gzip_members_and_lz4_frames_are_joined() -> None:
    for codec in ("gzip", "lz4"):
        assert decompress(codec, compress(codec, b"one") + compress(codec, b"two")) == b"onetwo"


@given(st.data())
@settings(max_examples=300, derandomize=True, deadline=None)
def test_damaged_batches_raise_and_nothing_else(data: st.DataObject) -> None:
    batch = bytearray(batch_of(b"value", b"other", compression=data.draw(st.sampled_from(CODECS))))
    for _ in range(data.draw(st.integers(1, 4))):
        batch[data.draw(st.integers(0, len(batch) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DecodeFailed, CorruptBatch):
        decode_records(batch)


def test_a_count_that_the_bytes_do_not_bear_out_is_refused() -> None:
    batch = bytearray(batch_of(b"value"))
    batch[57:61] = (2**31 - 1).to_bytes(4, "big")
    with pytest.raises(DecodeFailed, match="records in one batch"):
        list(iterate_records(batch))
    batch[57:61] = (5).to_bytes(4, "big")
    with pytest.raises(DecodeFailed, match="cut off"):
        list(iterate_records(batch))


def test_an_empty_batch_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="at least one"):
        build_batch([])
