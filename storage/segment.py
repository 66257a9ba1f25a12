"""One segment of a partition's log: a file of batches, its two sparse indexes, and how much of it is durable.

Always true: durable bytes <= written bytes <= size, and `size` counts batches that are queued but not yet written;
offsets of a sealed segment are [base, end), whatever gap its last batch leaves; a sealed segment never changes, though
compaction may put another one into its place. `durable` is one tuple, replaced as a whole, so that a reading thread
sees a position and the offset that belongs to it.
"""

import os
from typing import NamedTuple

from .offset_index import ENTRIES_MAX, OffsetIndex
from .open_files import OpenFile
from .producers import Entries
from .time_index import TimeIndex

LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX, SNAPSHOT_SUFFIX = ".log", ".index", ".timeindex", ".snapshot"
ACTIVE_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
SEALED_FLAGS = os.O_RDONLY | os.O_CLOEXEC
HINTS_MAX = 64


def file_name(offset: int, suffix: str) -> str:
    """Kafka's naming: the base offset in twenty digits."""
    return f"{offset:020d}{suffix}"


class Durable(NamedTuple):
    """The first `position` bytes of a segment are durable, and hold everything below `offset`."""

    position: int
    offset: int


class SegmentMark(NamedTuple):
    """What a failed flush puts back."""

    size: int
    index_entries: int
    time_entries: int
    indexed_at: int
    first_timestamp_ms: int
    max_timestamp_ms: int
    max_timestamp_offset: int
    opened_at_ms: int


class Segment:
    __slots__ = (
        "base",
        "created",
        "described",
        "directory",
        "durable",
        "end",
        "entries",
        "file",
        "first_timestamp_ms",
        "hints",
        "index",
        "indexed_at",
        "max_timestamp_ms",
        "max_timestamp_offset",
        "opened_at_ms",
        "saved",
        "sealed_at_ms",
        "size",
        "times",
        "written",
    )

    def __init__(self, directory: str, base: int, *, opened_at_ms: int, flags: int = ACTIVE_FLAGS) -> None:
        self.directory = directory
        self.base = base
        self.end = base  # of a sealed segment; the active one's is the log's
        self.file = OpenFile(self.path(LOG_SUFFIX), flags)
        self.created = False  # the file exists
        self.size = self.written = 0
        self.durable = Durable(0, base)
        self.index: OffsetIndex | None = OffsetIndex()  # None: on disk only
        self.times: TimeIndex | None = TimeIndex()
        self.indexed_at = 0  # where the last index entry was made
        self.first_timestamp_ms = self.max_timestamp_ms = -1
        self.max_timestamp_offset = base  # last offset of the batch that holds it
        self.opened_at_ms = opened_at_ms  # when its first batch came
        self.sealed_at_ms = -1
        self.described = True  # the timestamps are known
        self.saved = False  # the side files are durable
        self.entries: Entries | None = None  # producers as of `end`, until saved
        self.hints: dict[int, int] = {}  # offset -> position where a read of it begins

    def path(self, suffix: str) -> str:
        return f"{self.directory}/{file_name(self.base, suffix)}"

    @property
    def is_durable(self) -> bool:
        return self.durable.position == self.size

    def add(self, size: int, last_offset: int, max_timestamp_ms: int, interval_bytes: int) -> None:
        """Account for a batch at the end of the segment, with index entries where Kafka makes them."""
        position = self.size
        if max_timestamp_ms > self.max_timestamp_ms:
            self.max_timestamp_ms = max_timestamp_ms
            self.max_timestamp_offset = last_offset
        if position - self.indexed_at > interval_bytes:
            index, times = self.index, self.times
            assert index is not None and times is not None, "only a sealed segment's indexes are unloaded"
            index.append(last_offset - self.base, position)
            times.append_if_later(self.max_timestamp_ms, self.max_timestamp_offset - self.base)
            self.indexed_at = position
        self.size = position + size

    @property
    def index_is_full(self) -> bool:
        return self.index is not None and len(self.index) >= ENTRIES_MAX

    def hint(self, offset: int, position: int) -> None:
        """Remember where a reader will go on."""
        hints = self.hints
        if len(hints) >= HINTS_MAX:
            hints.clear()
        hints[offset] = position

    def mark(self) -> SegmentMark:
        assert self.index is not None and self.times is not None
        return SegmentMark(
            self.size,
            len(self.index.offsets),
            len(self.times.timestamps),
            self.indexed_at,
            self.first_timestamp_ms,
            self.max_timestamp_ms,
            self.max_timestamp_offset,
            self.opened_at_ms,
        )

    def restore(self, mark: SegmentMark) -> None:
        """Forget the batches that came after the mark, and a sealing."""
        assert self.index is not None and self.times is not None
        self.index.truncate(mark.index_entries)
        self.times.truncate(mark.time_entries)
        self.size, _, _, self.indexed_at, self.first_timestamp_ms, self.max_timestamp_ms = mark[:6]
        self.max_timestamp_offset, self.opened_at_ms = mark[6:]
        self.sealed_at_ms, self.entries = -1, None

    def seal(self, end: int, entries: Entries, now_ms: int) -> None:
        """No batch follows. The last time index entry names the largest timestamp, as Kafka's does."""
        assert self.times is not None
        self.times.append_if_later(self.max_timestamp_ms, self.max_timestamp_offset - self.base)
        self.end, self.entries, self.sealed_at_ms = end, entries, now_ms

    def unload(self) -> None:
        """Free what can be read again from the side files."""
        if self.saved and self.sealed_at_ms >= 0:
            self.index = self.times = None
            self.hints = {}
