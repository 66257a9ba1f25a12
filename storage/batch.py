"""The header of a record batch, message format v2 (KIP-98): its 61 bytes, nothing about the records behind them.

Always true: pure functions over bytes; nothing here trusts a length before it was compared with the bytes at hand.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from crc32c import crc32c

from .errors import CorruptBatch

#: base offset, length, leader epoch, magic, crc, attributes, last offset delta, first and max timestamp,
#: producer id, producer epoch, base sequence, record count
HEADER = struct.Struct(">qiibIHiqqqhii")
HEADER_BYTES = HEADER.size
PREFIX = struct.Struct(">qii")  # base offset, length, leader epoch: what a broker writes, and the CRC does not cover
OFFSET_AND_LENGTH = struct.Struct(">qi")
LENGTH_STARTS_AT = 12  # `length` counts the bytes after itself
CRC_AT, CRC_COVERS_FROM = 17, 21
ATTRIBUTES_AT, MAX_TIMESTAMP_AT = 21, 35
BATCH_LENGTH_MIN = HEADER_BYTES - LENGTH_STARTS_AT
MAGIC = 2
RECORD_BYTES_MIN = 7  # length, attributes, two deltas, key length, value length, header count: one byte each

CODEC_MASK, LOG_APPEND_TIME, TRANSACTIONAL, CONTROL, DELETE_HORIZON = 0x07, 0x08, 0x10, 0x20, 0x40
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


class BatchHeader(NamedTuple):
    """A parsed header. Offsets [base_offset, end_offset) are the batch's."""

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
    def size_bytes(self) -> int:
        return LENGTH_STARTS_AT + self.length

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def end_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def compression(self) -> str:
        """The codec's name. Raises CorruptBatch for one that does not exist."""
        codec = self.attributes & CODEC_MASK
        if codec >= len(CODECS):
            raise CorruptBatch(f"compression codec {codec} does not exist")
        return CODECS[codec]

    @property
    def timestamp_type(self) -> int:
        """0 CreateTime, 1 LogAppendTime."""
        return (self.attributes & LOG_APPEND_TIME) >> 3

    @property
    def delete_horizon_ms(self) -> int:
        """When compaction may drop the batch's tombstones, or -1 (KIP-534): then the first timestamp holds it."""
        return self.first_timestamp_ms if self.attributes & DELETE_HORIZON else -1

    @property
    def earliest_ms(self) -> int:
        """The first record's timestamp, as far as the header tells: that of a compacted batch may not."""
        return self.max_timestamp_ms if self.attributes & DELETE_HORIZON else self.first_timestamp_ms

    @property
    def latest_ms(self) -> int:
        """The largest timestamp of the batch's records, or what a client made of it."""
        if self.attributes & DELETE_HORIZON:
            return self.max_timestamp_ms
        return max(self.first_timestamp_ms, self.max_timestamp_ms)

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & TRANSACTIONAL)

    @property
    def is_control(self) -> bool:
        return bool(self.attributes & CONTROL)


def parse_header(buffer: bytes | bytearray | memoryview, position: int = 0) -> BatchHeader:
    """The header at a position. Raises CorruptBatch when fewer than 61 bytes are left; checks nothing else."""
    if len(buffer) - position < HEADER_BYTES:
        raise CorruptBatch(f"{len(buffer) - position} bytes are fewer than the {HEADER_BYTES} of a batch header")
    return BatchHeader._make(HEADER.unpack_from(buffer, position))


def iterate_headers(buffer: bytes | bytearray | memoryview) -> Iterator[tuple[int, BatchHeader]]:
    """(position, header) of each whole batch. A cut-off last batch ends it; a length below the minimum raises."""
    position, end = 0, len(buffer)
    while end - position >= HEADER_BYTES:
        header = BatchHeader._make(HEADER.unpack_from(buffer, position))
        if header.length < BATCH_LENGTH_MIN:
            raise CorruptBatch(f"a batch at {position} claims {header.length} bytes: fewer than its header has")
        if header.size_bytes > end - position:
            return
        yield position, header
        position += header.size_bytes


def crc_agrees(batch: bytes | bytearray | memoryview, header: BatchHeader) -> bool:
    """Whether the CRC-32C of exactly one batch is the one in its header."""
    return crc32c(memoryview(batch)[CRC_COVERS_FROM:]) == header.crc


def last_sequence(base_sequence: int, last_offset_delta: int) -> int:
    """Sequence numbers wrap from 2^31-1 to 0 (KIP-98)."""
    return (base_sequence + last_offset_delta) & 0x7FFFFFFF


def header_problem(header: BatchHeader, offset_min: int) -> str | None:
    """Why a header read back from disk cannot be that of the next batch, or None. Offsets may skip, never go back."""
    if header.magic != MAGIC:
        return f"magic {header.magic}"
    if header.length < BATCH_LENGTH_MIN:
        return f"a length of {header.length} bytes"
    if header.base_offset < offset_min:
        return f"base offset {header.base_offset} where {offset_min} or more was due"
    if header.last_offset_delta < 0 or header.record_count < 0:
        return "a negative offset delta or record count"
    return None
