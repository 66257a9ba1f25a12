"""One partition's log on local disk: appends, commit rounds, rolls, reads.

Always true:
- log_start <= durable <= end, and nothing at or above `durable` (the high watermark) is ever read.
- `append` does no I/O: it validates, patches and queues; `flush` writes what is queued with one writev per file. When
  that fails, everything queued since the last flush is undone, on disk and in memory, so the log is as it was before.
- All methods belong to one thread (the event loop) except those whose docstring says otherwise. Other threads see
  `durable`, each segment's `durable`, `_sealed` and `_active`, which are only replaced as whole values.

Two differences from Kafka: a segment whose batches span more than `segment.ms` by their own timestamps is only rolled
for that once it has a mebibyte (loading a year of old records would otherwise make a file an hour), and an idle segment
is rolled by the clock (`roll_if_due`), so that it can leave for the cold tier.
"""

import errno
import os
import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, Self
from uuid import UUID

from crc32c import crc32c

from . import checks
from .batch import CRC_COVERS_FROM, HEADER, HEADER_BYTES, PREFIX, RECORD_BYTES_MIN
from .checkpoints import replace_file
from .config import SEGMENT_BYTES_MAX, LogConfig
from .disk import IOV_MAX, NOWAIT, Disk
from .epochs import EPOCHS_FILE, Epochs, encode_epochs, with_epoch
from .errors import (
    BelowLocalStart,
    DiskFull,
    LogClosed,
    OffsetOutOfRange,
    StaleLeaderEpoch,
    StorageFailed,
    WouldBlock,
    WriteFailed,
)
from .lookups import first_at_or_after, largest
from .offset_index import RELATIVE_OFFSET_MAX
from .open_files import OpenFiles
from .producers import encode_snapshot
from .reads import read_segment
from .recovery import MISSING_SUFFIX, Recovered, parse_hole, recover, write_recovery_point
from .removal import make_directories, remove_directory
from .segment import (
    ACTIVE_FLAGS,
    INDEX_SUFFIX,
    LOG_SUFFIX,
    SNAPSHOT_SUFFIX,
    TIME_INDEX_SUFFIX,
    Durable,
    Segment,
    SegmentMark,
)
from .side_files import load_indexes, read_snapshot, remove_if_there, save_indexes, save_snapshot

CHECKPOINT_EVERY_MS = 60_000  # log.flush.offset.checkpoint.interval.ms
ROLL_BY_TIMESTAMP_BYTES_MIN = 2**20
NO_TIMESTAMP_LIMIT = 2**63


class Appended(NamedTuple):
    """Where a batch is: offsets base to last, both included. `duplicate`: it was there already."""

    base_offset: int
    last_offset: int
    log_append_time_ms: int  # -1 unless the topic's timestamps are LogAppendTime
    duplicate: bool


class SealedSegment(NamedTuple):
    """A durable file that no longer changes, holding offsets [base, end). Timestamps are -1 when no record has one."""

    base: int
    end: int
    size_bytes: int
    first_timestamp_ms: int
    max_timestamp_ms: int
    path: Path
    sealed_at_ms: int


class Capture(NamedTuple):
    """What one commit round will make durable of one log."""

    log: "Log"
    parts: tuple[tuple[Segment, int, int], ...]  # pinned segment, written bytes, the offset they end at
    directories: tuple[str, ...]  # whose entries are new
    end: int


_tuple = tuple.__new__
_base_of = attrgetter("base")


class Log:
    """See the module's docstring. `topic_id` and `partition` are the last two parts of its directory."""

    __slots__ = (
        "_active",
        "_closed",
        "_config",
        "_directories",
        "_directory",
        "_disk",
        "_epochs",
        "_epochs_saved",
        "_failed",
        "_files",
        "_files_lock",
        "_flushed_end",
        "_has_holes",
        "_mark",
        "_mark_dirty",
        "_max_message_bytes",
        "_offset_max",
        "_producers",
        "_queue",
        "_recovery_point",
        "_recovery_point_at_ms",
        "_roll_timestamp_ms",
        "_rolled",
        "_sealed",
        "_segment_bytes",
        "_structure",
        "_timestamp_after_max_ms",
        "_unsynced",
        "durable",
        "end",
        "is_dirty",
        "leader_epoch",
        "log_start",
        "partition",
        "recovery",
        "topic_id",
    )

    @classmethod
    def open(
        cls,
        disk: Disk,
        directory: Path,
        config: LogConfig,
        *,
        leader_epoch: int,
        now_ms: int,
        files: OpenFiles,
        log_start: int = 0,
        mark_dirty: Callable[["Log"], object] | None = None,
    ) -> Self:
        """Create or recover the log in `<topic uuid>/<partition>`. Blocks; see `recovery` for what was found.

        `mark_dirty` is called when something other than an append needs a commit round.
        Raises OSError, StaleLeaderEpoch.
        """
        path = str(directory)
        created = make_directories(disk, path)
        names = set() if created else set(disk.listdir(path))
        found = recover(
            disk, path, names, log_start=log_start, interval_bytes=config.index_interval_bytes, now_ms=now_ms
        )
        if found.epochs and found.epochs[-1][0] > leader_epoch:
            raise StaleLeaderEpoch(
                f"{path} holds batches of leader epoch {found.epochs[-1][0]}: it cannot be led in epoch {leader_epoch}"
            )
        return cls(disk, path, config, found, leader_epoch, now_ms, files, log_start, mark_dirty)

    def __init__(
        self,
        disk: Disk,
        directory: str,
        config: LogConfig,
        found: Recovered,
        leader_epoch: int,
        now_ms: int,
        files: OpenFiles,
        log_start: int,
        mark_dirty: Callable[["Log"], object] | None,
    ) -> None:
        self._disk, self._directory, self._files = disk, directory, files
        self._mark_dirty = mark_dirty
        self.topic_id, self.partition = UUID(Path(directory).parent.name), int(Path(directory).name)
        self.leader_epoch = leader_epoch
        self.recovery = found.report
        self._sealed: tuple[Segment, ...] = tuple(found.sealed)
        self._active = found.active
        self._producers = found.producers
        self._epochs = self._epochs_saved = found.epochs
        self._has_holes = bool(found.report.lost)
        self.end = self.durable = self._flushed_end = found.report.end
        self.log_start = max(log_start, 0)
        self._recovery_point = self.end
        self._recovery_point_at_ms = now_ms
        self._structure = threading.Lock()  # held for an assignment: `_sealed` changes from two threads
        self._files_lock = threading.Lock()  # held for file work: side files, removal
        self._queue: list[memoryview | bytearray] = []
        self._rolled: list[tuple[Segment, list[memoryview | bytearray]]] = []
        self._mark: tuple[Segment, SegmentMark, int, Epochs] | None = None
        self._unsynced: list[Segment] = []
        topic = directory.rpartition("/")[0]
        # Until one round made them durable, nobody knows whether the directories above were ever synced.
        self._directories = [directory, topic, topic.rpartition("/")[0]] if not self._active.created else []
        self.is_dirty = False
        self._failed: StorageFailed | None = None
        self._closed = False
        self.set_config(config)
        for segment in found.sealed:
            segment.file.on_closed = segment.unload
            segment.unload()

    def __repr__(self) -> str:
        return f"<Log {self.topic_id}/{self.partition} [{self.log_start}, {self.durable}, {self.end})>"

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

    def epoch_history(self) -> Epochs:
        """(leader epoch, offset of its first batch), rising."""
        return self._epochs

    def set_config(self, config: LogConfig) -> None:
        """Take over a changed configuration: it applies from the next append on."""
        self._config = config
        self._max_message_bytes = config.max_message_bytes
        self._segment_bytes = min(config.segment_bytes, SEGMENT_BYTES_MAX)
        self._timestamp_after_max_ms = config.timestamp_after_max_ms
        self._limit_active()

    def _limit_active(self) -> None:
        """Work out once when the active segment has to roll."""
        active = self._active
        self._offset_max = active.base + RELATIVE_OFFSET_MAX
        first = active.first_timestamp_ms
        self._roll_timestamp_ms = first + self._config.segment_ms if first >= 0 and active.size else NO_TIMESTAMP_LIMIT

    # --- append

    def append(self, batch: memoryview, now_ms: int) -> Appended:
        """Validate exactly one v2 batch, give it offsets in place and queue it; nothing is written before `flush`.

        The buffer must stay as it is until then. Raises any `Refused` error, LogClosed, StorageFailed.
        """
        size = len(batch)
        if size < HEADER_BYTES:
            raise checks.too_short(size)
        (_, length, _, magic, crc, attributes, last_delta, first_ms, max_ms, producer_id, epoch, sequence, count) = (
            HEADER.unpack_from(batch)
        )
        if (
            magic != 2
            or length != size - 12
            or attributes > 4  # codec 0 to 4 and no other bit: what a client may set
            or count != last_delta + 1
            or count < 1
            or size > self._max_message_bytes
            or max_ms - now_ms > self._timestamp_after_max_ms
            or crc32c(batch[CRC_COVERS_FROM:]) != crc
        ):
            checks.refuse(batch, self._config, now_ms)
        config = self._config
        if count * RECORD_BYTES_MIN > size - HEADER_BYTES or config.timestamp_before_max_ms < now_ms - first_ms:
            checks.refuse_count_or_age(batch, config, now_ms)
        append_time_ms = -1
        if config.log_append_time:
            max_ms = append_time_ms = now_ms
            checks.stamp(batch, now_ms)
        return self._append(
            batch, size, last_delta, first_ms, max_ms, producer_id, epoch, sequence, now_ms, append_time_ms
        )

    def append_internal(self, batch: bytes, now_ms: int) -> Appended:
        """Queue a batch of the broker's own: size, attributes and timestamps are its business. Copies it."""
        own = bytearray(batch)
        view = memoryview(own)
        header = checks.check_internal(view)
        return self._append(
            view,
            len(own),
            header.last_offset_delta,
            header.first_timestamp_ms,
            header.max_timestamp_ms,
            -1 if header.is_control else header.producer_id,
            header.producer_epoch,
            header.base_sequence,
            now_ms,
            -1,
        )

    def _append(
        self,
        batch: memoryview,
        size: int,
        last_delta: int,
        first_ms: int,
        max_ms: int,
        producer_id: int,
        epoch: int,
        sequence: int,
        now_ms: int,
        append_time_ms: int,
    ) -> Appended:
        if self._closed or self._failed is not None:
            raise self._failed or LogClosed(f"{self._directory} is closed")
        if producer_id != -1:
            if producer_id < 0 or epoch < 0 or sequence < 0:
                checks.refuse_producer(producer_id, epoch, sequence)
            original = self._producers.original(producer_id, epoch, sequence, last_delta)
            if original is not None:
                return Appended(original.base_offset, original.last_offset, -1, True)
        base = self.end
        last = base + last_delta
        if self._mark is None:
            self._mark = (self._active, self._active.mark(), base, self._epochs)
            if not self._epochs or self._epochs[-1][0] != self.leader_epoch:
                self._epochs = with_epoch(self._epochs, self.leader_epoch, base)
        active = self._active
        if max_ms < first_ms:
            max_ms = first_ms
        if active.size and (
            active.size > self._segment_bytes - size
            or last > self._offset_max
            or (max_ms > self._roll_timestamp_ms and active.size >= ROLL_BY_TIMESTAMP_BYTES_MIN)
            or active.index_is_full
        ):
            self._roll(now_ms)
            active = self._active
        if not active.size:
            active.first_timestamp_ms, active.opened_at_ms = first_ms, now_ms
            if first_ms >= 0:
                self._roll_timestamp_ms = first_ms + self._config.segment_ms
        if producer_id != -1:
            self._producers.appended(producer_id, epoch, sequence, base, last, now_ms)
        PREFIX.pack_into(batch, 0, base, size - 12, self.leader_epoch)
        self._queue.append(batch)
        active.add(size, last, max_ms, self._config.index_interval_bytes)
        self.end = last + 1
        return _tuple(Appended, (base, last, append_time_ms, False))

    def flush(self) -> None:
        """Write everything queued. Raises WriteFailed (DiskFull) once all of it is undone, else StorageFailed."""
        if self._mark is None:
            return
        try:
            for segment, queue in self._rolled:
                self._write(segment, queue)
            self._write(self._active, self._queue)
        except OSError as error:
            self._undo(error)
        if self._rolled:
            self._unsynced += [segment for segment, _ in self._rolled]
            self._rolled.clear()
        self._queue.clear()
        self._mark = None
        self._flushed_end = self.end
        self._producers.keep()

    def _write(self, segment: Segment, queue: Sequence[memoryview | bytearray]) -> None:
        file = segment.file
        fd = file.fd
        if fd < 0:
            fd = self._open(segment)
        file.dirty = file.used = True
        due = segment.size - segment.written
        done = self._disk.writev(fd, queue) if len(queue) <= IOV_MAX else 0
        if done != due:
            self._write_rest(fd, queue, done)
        segment.written = segment.size

    def _write_rest(self, fd: int, queue: Sequence[memoryview | bytearray], done: int) -> None:
        """Go on behind the first `done` bytes: after a short write, or with more slices than one writev takes."""
        left: list[memoryview] = []
        for piece in queue:
            if done >= len(piece):
                done -= len(piece)
            else:
                left.append(memoryview(piece)[done:])
                done = 0
        while left:
            written = self._disk.writev(fd, left[:IOV_MAX])
            if written <= 0:
                raise OSError(errno.EIO, "writev wrote nothing")
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if written:
                left[0] = left[0][written:]

    def _open(self, segment: Segment) -> int:
        """A descriptor to write to; the file is made with the first bytes that go into it."""
        if segment.created:
            return self._files.open(segment.file)
        fd = self._files.open(segment.file, os.O_CREAT)
        segment.created = True
        if self._directory not in self._directories:
            self._directories.append(self._directory)
        return fd

    def _undo(self, error: OSError) -> None:
        """Put file and memory back to the last flush, then raise what `flush` promises."""
        assert self._mark is not None
        segment, mark, end, epochs = self._mark
        made = [rolled for rolled, _ in self._rolled[1:]] + ([self._active] if self._rolled else [])
        try:
            if segment.file.fd >= 0:
                self._disk.ftruncate(segment.file.fd, mark.size)
            for newer in made:
                if newer.created:
                    self._files.close(newer.file)
                    self._disk.unlink(newer.file.path)
        except OSError as failure:
            self._failed = StorageFailed(f"{self._directory}: a failed write could not be cut back: {failure}")
        segment.restore(mark)
        segment.written = mark.size
        with self._structure:
            self._active = segment
            self._sealed = tuple(sealed for sealed in self._sealed if sealed.base < segment.base)
        self.end, self._epochs = end, epochs
        self._producers.undo()
        self._queue.clear()
        self._rolled.clear()
        self._mark = None
        self._limit_active()
        if self._failed is not None:
            raise self._failed from error
        kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else WriteFailed
        raise kind(f"writing to {self._directory} failed: {error.strerror or error}") from error

    # --- roll

    def _roll(self, now_ms: int) -> None:
        """Seal the active segment and begin the next one at `end`. What is queued for it stays queued."""
        sealed = self._active
        sealed.seal(self.end, self._producers.entries(), now_ms)
        sealed.file.on_closed = sealed.unload
        if self._mark is not None:
            self._rolled.append((sealed, self._queue))
            self._queue = []
        elif not sealed.is_durable:
            self._unsynced.append(sealed)
        with self._structure:
            self._sealed = (*self._sealed, sealed)
            self._active = Segment(self._directory, self.end, opened_at_ms=now_ms)
        self._limit_active()

    def roll_if_due(self, now_ms: int) -> bool:
        """Seal the active segment when its first batch came `segment_ms` ago. Call every few seconds, after `flush`."""
        self._files.reap()
        self._producers.expire(now_ms)
        active = self._active
        if not active.size or now_ms - active.opened_at_ms < self._config.segment_ms:
            return False
        return self.seal(now_ms)

    def seal(self, now_ms: int = 0) -> bool:
        """Seal the active segment now, unless it is empty."""
        if self._closed or self._failed is not None or not self._active.size:
            return False
        assert self._mark is None, "flush before sealing"
        self._roll(now_ms or self._active.opened_at_ms)
        if self._mark_dirty is not None:
            self._mark_dirty(self)
        return True

    # --- commit rounds

    def capture(self) -> Capture:
        """What a commit round has to sync, as of the last flush. Its files stay open until `release` or `publish`."""
        self.is_dirty = False
        if self._closed or self._failed is not None:
            return Capture(self, (), (), self.durable)
        parts = [(segment, segment.size, segment.end) for segment in self._unsynced]
        segment = self._mark[0] if self._mark is not None else self._active
        if segment.written > segment.durable.position:
            parts.append((segment, segment.written, self._flushed_end))
        for segment, _, _ in parts:
            self._files.pin(segment.file)
        return Capture(self, tuple(parts), tuple(self._directories), self._flushed_end)

    def release(self, capture: Capture) -> None:
        """The round is over."""
        for segment, _, _ in capture.parts:
            self._files.unpin(segment.file)
        self._files.reap()

    def publish(self, capture: Capture) -> None:
        """What was captured is durable now: make it visible, and nothing more."""
        for segment, position, offset in capture.parts:
            if position > segment.durable.position:
                segment.durable = Durable(position, offset)
            if segment.written == position:
                segment.file.dirty = False
        if capture.directories:
            self._directories = [path for path in self._directories if path not in capture.directories]
        if self._unsynced:
            self._unsynced = [segment for segment in self._unsynced if not segment.is_durable]
        self.release(capture)
        if capture.end > self.durable:
            self.durable = capture.end

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
            found = read_segment(self._disk, segment, index, fd, NOWAIT, offset, max_bytes, at_least_one)
            if found is not None:
                return found
            segment = self._after(segment)
        return bytearray()

    def read_blocking(self, offset: int, max_bytes: int, *, at_least_one: bool = True) -> bytearray:
        """As `read`, for any thread, and waiting for the device. Raises ReadFailed besides, never WouldBlock."""
        segment = self._segment_of(offset)
        try:
            while segment is not None:
                with self._files.pinned(segment.file) as fd:
                    index = segment.index
                    if index is None:
                        load_indexes(self._disk, fd, segment, self._config.index_interval_bytes)
                        index = segment.index
                    if index is None:
                        continue  # unloaded by the other thread in this moment
                    found = read_segment(self._disk, segment, index, fd, 0, offset, max_bytes, at_least_one)
                if segment.file.fd < 0:
                    segment.unload()
                if found is not None:
                    return found
                segment = self._after(segment)
        except FileNotFoundError:
            if self._closed:
                raise LogClosed(f"{self._directory} is closed") from None
            raise BelowLocalStart(offset, self.local_start) from None
        return bytearray()

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
        for segment in (*self._sealed, self._active):
            self._describe(segment)
            if segment.max_timestamp_ms >= timestamp_ms and segment.durable.position:
                with self._files.pinned(segment.file) as fd:
                    found = first_at_or_after(self._disk, fd, segment, timestamp_ms, self.log_start)
                if found is not None:
                    return found
        return None

    def max_timestamp(self) -> tuple[int, int] | None:
        """(offset, timestamp) of the local, visible record with the largest timestamp. Blocks; any thread."""
        best: tuple[int, int] | None = None
        for segment in (*self._sealed, self._active):
            self._describe(segment)
            if segment.durable.position and (best is None or segment.max_timestamp_ms > best[1]):
                with self._files.pinned(segment.file) as fd:
                    found = largest(self._disk, fd, segment, self.log_start)
                if found is not None and (best is None or found.timestamp_ms > best[1]):
                    best = found
        return best

    def _describe(self, segment: Segment) -> None:
        """Have a segment's timestamps, which after a restart are only in its files."""
        if not segment.described:
            with self._files.pinned(segment.file) as fd:
                load_indexes(self._disk, fd, segment, self._config.index_interval_bytes)
            if segment.file.fd < 0:
                segment.unload()

    # --- sealed segments and the files beside them

    def sealed_segments(self) -> tuple[SealedSegment, ...]:
        """The durable sealed segments, oldest first. Any thread; blocks when called first after a restart."""
        found: list[SealedSegment] = []
        for segment in self._sealed:
            if not segment.is_durable:
                break
            try:
                self._describe(segment)
            except FileNotFoundError:
                continue  # dropped in another thread meanwhile
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

    def producer_snapshot_at(self, offset: int) -> bytes:
        """Kafka's `.snapshot` of the producers at the end of a sealed segment, or at `end`. Blocks; any thread.

        Raises OffsetOutOfRange for any other offset.
        """
        for segment in self._sealed:
            if segment.end == offset:
                entries = segment.entries
                raw = (
                    read_snapshot(self._disk, self._directory, offset) if entries is None else encode_snapshot(entries)
                )
                if raw is not None:
                    return raw
        if offset != self.end:
            raise OffsetOutOfRange(offset, self.local_start, self.end)
        return encode_snapshot(self._producers.entries())

    def checkpoint_due(self, now_ms: int) -> bool:
        """Whether `checkpoint` has work: a segment was sealed, or a minute of writes is not yet below the point."""
        sealed = self._sealed
        if self._closed or self._failed is not None:
            return False
        if sealed and not sealed[-1].saved and sealed[-1].is_durable:
            return True
        return self.durable > self._recovery_point and now_ms - self._recovery_point_at_ms >= CHECKPOINT_EVERY_MS

    def checkpoint(self, now_ms: int) -> None:
        """Write the side files of sealed segments, then move the recovery point to `durable`. Blocks; any thread."""
        with self._files_lock:
            if not self._closed and self._failed is None:
                self._save(now_ms)

    def _save(self, now_ms: int) -> None:
        durable = self.durable  # first: all that follows is at least as new
        epochs = self._epochs
        saved = [segment for segment in self._sealed if not segment.saved and segment.end <= durable]
        for segment in saved:
            save_indexes(self._disk, segment)
            save_snapshot(self._disk, self._directory, segment.end, segment.entries or {})
        if epochs != self._epochs_saved:
            replace_file(self._disk, f"{self._directory}/{EPOCHS_FILE}", encode_epochs(epochs))
        if saved or epochs != self._epochs_saved:
            self._disk.sync_directory(self._directory)
        self._epochs_saved = epochs
        for segment in saved:
            segment.saved, segment.entries = True, None
        if durable > self._recovery_point:
            write_recovery_point(self._disk, self._directory, durable)
            self._recovery_point = durable
        self._recovery_point_at_ms = now_ms

    def drop_local_below(self, offset: int) -> list[Path]:
        """Remove sealed segments wholly below an offset from local disk; the log files that went. Blocks; any thread.

        The caller guarantees that their cold copy is committed, or that the log start has passed them.
        """
        with self._files_lock:
            if self._closed:
                return []
            sealed = self._sealed
            count = 0
            while count < len(sealed) and sealed[count].end <= min(offset, self.durable) and sealed[count].is_durable:
                count += 1
            if not count:
                return []
            if count == len(sealed):
                self._keep_end_on_disk(self._active)
            with self._structure:
                self._sealed = self._sealed[count:]
            removed: list[Path] = []
            for segment in sealed[:count]:
                self._files.doom(segment.file)
                for suffix in (INDEX_SUFFIX, TIME_INDEX_SUFFIX, SNAPSHOT_SUFFIX, LOG_SUFFIX):
                    remove_if_there(self._disk, segment.path(suffix))
                removed.append(Path(segment.path(LOG_SUFFIX)))
            if self._has_holes:
                self._forget_holes()
            return removed

    def _keep_end_on_disk(self, active: Segment) -> None:
        """The name of the active segment's file is what remembers the log's end once no other file is left."""
        if not active.created:
            self._disk.close(self._disk.open(active.path(LOG_SUFFIX), ACTIVE_FLAGS | os.O_CREAT, 0o644))
            active.created = True
        self._disk.sync_directory(self._directory)

    def _forget_holes(self) -> None:
        for name in self._disk.listdir(self._directory):
            if name.endswith(MISSING_SUFFIX) and parse_hole(name)[1] <= self.local_start:
                self._disk.unlink(f"{self._directory}/{name}")

    def advance_log_start(self, offset: int) -> None:
        """Hide records below at once; their files go with `drop_local_below`. Raises OffsetOutOfRange."""
        if offset > self.durable:
            raise OffsetOutOfRange(offset, self.log_start, self.durable)
        self.log_start = max(self.log_start, offset)

    # --- the end

    def close(self, clean: bool = True, now_ms: int = 0) -> None:
        """Close for good. Clean: flush, sync and checkpoint first, so that opening has nothing to check. Blocks.

        No commit round may be running when it is clean. Raises OSError, WriteFailed; the log is closed even then.
        """
        if self._closed:
            return
        try:
            if clean and self._failed is None:
                self.flush()
                with self._files_lock:
                    self._sync()
                    self._save_active()
                    self._save(now_ms)
        finally:
            self._closed = True
            self._queue.clear()
            self._rolled.clear()
            self._mark = None
            for segment in (*self._sealed, self._active):
                self._files.close(segment.file)

    def _sync(self) -> None:
        """One commit round of this log alone."""
        capture = self.capture()
        try:
            for segment, _, _ in capture.parts:
                self._disk.fdatasync(segment.file.fd)
            for directory in capture.directories:
                self._disk.sync_directory(directory)
        except OSError:
            self.release(capture)
            raise
        self.publish(capture)

    def _save_active(self) -> None:
        """The active segment's side files are only written here: a crash makes them again from the log."""
        active = self._active
        if not active.size or self._recovery_point == self.durable:
            return
        assert active.times is not None
        active.times.append_if_later(active.max_timestamp_ms, active.max_timestamp_offset - active.base)
        save_indexes(self._disk, active)
        save_snapshot(self._disk, self._directory, self.end, self._producers.entries())

    def delete(self) -> None:
        """Remove everything of the log from disk, also after a crash half-way through this. Blocks."""
        self.close(clean=False)
        with self._files_lock:
            remove_directory(self._disk, self._directory)
