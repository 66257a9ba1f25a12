"""The records inside a v2 batch (KIP-98): decode them, and build batches of our own.

Always true: not used on the produce or fetch path; every length is checked against the bytes left before it is used;
at most `RECORDS_MAX` records and `DECOMPRESSED_BYTES_MAX` bytes come out of one batch.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from crc32c import crc32c

from .batch import (
    CODECS,
    CONTROL,
    CRC_COVERS_FROM,
    HEADER,
    HEADER_BYTES,
    LENGTH_STARTS_AT,
    MAGIC,
    TRANSACTIONAL,
    BatchHeader,
    iterate_headers,
    parse_header,
)
from .codecs import DECOMPRESSED_BYTES_MAX, compress, decompress
from .errors import DecodeFailed

RECORDS_MAX = 2_000_000

Headers = tuple[tuple[str, bytes | None], ...]


class Record(NamedTuple):
    """One record. `offset` is absolute when decoded, and left out of account when a batch is built."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def decode_records(batches: bytes | bytearray | memoryview, bytes_max: int = DECOMPRESSED_BYTES_MAX) -> list[Record]:
    """The records of one or more whole batches, control batches included. Raises DecodeFailed, CorruptBatch."""
    found: list[Record] = []
    view = memoryview(batches)
    for position, header in iterate_headers(view):
        found += iterate_records(view[position : position + header.size_bytes], bytes_max)
    return found


def iterate_records(batch: bytes | bytearray | memoryview, bytes_max: int = DECOMPRESSED_BYTES_MAX) -> Iterator[Record]:
    """The records of exactly one batch, one at a time. Raises DecodeFailed, CorruptBatch."""
    header = parse_header(batch)
    if header.magic != MAGIC:
        raise DecodeFailed(f"message format v{header.magic} has no records of this kind")
    if header.record_count > RECORDS_MAX:
        raise DecodeFailed(f"{header.record_count} records in one batch are more than {RECORDS_MAX}")
    data = decompress(header.compression, memoryview(batch)[HEADER_BYTES:], bytes_max)
    at = 0
    for _ in range(header.record_count):
        try:
            record, at = _decode_record(data, at, header)
        except (IndexError, UnicodeDecodeError) as error:
            raise DecodeFailed(f"a record is cut off or malformed at byte {at}: {error}") from error
        yield record
    if at != len(data):
        raise DecodeFailed(f"{len(data) - at} bytes are left behind the last of {header.record_count} records")


def _decode_record(data: bytes, at: int, header: BatchHeader) -> tuple[Record, int]:
    length, at = _varint(data, at)
    end = at + length
    if length < 0 or end > len(data):
        raise DecodeFailed(f"a record claims {length} of the {len(data) - at} bytes left")
    timestamp_delta, at = _varint(data, at + 1)  # behind the record's attributes, which mean nothing yet
    offset_delta, at = _varint(data, at)
    key, at = _nullable(data, at)
    value, at = _nullable(data, at)
    count, at = _varint(data, at)
    if not 0 <= count <= end - at:
        raise DecodeFailed(f"a record claims {count} headers in {end - at} bytes")
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        name, at = _nullable(data, at)
        if name is None:
            raise DecodeFailed("a header without a name")
        header_value, at = _nullable(data, at)
        headers.append((name.decode(), header_value))
    if at != end:
        raise DecodeFailed(f"a record of {length} bytes ends {end - at} bytes off")
    # The first timestamp may be a delete horizon (KIP-534): the deltas count from it all the same.
    timestamp_ms = header.max_timestamp_ms if header.timestamp_type else header.first_timestamp_ms + timestamp_delta
    return Record(header.base_offset + offset_delta, timestamp_ms, key, value, tuple(headers)), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A zigzag varint, of at most ten bytes, and where it ends."""
    byte = data[at]
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), at + 1
    value = shift = 0
    for end in range(at, at + 10):
        byte = data[end]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), end + 1
        shift += 7
    raise DecodeFailed(f"a varint at byte {at} does not end")


def _nullable(data: bytes, at: int) -> tuple[bytes | None, int]:
    length, at = _varint(data, at)
    if length < 0:
        return None, at
    if length > len(data) - at:
        raise DecodeFailed(f"a field claims {length} of the {len(data) - at} bytes left")
    return data[at : at + length], at + length


def build_batch(
    records: Sequence[Record],
    *,
    base_offset: int = 0,
    compression: str = "none",
    leader_epoch: int = -1,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    transactional: bool = False,
    control: bool = False,
) -> bytes:
    """One v2 batch with the records numbered from `base_offset` on without gaps. Raises ValueError for none."""
    if not records:
        raise ValueError("a batch holds at least one record")
    first_ms = records[0].timestamp_ms
    body = bytearray()
    for delta, record in enumerate(records):
        encoded = _encode_record(record, delta, first_ms)
        body += _zigzag(len(encoded)) + encoded
    payload = compress(compression, bytes(body))
    batch = bytearray(HEADER_BYTES) + payload
    attributes = CODECS.index(compression) | (TRANSACTIONAL if transactional else 0) | (CONTROL if control else 0)

    def pack(crc: int) -> None:
        HEADER.pack_into(
            batch,
            0,
            base_offset,
            len(batch) - LENGTH_STARTS_AT,
            leader_epoch,
            MAGIC,
            crc,
            attributes,
            len(records) - 1,
            first_ms,
            max(record.timestamp_ms for record in records),
            producer_id,
            producer_epoch,
            base_sequence,
            len(records),
        )

    pack(0)
    pack(crc32c(memoryview(batch)[CRC_COVERS_FROM:]))
    return bytes(batch)


def recompress(batch: bytes | bytearray | memoryview, compression: str) -> bytes:
    """The same records under another codec (`compression.type`). Raises DecodeFailed, CorruptBatch. CPU-bound."""
    header = parse_header(batch)
    if header.compression == compression:
        return bytes(batch)
    body = decompress(header.compression, memoryview(batch)[HEADER_BYTES:])
    payload = compress(compression, body)
    attributes = header.attributes & ~0x07 | CODECS.index(compression)
    rest = header._replace(length=HEADER_BYTES - LENGTH_STARTS_AT + len(payload), attributes=attributes, crc=0)
    made = bytearray(HEADER.pack(*rest)) + payload
    HEADER.pack_into(made, 0, *rest._replace(crc=crc32c(memoryview(made)[CRC_COVERS_FROM:])))
    return bytes(made)


def _encode_record(record: Record, offset_delta: int, first_timestamp_ms: int) -> bytes:
    encoded = bytearray(b"\x00")
    encoded += _zigzag(record.timestamp_ms - first_timestamp_ms) + _zigzag(offset_delta)
    encoded += _field(record.key) + _field(record.value) + _zigzag(len(record.headers))
    for name, value in record.headers:
        encoded += _field(name.encode()) + _field(value)
    return bytes(encoded)


def _field(value: bytes | None) -> bytes:
    return b"\x01" if value is None else _zigzag(len(value)) + value


def _zigzag(number: int) -> bytes:
    value = (number << 1) ^ (number >> 63)
    if value < 0x80:
        return bytes((value,))
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
