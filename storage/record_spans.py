"""The records of a batch as places in its bytes: keys are read, values and headers only passed over.

Always true: every length is checked against the bytes left before it is used, and offsets must rise within the batch;
so what `record_spans` accepts can be kept record by record, byte for byte, and has timestamps that fit a header. For a
batch that is not so, DecodeFailed.
"""

from collections.abc import Iterator
from typing import NamedTuple

from .batch import HEADER_BYTES, MAGIC, BatchHeader, crc_agrees, parse_header
from .codecs import DECOMPRESSED_BYTES_MAX, decompress
from .errors import CorruptBatch, DecodeFailed, DecompressedTooLarge

RECORDS_MAX = 2_000_000
TIMESTAMP_LIMIT_MS = 2**62  # either way: so that what counts from another first timestamp still has 64 bits


class Span(NamedTuple):
    """One record in the decompressed bytes: [start, end), its attributes at `body`, what follows its timestamp at
    `rest`. Deltas count from the batch's first timestamp and base offset.
    """

    start: int
    body: int
    rest: int
    end: int
    timestamp_delta: int
    offset_delta: int
    key: bytes | None
    has_value: bool


_new_span = tuple.__new__


def decompressed(batch: memoryview | bytes, header: BatchHeader, bytes_max: int = DECOMPRESSED_BYTES_MAX) -> bytes:
    """What follows the header. Raises DecodeFailed, CorruptBatch."""
    return decompress(header.compression, memoryview(batch)[HEADER_BYTES:], bytes_max)


def record_spans(data: bytes, header: BatchHeader) -> Iterator[Span]:
    """Every record of a decompressed batch. Raises DecodeFailed, at the latest where the last record should end."""
    if header.record_count > RECORDS_MAX:
        raise DecodeFailed(f"{header.record_count} records in one batch are more than {RECORDS_MAX}")
    at, size, offset_before, first_ms = 0, len(data), -1, header.first_timestamp_ms
    try:
        for _ in range(header.record_count):
            start = at
            length, body = _varint(data, at)
            end = body + length
            if length < 0 or end > size:
                raise DecodeFailed(f"a record claims {length} of the {size - body} bytes left")
            timestamp_delta, rest = _varint(data, body + 1)
            if not -TIMESTAMP_LIMIT_MS <= first_ms + timestamp_delta < TIMESTAMP_LIMIT_MS:
                raise DecodeFailed(f"a timestamp of {first_ms + timestamp_delta} ms")
            offset_delta, at = _varint(data, rest)
            if not offset_before < offset_delta <= header.last_offset_delta:
                raise DecodeFailed(
                    f"offset delta {offset_delta} follows {offset_before} in a batch that ends at "
                    f"{header.last_offset_delta}"
                )
            offset_before = offset_delta
            key_bytes, at = _varint(data, at)
            key: bytes | None = None
            if key_bytes >= 0:
                key = data[at : at + key_bytes]
                at += key_bytes
            value_bytes, at = _varint(data, at)
            if at + max(value_bytes, 0) >= end:  # a count of headers follows, of at least a byte
                raise DecodeFailed(f"key and value of a record end {at + max(value_bytes, 0) - end} bytes behind it")
            yield _new_span(Span, (start, body, rest, end, timestamp_delta, offset_delta, key, value_bytes >= 0))
            at = end
    except IndexError:
        raise DecodeFailed("the records end within a record") from None
    if at != size:
        raise DecodeFailed(f"{size - at} bytes are left behind the last of {header.record_count} records")


def problem_with_keys(batch: memoryview | bytes, bytes_max: int = DECOMPRESSED_BYTES_MAX) -> str | None:
    """Why a batch cannot be taken into a compacted topic, or None: every record has to have a key, and be readable.

    None too for what a log refuses by itself, and in better words. Costs a decompression and about a microsecond per
    record. Raises DecompressedTooLarge.
    """
    try:
        header = parse_header(batch)
        if header.magic != MAGIC or header.size_bytes != len(batch) or not crc_agrees(batch, header):
            return None
        for span in record_spans(decompressed(batch, header, bytes_max), header):
            if span.key is None:
                return f"record {span.offset_delta} of the batch has no key: a compacted topic takes none without"
    except DecompressedTooLarge:
        raise
    except CorruptBatch:
        return None
    except DecodeFailed as error:
        return f"the records cannot be read, which a compacted topic needs: {error}"
    return None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A zigzag varint, of at most ten bytes, and where it ends."""
    byte = data[at]
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), at + 1
    value, shift = byte & 0x7F, 7
    for end in range(at + 1, at + 10):
        byte = data[end]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), end + 1
        shift += 7
    raise DecodeFailed(f"a varint at byte {at} does not end")


def encode_varint(number: int) -> bytes:
    """A 64-bit number as a zigzag varint."""
    value = ((number << 1) ^ (number >> 63)) & 0xFFFFFFFFFFFFFFFF
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
