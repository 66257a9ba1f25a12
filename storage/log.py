"""One partition's log on local disk: appends, rolls, commit rounds, removal. Reading is `ReadableLog`'s.

Always true:
- log_start <= durable <= end.
- `append` does no I/O: it validates, patches and queues; `flush` writes what is queued, with one writev per file. When
  that fails, everything queued since the last flush is undone, on disk and in memory: the log is as it was before.
- All methods belong to one thread (the event loop's), except those whose docstring says otherwise.

Two differences from Kafka: a segment whose batches span more than `segment.ms` by their own timestamps is only rolled
for that once it has a mebibyte (loading a year of old records would otherwise make a file for every hour of it), and an
idle segment is rolled by the clock (`roll_if_due`), so that it can leave for the cold tier.
"""

import errno
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Self
from uuid import UUID

from crc32c import crc32c

from . import checks
from .batch import CRC_COVERS_FROM, HEADER, HEADER_BYTES, PREFIX, RECORD_BYTES_MIN
from .compactable_log import CompactableLog
from .config import LogConfig
from .disk import IOV_MAX, Disk
from .epochs import Epochs, with_epoch
from .errors import DiskFull, LogClosed, OffsetOutOfRange, StaleLeaderEpoch, StorageFailed, WriteFailed
from .log_directory import LogDirectory
from .offset_index import RELATIVE_OFFSET_MAX
from .open_files import OpenFiles
from .producers import Producers, encode_snapshot
from .readable_log import SealedSegment
from .recovery import Recovered, RecoveryReport, recover
from .removal import directories_above, make_directories, remove_directory
from .segment import LOG_SUFFIX, Durable, Segment, SegmentMark
from .side_files import read_snapshot

__all__ = ["Appended", "Capture", "Log", "SealedSegment"]

CHECKPOINT_EVERY_MS = 60_000  # log.flush.offset.checkpoint.interval.ms
ROLL_BY_TIMESTAMP_BYTES_MIN = 2**20
NO_TIMESTAMP_LIMIT = 2**63


class Appended(NamedTuple):
    """Where a batch is: offsets base to last, both included. `duplicate`: it was there already."""

    base_offset: int
    last_offset: int
    log_append_time_ms: int  # -1 unless the topic's timestamps are LogAppendTime
    duplicate: bool


class Capture(NamedTuple):
    """What one commit round will make durable of one log."""

    log: "Log"
    parts: tuple[tuple[Segment, int, int], ...]  # pinned segment, written bytes, the offset they end at
    directories: tuple[str, ...]  # whose entries are new
    end: int


_tuple = tuple.__new__


class Log(CompactableLog):
    """See the module's docstring. `topic_id` and `partition` are the last two parts of its directory."""

    __slots__ = (
        "__weakref__",
        "_directories",
        "_failed",
        "_flushed_end",
        "_mark",
        "_mark_dirty",
        "_max_message_bytes",
        "_offset_max",
        "_producers",
        "_queue",
        "_roll_timestamp_ms",
        "_rolled",
        "_segment_bytes",
        "_timestamp_after_max_ms",
        "_unsynced",
        "is_dirty",
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
        """Create or recover the log in `<topic uuid>/<partition>`. Blocks; `recovery` says what was found.

        `mark_dirty` is called when something other than an append needs a commit round.
        Raises OSError, StaleLeaderEpoch.
        """
        path = str(directory)
        names = set() if make_directories(disk, path) else set(disk.listdir(path))
        found = recover(
            disk, path, names, log_start=log_start, interval_bytes=config.index_interval_bytes, now_ms=now_ms
        )
        if found.epochs and found.epochs[-1][0] > leader_epoch:
            raise StaleLeaderEpoch(
                f"{path} holds batches of leader epoch {found.epochs[-1][0]}: it cannot be led in epoch {leader_epoch}"
            )
        log = cls(disk, path, config, found, files)
        log.leader_epoch, log.log_start, log._mark_dirty = leader_epoch, max(log_start, 0), mark_dirty
        log._beside.written_at_ms = now_ms
        return log

    def __init__(self, disk: Disk, directory: str, config: LogConfig, found: Recovered, files: OpenFiles) -> None:
        self.disk, self._directory, self._files = disk, directory, files
        self.topic_id, self.partition = UUID(Path(directory).parent.name), int(Path(directory).name)
        self.recovery: RecoveryReport = found.report
        self._sealed = tuple(found.sealed)
        self._active = found.active
        self._epochs = found.epochs
        self._producers: Producers = found.producers
        self._beside = LogDirectory(disk, directory, found.report, found.epochs, 0)
        self._load_clean_below(found.report.end)
        self.end = self.durable = self._flushed_end = found.report.end
        self.log_start = self.leader_epoch = 0
        self._structure = threading.Lock()  # held for an assignment: `_sealed` changes from two threads
        self._queue: list[memoryview] = []
        self._rolled: list[tuple[Segment, list[memoryview]]] = []  # sealed since the last flush, with their queues
        self._mark: tuple[Segment, SegmentMark, int, Epochs] | None = None  # the last flush, once something is queued
        self._unsynced: list[Segment] = []  # sealed, written, not durable yet
        # Nobody knows whether the directories of a log without files were ever synced: its first round does that.
        self._directories = [] if found.active.created else directories_above(directory)
        self._failed: StorageFailed | None = None
        self._mark_dirty: Callable[[Log], object] | None = None
        self._closed = self.is_dirty = False
        self.set_config(config)
        for segment in found.sealed:
            segment.file.on_closed = segment.unload
            segment.unload()

    def __repr__(self) -> str:
        return f"<Log {self.topic_id}/{self.partition} [{self.log_start}, {self.durable}, {self.end})>"

    def set_config(self, config: LogConfig) -> None:
        """Take over a changed configuration: it applies from the next append on."""
        self._config = config
        self._max_message_bytes = config.max_message_bytes
        self._segment_bytes = config.segment_bytes
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
            raise checks.too_short(batch)
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
        if config.log_append_time:
            checks.stamp(batch, now_ms)
            max_ms = now_ms
        appended = self._enqueue(batch, size, last_delta, first_ms, max_ms, producer_id, epoch, sequence, now_ms)
        return appended._replace(log_append_time_ms=now_ms) if config.log_append_time else appended

    def append_internal(self, batch: bytes, now_ms: int) -> Appended:
        """Queue a copy of a batch of the broker's own: size, attributes and timestamps are its business.

        Raises CorruptBatch, InvalidRecord, LogClosed, StorageFailed.
        """
        own = memoryview(bytearray(batch))
        header = checks.check_internal(own)
        return self._enqueue(
            own,
            len(own),
            header.last_offset_delta,
            header.first_timestamp_ms,
            header.max_timestamp_ms,
            -1 if header.is_control else header.producer_id,
            header.producer_epoch,
            header.base_sequence,
            now_ms,
        )

    def _enqueue(
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
        active = self._active
        if self._mark is None:
            self._mark = (active, active.mark(), base, self._epochs)
            self._epochs = with_epoch(self._epochs, self.leader_epoch, base)
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
        return _tuple(Appended, (base, last, -1, False))

    # --- flush

    @property
    def is_flushed(self) -> bool:
        """Nothing is queued."""
        return self._mark is None

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

    def _write(self, segment: Segment, queue: Sequence[memoryview]) -> None:
        file = segment.file
        fd = file.fd
        if fd < 0:
            fd = self._open_file(segment)
        file.dirty = file.used = True
        done = self.disk.writev(fd, queue) if len(queue) <= IOV_MAX else 0
        if done != segment.size - segment.written:
            self._write_rest(fd, queue, done)
        segment.written = segment.size

    def _write_rest(self, fd: int, queue: Sequence[memoryview], done: int) -> None:
        """Go on behind the first `done` bytes: after a short write, or with more slices than one writev takes."""
        left: list[memoryview] = []
        for piece in queue:
            if done >= len(piece):
                done -= len(piece)
            else:
                left.append(piece[done:])
                done = 0
        at = 0
        while at < len(left):
            written = self.disk.writev(fd, left[at : at + IOV_MAX])
            if written <= 0:
                raise OSError(errno.EIO, "writev wrote nothing")
            while at < len(left) and written >= len(left[at]):
                written -= len(left[at])
                at += 1
            if written:
                left[at] = left[at][written:]

    def _open_file(self, segment: Segment) -> int:
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
        newer = [*(sealed for sealed, _ in self._rolled), self._active]
        newer.remove(segment)
        try:
            if segment.file.fd >= 0:
                self.disk.ftruncate(segment.file.fd, mark.size)
            for made in newer:
                if made.created:
                    self._files.close(made.file)
                    self.disk.unlink(made.file.path)
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
        if now_ms - self._active.opened_at_ms < self._config.segment_ms:
            return False
        return self.seal(now_ms)

    def seal(self, now_ms: int = 0) -> bool:
        """Seal the active segment now, unless it is empty. What is queued is flushed first; raises as `flush` does."""
        self.flush()
        if self._closed or self._failed is not None or not self._active.size:
            return False
        self._roll(now_ms or self._active.opened_at_ms)
        if self._mark_dirty is not None:
            self._mark_dirty(self)
        return True

    # --- commit rounds

    def capture(self) -> Capture:
        """What a commit round has to sync, as of the last flush. Its files stay open until `publish` or `release`."""
        self.is_dirty = False
        if self._closed or self._failed is not None:
            return Capture(self, (), (), self.durable)
        parts = [(segment, segment.size, segment.end) for segment in self._unsynced]
        segment = self._active if self._mark is None else self._mark[0]
        if segment.written > segment.durable.position:
            parts.append((segment, segment.written, self._flushed_end))
        for segment, _, _ in parts:
            self._files.pin(segment.file)
        return Capture(self, tuple(parts), tuple(self._directories), self._flushed_end)

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

    def release(self, capture: Capture) -> None:
        """The round is over, whether or not it came to anything."""
        for segment, _, _ in capture.parts:
            self._files.unpin(segment.file)
        self._files.reap()

    # --- the files beside the batches

    def checkpoint_due(self, now_ms: int) -> bool:
        """Whether `checkpoint` has work: a sealed segment to save, or a minute of writes above the recovery point."""
        sealed = self._sealed
        if self._closed or self._failed is not None:
            return False
        if sealed and not sealed[-1].saved and sealed[-1].is_durable:
            return True
        return self.durable > self._beside.recovery_point and now_ms - self._beside.written_at_ms >= CHECKPOINT_EVERY_MS

    def checkpoint(self, now_ms: int) -> None:
        """Save what a restart would otherwise have to read again. Blocks; any thread. Raises OSError."""
        with self._beside.lock:
            if not self._closed and self._failed is None:
                durable = self.durable  # first: what else is passed is at least as new
                self._beside.save(durable, self._epochs, self._sealed, now_ms)

    def producer_snapshot_at(self, offset: int) -> bytes:
        """Kafka's `.snapshot` of the producers at the end of a sealed segment, or at `end`. Blocks; any thread.

        Raises OffsetOutOfRange for any other offset.
        """
        for segment in self._sealed:
            if segment.end == offset:
                entries = segment.entries
                raw = read_snapshot(self.disk, self._directory, offset) if entries is None else encode_snapshot(entries)
                return encode_snapshot({}) if raw is None else raw
        if offset != self.end:
            raise OffsetOutOfRange(offset, self.local_start, self.end)
        return encode_snapshot(self._producers.entries())

    def producers_last_offsets(self) -> tuple[int, ...]:
        """The last offset of the last batch of every producer that is remembered."""
        return tuple(entry[3][-1].last_offset for entry in self._producers.entries().values())

    def drop_local_below(self, offset: int) -> list[Path]:
        """Remove sealed segments wholly below an offset from local disk; the log files that went. Blocks; any thread.

        The caller guarantees that their cold copy is committed, or that the log start has passed them. Raises OSError.
        """
        with self._beside.lock:
            if self._closed:
                return []
            going: list[Segment] = []
            for segment in self._sealed:
                if segment.end > min(offset, self.durable) or not segment.is_durable:
                    break
                going.append(segment)
            if not going:
                return []
            if not going[-1].saved:  # who wrote it is in no other file, and has to be known after a restart
                self._beside.save(self.durable, self._epochs, self._sealed, self._beside.written_at_ms)
            if len(going) == len(self._sealed):
                self._beside.keep_name(self._active)
            with self._structure:
                self._sealed = self._sealed[len(going) :]
            for segment in going:
                self._files.doom(segment.file)
            self._beside.remove(going, self.local_start)
            return [Path(segment.path(LOG_SUFFIX)) for segment in going]

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
                self._sync()
                with self._beside.lock:
                    if self._active.size and self.durable > self._beside.recovery_point:
                        self._beside.save_active(self._active, self.end, self._producers.entries())
                    self._beside.save(self.durable, self._epochs, self._sealed, now_ms)
        finally:
            with self._beside.lock:  # a segment may be being replaced
                self._closed = True
            self._queue.clear()
            self._rolled.clear()
            self._mark = None
            for segment in self.segments:
                self._files.close(segment.file)

    def _sync(self) -> None:
        """A commit round of this log alone."""
        capture = self.capture()
        try:
            for segment, _, _ in capture.parts:
                self.disk.fdatasync(segment.file.fd)
            for directory in capture.directories if capture.parts else ():
                self.disk.sync_directory(directory)
        except OSError:
            self.release(capture)
            raise
        self.publish(capture)

    def delete(self) -> None:
        """Remove everything of the log from disk, also after a crash half-way through this. Blocks; any thread.

        Whoever still appends or reads gets LogClosed; descriptors go with the next look of the log's own thread.
        """
        with self._beside.lock:
            self._closed = True
            for segment in self.segments:
                self._files.doom(segment.file)
            remove_directory(self.disk, self._directory)
