"""The logs of this broker's partitions on its data directory: opening, finding, configuring and removing them.

Always true: `<data>/topics/<topic-uuid>/<partition>/` belongs to exactly one Log while the broker runs; logs are opened
and their files removed on threads, never on the loop; but only the loop closes descriptors, since it reads through them
without asking anyone.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from ...storage.config import LogConfig
from ...storage.disk import Disk
from ...storage.log import Log
from ...storage.open_files import OpenFiles
from ...storage.removal import finish_removals, remove_directory
from ...tenants.topic_configs import Value
from .namespace import Partition

log = logging.getLogger("coldstream.logs")

OPENING_THREADS = 4


class Opening(NamedTuple):
    """One log to open: where it is, how it is led."""

    topic_id: UUID
    partition: int
    config: LogConfig
    leader_epoch: int
    log_start: int


class PartitionLogs:
    """Every open log, and the partition each belongs to."""

    def __init__(self, data_dir: Path, disk: Disk, files: OpenFiles, mark_dirty: Callable[[Log], object]) -> None:
        self.topics_dir = data_dir / "topics"
        self._disk = disk
        self._files = files
        self._mark_dirty = mark_dirty
        self._threads = ThreadPoolExecutor(OPENING_THREADS, thread_name_prefix="log-open")
        self.partition_of: dict[Log, Partition] = {}

    def partitions(self) -> list[Partition]:
        """Every partition that is open."""
        return list(self.partition_of.values())

    async def finish_removals(self) -> None:
        """Remove what deletions that a crash cut short left behind; once, before anything is opened."""
        if self._disk.exists(str(self.topics_dir)):
            run = asyncio.get_running_loop().run_in_executor
            await run(self._threads, finish_removals, self._disk, str(self.topics_dir))

    async def open_many(self, openings: Iterable[Opening], now_ms: int) -> list[Log]:
        """Open or create logs, beside each other; all or none. Recovery of a log that was not closed cleanly happens
        here. Raises LogError, OSError.
        """
        loop = asyncio.get_running_loop()
        ends = await asyncio.gather(
            *(loop.run_in_executor(self._threads, self.open, each, now_ms) for each in openings), return_exceptions=True
        )
        logs = [end for end in ends if isinstance(end, Log)]
        for end in ends:
            if isinstance(end, BaseException):
                self.close(logs)
                raise end
        return logs

    def open(self, opening: Opening, now_ms: int) -> Log:
        """Open one log. Blocking."""
        return Log.open(
            self._disk,
            self.topics_dir / str(opening.topic_id) / str(opening.partition),
            opening.config,
            leader_epoch=opening.leader_epoch,
            now_ms=now_ms,
            files=self._files,
            log_start=opening.log_start,
            mark_dirty=self._mark_dirty,
        )

    def close(self, logs: Iterable[Log]) -> None:
        """Close logs that will not be served: nothing was written to them."""
        for each in logs:
            each.close(clean=False)

    async def remove_topic(self, topic_id: UUID, partitions: Iterable[Partition]) -> None:
        """Delete the files of a topic; whoever still reads gets LogClosed."""
        for partition in partitions:
            self.partition_of.pop(partition.log, None)
        logs = [partition.log for partition in partitions]
        await asyncio.get_running_loop().run_in_executor(self._threads, self._delete, topic_id, logs)

    def _delete(self, topic_id: UUID, logs: Iterable[Log]) -> None:
        for each in logs:
            each.delete()
        folder = self.topics_dir / str(topic_id)
        if self._disk.exists(str(folder)) and not self._disk.listdir(str(folder)):
            self._disk.rmdir(str(folder))

    async def remove_leftovers(self, topic_id: UUID) -> None:
        """Delete what is left on disk of a topic that was deleted while no broker ran here, or half deleted by one."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._delete_leftovers, topic_id)

    def _delete_leftovers(self, topic_id: UUID) -> None:
        folder = str(self.topics_dir / str(topic_id))
        if self._disk.exists(folder):
            for name in self._disk.listdir(folder):
                remove_directory(self._disk, f"{folder}/{name}")
            if self._disk.exists(folder):
                self._disk.rmdir(folder)

    def close_all(self) -> None:
        """Close every log cleanly, so that the next start has nothing to re-check. Blocking."""
        for each in list(self.partition_of):
            each.close(clean=True)
        self._threads.shutdown(wait=True)


def log_config(configs: Mapping[str, Value]) -> LogConfig:
    """The log's part of a topic's resolved configuration."""
    compacted = "compact" in str(configs["cleanup.policy"])
    lag_max_ms = int(configs["max.compaction.lag.ms"])
    segment_ms = int(configs["segment.ms"])

    def number(name: str) -> int:
        return int(configs[name])

    return LogConfig(
        segment_bytes=number("segment.bytes"),
        segment_ms=min(segment_ms, lag_max_ms) if compacted else segment_ms,  # what is not sealed is not compacted
        retention_ms=number("retention.ms"),
        retention_bytes=number("retention.bytes"),
        local_retention_ms=number("local.retention.ms"),
        local_retention_bytes=number("local.retention.bytes"),
        tiered=bool(configs["remote.storage.enable"]),
        max_message_bytes=number("max.message.bytes"),
        compacted=compacted,
        deleted_by_age="delete" in str(configs["cleanup.policy"]),
        log_append_time=configs["message.timestamp.type"] == "LogAppendTime",
        timestamp_before_max_ms=number("message.timestamp.before.max.ms"),
        timestamp_after_max_ms=number("message.timestamp.after.max.ms"),
        compression=str(configs["compression.type"]),
        delete_retention_ms=number("delete.retention.ms"),
        min_compaction_lag_ms=number("min.compaction.lag.ms"),
        max_compaction_lag_ms=lag_max_ms,
        min_cleanable_dirty_ratio=float(configs["min.cleanable.dirty.ratio"]),
    )
