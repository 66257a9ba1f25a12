"""Taking batches apart: what the storage's own builder and a Kafka client build is read, what is spoilt is named."""

import struct

import cramjam
import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from coldstream.console import record_batches
from coldstream.console.record_batches import BatchHead, Record, Unreadable, batches, records
from coldstream.storage import records as storage
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def batch_of(
    sent: list[storage.Record], compression: str = "none", base_offset: int = 0, *, control: bool = False
) -> bytes:
    return storage.build_batch(sent, base_offset=base_offset, compression=compression, control=control)


def read(data: bytes, from_offset: int = 0) -> list[Record]:
    return [record for head, batch in batches(memoryview(data)) for record in records(head, batch, from_offset)]


def spoilt(batch: bytes, **changed: int) -> bytes:
    """The batch with fields of its head changed, and a checksum that fits."""
    head = BatchHead._make(record_batches.HEADER.unpack_from(batch))._replace(**changed)
    made = bytearray(record_batches.HEADER.pack(*head)) + batch[record_batches.HEADER_BYTES :]
    crc = changed.get("crc", crc32c(bytes(made[record_batches.CRC_COVERS_FROM :])))
    return record_batches.HEADER.pack(*head._replace(crc=crc)) + made[record_batches.HEADER_BYTES :]


def reason(batch: bytes) -> str:
    with pytest.raises(Unreadable) as unreadable:
        read(batch)
    return str(unreadable.value)


PLAIN = [storage.Record(0, 1_000 + number, b"k", b"v" * 10) for number in range(3)]

payloads = st.none() | st.binary(max_size=40)
sent_records = st.builds(
    storage.Record,
    st.just(0),
    st.integers(0, 2**41),
    payloads,
    payloads,
    st.lists(st.tuples(st.text(max_size=8), payloads), max_size=3).map(tuple),
)


@given(st.lists(sent_records, min_size=1, max_size=20), st.sampled_from(CODECS), st.integers(0, 2**40))
def test_what_was_sent_is_read_in_every_codec(sent: list[storage.Record], codec: str, base_offset: int) -> None:
    expected = [
        Record(
            base_offset + at,
            record.timestamp_ms,
            record.key,
            record.value,
            tuple((name.encode(), value) for name, value in record.headers),
        )
        for at, record in enumerate(sent)
    ]
    batch = batch_of(sent, codec, base_offset)
    assert read(batch) == expected
    middle = base_offset + len(sent) // 2
    assert read(batch, middle) == expected[len(sent) // 2 :]


@pytest.mark.parametrize("codec", range(5))
def test_what_a_kafka_client_builds_is_read(codec: int) -> None:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1_000_000,
    )
    for number in range(500):
        builder.append(number, 5_000 + number, b"key", b"value %d" % number, [("h", b"1")])
    built = bytes(builder.build())
    found = read(built)
    assert [record.value for record in found] == [b"value %d" % number for number in range(500)]
    assert found[-1] == Record(499, 5_499, b"key", b"value 499", ((b"h", b"1"),))


@given(st.binary(max_size=300), st.integers(0, 400), st.sampled_from(CODECS))
def test_hostile_bytes_are_unreadable_and_nothing_worse(noise: bytes, at: int, codec: str) -> None:
    batch = bytearray(batch_of(PLAIN, codec))
    at = record_batches.HEADER_BYTES + at % (len(batch) - record_batches.HEADER_BYTES)
    batch[at : at + len(noise)] = noise[: len(batch) - at]
    try:
        read(spoilt(bytes(batch)))
    except Unreadable as unreadable:
        assert str(unreadable)


def test_a_batch_that_is_cut_off_ends_the_reading() -> None:
    data = batch_of(PLAIN) + batch_of(PLAIN, base_offset=3)
    assert len(read(data[:-1])) == 3
    assert read(data[:20]) == []
    assert read(b"\0" * 200) == []


def test_a_control_batch_has_nothing_to_show() -> None:
    assert read(batch_of(PLAIN, control=True)) == []


def test_time_by_the_broker_is_that_of_the_whole_batch() -> None:
    batch = spoilt(batch_of(PLAIN), attributes=record_batches.LOG_APPEND_TIME, max_timestamp_ms=77)
    assert {record.timestamp_ms for record in read(batch)} == {77}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"crc": 1}, "checksum does not match"),
        ({"magic": 1}, "message format v1"),
        ({"attributes": 7}, "compressed by codec 7, which is not known"),
        ({"attributes": 1}, "compressed by gzip, and it is not"),
        ({"attributes": 2}, "compressed by snappy, and it is not"),
        ({"attributes": 3}, "compressed by lz4, and it is not"),
        ({"attributes": 4}, "compressed by zstd, and it is not"),
        ({"record_count": 4}, "malformed"),
        ({"record_count": 2_000_000}, "it has 2000000 records, and 100000 are looked at"),
    ],
)
def test_what_cannot_be_read_is_named(changed: dict[str, int], why: str) -> None:
    assert why in reason(spoilt(batch_of(PLAIN), **changed))


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd"])
def test_of_a_batch_that_inflates_without_bound_the_beginning_is_read(codec: str) -> None:
    small = storage.Record(0, 1, None, b"small")
    huge = storage.Record(0, 2, None, bytes(12 * 2**20))
    batch = batch_of([small, huge], codec)
    assert len(batch) < 2**20
    found = []
    with pytest.raises(Unreadable, match="more than 8 MiB when decompressed"):
        for head, data in batches(memoryview(batch)):
            for record in records(head, data, 0):
                found.append(record.value)
    assert found == [b"small"]


@pytest.mark.parametrize("framed", [True, False])
def test_snappy_beyond_the_bound_is_not_decompressed(framed: bool) -> None:
    block = bytes(cramjam.snappy.compress_raw(bytes(9 * 2**20)))
    payload = record_batches.XERIAL_MAGIC + struct.pack(">iii", 1, 1, len(block)) + block if framed else block
    batch = spoilt(batch_of(PLAIN)[: record_batches.HEADER_BYTES] + payload, attributes=2, length=49 + len(payload))
    assert "more than 8 MiB when decompressed" in reason(batch)
