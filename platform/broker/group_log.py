"""The internal partitions that consumer groups are kept in: logs of this broker that no client can name.

Always true: `done` is called once per append and in order, with None only after the commit round that made it durable.
A partition's state is its newest snapshot file and the log from there on, so the log stays short without compaction.
Their topic id is fixed and in no catalogue: no namespace view can hold it.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from ...storage import records as batches
from ...storage.batch import iterate_headers
from ...storage.commit_rounds import DurabilitySink
from ...storage.config import LogConfig
from ...storage.disk import Disk
from ...storage.errors import LogError
from ...storage.log import Log
from ...storage.open_files import OpenFiles
from ..groups.seams import Record
from .snapshot_file import newest_snapshot, write_snapshot

log = logging.getLogger("coldstream.groups")

GROUPS_TOPIC_ID = UUID("00000000-0000-4000-8000-67726f757073")
PARTITIONS = 16
RECORD_BYTES_MAX = 6 * 2**20
READ_BYTES = 4 * 2**20
SNAPSHOT_AFTER_BYTES = 16 * 2**20
CONFIG = LogConfig(
    segment_bytes=16 * 2**20,
    segment_ms=7 * 86_400_000,
    retention_ms=-1,
    tiered=False,
    max_message_bytes=RECORD_BYTES_MAX,
)

Done = Callable[[BaseException | None], None]


class Waiting(NamedTuple):
    """An append that the commit round `ticket` makes durable, and where its partition ends then."""

    ticket: int
    partition: int
    end: int
    done: Done


class GroupLogs:
    """Implements `groups.seams.GroupLog` over local logs. All but `replay` and `write_snapshot` run on the loop."""

    partitions = PARTITIONS

    def __init__(
        self, logs: Sequence[Log], snapshots: Path, disk: Disk, rounds: DurabilitySink, now_ms: Callable[[], int]
    ) -> None:
        self._logs = logs
        self._snapshots = snapshots
        self._disk = disk
        self._rounds = rounds
        self._now_ms = now_ms
        self._waiting: deque[Waiting] = deque()  # tickets never go down
        self._durable_end = [each.durable for each in logs]  # end of the last append whose done(None) was called
        self._snapshot_end = [
            newest.end if (newest := newest_snapshot(disk, snapshots, p)) else 0 for p in range(PARTITIONS)
        ]

    @classmethod
    def open(
        cls,
        data_dir: Path,
        disk: Disk,
        files: OpenFiles,
        rounds: DurabilitySink,
        leader_epoch: int,
        now_ms: Callable[[], int],
    ) -> "GroupLogs":
        """Open or create all of them. Blocking, and quick: their logs are kept short."""
        snapshots = data_dir / "groups"
        if not disk.exists(str(snapshots)):
            disk.mkdir(str(snapshots))
            disk.sync_directory(str(data_dir))
        folder = data_dir / "topics" / str(GROUPS_TOPIC_ID)
        logs = [
            Log.open(
                disk,
                folder / str(p),
                CONFIG,
                leader_epoch=leader_epoch,
                now_ms=now_ms(),
                files=files,
                mark_dirty=rounds.dirty,
            )
            for p in range(PARTITIONS)
        ]
        return cls(logs, snapshots, disk, rounds, now_ms)

    def close(self) -> None:
        """Close every log cleanly. Blocking."""
        for each in self._logs:
            each.close(clean=True)

    def append(self, partition: int, records: Sequence[Record], done: Done) -> None:
        """Append all of `records` as one batch, or none; `done` is called when it is durable or has failed."""
        partition_log = self._logs[partition]
        now_ms = self._now_ms()
        try:
            batch = batches.build_batch([batches.Record(0, now_ms, record.key, record.value, ()) for record in records])
            appended = partition_log.append_internal(batch, now_ms)
            partition_log.flush()
        except LogError as error:
            self._fail(done, error)
            return
        self._waiting.append(Waiting(self._rounds.dirty(partition_log), partition, appended.last_offset + 1, done))

    def _fail(self, done: Done, error: LogError) -> None:
        """Tell of a failure after everything that was appended before it."""
        if self._waiting:
            self._waiting.append(Waiting(self._waiting[-1].ticket, 0, 0, lambda _: done(error)))
        else:
            done(error)

    def completed(self, ticket: int) -> None:
        """Commit rounds up to `ticket` are done: tell who waits."""
        while self._waiting and self._waiting[0].ticket <= ticket:
            _, partition, end, done = self._waiting.popleft()
            self._durable_end[partition] = max(end, self._durable_end[partition])
            try:
                done(None)
            except Exception:  # a mistake in one group must not keep others, nor producers, from their answers
                log.exception("a group's record was made durable, and what should have followed failed")

    def replay(self, partition: int) -> Iterator[Record]:
        """Every record, oldest first: the newest snapshot, then the log from its end. Blocking."""
        offset = self._logs[partition].local_start
        snapshot = newest_snapshot(self._disk, self._snapshots, partition)
        if snapshot is not None:
            yield from snapshot.records()
            offset = max(offset, snapshot.end)
        while data := self._logs[partition].read_blocking(offset, READ_BYTES):
            view = memoryview(data)
            for position, header in iterate_headers(data):
                yield from records_of(view[position : position + 12 + header.length])
                offset = header.base_offset + header.last_offset_delta + 1

    def due_for_snapshot(self) -> list[int]:
        """Partitions whose log has grown enough since their last snapshot."""
        return [
            p
            for p, each in enumerate(self._logs)
            if each.hot_bytes > SNAPSHOT_AFTER_BYTES and self._durable_end[p] > self._snapshot_end[p]
        ]

    def durable_end(self, partition: int) -> int:
        """Where a snapshot taken in this step of the loop ends."""
        return self._durable_end[partition]

    def write_snapshot(self, partition: int, end: int, records: Iterable[Record]) -> None:
        """Write a snapshot that stands for everything below `end`. Blocking; then call `drop_below`."""
        write_snapshot(self._disk, self._snapshots, partition, end, records)

    def drop_below(self, partition: int, end: int) -> None:
        """Drop what a durable snapshot stands for: whole sealed segments."""
        self._snapshot_end[partition] = end
        partition_log = self._logs[partition]
        partition_log.seal()
        partition_log.advance_log_start(end)
        partition_log.drop_local_below(end)


def records_of(batch: memoryview) -> Iterator[Record]:
    """The keyed records of one batch of ours."""
    for record in batches.decode_records(bytes(batch)):
        if record.key is not None:
            yield Record(record.key, record.value)
