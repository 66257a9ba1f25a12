"""Find records by timestamp in one segment, exact to the record (KIP-79, KIP-734).

Always true: only durable batches are looked at. These walk headers and decode a batch: they block, and belong into a
thread.
"""

from typing import NamedTuple

from .batch import BatchHeader
from .disk import Disk
from .errors import LogError
from .records import decode_records
from .scan import BatchScan
from .segment import Segment


class Found(NamedTuple):
    """A record by time."""

    offset: int
    timestamp_ms: int


def first_at_or_after(disk: Disk, fd: int, segment: Segment, timestamp_ms: int, offset_min: int) -> Found | None:
    """The first record of a segment with at least this timestamp and at least this offset."""
    index, times = segment.index, segment.times
    limit = segment.durable.position
    start = 0
    if index is not None and times is not None:
        start = index.position_before(max(times.offset_before(timestamp_ms), offset_min - segment.base))
    scan = BatchScan(disk, fd, start, limit, segment.base)
    for _, header in scan:
        if header.end_offset > offset_min and header.latest_ms >= timestamp_ms:
            for offset, record_ms in _record_times(scan, header):
                if offset >= offset_min and record_ms >= timestamp_ms:
                    return Found(offset, record_ms)
    return None


def largest(disk: Disk, fd: int, segment: Segment, offset_min: int) -> Found | None:
    """The earliest of the records with the largest timestamp, from this offset on."""
    limit = segment.durable.position
    best: BatchHeader | None = None
    best_at = 0
    for position, header in BatchScan(disk, fd, 0, limit, segment.base):
        if header.end_offset <= offset_min or not header.record_count:  # a batch that compaction emptied
            continue
        if best is None or header.latest_ms > best.latest_ms:
            best, best_at = header, position
    if best is None:
        return None
    scan = BatchScan(disk, fd, best_at, limit, segment.base)
    for _, header in scan:
        times = [found for found in _record_times(scan, header) if found.offset >= offset_min]
        return max(times, key=lambda found: (found.timestamp_ms, -found.offset), default=None)
    return None


def _record_times(scan: BatchScan, header: BatchHeader) -> list[Found]:
    is_whole = header.record_count == header.last_offset_delta + 1  # nothing was compacted away
    if header.timestamp_type and is_whole:  # LogAppendTime: one timestamp for all
        return [Found(offset, header.max_timestamp_ms) for offset in range(header.base_offset, header.end_offset)]
    try:
        return [Found(record.offset, record.timestamp_ms) for record in decode_records(bytes(scan.batch()))]
    except LogError:
        # A client's batch that nobody can decode: its header is all there is.
        return [Found(header.base_offset, header.latest_ms)]
