"""Open what a log left on disk, after a clean close, a kill or a power loss.

Always true: what lies above the recovery point counts only once it was re-read, its CRC-32C checked, copied into a
new file and that file synced: after a failed fsync the old file's pages may be clean without being on disk. Nothing
below the recovery point is ever truncated away: damage there is copied aside first (`.quarantined`), the hole is
remembered by an empty `<from>-<to>.missing` file, and both are reported. When visible records may be missing at the end
of the log, it goes on 2^32 offsets higher, so that no committed group offset is passed silently (D3); the
new leader epoch that goes with it is the opener's.

Opening a log whose recovery point is its end reads no batch, only the headers behind the last index entry.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest

from .batch import BatchHeader
from .checkpoints import TEMPORARY_SUFFIX, decode_entries, encode_entries, read_file, replace_file
from .cleaning import CLEANED_SUFFIX
from .disk import Disk
from .epochs import EPOCHS_FILE, Epochs, decode_epochs, encode_epochs, truncated_to, with_epoch
from .producers import Producers
from .removal import directories_above
from .scan import BatchScan
from .segment import (
    ACTIVE_FLAGS,
    INDEX_SUFFIX,
    LOG_SUFFIX,
    SEALED_FLAGS,
    SNAPSHOT_SUFFIX,
    TIME_INDEX_SUFFIX,
    Durable,
    Segment,
    file_name,
)
from .side_files import (
    add_batches,
    load_producers,
    open_for_scan,
    remove_if_there,
    resume_indexes,
    save_indexes,
    save_snapshot,
)

RECOVERY_POINT_FILE = "recovery-point-offset-checkpoint"
RECOVERING_SUFFIX, QUARANTINED_SUFFIX, MISSING_SUFFIX = ".recovering", ".quarantined", ".missing"
OFFSETS_SKIPPED_AFTER_LOSS = 2**32
COPY_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryReport:
    """What opening a log found and did. `lost` are half-open ranges that were durable once and are not on this disk."""

    directory: str
    recovery_point: int | None
    end: int
    checked_bytes: int = 0
    copied_bytes: int = 0
    truncated_bytes: int = 0
    quarantined: tuple[str, ...] = ()
    lost: tuple[tuple[int, int], ...] = ()
    problems: tuple[str, ...] = ()
    has_holes: bool = False  # now or from an earlier recovery

    @property
    def clean(self) -> bool:
        """Everything was known to be durable, and was there."""
        return self.recovery_point == self.end and not self.problems


@dataclass(slots=True)
class Recovered:
    """A log as found: sealed segments by base, then the active one; everything in them is durable."""

    sealed: list[Segment]
    active: Segment
    producers: Producers
    epochs: Epochs
    report: RecoveryReport


def read_recovery_point(disk: Disk, directory: str) -> int | None:
    """The offset below which everything was durable once; None without a whole checkpoint."""
    raw = read_file(disk, f"{directory}/{RECOVERY_POINT_FILE}")
    entries = None if raw is None else decode_entries(raw, fields=3)
    if not entries or not entries[0][2].isascii() or not entries[0][2].isdigit():
        return None
    return int(entries[0][2])


def write_recovery_point(disk: Disk, directory: str, offset: int) -> None:
    """Kafka's file, with this one partition in it: topic id, partition, offset."""
    topic, partition = directory.rsplit("/", 2)[-2:]
    replace_file(disk, f"{directory}/{RECOVERY_POINT_FILE}", encode_entries([(topic, partition, offset)]))


def recover(
    disk: Disk, directory: str, names: set[str], *, log_start: int, interval_bytes: int, now_ms: int
) -> Recovered:
    """Read a log's directory, whose `names` were listed, and repair what a crash left. Blocks; raises OSError.

    An empty directory gives an empty log that begins at `log_start`, and nothing is written.
    """
    found = read_recovery_point(disk, directory)
    if found is None and not any(name.endswith(LOG_SUFFIX) for name in names):
        active = Segment(directory, log_start, opened_at_ms=now_ms)
        report = RecoveryReport(directory=directory, recovery_point=log_start, end=log_start)
        return Recovered([], active, Producers(), (), report)
    work = _Recovery(disk, directory, interval_bytes, now_ms, names, found)
    work.run(log_start)
    return work.result()


@dataclass(slots=True)
class _Recovery:
    disk: Disk
    directory: str
    interval_bytes: int
    now_ms: int
    names: set[str]
    found: int | None  # the recovery point, if there was one
    segments: list[Segment] = field(default_factory=list)
    producers: Producers = field(default_factory=Producers)
    epochs: Epochs = ()
    point: int = 0  # the recovery point, or where re-reading has to begin
    checked_bytes: int = 0
    copied_bytes: int = 0
    truncated_bytes: int = 0
    quarantined: list[str] = field(default_factory=list)
    lost: list[tuple[int, int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    # --- the order of things

    def run(self, log_start: int) -> None:
        self._remove_leftovers()
        self._list_segments()
        if not self.segments:
            assert self.found is not None, "a directory without logs and checkpoint is a new log"
            self._go_on_after_loss(self.found, max(self.found, log_start), "there is no log file")
        self.point = max(self.segments[0].base, self.found or 0)
        known = self._read_epochs()
        self.epochs = truncated_to(known or (), self.point)
        self._recover()
        if self.segments[-1].end < log_start:
            self._go_on_after_loss(self.segments[-1].end, log_start, f"the log start is {log_start}")
        if known is None:
            self._rebuild_epochs()
        self._replay_producers()
        if not self._is_clean():
            self._save()

    def result(self) -> Recovered:
        for segment in self.segments:
            segment.described = segment.index is not None
            segment.written, segment.created = segment.size, True
            if segment.sealed_at_ms < 0:
                segment.sealed_at_ms = self.now_ms
            segment.durable = Durable(segment.size, segment.end)
        active = self.segments[-1]
        active.file.flags = ACTIVE_FLAGS
        active.sealed_at_ms = -1
        if active.first_timestamp_ms > 0:
            active.opened_at_ms = min(self.now_ms, active.first_timestamp_ms)  # when its first batch came is not kept
        report = RecoveryReport(
            directory=self.directory,
            recovery_point=self.found,
            end=active.end,
            checked_bytes=self.checked_bytes,
            copied_bytes=self.copied_bytes,
            truncated_bytes=self.truncated_bytes,
            quarantined=tuple(self.quarantined),
            lost=tuple(self.lost),
            problems=tuple(self.problems),
            has_holes=bool(self.lost) or any(name.endswith(MISSING_SUFFIX) for name in self.names),
        )
        return Recovered(self.segments[:-1], active, self.producers, self.epochs, report)

    def _is_clean(self) -> bool:
        return self.found == self.segments[-1].end and not self.problems

    def _save(self) -> None:
        """What the new recovery point rests on, then the point itself."""
        for segment in self.segments[:-1]:
            if not segment.saved:
                save_indexes(self.disk, segment)
                save_snapshot(self.disk, self.directory, segment.end, segment.entries or {})
                segment.saved, segment.entries = True, None
        active = self.segments[-1]
        if active.size:  # so that the next opening does not walk it again
            assert active.times is not None
            active.times.append_if_later(active.max_timestamp_ms, active.max_timestamp_offset - active.base)
            save_indexes(self.disk, active)
            save_snapshot(self.disk, self.directory, active.end, self.producers.entries())
        replace_file(self.disk, self._path(EPOCHS_FILE), encode_epochs(self.epochs))
        for directory in directories_above(self.directory):
            self.disk.sync_directory(directory)
        write_recovery_point(self.disk, self.directory, self.segments[-1].end)

    # --- what is there

    def _path(self, name: str) -> str:
        return f"{self.directory}/{name}"

    def _remove_leftovers(self) -> None:
        for name in [
            name for name in self.names if name.endswith((TEMPORARY_SUFFIX, RECOVERING_SUFFIX, CLEANED_SUFFIX))
        ]:
            remove_if_there(self.disk, self._path(name))
            self.names.discard(name)

    def _list_segments(self) -> None:
        bases = sorted(int(name[:20]) for name in self.names if name.endswith(LOG_SUFFIX) and name[:20].isdigit())
        holes = dict(parse_hole(name)[::-1] for name in self.names if name.endswith(MISSING_SUFFIX))
        for base, following in zip_longest(bases, bases[1:]):
            segment = Segment(self.directory, base, opened_at_ms=self.now_ms, flags=SEALED_FLAGS)
            status = self.disk.stat(segment.path(LOG_SUFFIX))
            segment.size, segment.sealed_at_ms = status.st_size, status.st_mtime_ns // 1_000_000
            if following is not None:
                segment.end = max(base, holes.get(following, following))
                segment.saved = file_name(segment.end, SNAPSHOT_SUFFIX) in self.names
            segment.index = segment.times = None
            segment.described = False
            self.segments.append(segment)

    def _read_epochs(self) -> Epochs | None:
        raw = read_file(self.disk, self._path(EPOCHS_FILE))
        return None if raw is None else decode_epochs(raw)

    # --- the recovery point and what lies above it

    def _recover(self) -> None:
        at = max(i for i, segment in enumerate(self.segments) if segment.base <= self.point)
        for segment in self.segments[:at]:
            # An interrupted recovery may have copied on what lies at the recovery point and not cut it off yet.
            if not segment.saved or segment.end == self.point:
                self._settle(segment)
        tail, self.segments[at:] = self.segments[at:], []
        first = tail[0]
        size = first.size
        position, offset, problem = self._walk(first, self.point)
        if problem is not None and offset < self.point:
            self._quarantine(first, position, offset, problem)
        elif offset < self.point and position < size:
            self.problems.append(f"the recovery point {self.point} lies inside a batch")
            self.point = offset
        self.segments.append(first)
        if offset < self.point:
            self._finish(first, offset)
            if len(tail) == 1:
                self._go_on_after_loss(offset, self.point, f"segment {first.base} ends at {offset}")
                return
            self._remember_hole(offset, tail[1].base, self.point)
        elif not self._copy(first, position, offset, tail[1] if tail[1:] else None):
            self._drop(tail[1:])
            return
        for i, segment in enumerate(tail[1:], start=1):
            resume_indexes(self.disk, segment, segment.base)
            self.segments.append(segment)
            if not self._copy(segment, 0, segment.base, tail[i + 1] if tail[i + 1 :] else None):
                self._drop(tail[i + 1 :])
                return

    def _walk(self, segment: Segment, point: int) -> tuple[int, int, str | None]:
        """Go to an offset by headers: (position, offset reached, what was wrong there).

        The segment then holds exactly what lies below that position.
        """
        size = segment.size
        start = resume_indexes(self.disk, segment, point)
        with _opened(self.disk, segment) as fd:
            if start:
                scan = BatchScan(self.disk, fd, start, size, segment.base)
                if next(iter(scan), None) is None:  # not a batch: the index cannot be trusted
                    start, segment.size = 0, size
                    resume_indexes(self.disk, segment, segment.base)
                else:
                    self._read_first_timestamp(fd, segment, size)
            scan = BatchScan(self.disk, fd, start, size, segment.base)
            for position, header in scan:
                if header.end_offset > point:
                    return position, min(header.base_offset, point), None
                add_batches(segment, (header,), self.interval_bytes)
        return scan.position, scan.next_offset, scan.problem

    def _read_first_timestamp(self, fd: int, segment: Segment, size: int) -> None:
        for _, header in BatchScan(self.disk, fd, 0, size, segment.base):
            segment.first_timestamp_ms = header.earliest_ms
            return

    def _copy(self, segment: Segment, start: int, offset: int, following: Segment | None) -> bool:
        """Check what lies behind `start`, copy what is good into a new file, and cut the rest off.

        True when the good bytes reach up to the following segment, if there is one. They are then in the last of
        `self.segments`.
        """
        with _opened(self.disk, segment) as fd:
            size = self.disk.fstat_size(fd)
            target = segment if start == 0 else Segment(self.directory, offset, opened_at_ms=self.now_ms)
            copy = _Copy(self.disk, target)
            scan = BatchScan(self.disk, fd, start, size, offset, check=True)
            with copy:
                for _, header in scan:
                    if following is not None and header.base_offset >= following.base:
                        break  # what an earlier recovery copied on, and could not cut off any more
                    copy.append(scan.batch())
                    add_batches(target, (header,), self.interval_bytes)
                    self.epochs = with_epoch(self.epochs, header.leader_epoch, header.base_offset)
                    offset = header.end_offset
            self.checked_bytes += scan.position - start
        self.copied_bytes += copy.size
        self.truncated_bytes += size - start - copy.size
        if copy.size:
            self.disk.rename(copy.path, target.path(LOG_SUFFIX))
            self.disk.sync_directory(self.directory)
        if target is not segment and copy.size:
            self._finish(segment, target.base)
            self.segments.append(target)
        if size > start and (target is not segment or not copy.size):
            self._truncate(segment, start)
        target = self.segments[-1]
        target.end = offset
        if following is not None and offset == following.base:
            self._finish(target, offset)
            return True
        return following is None

    def _finish(self, segment: Segment, end: int) -> None:
        """No more batches follow in this segment."""
        segment.end, segment.saved = end, False
        assert segment.times is not None
        segment.times.append_if_later(segment.max_timestamp_ms, segment.max_timestamp_offset - segment.base)

    def _truncate(self, segment: Segment, size: int) -> None:
        fd = self.disk.open(segment.path(LOG_SUFFIX), ACTIVE_FLAGS, 0o644)
        try:
            self.disk.ftruncate(fd, size)
            self.disk.fdatasync(fd)
        finally:
            self.disk.close(fd)
        segment.size = size

    def _drop(self, segments: list[Segment]) -> None:
        """Segments behind a torn one: written after what is lost, so never durable."""
        for segment in segments:
            self.truncated_bytes += self.disk.stat(segment.path(LOG_SUFFIX)).st_size
            for suffix in (LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX):
                remove_if_there(self.disk, segment.path(suffix))
        self.disk.sync_directory(self.directory)

    # --- damage below the recovery point

    def _settle(self, segment: Segment) -> None:
        """Make a sealed segment below the recovery point whole: it ends where the next begins, and has its indexes."""
        size, end = segment.size, segment.end
        position, offset, problem = self._walk(segment, end)
        if problem is not None and offset < end:
            self._quarantine(segment, position, offset, problem)
            self._remember_hole(offset, end, end)
            self._finish(segment, offset)
            return
        if size > position:
            self._truncate(segment, position)
        if not segment.saved:
            self._finish(segment, end)

    def _quarantine(self, segment: Segment, position: int, offset: int, problem: str) -> None:
        """Set a damaged file's bytes aside, then cut the damage off so that the log can go on."""
        path = segment.path(LOG_SUFFIX)
        aside = path + QUARANTINED_SUFFIX
        with _opened(self.disk, segment) as fd:
            copy = _Copy(self.disk, segment, aside)
            with copy:
                while raw := self.disk.pread(fd, COPY_BYTES, copy.size):
                    copy.append(memoryview(raw))
        self.disk.sync_directory(self.directory)
        self.quarantined.append(aside)
        self.problems.append(f"segment {segment.base} is damaged at byte {position} (offset {offset}): {problem}")
        self._truncate(segment, position)

    def _remember_hole(self, start: int, stop: int, durable_below: int) -> None:
        replace_file(self.disk, self._path(hole_name(start, stop)), b"")
        self.lost.append((start, min(stop, durable_below)))
        self.problems.append(f"offsets [{start}, {min(stop, durable_below)}) are missing")

    def _go_on_after_loss(self, start: int, durable_below: int, why: str) -> None:
        """End the log at `start` and begin a segment far above whatever may have been visible."""
        base = max(start, durable_below) + OFFSETS_SKIPPED_AFTER_LOSS
        self.problems.append(f"all below {durable_below} was durable, but {why}: going on at {base}")
        if start < durable_below or not self.segments:
            self._remember_hole(start, base, durable_below)
        if self.segments:
            self._finish(self.segments[-1], start)
        segment = Segment(self.directory, base, opened_at_ms=self.now_ms)
        fd = self.disk.open(segment.path(LOG_SUFFIX), ACTIVE_FLAGS | os.O_CREAT, 0o644)
        self.disk.close(fd)
        self.segments.append(segment)

    # --- what the batches tell besides

    def _headers(self, segment: Segment, offset: int) -> Iterator[BatchHeader]:
        """Headers of the batches of one segment from an offset on."""
        start = 0 if segment.index is None else segment.index.position_before(offset - segment.base)
        with _opened(self.disk, segment) as fd:
            for _, header in BatchScan(self.disk, fd, start, segment.size, segment.base):
                if header.base_offset >= offset:
                    yield header

    def _rebuild_epochs(self) -> None:
        """The file was lost or never written: the headers have it all."""
        self.epochs = ()
        for segment in self.segments:
            for header in self._headers(segment, segment.base):
                self.epochs = with_epoch(self.epochs, header.leader_epoch, header.base_offset)

    def _replay_producers(self) -> None:
        """From the newest snapshot that is not newer than what still has to be saved."""
        end = self.segments[-1].end
        latest = min([segment.end for segment in self.segments[:-1] if not segment.saved], default=end)
        offsets = [int(name[:20]) for name in self.names if name.endswith(SNAPSHOT_SUFFIX) and name[:20].isdigit()]
        usable = load_producers(self.disk, self.directory, [o for o in offsets if o <= latest], self.now_ms)
        start, self.producers = usable if usable is not None else (0, self.producers)
        for segment in self.segments:
            if segment.end > start:
                for header in self._headers(segment, start):
                    self.producers.replay(header, self.now_ms)
            if not segment.saved and segment is not self.segments[-1]:
                segment.entries = self.producers.entries()
        for offset in offsets:
            if offset > end:
                remove_if_there(self.disk, self._path(file_name(offset, SNAPSHOT_SUFFIX)))


class _opened:  # noqa: N801 - reads as a verb in a with statement
    """A descriptor for the length of a walk."""

    def __init__(self, disk: Disk, segment: Segment) -> None:
        self._disk, self._path = disk, segment.path(LOG_SUFFIX)

    def __enter__(self) -> int:
        self._fd = open_for_scan(self._disk, self._path)
        return self._fd

    def __exit__(self, *_: object) -> None:
        self._disk.close(self._fd)


class _Copy:
    """A new file that takes good bytes; opened with the first of them, synced on leaving."""

    def __init__(self, disk: Disk, target: Segment, path: str | None = None) -> None:
        self._disk = disk
        self.path = path or target.path(LOG_SUFFIX) + RECOVERING_SUFFIX
        self.size = 0
        self._fd = -1

    def __enter__(self) -> "_Copy":
        return self

    def append(self, data: memoryview) -> None:
        if self._fd < 0:
            self._fd = self._disk.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        done = 0
        while done < len(data):
            done += self._disk.pwrite(self._fd, data[done:], self.size + done)
        self.size += len(data)

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            try:
                self._disk.fdatasync(self._fd)
            finally:
                self._disk.close(self._fd)


def hole_name(start: int, stop: int) -> str:
    return f"{start:020d}-{stop:020d}{MISSING_SUFFIX}"


def parse_hole(name: str) -> tuple[int, int]:
    """The half-open offset range of a `.missing` file's name; (-1, -1) for a name of another form."""
    start, _, stop = name.removesuffix(MISSING_SUFFIX).partition("-")
    return (int(start), int(stop)) if start.isdigit() and stop.isdigit() else (-1, -1)
