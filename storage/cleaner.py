"""Rewrite a sealed segment without what compaction leaves out. Runs in the cold worker: it is all CPU, and it blocks.

Always true: the segment itself is only read; what is written lies beside it under names that recovery removes, and is
synced and read back before it is answered. Kept are offsets, timestamps, leader epochs, codecs and sequences; a record
is kept byte for byte. The last batch of the segment and that of each producer stay, without records if need be, so that
no offset is given out twice and no producer is forgotten. Control batches, and batches that nobody can decode, stay as
they are; behind one of the latter no tombstone goes, since it may hide the same key.

Memory: the map of keys, one batch and its decompressed records.
"""

import os
from collections.abc import Iterator
from uuid import UUID

from crc32c import crc32c

from .batch import (
    CODEC_MASK,
    CODECS,
    CRC_COVERS_FROM,
    DELETE_HORIZON,
    HEADER,
    HEADER_BYTES,
    LENGTH_STARTS_AT,
    BatchHeader,
)
from .cleaning import CLEANED_SUFFIX, Clean, Cleaned, CompactionFailed, SegmentFile
from .codecs import compress
from .disk import Buffer, Disk
from .errors import CorruptBatch, DecodeFailed
from .offset_map import OffsetMap
from .record_spans import Span, decompressed, encode_varint, record_spans
from .scan import BatchScan
from .segment import INDEX_SUFFIX, LOG_SUFFIX, TIME_INDEX_SUFFIX, Segment
from .side_files import add_batches, open_for_scan, remove_if_there

WRITE_BYTES = 2**20  # gathered before they are written
SPANS_HELD_MAX = 10_000  # of a batch with more records they are found anew each time: a place is larger than a record
HORIZON_MAX_MS = 2**62  # beyond, tombstones are for ever and no horizon is needed


class Cleaner:
    """One per worker; one request at a time. Keeps the map of the pass that was last asked for."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._pass_id: UUID | None = None
        self._map = OffsetMap(0)
        self._map_end = 0

    def clean(self, request: Clean) -> Cleaned:
        """Blocks. Raises CompactionFailed."""
        try:
            self._have_map(request)
            cleaned = _Cleaning(self._disk, request, self._map, self._map_end).run()
        except OSError as error:
            raise CompactionFailed(f"{request.target.path}: {error}") from error
        if request.is_last:
            self.forget()
        return cleaned

    def forget(self) -> None:
        """Free the map."""
        self._pass_id, self._map = None, OffsetMap(0)

    def _have_map(self, request: Clean) -> None:
        if self._pass_id == request.pass_id:
            return
        self.forget()
        made = OffsetMap(request.keys_max)
        end = request.dirty_to
        for file in request.dirty:
            full_at = self._add(made, file, request)
            if full_at is not None:
                end = full_at
                break
        self._map, self._map_end, self._pass_id = made, end, request.pass_id

    def _add(self, made: OffsetMap, file: SegmentFile, request: Clean) -> int | None:
        """Note the keys of one file; the offset of the first record that there was no room for, if there was one."""
        fd = open_for_scan(self._disk, file.path)
        try:
            scan = BatchScan(self._disk, fd, 0, file.size_bytes, file.base, check=True)
            for _, header in scan:
                if header.is_control or header.end_offset <= request.dirty_from:
                    continue
                if header.base_offset >= request.dirty_to:
                    break
                for span in readable(scan.batch(), header) or ():
                    offset = header.base_offset + span.offset_delta
                    if span.key is None or not request.dirty_from <= offset < request.dirty_to:
                        continue
                    if not made.put(span.key, offset):
                        return offset
        finally:
            self._disk.close(fd)
        if scan.problem is not None:
            raise CompactionFailed(f"{file.path}: {scan.problem}")
        return None


class Records:
    """The records of one batch, known to be readable; to be gone through more than once."""

    __slots__ = ("_header", "_spans", "data")

    def __init__(self, data: bytes, header: BatchHeader) -> None:
        """Raises DecodeFailed."""
        self.data, self._header = data, header
        self._spans: list[Span] | None = None
        if header.record_count <= SPANS_HELD_MAX:
            self._spans = list(record_spans(data, header))
        else:
            for _ in record_spans(data, header):
                pass

    def __iter__(self) -> Iterator[Span]:
        return iter(self._spans) if self._spans is not None else record_spans(self.data, self._header)


def readable(batch: memoryview, header: BatchHeader) -> Records | None:
    """The records of a batch; None when they cannot be read, not one of them."""
    try:
        return Records(decompressed(batch, header), header)
    except (DecodeFailed, CorruptBatch):
        return None


class _Cleaning:
    """The rewriting of one segment."""

    def __init__(self, disk: Disk, request: Clean, newest: OffsetMap, map_end: int) -> None:
        self._disk, self._request, self._newest, self._map_end = disk, request, newest, map_end
        self._kept_ends = frozenset(request.kept_ends)
        horizon_ms = request.now_ms + request.delete_retention_ms
        self._horizon_ms = horizon_ms if horizon_ms < HORIZON_MAX_MS else -1
        self._tombstones_may_go = request.tombstones_may_go
        self._changed = False
        self._records_before = self._records = self._unreadable = self._size = 0
        self._made = Segment("", request.target.base, opened_at_ms=0)
        self._written_end = request.target.base
        self._output = _Output(disk, request.target.path + CLEANED_SUFFIX) if request.write else None

    def run(self) -> Cleaned:
        target = self._request.target
        fd = open_for_scan(self._disk, target.path)
        try:
            scan = BatchScan(self._disk, fd, 0, target.size_bytes, target.base, check=True)
            for position, header in scan:
                is_last = position + header.size_bytes == target.size_bytes
                self._take(header, scan.batch(), is_last)
            if scan.problem is not None:
                raise CompactionFailed(f"{target.path}: {scan.problem}")
            made = self._made
            made.seal(target.end, {}, 0)
            if self._output is not None and self._changed:
                self._finish(self._output, scan.next_offset)
        except BaseException:
            self._discard()
            raise
        finally:
            self._disk.close(fd)
        if not self._changed:
            self._discard()
        return Cleaned(
            map_end=self._map_end,
            changed=self._changed,
            records_before=self._records_before,
            records=self._records,
            bytes_before=target.size_bytes,
            size_bytes=made.size,
            unreadable=self._unreadable,
            first_timestamp_ms=made.first_timestamp_ms,
            max_timestamp_ms=made.max_timestamp_ms,
            max_timestamp_offset=made.max_timestamp_offset,
        )

    # one batch

    def _take(self, header: BatchHeader, batch: memoryview, is_last: bool) -> None:
        self._records_before += header.record_count
        if header.is_control:
            self._keep(header, batch)
            return
        records = readable(batch, header)
        if records is None:
            self._unreadable += 1
            self._tombstones_may_go = False
            self._keep(header, batch)
            return
        stay, has_tombstones = bytearray(), False
        for span in records:
            stays = self._stays(header, span)
            stay.append(stays)
            has_tombstones |= stays and not span.has_value
        if not any(stay):
            self._keep_empty(header, batch, is_last)
            return
        is_covered = header.delete_horizon_ms < 0 and header.end_offset <= self._map_end
        stamp = has_tombstones and is_covered and self._horizon_ms >= 0
        if all(stay) and not stamp:
            self._keep(header, batch)
            return
        self._changed = True
        self._keep(*rebuilt(header, records, stay, self._horizon_ms if stamp else -1))

    def _stays(self, header: BatchHeader, span: Span) -> bool:
        """Whether a record is the newest of its key; a tombstone besides only until its delete horizon has passed."""
        offset = header.base_offset + span.offset_delta
        if offset >= self._map_end:
            return True
        if span.key is None or offset < self._newest.get(span.key):
            return False
        horizon_ms = header.delete_horizon_ms
        return span.has_value or not self._tombstones_may_go or horizon_ms < 0 or self._request.now_ms < horizon_ms

    def _keep_empty(self, header: BatchHeader, batch: memoryview, is_last: bool) -> None:
        """Leave a batch out, or keep only its header."""
        is_wanted = is_last or (header.producer_id >= 0 and header.last_offset in self._kept_ends)
        if is_wanted and not header.record_count:
            self._keep(header, batch)
            return
        self._changed = True
        if is_wanted:
            self._keep(*emptied(header))

    def _keep(self, header: BatchHeader, batch: Buffer) -> None:
        self._records += header.record_count
        add_batches(self._made, (header,), self._request.index_interval_bytes)
        self._written_end = header.end_offset
        if self._output is not None:
            self._output.write(batch)

    # files

    def _finish(self, output: "_Output", end: int) -> None:
        """Have the files on disk, under names of their own, and read the log back."""
        made, target = self._made, self._request.target
        if self._written_end != end or made.times is None or made.index is None:
            raise CompactionFailed(f"{target.path}: ends at {self._written_end} when cleaned, at {end} as it is")
        status = self._disk.stat(target.path)
        output.finish((status.st_atime_ns, status.st_mtime_ns))
        for suffix, content in ((INDEX_SUFFIX, made.index.encode()), (TIME_INDEX_SUFFIX, made.times.encode())):
            side_file = _Output(self._disk, cleaned_path(target.path, suffix))
            try:
                side_file.write(content)
                side_file.finish()
            finally:
                side_file.close()
        fd = open_for_scan(self._disk, output.path)
        try:
            scan = BatchScan(self._disk, fd, 0, made.size, target.base, check=True)
            for _ in scan:
                pass
            if scan.problem is not None or scan.next_offset != end or self._disk.fstat_size(fd) != made.size:
                raise CompactionFailed(f"{output.path} does not read back: {scan.problem or scan.next_offset}")
        finally:
            self._disk.close(fd)

    def _discard(self) -> None:
        if self._output is not None:
            self._output.close()
            remove_cleaned(self._disk, self._request.target.path)


class _Output:
    """A new file; opened with the first bytes, so that a segment with nothing to clean costs none."""

    def __init__(self, disk: Disk, path: str) -> None:
        self._disk, self.path = disk, path
        self._fd = -1
        self._gathered = bytearray()
        self._size = 0

    def write(self, data: Buffer) -> None:
        self._gathered += data
        if len(self._gathered) >= WRITE_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._fd < 0:
            self._fd = self._disk.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        view, at = memoryview(bytes(self._gathered)), 0
        while at < len(view):
            at += self._disk.pwrite(self._fd, view[at:], self._size + at)
        self._size += len(view)
        self._gathered.clear()

    def finish(self, times_ns: tuple[int, int] | None = None) -> None:
        """Write the rest, and have it on disk; with the times of another file, whose age it is to have."""
        self._flush()
        if times_ns is not None:
            os.utime(self.path, ns=times_ns)
        self._disk.fsync(self._fd)
        self.close()

    def close(self) -> None:
        if self._fd >= 0:
            self._disk.close(self._fd)
            self._fd = -1


def cleaned_path(log_path: str, suffix: str) -> str:
    """Where the cleaned form of a segment's file of that suffix is written."""
    return log_path.removesuffix(LOG_SUFFIX) + suffix + CLEANED_SUFFIX


def remove_cleaned(disk: Disk, log_path: str) -> None:
    """Remove what was written beside a segment."""
    for suffix in (LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX):
        remove_if_there(disk, cleaned_path(log_path, suffix))


def rebuilt(header: BatchHeader, records: Records, stay: bytearray, horizon_ms: int) -> tuple[BatchHeader, bytes]:
    """The batch with those of its records that stay; with a delete horizon as its first timestamp if one is given.

    The largest timestamp becomes that of the records kept, as in Kafka; the base offset and the last one stay.
    """
    data, first_ms, largest_ms = records.data, header.first_timestamp_ms, -1
    attributes, base_ms = header.attributes, first_ms
    if horizon_ms >= 0:
        attributes, base_ms = attributes | DELETE_HORIZON, horizon_ms
    body = bytearray()
    for span, stays in zip(records, stay, strict=True):
        if stays:
            body += data[span.start : span.end] if base_ms == first_ms else _moved(data, span, first_ms - base_ms)
            largest_ms = max(largest_ms, first_ms + span.timestamp_delta)
    return _sealed(
        header._replace(
            attributes=attributes,
            first_timestamp_ms=base_ms,
            max_timestamp_ms=header.max_timestamp_ms if header.timestamp_type else largest_ms,
            record_count=sum(stay),
        ),
        compress(CODECS[header.attributes & CODEC_MASK], bytes(body)),
    )


def _moved(data: bytes, span: Span, by_ms: int) -> bytes:
    """A record whose timestamp counts from another base."""
    timestamp = encode_varint(span.timestamp_delta + by_ms)
    length = 1 + len(timestamp) + span.end - span.rest
    return encode_varint(length) + data[span.body : span.body + 1] + timestamp + data[span.rest : span.end]


def emptied(header: BatchHeader) -> tuple[BatchHeader, bytes]:
    """The batch without records, as Kafka writes it: uncompressed, no first timestamp, the rest as it was."""
    return _sealed(
        header._replace(
            attributes=header.attributes & ~(CODEC_MASK | DELETE_HORIZON),
            first_timestamp_ms=-1,
            max_timestamp_ms=header.latest_ms,
            record_count=0,
        ),
        b"",
    )


def _sealed(header: BatchHeader, payload: bytes) -> tuple[BatchHeader, bytes]:
    """The batch of a header and its records, with length and CRC-32C as they now are."""
    header = header._replace(length=HEADER_BYTES - LENGTH_STARTS_AT + len(payload), crc=0)
    crc = crc32c(payload, crc32c(HEADER.pack(*header)[CRC_COVERS_FROM:]))
    header = header._replace(crc=crc)
    return header, HEADER.pack(*header) + payload
