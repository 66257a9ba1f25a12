"""Find and read whole batches in one segment's file.

Always true: nothing at or above the segment's durable position is returned; a read begins exactly at a batch and ends
exactly after one. With `NOWAIT` no call here waits for the device: it raises WouldBlock instead. No mmap: a page fault
would hold the interpreter lock.
"""

import struct

from .batch import HEADER_BYTES, LENGTH_STARTS_AT, OFFSET_AND_LENGTH
from .disk import Disk
from .errors import CorruptLog, ReadFailed, WouldBlock
from .offset_index import OffsetIndex
from .segment import Segment

LOCATE = struct.Struct(">qi11xi")  # base offset, length, last offset delta
LOCATE_BYTES = 8192  # index entries are about 4 KiB apart, so one read mostly finds the batch


def read_exactly(disk: Disk, fd: int, position: int, length: int, flags: int) -> bytearray:
    """Raises WouldBlock (only with NOWAIT), ReadFailed, CorruptLog when the file is shorter than it was."""
    buffer = bytearray(length)
    try:
        done = disk.preadv(fd, (buffer,), position, flags)
        if done == length:
            return buffer
        if flags:
            raise WouldBlock("not all of it is in the page cache")
        while 0 < done < length:
            got = disk.preadv(fd, (memoryview(buffer)[done:],), position + done)
            if not got:
                break
            done += got
    except BlockingIOError:
        raise WouldBlock("not in the page cache") from None
    except OSError as error:
        if flags:  # a file system without RWF_NOWAIT, or an error that the blocking read will name
            raise WouldBlock(f"cannot read without waiting: {error}") from error
        raise ReadFailed(f"reading {length} bytes at {position} failed: {error}") from error
    if done < length:
        raise CorruptLog(f"the file ends at {position + done}, but {position + length} bytes of it were durable")
    return buffer


def read_segment(
    disk: Disk,
    segment: Segment,
    index: OffsetIndex,
    fd: int,
    flags: int,
    offset: int,
    max_bytes: int,
    whole_first: bool,
) -> bytearray | None:
    """Whole batches from the one that holds `offset` (or the next one, in a gap) on; None when there is none here.

    At most `max_bytes`, unless the first batch alone is larger: then that one with `whole_first`, else nothing.
    """
    limit, limit_offset = segment.durable
    position = segment.hints.get(offset)
    if position is None:
        position = locate(disk, fd, flags, index.position_before(offset - segment.base), limit, offset)
    available = limit - position
    if available <= 0:
        return None
    if available <= max_bytes:
        buffer = read_exactly(disk, fd, position, available, flags)
        segment.hint(limit_offset, limit)
        return buffer
    buffer = read_exactly(disk, fd, position, max(max_bytes, HEADER_BYTES), flags)
    first_bytes = _size_at(buffer, 0, position)
    if first_bytes > max_bytes:
        if not whole_first:
            return bytearray()
        buffer = read_exactly(disk, fd, position, first_bytes, flags)
        segment.hint(_end_offset(buffer, 0), position + first_bytes)
        return buffer
    last, end = _last_whole_batch(buffer, position, index, max_bytes)
    segment.hint(_end_offset(buffer, last), position + end)
    del buffer[end:]
    return buffer


def locate(disk: Disk, fd: int, flags: int, position: int, limit: int, offset: int) -> int:
    """Where the first batch begins that ends at `offset` or later, scanning from `position`; `limit` when none does."""
    while position < limit:
        chunk = read_exactly(disk, fd, position, min(LOCATE_BYTES, limit - position), flags)
        at, stop = 0, len(chunk) - HEADER_BYTES
        while at <= stop:
            base_offset, length, last_delta = LOCATE.unpack_from(chunk, at)
            if base_offset + last_delta >= offset:
                return position + at
            at += _checked(length, position + at)
        if at == 0:
            raise CorruptLog(f"{len(chunk)} durable bytes at {position} are no batch")
        position += at
    return limit


def _last_whole_batch(buffer: bytearray, position: int, index: OffsetIndex, max_bytes: int) -> tuple[int, int]:
    """(start, end) in the buffer of the last batch that ends within `max_bytes`. The first one does.

    The index knows a batch start close to the end, so only the last few headers are walked, not all of them.
    """
    at = max(0, index.boundary_at_or_before(position + max_bytes) - position)
    last, stop = -1, min(max_bytes, len(buffer))
    unpack = OFFSET_AND_LENGTH.unpack_from
    while at + OFFSET_AND_LENGTH.size <= stop:
        end = at + LENGTH_STARTS_AT + unpack(buffer, at)[1]
        if end > stop:
            break
        if end < at + HEADER_BYTES:
            _checked(end - at - LENGTH_STARTS_AT, position + at)
        last, at = at, end
    if last >= 0:
        return last, at
    if at == 0:
        raise CorruptLog(f"no batch ends within {max_bytes} bytes at {position}")
    # The boundary itself is where to stop; the batch before it has to be found for its last offset.
    start = max(0, index.boundary_at_or_before(position + at - 1) - position)
    while start < at:
        last, start = start, start + _size_at(buffer, start, position)
    return last, at


def _size_at(buffer: bytearray, at: int, position: int) -> int:
    return _checked(OFFSET_AND_LENGTH.unpack_from(buffer, at)[1], position + at)


def _checked(length: int, position: int) -> int:
    if length < HEADER_BYTES - LENGTH_STARTS_AT:
        raise CorruptLog(f"the durable batch at {position} claims a length of {length} bytes")
    return LENGTH_STARTS_AT + length


def _end_offset(buffer: bytearray, at: int) -> int:
    base_offset, _, last_delta = LOCATE.unpack_from(buffer, at)
    return int(base_offset + last_delta + 1)
