"""Record batches (format v2, KIP-98) as a reader with little memory takes them apart.

Always true: whatever the bytes claim, no more than INFLATED_BYTES_MAX comes out of one batch (a megabyte of zstd can
claim a hundred gigabytes), and no more than RECORDS_MAX records are looked at; every length is compared with the bytes
that are left before it is used; what cannot be read raises Unreadable with a sentence for people, after the records
before it were given out.
"""

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

INFLATED_BYTES_MAX = 8 * 2**20
RECORDS_MAX = 100_000
HEADER = struct.Struct(">qiiBIhiqqqhii")
HEADER_BYTES = HEADER.size
LENGTH_ENDS_AT = 12  # `length` counts what follows it
CRC_COVERS_FROM = 21
MAGIC = 2
CODEC, LOG_APPEND_TIME, CONTROL = 0x07, 0x08, 0x20  # bits of the attributes
XERIAL_MAGIC = b"\x82SNAPPY\x00"  # the framing of snappy-java, which Kafka's own clients use
XERIAL_HEAD_BYTES = 16
GZIP_WINDOW = 31  # zlib's way of saying "a gzip header and trailer"


class Unreadable(Exception):
    """The records of a batch, or those behind some point of it, cannot be shown; the message says why."""


class BatchHead(NamedTuple):
    """The first 61 bytes."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    first_timestamp_ms: int
    max_timestamp_ms: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def last_offset(self) -> int:
        return self.base_offset + max(0, self.last_offset_delta)

    @property
    def codec(self) -> int:
        return self.attributes & CODEC

    @property
    def size_bytes(self) -> int:
        return LENGTH_ENDS_AT + self.length


class Record(NamedTuple):
    """One record, as its producer sent it."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[bytes, bytes | None], ...]


def batches(data: memoryview) -> Iterator[tuple[BatchHead, memoryview]]:
    """Head and bytes of each whole batch; a last one that is cut off ends the iteration, as in every Kafka client."""
    at = 0
    while len(data) - at >= HEADER_BYTES:
        head = BatchHead._make(HEADER.unpack_from(data, at))
        if head.length < HEADER_BYTES - LENGTH_ENDS_AT or head.size_bytes > len(data) - at:
            return
        yield head, data[at : at + head.size_bytes]
        at += head.size_bytes


def records(head: BatchHead, batch: memoryview, from_offset: int) -> Iterator[Record]:
    """The records at `from_offset` and behind it, none of a control batch. Raises Unreadable."""
    if head.magic != MAGIC:
        raise Unreadable(f"it is in message format v{head.magic}, which is not read here")
    if head.attributes & CONTROL:
        return
    if head.record_count > RECORDS_MAX:
        raise Unreadable(f"it has {head.record_count} records, and {RECORDS_MAX} are looked at here")
    if _crc32c(batch[CRC_COVERS_FROM:]) != head.crc:
        raise Unreadable("its checksum does not match: it was damaged on its way or on a disk")
    data, is_whole = inflate(head.codec, batch[HEADER_BYTES:])
    at = 0
    for _ in range(head.record_count):
        try:
            record, at = _record(data, at, head, from_offset)
        except (IndexError, _Malformed):
            raise Unreadable(
                "it is malformed: its records do not have the lengths they claim"
                if is_whole
                else f"its records take more than {INFLATED_BYTES_MAX // 2**20} MiB when decompressed"
            ) from None
        if record is not None:
            yield record


class _Malformed(Exception):
    pass


def _record(data: bytes, at: int, head: BatchHead, from_offset: int) -> tuple[Record | None, int]:
    """The record that begins at `at`, unless it lies before `from_offset`, and where the next begins."""
    length, at = _varint(data, at)
    end = at + length
    if length < 0 or end > len(data):
        raise _Malformed
    timestamp_delta, at = _varint(data, at + 1)  # behind the record's attributes, which mean nothing yet
    offset_delta, at = _varint(data, at)
    offset = head.base_offset + offset_delta
    if offset < from_offset:
        return None, end
    key, at = _nullable(data, at, end)
    value, at = _nullable(data, at, end)
    count, at = _varint(data, at)
    if not 0 <= count <= end - at:
        raise _Malformed
    headers: list[tuple[bytes, bytes | None]] = []
    for _ in range(count):
        name, at = _nullable(data, at, end)
        header_value, at = _nullable(data, at, end)
        headers.append((name or b"", header_value))
    if at != end:
        raise _Malformed
    by_broker = head.attributes & LOG_APPEND_TIME
    timestamp_ms = head.max_timestamp_ms if by_broker else head.first_timestamp_ms + timestamp_delta
    return Record(offset, timestamp_ms, key, value, tuple(headers)), end


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
    raise _Malformed


def _nullable(data: bytes, at: int, end: int) -> tuple[bytes | None, int]:
    length, at = _varint(data, at)
    if length < 0:
        return None, at
    if length > end - at:
        raise _Malformed
    return data[at : at + length], at + length


def _crc32c(data: memoryview) -> int:
    from crc32c import crc32c  # only consoles that show records pay for it and the codecs

    return int(crc32c(data))


# decompressing


def inflate(codec: int, data: memoryview) -> tuple[bytes, bool]:
    """At most INFLATED_BYTES_MAX bytes, and whether that is all of it. Raises Unreadable."""
    if codec not in _INFLATE:
        raise Unreadable(f"it is compressed by codec {codec}, which is not known here")
    name, unpack = _INFLATE[codec]
    try:
        found = unpack(bytes(data))
    except Unreadable:
        raise
    except Exception:  # the four libraries raise classes of their own, some of them plain RuntimeError
        raise Unreadable(f"it says that it is compressed by {name}, and it is not") from None
    return found[:INFLATED_BYTES_MAX], len(found) <= INFLATED_BYTES_MAX


def _gunzip(data: bytes) -> bytes:
    found = bytearray()
    while data and len(found) <= INFLATED_BYTES_MAX:
        member = zlib.decompressobj(wbits=GZIP_WINDOW)
        found += member.decompress(data, INFLATED_BYTES_MAX + 1 - len(found))
        data = member.unused_data if member.eof else b""
    return bytes(found)


def _unlz4(data: bytes) -> bytes:
    import lz4.frame

    found, left = bytearray(), data
    while left and len(found) <= INFLATED_BYTES_MAX:
        frame = lz4.frame.LZ4FrameDecompressor()  # type: ignore[no-untyped-call]
        found += frame.decompress(left, max_length=INFLATED_BYTES_MAX + 1 - len(found))  # type: ignore[no-untyped-call]
        left = (frame.unused_data or b"") if frame.eof else b""
    return bytes(found)


def _unzstd(data: bytes) -> bytes:
    import cramjam

    # An output that cannot grow is the one bound the library keeps; it is filled to the last byte before it complains.
    room = bytearray(INFLATED_BYTES_MAX + 1)
    try:
        size = cramjam.zstd.decompress_into(data, room)
    except cramjam.DecompressionError as error:
        if "whole buffer" not in str(error):
            raise
        size = len(room)
    return bytes(memoryview(room)[:size])


def _unsnappy(data: bytes) -> bytes:
    if not data.startswith(XERIAL_MAGIC):
        return _unsnappy_block(data)
    found, at = bytearray(), XERIAL_HEAD_BYTES
    while at < len(data) and len(found) <= INFLATED_BYTES_MAX:
        size = int.from_bytes(data[at : at + 4], "big")
        at += 4
        if not 0 < size <= len(data) - at:
            raise Unreadable("it says that it is compressed by snappy, and it is not")
        found += _unsnappy_block(data[at : at + size])
        at += size
    return bytes(found)


def _unsnappy_block(block: bytes) -> bytes:
    import cramjam

    if cramjam.snappy.decompress_raw_len(block) > INFLATED_BYTES_MAX:
        raise Unreadable(f"its records take more than {INFLATED_BYTES_MAX // 2**20} MiB when decompressed")
    return bytes(cramjam.snappy.decompress_raw(block))


_INFLATE: Mapping[int, tuple[str, Callable[[bytes], bytes]]] = {
    0: ("nothing", lambda data: data),
    1: ("gzip", _gunzip),
    2: ("snappy", _unsnappy),
    3: ("lz4", _unlz4),
    4: ("zstd", _unzstd),
}
