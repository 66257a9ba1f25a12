"""Write the object of a sealed segment into a file, streaming: never more than a chunk and a batch in memory.

Always true: what comes out holds every batch of [base, end) and nothing else, each with the CRC-32C that its producer
computed; a source that cannot give that raises CorruptSegment, and no object is made. Pages are synced and dropped
every few MiB, so that neither dirty-page throttling nor a cold segment's copy disturbs what is being produced.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from crc32c import crc32c

from .batch import BatchHeader
from .cold_format import CHUNK_RAW_BYTES, Chunk, Tail, encode_chunk, encode_tail
from .cold_worker import Upload
from .disk import OsDisk
from .errors import LogError
from .scan import BatchScan

SYNC_BYTES = 8 * 2**20


class CorruptSegment(Exception):
    """A sealed segment on local disk does not hold exactly its batches: not uploaded, and not to be evicted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenObject:
    """A whole object in a file; `tail` is what it ends in."""

    size_bytes: int
    md5: bytes
    raw_bytes: int
    first_timestamp_ms: int
    max_timestamp_ms: int
    tail: bytes


def write_object(upload: Upload, target: Path) -> WrittenObject:
    """Builds the object of `upload` in a new file. Blocking: for a thread. Raises CorruptSegment, OSError."""
    source = os.open(upload.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size_bytes = os.fstat(source).st_size
        if size_bytes < upload.log_bytes:
            raise CorruptSegment(f"{upload.path}: {size_bytes} bytes where {upload.log_bytes} were sealed")
        os.posix_fadvise(source, 0, upload.log_bytes, os.POSIX_FADV_SEQUENTIAL)
        with target.open("xb", buffering=0) as file:
            return _ObjectFile(file.fileno(), upload).build(source)
    finally:
        os.close(source)


class _ObjectFile:
    def __init__(self, fd: int, upload: Upload) -> None:
        self._fd = fd
        self._upload = upload
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._written = self._synced = 0
        self._buffer = bytearray(CHUNK_RAW_BYTES)  # one for all chunks: fresh pages cost more than filling them
        self._raw = memoryview(b"")  # of the chunk being filled
        self._chunks: list[Chunk] = []
        self._batches = 0
        self._edge = upload.base  # where the next batch is due
        self._first_ms = self._max_ms = -1  # of the chunk being filled
        self._base = -1

    def build(self, source: int) -> WrittenObject:
        upload = self._upload
        scan = BatchScan(OsDisk(), source, 0, upload.log_bytes, 0, check=True)
        try:
            for _, header in scan:
                if self._takes(header):
                    self._add(header, scan.batch())
        except LogError as error:
            raise CorruptSegment(f"{upload.path}: {error}") from error
        if scan.problem is not None:
            raise CorruptSegment(f"{upload.path}: {scan.problem}")
        if self._edge != upload.end and not upload.gaps_allowed:
            raise CorruptSegment(f"{upload.path}: batches end at {self._edge}, the segment at {upload.end}")
        self._close_chunk()
        tail = self._tail()
        encoded = encode_tail(tail)
        self._write(encoded)
        self._sync()
        return WrittenObject(
            size_bytes=self._written,
            md5=self._md5.digest(),
            raw_bytes=tail.raw_bytes,
            first_timestamp_ms=tail.first_timestamp_ms,
            max_timestamp_ms=tail.max_timestamp_ms,
            tail=encoded,
        )

    def _takes(self, header: BatchHeader) -> bool:
        """Whether the batch is of [base, end): a file may hold more, when part of it is in the cold tier already."""
        upload = self._upload
        if header.end_offset <= upload.base or header.base_offset >= upload.end:
            return False
        if header.base_offset < upload.base or header.end_offset > upload.end:
            raise CorruptSegment(
                f"{upload.path}: the batch [{header.base_offset}, {header.end_offset}) crosses the edge of "
                f"[{upload.base}, {upload.end})"
            )
        if header.base_offset != self._edge and not upload.gaps_allowed:
            raise CorruptSegment(f"{upload.path}: offset {header.base_offset} where {self._edge} was due")
        return True

    def _add(self, header: BatchHeader, batch: memoryview) -> None:
        if self._raw and len(self._raw) + len(batch) > CHUNK_RAW_BYTES:
            self._close_chunk()
        if not self._raw:
            self._base, self._first_ms, self._max_ms = header.base_offset, header.earliest_ms, -1
        end = len(self._raw) + len(batch)
        if end > CHUNK_RAW_BYTES:
            self._raw = batch  # larger than any other chunk: one of its own, and closed before the scan goes on
        else:
            self._buffer[end - len(batch) : end] = batch
            self._raw = memoryview(self._buffer)[:end]
        self._max_ms = max(self._max_ms, header.max_timestamp_ms)
        self._edge = header.end_offset
        self._batches += 1
        if end > CHUNK_RAW_BYTES:
            self._close_chunk()

    def _close_chunk(self) -> None:
        if not self._raw:
            return
        codec, stored = encode_chunk(self._raw)
        self._chunks.append(
            Chunk(
                base=self._base,
                end=self._edge,
                first_timestamp_ms=self._first_ms,
                max_timestamp_ms=self._max_ms,
                position=self._written,
                stored_bytes=len(stored),
                raw_bytes=len(self._raw),
                crc=crc32c(self._raw),
                codec=codec,
            )
        )
        self._write(stored)
        self._raw = memoryview(b"")

    def _tail(self) -> Tail:
        upload = self._upload
        return Tail(
            topic_id=upload.topic_id,
            object_id=upload.object_id,
            partition=upload.partition,
            leader_epoch=upload.leader_epoch,
            base=upload.base,
            end=upload.end,
            created_ms=upload.created_ms,
            batch_count=self._batches,
            chunks=tuple(self._chunks),
            aborted=upload.aborted,
            producer_snapshot=upload.producer_snapshot,
            epochs=upload.epochs,
        )

    def _write(self, data: bytes | bytearray | memoryview) -> None:
        self._md5.update(data)
        view = memoryview(data)
        while view:
            count = os.write(self._fd, view)
            view = view[count:]
            self._written += count
        if self._written - self._synced >= SYNC_BYTES:
            self._sync()

    def _sync(self) -> None:
        os.fdatasync(self._fd)
        os.posix_fadvise(self._fd, self._synced, self._written - self._synced, os.POSIX_FADV_DONTNEED)
        self._synced = self._written
