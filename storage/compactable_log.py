"""The part of a log that takes over what compaction made of its sealed segments.

Always true: a segment is replaced as a whole, while readers go on: whoever has the old file open finishes with it, and
whoever looks for it meanwhile finds it, or looks again. At every step of a replacement a crash leaves the old file or
the new one under the segment's name, and never an index that speaks of the other: an index that is missing is made
again. `clean_below` is noted on disk only once everything below it was replaced; losing the note costs work.
"""

import threading

from .checkpoints import decode_entries, encode_entries, read_file, replace_file
from .cleaner import cleaned_path, remove_cleaned
from .cleaning import Cleaned
from .compaction import CompactionPlan, plan_compaction
from .disk import Disk
from .log_directory import LogDirectory
from .open_files import OpenFile
from .readable_log import ReadableLog
from .segment import INDEX_SUFFIX, LOG_SUFFIX, SEALED_FLAGS, TIME_INDEX_SUFFIX, Durable, Segment
from .side_files import remove_if_there

CLEANED_FILE = "cleaner-offset-checkpoint"


class CompactableLog(ReadableLog):
    """Compaction. `Log` adds appending and all the rest."""

    __slots__ = ("_beside", "_structure", "clean_below", "was_compacted")

    _beside: LogDirectory
    _structure: threading.Lock  # held for an assignment: `_sealed` changes from two threads
    clean_below: int  # what lies below was covered by a pass; 0 when that is not known
    was_compacted: bool  # so that offsets may be missing

    def _load_clean_below(self, end: int) -> None:
        """What was noted; nothing of that counts when it is not of this log."""
        found = read_clean_below(self.disk, self._directory)
        self.was_compacted = found is not None
        self.clean_below = found if found is not None and found <= end else 0

    def plan_compaction(self, now_ms: int, cold_end: int) -> CompactionPlan:
        """What a pass would cover now. Any thread; blocks when called first after a restart."""
        return plan_compaction(
            self.sealed_segments(),
            self._config,
            now_ms,
            clean_below=self.clean_below,
            checkpointed=self._beside.recovery_point,
            log_start=self.log_start,
            cold_end=cold_end,
        )

    def begin_compaction(self) -> None:
        """Note, before the first record goes, that offsets may be missing from now on. Blocks. Raises OSError."""
        with self._beside.lock:
            if not self.was_compacted and not self._closed:
                self._write_clean_below(self.clean_below)
                self.disk.sync_directory(self._directory)
                self.was_compacted = True

    def mark_clean(self, below: int) -> None:
        """A pass has covered everything below. Blocks; any thread. Raises OSError."""
        with self._beside.lock:
            if below > self.clean_below and not self._closed:
                self._write_clean_below(below)
                self.clean_below = below

    def _write_clean_below(self, offset: int) -> None:
        """Kafka's file, with this one partition in it: topic id, partition, offset."""
        topic, partition = self._directory.rsplit("/", 2)[-2:]
        replace_file(self.disk, f"{self._directory}/{CLEANED_FILE}", encode_entries([(topic, partition, offset)]))

    def replace_segment(self, base: int, size_bytes: int, cleaned: Cleaned) -> bool:
        """Put the cleaned files of a sealed segment into the place of its own. Blocks; any thread. Raises OSError.

        False, and the cleaned files go, when the segment is no longer as it was: dropped, or replaced before.
        """
        with self._beside.lock:
            old = next((segment for segment in self._sealed if segment.base == base), None)
            if self._closed or old is None or old.size != size_bytes or not old.saved:
                remove_cleaned(self.disk, f"{self._directory}/{base:020d}{LOG_SUFFIX}")
                return False
            log_path = old.path(LOG_SUFFIX)
            for suffix in (INDEX_SUFFIX, TIME_INDEX_SUFFIX):
                remove_if_there(self.disk, old.path(suffix))
            self.disk.sync_directory(self._directory)
            new = _replacement(old, cleaned)
            self._files.doom(old.file)  # from here on nobody opens it by name: readers look again until `new` is there
            try:
                self.disk.rename(cleaned_path(log_path, LOG_SUFFIX), log_path)
            except OSError:
                old.file = OpenFile(log_path, SEALED_FLAGS)
                old.file.on_closed = old.unload
                raise
            with self._structure:
                self._sealed = tuple(new if segment is old else segment for segment in self._sealed)
            self.disk.sync_directory(self._directory)
            for suffix in (TIME_INDEX_SUFFIX, INDEX_SUFFIX):
                self.disk.rename(cleaned_path(log_path, suffix), old.path(suffix))
            return True


def _replacement(old: Segment, cleaned: Cleaned) -> Segment:
    """The segment that holds the same offsets in the cleaned file."""
    new = Segment(old.directory, old.base, opened_at_ms=old.opened_at_ms, flags=SEALED_FLAGS)
    new.end, new.sealed_at_ms = old.end, old.sealed_at_ms
    new.size = new.written = cleaned.size_bytes
    new.durable = Durable(cleaned.size_bytes, old.end)
    new.first_timestamp_ms, new.max_timestamp_ms = cleaned.first_timestamp_ms, cleaned.max_timestamp_ms
    new.max_timestamp_offset = cleaned.max_timestamp_offset
    new.created = new.saved = new.described = True
    new.index = new.times = None
    new.file.on_closed = new.unload
    return new


def read_clean_below(disk: Disk, directory: str) -> int | None:
    """The offset of the note; 0 for one that is damaged, None without one."""
    raw = read_file(disk, f"{directory}/{CLEANED_FILE}")
    if raw is None:
        return None
    entries = decode_entries(raw, fields=3)
    if not entries or not entries[0][2].isascii() or not entries[0][2].isdigit():
        return 0
    return int(entries[0][2])
