"""The part of a log that any thread may use: its figures, its segments, and reading what is durable.

Always true: nothing at or above `durable` (the high watermark) is ever read. The fields are changed by `Log` only, on
its own thread, and only by replacing whole values, so what another thread sees was true a moment ago.
"""

from bisect import bisect_right
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from time import sleep
from typing import NamedTuple

from .config import LogConfig
from .disk import NOWAIT, Disk
from .epochs import Epochs
from .errors import BelowLocalStart, LogClosed, OffsetOutOfRange, WouldBlock
from .lookups import first_at_or_after, largest
from .open_files import OpenFiles
from .reads import read_segment
from .segment import LOG_SUFFIX, Segment
from .side_files import load_indexes

_base_of = attrgetter("base")
GONE_TRIES_MAX, GONE_WAIT_S = 1000, 0.001  # for a file that is being replaced


class SealedSegment(NamedTuple):
    """A durable file that no longer changes, holding offsets [base, end). Timestamps are -1 when no record has one."""

    base: int
    end: int
    size_bytes: int
    first_timestamp_ms: int
    max_timestamp_ms: int
    path: Path
    sealed_at_ms: int


class ActiveSegment(NamedTuple):
    """The file that is written to, as it will be once what is queued is in it."""

    base: int
    end: int
    size_bytes: int
    max_timestamp_ms: int


class ReadableLog:
    """Reading. `Log` adds everything that changes a log."""

    __slots__ = (
        "_active",
        "_closed",
        "_config",
        "_directory",
        "_epochs",
        "_files",
        "_sealed",
        "disk",
        "durable",
        "end",
        "leader_epoch",
        "log_start",
    )

    disk: Disk
    durable: int
    end: int
    leader_epoch: int
    log_start: int
    _active: Segment
    _closed: bool
    _config: LogConfig
    _directory: str
    _epochs: Epochs
    _files: OpenFiles
    _sealed: tuple[Segment, ...]

    # --- figures

    @property
    def last_stable(self) -> int:
        """Where read_committed consumers stop: the high watermark, as long as there are no transactions."""
        return self.durable

    @property
    def local_start(self) -> int:
        """The first offset on local disk."""
        active, sealed = self._active, self._sealed
        return sealed[0].base if sealed else active.base

    @property
    def hot_bytes(self) -> int:
        return sum(segment.size for segment in self._sealed) + self._active.size

    @property
    def segments(self) -> tuple[Segment, ...]:
        """All of them, the active one last."""
        active = self._active  # before `_sealed`: a segment is added there before it stops being the active one
        return (*(segment for segment in self._sealed if segment.base < active.base), active)

    def active_segment(self) -> ActiveSegment | None:
        """What the active segment holds; None while it is empty."""
        active = self._active
        return ActiveSegment(active.base, self.end, active.size, active.max_timestamp_ms) if active.size else None

    def epoch_history(self) -> Epochs:
        """(leader epoch, offset of its first batch), rising."""
        return self._epochs

    # --- read

    def read(self, offset: int, max_bytes: int, *, at_least_one: bool = True) -> bytearray:
        """Whole batches, beginning with the one that holds `offset`, all below `durable`; empty at the end.

        At most `max_bytes`, unless the first batch is larger and `at_least_one` is set. Never waits for the device.
        Raises WouldBlock (then call `read_blocking` in a thread), OffsetOutOfRange, BelowLocalStart, CorruptLog.
        """
        segment = self._segment_of(offset)
        while segment is not None:
            file, index = segment.file, segment.index
            fd = file.fd
            if fd < 0 or index is None:
                self._files.make_room()
                raise WouldBlock(f"{file.path} is not open")
            file.used = True
            found = read_segment(self.disk, segment, index, fd, NOWAIT, offset, max_bytes, at_least_one)
            if found is not None:
                return found
            segment = self._after(segment)
        return bytearray()

    def read_blocking(self, offset: int, max_bytes: int, *, at_least_one: bool = True) -> bytearray:
        """As `read`, for any thread, and waiting for the device. Raises ReadFailed besides, never WouldBlock."""
        segment = self._segment_of(offset)
        for _ in range(GONE_TRIES_MAX):
            try:
                while segment is not None:
                    with self._files.pinned(segment.file) as fd:
                        index = segment.index
                        if index is None:
                            load_indexes(self.disk, fd, segment, self._config.index_interval_bytes)
                            index = segment.index
                        if index is None:
                            continue  # unloaded by the other thread in this moment
                        found = read_segment(self.disk, segment, index, fd, 0, offset, max_bytes, at_least_one)
                    if segment.file.fd < 0:
                        segment.unload()
                    if found is not None:
                        return found
                    segment = self._after(segment)
                return bytearray()
            except FileNotFoundError:  # dropped, or being replaced: look what is there instead
                assert segment is not None
                gone, segment = segment, self._segment_of(max(offset, segment.base))
                if segment is gone:
                    sleep(GONE_WAIT_S)
        raise BelowLocalStart(offset, self.local_start)

    def _segment_of(self, offset: int) -> Segment | None:
        """The segment to begin a read in; None at the end. Any thread."""
        if self._closed:
            raise LogClosed(f"{self._directory} is closed")
        active = self._active  # before `_sealed`: a segment is added there before it stops being the active one
        if offset >= self.durable:
            if offset > self.end:
                raise OffsetOutOfRange(offset, self.log_start, self.durable)
            return None
        if offset < self.log_start:
            raise OffsetOutOfRange(offset, self.log_start, self.durable)
        if offset >= active.base:
            return active
        sealed = self._sealed
        at = bisect_right(sealed, offset, key=_base_of) - 1
        if at < 0:
            raise BelowLocalStart(offset, sealed[0].base if sealed else active.base)
        segment = sealed[at]
        if offset >= segment.end:
            raise BelowLocalStart(offset, sealed[at + 1].base if at + 1 < len(sealed) else active.base)
        return segment

    def _after(self, segment: Segment) -> Segment | None:
        """The next segment, when one holds nothing more: its last offsets were skipped (D3) or compacted away."""
        active, sealed = self._active, self._sealed
        at = bisect_right(sealed, segment.base, key=_base_of)
        if at < len(sealed):
            return sealed[at]
        return active if active is not segment else None

    def readable_bytes(self, offset: int) -> int:
        """About how many bytes [offset, durable) has on local disk, never too few: for `fetch.min.bytes`."""
        if offset >= self.durable:
            return 0
        active = self._active
        if offset >= active.base:
            position = active.hints.get(offset)
            if position is None:
                index = active.index
                position = 0 if index is None else index.position_before(offset - active.base)
            return active.durable.position - position
        sealed = self._sealed
        at = max(0, bisect_right(sealed, offset, key=_base_of) - 1)
        return active.durable.position + sum(segment.size for segment in sealed[at:])

    def offset_for_timestamp(self, timestamp_ms: int) -> tuple[int, int] | None:
        """(offset, timestamp) of the first local, visible record with at least this timestamp. Blocks; any thread."""
        return self._look_again(lambda: self._first_at_or_after(timestamp_ms))

    def _first_at_or_after(self, timestamp_ms: int) -> tuple[int, int] | None:
        for segment in self.segments:
            if self._describe(segment) and segment.max_timestamp_ms >= timestamp_ms:
                with self._files.pinned(segment.file) as fd:
                    found = first_at_or_after(self.disk, fd, segment, timestamp_ms, self.log_start)
                if found is not None:
                    return found
        return None

    def max_timestamp(self) -> tuple[int, int] | None:
        """(offset, timestamp) of the local, visible record with the largest timestamp. Blocks; any thread."""
        return self._look_again(self._largest)

    def _look_again(self, search: Callable[[], tuple[int, int] | None]) -> tuple[int, int] | None:
        """What a search over the segments finds, once none of their files is dropped or replaced under it."""
        for _ in range(GONE_TRIES_MAX):
            try:
                return search()
            except FileNotFoundError:
                if self._closed:
                    raise LogClosed(f"{self._directory} is closed") from None
                sleep(GONE_WAIT_S)
        return search()

    def _largest(self) -> tuple[int, int] | None:
        best: tuple[int, int] | None = None
        for segment in self.segments:
            if self._describe(segment) and (best is None or segment.max_timestamp_ms > best[1]):
                with self._files.pinned(segment.file) as fd:
                    found = largest(self.disk, fd, segment, self.log_start)
                if found is not None and (best is None or found.timestamp_ms > best[1]):
                    best = found
        return best

    def _describe(self, segment: Segment) -> bool:
        """Have a segment's timestamps, which after a restart are only in its files. False if it holds nothing."""
        if not segment.described:
            try:
                with self._files.pinned(segment.file) as fd:
                    load_indexes(self.disk, fd, segment, self._config.index_interval_bytes)
            except FileNotFoundError:
                return False  # dropped in another thread meanwhile
            if segment.file.fd < 0:
                segment.unload()
        return segment.durable.position > 0

    # --- sealed segments

    @property
    def is_described(self) -> bool:
        """Whether `sealed_segments` has no file to read."""
        return all(segment.described for segment in self._sealed)

    def sealed_segments(self) -> tuple[SealedSegment, ...]:
        """The durable sealed segments, oldest first. Any thread; blocks when called first after a restart."""
        found: list[SealedSegment] = []
        for segment in self._sealed:
            if not segment.is_durable:
                break
            if not self._describe(segment):
                continue
            found.append(
                SealedSegment(
                    segment.base,
                    segment.end,
                    segment.size,
                    segment.first_timestamp_ms,
                    segment.max_timestamp_ms,
                    Path(segment.path(LOG_SUFFIX)),
                    segment.sealed_at_ms,
                )
            )
        return tuple(found)
