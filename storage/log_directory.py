"""What a log keeps in its directory beside the batches: side files of sealed segments, epochs, the recovery point.

Always true: the recovery point is written last, after everything that opening at it will rest on was synced; it never
passes `durable`. All of this blocks and may run in any thread; `lock` makes it one at a time.
"""

import os
import threading
from collections.abc import Sequence

from .checkpoints import replace_file
from .disk import Disk
from .epochs import EPOCHS_FILE, Epochs, encode_epochs
from .producers import Entries
from .recovery import MISSING_SUFFIX, RecoveryReport, parse_hole, write_recovery_point
from .segment import ACTIVE_FLAGS, INDEX_SUFFIX, LOG_SUFFIX, SNAPSHOT_SUFFIX, TIME_INDEX_SUFFIX, Segment
from .side_files import remove_if_there, save_indexes, save_snapshot


class LogDirectory:
    __slots__ = ("_disk", "_epochs_saved", "_has_holes", "lock", "path", "recovery_point", "written_at_ms")

    def __init__(self, disk: Disk, path: str, found: RecoveryReport, epochs: Epochs, now_ms: int) -> None:
        self._disk, self.path = disk, path
        self.recovery_point = found.end
        self.written_at_ms = now_ms
        self._epochs_saved = epochs
        self._has_holes = found.has_holes
        self.lock = threading.Lock()

    def save(self, durable: int, epochs: Epochs, sealed: Sequence[Segment], now_ms: int) -> None:
        """Write what sealed segments below `durable` need to be read without a scan, then move the recovery point."""
        unsaved = [segment for segment in sealed if not segment.saved and segment.end <= durable]
        for segment in unsaved:
            save_indexes(self._disk, segment)
            save_snapshot(self._disk, self.path, segment.end, segment.entries or {})
        if epochs != self._epochs_saved:
            replace_file(self._disk, f"{self.path}/{EPOCHS_FILE}", encode_epochs(epochs))
        if unsaved or epochs != self._epochs_saved:
            self._disk.sync_directory(self.path)
        self._epochs_saved = epochs
        for segment in unsaved:
            segment.saved, segment.entries = True, None
            if segment.file.fd < 0:
                segment.unload()
        if durable > self.recovery_point:
            write_recovery_point(self._disk, self.path, durable)
            self.recovery_point = durable
        self.written_at_ms = now_ms

    def save_active(self, active: Segment, end: int, entries: Entries) -> None:
        """At a clean close only: after a crash the active segment's side files are made again from the log."""
        assert active.times is not None
        active.times.append_if_later(active.max_timestamp_ms, active.max_timestamp_offset - active.base)
        save_indexes(self._disk, active)
        save_snapshot(self._disk, self.path, end, entries)

    def keep_name(self, active: Segment) -> None:
        """Make the active segment's file and name durable: once it is the only file, its name is the log's end."""
        if not active.created:
            self._disk.close(self._disk.open(active.path(LOG_SUFFIX), ACTIVE_FLAGS | os.O_CREAT, 0o644))
            active.created = True
        self._disk.sync_directory(self.path)

    def remove(self, segments: Sequence[Segment], local_start: int) -> None:
        """Unlink segments that nobody reads any more. The snapshot at the end of the last one stays: recovery's."""
        for segment in segments:
            for suffix in (INDEX_SUFFIX, TIME_INDEX_SUFFIX, SNAPSHOT_SUFFIX, LOG_SUFFIX):
                remove_if_there(self._disk, segment.path(suffix))
        if self._has_holes:
            for name in self._disk.listdir(self.path):
                if name.endswith(MISSING_SUFFIX) and parse_hole(name)[1] <= local_start:
                    self._disk.unlink(f"{self.path}/{name}")
