"""The checker: everything that is wrong with an open log, not just the first thing.

Always true: it only reads, it trusts neither index nor memory, and it may be run on a live log, from its own thread, at
any moment between two flushes. A sound log yields nothing.
"""

from collections.abc import Iterator
from itertools import pairwise

from .log import Log
from .scan import BatchScan
from .segment import LOG_SUFFIX, Segment


def violations(log: Log) -> Iterator[str]:
    """One sentence for each thing wrong. Reads every byte of the log; blocks."""
    segments = log.segments
    if not log.log_start <= log.durable <= log.end and log.log_start <= log.end:
        yield f"not log start {log.log_start} <= durable {log.durable} <= end {log.end}"
    for older, newer in pairwise(segments):
        if older.end > newer.base:
            yield f"segment {older.base} ends at {older.end}, above the next one's base {newer.base}"
        if older.sealed_at_ms < 0:
            yield f"segment {older.base} is behind the tail but still open"
    for segment in segments:
        yield from _segment_violations(log, segment, segment is segments[-1])
    epochs = log.epoch_history()
    for (epoch, start), (next_epoch, next_start) in pairwise(epochs):
        if epoch >= next_epoch or start >= next_start:
            yield f"epoch {epoch} from {start} is followed by {next_epoch} from {next_start}"
    if epochs and epochs[-1][0] > log.leader_epoch:
        yield f"epoch {epochs[-1][0]} is above the leader's {log.leader_epoch}"


def _segment_violations(log: Log, segment: Segment, is_active: bool) -> Iterator[str]:
    name = f"segment {segment.base}"
    position, durable_at = segment.durable
    if not position <= segment.written <= segment.size:
        yield f"{name}: not durable {position} <= written {segment.written} <= size {segment.size}"
    if not segment.created:
        if segment.written:
            yield f"{name}: {segment.written} bytes were written to no file"
        return
    disk = log.disk
    file_bytes = disk.stat(segment.path(LOG_SUFFIX)).st_size
    if file_bytes != segment.written:
        yield f"{name}: its file has {file_bytes} bytes, {segment.written} were written"
    starts: dict[int, int] = {}
    largest_ms = -1
    fd = disk.open(segment.path(LOG_SUFFIX), segment.file.flags, 0o644)
    try:
        scan = BatchScan(disk, fd, 0, segment.written, segment.base, check=True)
        boundary = position == 0
        for at, header in scan:
            starts[header.last_offset - segment.base] = at
            largest_ms = max(largest_ms, header.latest_ms)
            boundary = boundary or at + header.size_bytes == position
            if at + header.size_bytes <= position and header.end_offset > durable_at:
                yield f"{name}: offset {header.last_offset} lies below the durable position, not below {durable_at}"
            is_last = at + header.size_bytes == segment.written and is_active and log.is_flushed
            if is_last and header.end_offset != log.end:
                yield f"{name}: its last batch ends at {header.end_offset}, the log at {log.end}"
            if not is_active and header.end_offset > segment.end:
                yield f"{name}: holds offset {header.last_offset} although it ends at {segment.end}"
            epoch = _epoch_of(log, header.base_offset)
            if epoch != header.leader_epoch:
                yield f"{name}: offset {header.base_offset} has epoch {header.leader_epoch}, the history says {epoch}"
        if scan.problem is not None:
            yield f"{name}: {scan.problem}"
        if not boundary:
            yield f"{name}: the durable position {position} is not the end of a batch"
    finally:
        disk.close(fd)
    if segment.index is not None:
        for relative, at in zip(segment.index.offsets, segment.index.positions, strict=True):
            if at < segment.written and starts.get(relative) != at:
                yield f"{name}: the index says that the batch ending at {segment.base + relative} begins at {at}"
    if segment.described and segment.size == segment.written and segment.max_timestamp_ms != largest_ms:
        yield f"{name}: its largest timestamp is {largest_ms}, not {segment.max_timestamp_ms}"


def _epoch_of(log: Log, offset: int) -> int:
    found = -1
    for epoch, start in log.epoch_history():
        if start <= offset:
            found = epoch
    return found
