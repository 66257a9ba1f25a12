"""Why a batch is refused: the slow half of `Log.append`, which only says that something is wrong.

Always true: nothing here is reached by a good batch, except `stamp` and the count of a well compressed one; every
refusal names what was sent, which limit it met and, where there is one, the remedy.
"""

import struct
from typing import NoReturn

from crc32c import crc32c

from .batch import (
    ATTRIBUTES_AT,
    CODEC_MASK,
    CODECS,
    CONTROL,
    CRC_AT,
    CRC_COVERS_FROM,
    HEADER_BYTES,
    LOG_APPEND_TIME,
    MAGIC,
    MAX_TIMESTAMP_AT,
    RECORD_BYTES_MIN,
    TRANSACTIONAL,
    BatchHeader,
    crc_agrees,
    parse_header,
)
from .config import LogConfig
from .errors import (
    CorruptBatch,
    InvalidRecord,
    InvalidTimestamp,
    MessageTooLarge,
    Refused,
    TransactionsUnsupported,
    UnsupportedMagic,
)

RECORDS_MAX = 2**24  # in a compressed batch, whose records nobody counts here; a megabyte of them is far below
_CRC, _ATTRIBUTES, _TIMESTAMP = struct.Struct(">I"), struct.Struct(">H"), struct.Struct(">q")


MAGIC_AT = 16  # in every message format: after offset, length, and leader epoch or CRC


def too_short(batch: memoryview) -> Refused:
    """What is wrong with fewer bytes than a header has. Every message format has its magic byte in the same place."""
    if len(batch) > MAGIC_AT and batch[MAGIC_AT] != MAGIC:
        return unsupported_magic(batch[MAGIC_AT])
    return CorruptBatch(f"{len(batch)} bytes are no record batch: its header alone has {HEADER_BYTES}")


def unsupported_magic(magic: int) -> UnsupportedMagic:
    return UnsupportedMagic(f"message format v{magic}: only v2 (record batches) is kept, upgrade the client")


def refuse(batch: memoryview, config: LogConfig, now_ms: int) -> NoReturn:
    """Name the first thing wrong with a batch, in the order in which Kafka would find it."""
    header = parse_header(batch)
    if header.magic != MAGIC:
        raise unsupported_magic(header.magic)
    if header.size_bytes != len(batch):
        raise CorruptBatch(
            f"the batch says it has {header.size_bytes} bytes, but {len(batch)} were sent: exactly one batch is allowed"
        )
    if len(batch) > config.max_message_bytes:
        raise MessageTooLarge(f"a batch of {len(batch)} bytes: max.message.bytes is {config.max_message_bytes}")
    if not crc_agrees(batch, header):
        raise CorruptBatch(f"CRC-32C is {crc32c(batch[CRC_COVERS_FROM:]):08x}, the batch says {header.crc:08x}")
    if header.is_control:
        raise InvalidRecord("control batches are for brokers to write")
    if header.is_transactional:
        raise TransactionsUnsupported("transactions are not offered yet")
    if header.attributes & LOG_APPEND_TIME:
        raise InvalidTimestamp("the timestamp type LogAppendTime is for brokers to set")
    if header.attributes & CODEC_MASK >= len(CODECS):
        raise InvalidRecord(f"compression codec {header.attributes & CODEC_MASK} does not exist")
    if header.attributes & ~(CODEC_MASK | LOG_APPEND_TIME | TRANSACTIONAL | CONTROL):
        raise InvalidRecord(f"attributes {header.attributes:#06x} have bits that mean nothing")
    if header.record_count < 1 or header.record_count != header.last_offset_delta + 1:
        raise InvalidRecord(
            f"{header.record_count} records with a last offset delta of {header.last_offset_delta}: they must be "
            "numbered from 0 without a gap"
        )
    raise InvalidTimestamp(
        f"timestamp {header.max_timestamp_ms} lies {header.max_timestamp_ms - now_ms} ms ahead: "
        f"message.timestamp.after.max.ms is {config.timestamp_after_max_ms}"
    )


def refuse_count_or_age(batch: memoryview, config: LogConfig, now_ms: int) -> None:
    """Raise when a batch claims more records than its bytes can hold, or is older than the topic takes."""
    header = parse_header(batch)
    room = len(batch) - HEADER_BYTES
    compressed = header.attributes & CODEC_MASK
    if header.record_count > RECORDS_MAX or (not compressed and header.record_count * RECORD_BYTES_MIN > room):
        raise InvalidRecord(f"{header.record_count} records do not fit into {room} bytes")
    oldest_ms = min(header.first_timestamp_ms, header.max_timestamp_ms)
    if oldest_ms >= 0 and now_ms - oldest_ms > config.timestamp_before_max_ms:
        raise InvalidTimestamp(
            f"timestamp {oldest_ms} is {now_ms - oldest_ms} ms old: "
            f"message.timestamp.before.max.ms is {config.timestamp_before_max_ms}"
        )


def refuse_producer(producer_id: int, epoch: int, sequence: int) -> NoReturn:
    raise InvalidRecord(f"producer id {producer_id}, epoch {epoch}, sequence {sequence}: all or none may be negative")


def stamp(batch: memoryview, now_ms: int) -> None:
    """Make the append time the timestamp of every record, as LogAppendTime asks, and renew the CRC."""
    (attributes,) = _ATTRIBUTES.unpack_from(batch, ATTRIBUTES_AT)
    _ATTRIBUTES.pack_into(batch, ATTRIBUTES_AT, attributes | LOG_APPEND_TIME)
    _TIMESTAMP.pack_into(batch, MAX_TIMESTAMP_AT, now_ms)
    _CRC.pack_into(batch, CRC_AT, crc32c(batch[CRC_COVERS_FROM:]))


def check_internal(batch: memoryview) -> BatchHeader:
    """The header of a batch that the broker built. Raises CorruptBatch or InvalidRecord if it did not build it well."""
    header = parse_header(batch)
    if header.magic != MAGIC or header.size_bytes != len(batch) or not crc_agrees(batch, header):
        raise CorruptBatch("not exactly one whole v2 batch")
    if header.record_count < 1 or header.record_count != header.last_offset_delta + 1:
        raise InvalidRecord(f"{header.record_count} records, last offset delta {header.last_offset_delta}")
    return header
