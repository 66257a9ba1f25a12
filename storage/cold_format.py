"""The bytes of a cold segment object: chunks of whole batches, then a tail that says all about them (docs/format.md).

Always true: what `encode_tail` wrote, `decode_tail` reads, and anything else raises CorruptObject and nothing else. No
length is believed before it was compared with the bytes at hand, so a damaged or hostile object costs no more memory
than its own size, and a chunk no more than CHUNK_RAW_BYTES_MAX. Pure functions over bytes.
"""

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

import lz4.frame
from crc32c import crc32c

_lz4: Any = lz4.frame  # has no types
MAGIC = b"CSTRMSEG"
VERSION = 1
CHUNK_RAW_BYTES = 4 * 2**20  # a chunk is closed before it grows past this; one larger batch has a chunk of its own
CHUNK_RAW_BYTES_MAX = 256 * 2**20  # more than any request may carry
TAIL_BYTES_MAX = 128 * 2**20
INDEX_GUESS_BYTES = 64 * 2**10  # holds the index of a segment of 4 GiB

# topic id, object id, partition, leader epoch, base, end, first and max timestamp, raw bytes, created, where the tail
# begins, bytes of: aborted, snapshot, epochs, index; chunks, batches, CRC of the first three lists, CRC of the index,
# version, flags, CRC of the footer, magic
FOOTER = struct.Struct(">16s16siiqqqqqqqIIIIIIIIHHI8s")
FOOTER_BYTES = FOOTER.size
FOOTER_CRC_COVERS = FOOTER_BYTES - 12
# base, end, first and max timestamp, position, stored bytes, raw bytes, CRC-32C of the raw bytes, codec
INDEX_ENTRY = struct.Struct(">qqqqQIIII")
ABORTED_ENTRY = struct.Struct(">qqq")  # producer id, first offset, last offset (the marker's)
EPOCH_ENTRY = struct.Struct(">iq")  # leader epoch, start offset
CODEC_NONE, CODEC_LZ4 = 0, 1
SAMPLES, SAMPLE_BYTES, WORTH_IT = 8, 16 * 2**10, 0.99


class CorruptObject(Exception):
    """The bytes of an object are not those of a whole cold segment."""


class AbortedTransaction(NamedTuple):
    """A transaction that overlaps the segment and was aborted, wherever its marker lies."""

    producer_id: int
    first_offset: int
    last_offset: int


class Chunk(NamedTuple):
    """One index entry: offsets of its batches lie in [base, end), their bytes begin at `position`."""

    base: int
    end: int
    first_timestamp_ms: int
    max_timestamp_ms: int
    position: int
    stored_bytes: int
    raw_bytes: int
    crc: int
    codec: int


class Footer(NamedTuple):
    """The last FOOTER_BYTES, already checked against the object's size."""

    topic_id: UUID
    object_id: UUID
    partition: int
    leader_epoch: int
    base: int
    end: int
    first_timestamp_ms: int
    max_timestamp_ms: int
    raw_bytes: int
    created_ms: int
    tail_position: int
    aborted_bytes: int
    snapshot_bytes: int
    epochs_bytes: int
    index_bytes: int
    chunk_count: int
    batch_count: int
    lists_crc: int
    index_crc: int

    @property
    def tail_bytes(self) -> int:
        """From the end of the last chunk to the end of the object, footer included."""
        return self.aborted_bytes + self.snapshot_bytes + self.epochs_bytes + self.index_bytes + FOOTER_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """Everything about a segment but its records. Timestamps are -1 where there is no batch."""

    topic_id: UUID
    object_id: UUID
    partition: int
    leader_epoch: int
    base: int
    end: int
    created_ms: int
    batch_count: int
    chunks: tuple[Chunk, ...]
    aborted: tuple[AbortedTransaction, ...] = ()
    producer_snapshot: bytes = b""
    epochs: tuple[tuple[int, int], ...] = ()

    @property
    def first_timestamp_ms(self) -> int:
        return self.chunks[0].first_timestamp_ms if self.chunks else -1

    @property
    def max_timestamp_ms(self) -> int:
        return max((chunk.max_timestamp_ms for chunk in self.chunks), default=-1)

    @property
    def raw_bytes(self) -> int:
        return sum(chunk.raw_bytes for chunk in self.chunks)


def encode_chunk(raw: bytes | bytearray | memoryview) -> tuple[int, bytes | bytearray | memoryview]:
    """(codec, bytes to store): an LZ4 frame where that is smaller.

    Batches that are compressed already do not get smaller; samples tell, for a tenth of what finding out would cost.
    """
    view = memoryview(raw)
    if len(view) > 2 * SAMPLES * SAMPLE_BYTES and not _promising(view):
        return CODEC_NONE, raw
    packed: bytes = _lz4.compress(view, block_size=_lz4.BLOCKSIZE_MAX1MB, store_size=True)
    return (CODEC_LZ4, packed) if len(packed) < len(view) else (CODEC_NONE, raw)


def _promising(view: memoryview) -> bool:
    step = len(view) // SAMPLES
    samples = [view[at : at + SAMPLE_BYTES] for at in range(0, step * SAMPLES, step)]
    return sum(len(_lz4.compress(sample)) for sample in samples) < SAMPLES * SAMPLE_BYTES * WORTH_IT


def decode_chunk(chunk: Chunk, stored: bytes) -> bytes:
    """The raw batches of a chunk, checked against its CRC. Raises CorruptObject."""
    if len(stored) != chunk.stored_bytes:
        raise CorruptObject(f"a chunk of {chunk.stored_bytes} bytes came as {len(stored)}")
    raw = stored if chunk.codec == CODEC_NONE else _unpacked(stored, chunk.raw_bytes)
    if len(raw) != chunk.raw_bytes or crc32c(raw) != chunk.crc:
        raise CorruptObject(f"the CRC-32C of the chunk at {chunk.position} does not agree")
    return raw


def _unpacked(stored: bytes, raw_bytes: int) -> bytes:
    frame = _lz4.LZ4FrameDecompressor()
    try:
        raw: bytes = frame.decompress(stored, max_length=raw_bytes + 1)
    except (RuntimeError, ValueError, EOFError) as error:
        raise CorruptObject(f"a chunk is no LZ4 frame: {error}") from None
    if not frame.eof or frame.unused_data:
        raise CorruptObject(f"a chunk's LZ4 frame does not end where {raw_bytes} bytes do")
    return raw


def encode_tail(tail: Tail) -> bytes:
    """What follows the last chunk."""
    aborted = b"".join(ABORTED_ENTRY.pack(*entry) for entry in tail.aborted)
    epochs = b"".join(EPOCH_ENTRY.pack(*entry) for entry in tail.epochs)
    index = b"".join(INDEX_ENTRY.pack(*chunk) for chunk in tail.chunks)
    lists = b"".join((aborted, tail.producer_snapshot, epochs))
    position = tail.chunks[-1].position + tail.chunks[-1].stored_bytes if tail.chunks else 0
    footer = bytearray(
        FOOTER.pack(
            tail.topic_id.bytes,
            tail.object_id.bytes,
            tail.partition,
            tail.leader_epoch,
            tail.base,
            tail.end,
            tail.first_timestamp_ms,
            tail.max_timestamp_ms,
            tail.raw_bytes,
            tail.created_ms,
            position,
            len(aborted),
            len(tail.producer_snapshot),
            len(epochs),
            len(index),
            len(tail.chunks),
            tail.batch_count,
            crc32c(lists),
            crc32c(index),
            VERSION,
            0,
            0,
            MAGIC,
        )
    )
    struct.pack_into(">I", footer, FOOTER_CRC_COVERS, crc32c(memoryview(footer)[:FOOTER_CRC_COVERS]))
    return lists + index + footer


def decode_footer(end_of_object: bytes, object_bytes: int) -> Footer:
    """The footer in the last bytes of an object of this size. Raises CorruptObject."""
    if len(end_of_object) < FOOTER_BYTES or object_bytes < len(end_of_object):
        raise CorruptObject(f"{min(len(end_of_object), object_bytes)} bytes are no segment object: cut off")
    raw = memoryview(end_of_object)[-FOOTER_BYTES:]
    fields = FOOTER.unpack(raw)
    version, flags, crc, magic = fields[-4:]
    if magic != MAGIC:
        raise CorruptObject("not a segment object, or one that was cut off: it does not end in CSTRMSEG")
    if version != VERSION or flags:
        raise CorruptObject(f"format version {version}, flags {flags:#x}: damaged, or written by a newer Coldstream")
    if crc32c(raw[:FOOTER_CRC_COVERS]) != crc:
        raise CorruptObject("the CRC-32C of the footer does not agree")
    footer = Footer(UUID(bytes=fields[0]), UUID(bytes=fields[1]), *fields[2:-4])
    if footer.tail_position + footer.tail_bytes != object_bytes or footer.tail_bytes > TAIL_BYTES_MAX:
        raise CorruptObject(
            f"chunks of {footer.tail_position} and a tail of {footer.tail_bytes} in {object_bytes} bytes"
        )
    return footer


def decode_index(end_of_object: bytes, object_bytes: int) -> tuple[Footer, tuple[Chunk, ...]]:
    """Footer and chunk index, given at least their bytes from the end of an object. Raises CorruptObject."""
    footer = decode_footer(end_of_object, object_bytes)
    index = end_of_object[:-FOOTER_BYTES][-footer.index_bytes :] if footer.index_bytes else b""
    if len(index) != footer.index_bytes or footer.index_bytes % INDEX_ENTRY.size:
        raise CorruptObject(f"{len(index)} bytes where a chunk index of {footer.index_bytes} is due")
    if crc32c(index) != footer.index_crc:
        raise CorruptObject("the CRC-32C of the chunk index does not agree")
    chunks = tuple(Chunk._make(fields) for fields in INDEX_ENTRY.iter_unpack(index))
    if problem := _index_problem(footer, chunks):
        raise CorruptObject(f"the chunk index is wrong: {problem}")
    return footer, chunks


def decode_tail(end_of_object: bytes, object_bytes: int) -> Tail:
    """The whole tail, given at least its bytes from the end of an object. Raises CorruptObject."""
    footer, chunks = decode_index(end_of_object, object_bytes)
    if footer.tail_bytes > len(end_of_object):
        raise CorruptObject(f"{len(end_of_object)} bytes do not hold a tail of {footer.tail_bytes}")
    snapshot_at = footer.aborted_bytes
    epochs_at = snapshot_at + footer.snapshot_bytes
    lists = end_of_object[len(end_of_object) - footer.tail_bytes :][: epochs_at + footer.epochs_bytes]
    if crc32c(lists) != footer.lists_crc:
        raise CorruptObject("the CRC-32C of the tail's lists does not agree")
    if footer.aborted_bytes % ABORTED_ENTRY.size or footer.epochs_bytes % EPOCH_ENTRY.size:
        raise CorruptObject("a list in the tail is cut off")
    return Tail(
        topic_id=footer.topic_id,
        object_id=footer.object_id,
        partition=footer.partition,
        leader_epoch=footer.leader_epoch,
        base=footer.base,
        end=footer.end,
        created_ms=footer.created_ms,
        batch_count=footer.batch_count,
        chunks=chunks,
        aborted=tuple(AbortedTransaction._make(fields) for fields in ABORTED_ENTRY.iter_unpack(lists[:snapshot_at])),
        producer_snapshot=lists[snapshot_at:epochs_at],
        epochs=tuple((epoch, start) for epoch, start in EPOCH_ENTRY.iter_unpack(lists[epochs_at:])),
    )


def _index_problem(footer: Footer, chunks: tuple[Chunk, ...]) -> str | None:
    """Why these chunks cannot be the ones of this footer, or None."""
    if not 0 <= footer.base < footer.end or len(chunks) != footer.chunk_count:
        return f"{len(chunks)} chunks for [{footer.base}, {footer.end}), where {footer.chunk_count} are due"
    edge, position = footer.base, 0
    for chunk in chunks:
        if not edge <= chunk.base < chunk.end <= footer.end:
            return f"offsets [{chunk.base}, {chunk.end}) after {edge}"
        if chunk.position != position or not 0 < chunk.stored_bytes <= chunk.raw_bytes <= CHUNK_RAW_BYTES_MAX:
            return f"{chunk.stored_bytes} bytes for {chunk.raw_bytes} at {chunk.position}"
        if chunk.codec not in (CODEC_NONE, CODEC_LZ4) or (chunk.codec == CODEC_NONE) != (
            chunk.stored_bytes == chunk.raw_bytes
        ):
            return f"codec {chunk.codec} for {chunk.raw_bytes} bytes in {chunk.stored_bytes}"
        edge, position = chunk.end, position + chunk.stored_bytes
    if position != footer.tail_position:
        return f"chunks end at {position}, the tail begins at {footer.tail_position}"
    if sum(chunk.raw_bytes for chunk in chunks) != footer.raw_bytes:
        return "the sizes of its chunks do not add up"
    return None


def chunk_for(chunks: tuple[Chunk, ...], offset: int, timestamp_ms: int | None = None) -> int | None:
    """The number of the first chunk that reaches past `offset` and, if asked for, up to a timestamp; or None."""
    low, high = 0, len(chunks)
    while low < high:
        middle = (low + high) // 2
        if chunks[middle].end <= offset:
            low = middle + 1
        else:
            high = middle
    if timestamp_ms is not None:
        while low < len(chunks) and chunks[low].max_timestamp_ms < timestamp_ms:
            low += 1
    return low if low < len(chunks) else None


def epochs_within(epochs: tuple[tuple[int, int], ...], base: int, end: int) -> tuple[tuple[int, int], ...]:
    """The part of a partition's epoch history that applies to [base, end), from the one in force at `base` on."""
    kept = tuple(entry for entry in epochs if entry[1] < end)
    superseded = sum(1 for _, after in pairwise(kept) if after[1] <= base)
    return kept[superseded:]
