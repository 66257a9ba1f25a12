"""The files beside a segment's `.log`: both indexes and the producer snapshot at its end.

Always true: a sealed segment's snapshot is written last, all of them synced before the recovery point passes the
segment; so a snapshot that exists vouches for the indexes that are there (compaction takes them away for a moment),
and any of the three can be made again from the log.
"""

import os
from bisect import bisect_left
from collections.abc import Iterable

from .batch import BatchHeader
from .checkpoints import read_file, replace_file
from .disk import Disk
from .offset_index import OffsetIndex, decode_offset_index
from .producers import Entries, Producers, decode_snapshot, encode_snapshot
from .scan import BatchScan
from .segment import INDEX_SUFFIX, SNAPSHOT_SUFFIX, TIME_INDEX_SUFFIX, Segment, file_name
from .time_index import TimeIndex, decode_time_index


def save_indexes(disk: Disk, segment: Segment) -> None:
    """The time index first: with an older offset index beside it, `resume_indexes` only walks further."""
    assert segment.index is not None and segment.times is not None
    replace_file(disk, segment.path(TIME_INDEX_SUFFIX), segment.times.encode())
    replace_file(disk, segment.path(INDEX_SUFFIX), segment.index.encode())


def save_snapshot(disk: Disk, directory: str, offset: int, entries: Entries) -> None:
    replace_file(disk, f"{directory}/{file_name(offset, SNAPSHOT_SUFFIX)}", encode_snapshot(entries))


def read_snapshot(disk: Disk, directory: str, offset: int) -> bytes | None:
    return read_file(disk, f"{directory}/{file_name(offset, SNAPSHOT_SUFFIX)}")


def read_indexes(disk: Disk, segment: Segment, below: int) -> tuple[OffsetIndex, TimeIndex] | None:
    """Both indexes from their files, as far as they speak of offsets below `below`. None when one is damaged."""
    raw_index = read_file(disk, segment.path(INDEX_SUFFIX))
    raw_times = read_file(disk, segment.path(TIME_INDEX_SUFFIX))
    index = None if raw_index is None else decode_offset_index(raw_index, max(segment.size, 1))
    times = None if raw_times is None else decode_time_index(raw_times)
    if index is None or times is None:
        return None
    index.truncate(bisect_left(index.offsets, below - segment.base))
    times.truncate(bisect_left(times.offsets, below - segment.base))
    return index, times


def load_indexes(disk: Disk, fd: int, segment: Segment, interval_bytes: int) -> None:
    """Give a sealed segment its indexes and timestamps back, from the files or, where those are damaged, from the log.

    Any thread: the segment is only changed by whole assignments of what is true of it anyway.
    """
    first = next(iter(BatchScan(disk, fd, 0, segment.size, segment.base)), None)
    indexes = read_indexes(disk, segment, segment.end)
    if indexes is not None and indexes[1].timestamps and _fits(disk, fd, segment, indexes[0]):
        index, times = indexes
        max_timestamp_ms, max_timestamp_offset = times.timestamps[-1], segment.base + times.offsets[-1]
    else:
        made = Segment(segment.directory, segment.base, opened_at_ms=0)
        add_batches(made, (h for _, h in BatchScan(disk, fd, 0, segment.size, segment.base)), interval_bytes)
        made.seal(segment.end, {}, 0)
        assert made.index is not None and made.times is not None
        index, times = made.index, made.times
        max_timestamp_ms, max_timestamp_offset = made.max_timestamp_ms, made.max_timestamp_offset
    segment.first_timestamp_ms = -1 if first is None else first[1].earliest_ms
    segment.max_timestamp_ms, segment.max_timestamp_offset = max_timestamp_ms, max_timestamp_offset
    segment.times, segment.index = times, index
    segment.described = True


def _fits(disk: Disk, fd: int, segment: Segment, index: OffsetIndex) -> bool:
    """Whether the last index entry points at a batch that ends where it says."""
    if not index.offsets:
        return True
    found = next(iter(BatchScan(disk, fd, index.positions[-1], segment.size, segment.base)), None)
    return found is not None and found[1].last_offset == segment.base + index.offsets[-1]


def add_batches(segment: Segment, headers: Iterable[BatchHeader], interval_bytes: int) -> None:
    for header in headers:
        if segment.size == 0:
            segment.first_timestamp_ms = header.earliest_ms
        segment.add(
            header.size_bytes,
            header.last_offset,
            header.latest_ms,
            interval_bytes,
        )


def resume_indexes(disk: Disk, segment: Segment, below: int) -> int:
    """Read the indexes of a segment that batches are still to be added to; the position from which to add them.

    Its size becomes that position. What the files do not know, or a damaged file, only means a longer walk.
    """
    segment.index, segment.times = read_indexes(disk, segment, below) or (OffsetIndex(), TimeIndex())
    if segment.index.positions:
        segment.size = segment.indexed_at = segment.index.positions[-1]
    else:
        segment.size = segment.indexed_at = 0
    if segment.times.timestamps:
        segment.max_timestamp_ms = segment.times.timestamps[-1]
        segment.max_timestamp_offset = segment.base + segment.times.offsets[-1]
    return segment.size


def load_producers(disk: Disk, directory: str, offsets: Iterable[int], now_ms: int) -> tuple[int, Producers] | None:
    """The newest whole snapshot of those named, and its offset."""
    for offset in sorted(offsets, reverse=True):
        raw = read_snapshot(disk, directory, offset)
        entries = None if raw is None else decode_snapshot(raw, now_ms)
        if entries is not None:
            return offset, Producers(entries)
    return None


def remove_if_there(disk: Disk, path: str) -> bool:
    try:
        disk.unlink(path)
    except FileNotFoundError:
        return False
    return True


def open_for_scan(disk: Disk, path: str) -> int:
    return disk.open(path, os.O_RDONLY | os.O_CLOEXEC)
