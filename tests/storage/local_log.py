"""What the log's tests share: batches, a place to open logs in, and reading a log whole."""

import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import current_thread
from typing import Any

from coldstream.storage.commit_rounds import CommitRounds
from coldstream.storage.config import LogConfig
from coldstream.storage.disk import Disk, OsDisk
from coldstream.storage.errors import BelowLocalStart, WouldBlock
from coldstream.storage.log import Log
from coldstream.storage.open_files import OpenFiles
from coldstream.storage.records import Record, build_batch, decode_records

NOW_MS = 1_700_000_000_000
TOPIC = uuid.UUID("11111111-2222-4333-8444-555555555555")


def batch_of(
    *values: bytes, first_ms: int = NOW_MS, step_ms: int = 1, key: bytes | None = None, **fields: Any
) -> memoryview:
    """A writable batch of one record per value."""
    records = [Record(0, first_ms + i * step_ms, key, value) for i, value in enumerate(values)]
    return memoryview(bytearray(build_batch(records, **fields)))


class CountedDisk:
    """The real disk, counting calls by name and thread."""

    def __init__(self) -> None:
        self._os = OsDisk()
        self.calls: Counter[tuple[str, str]] = Counter()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._os, name)

        def counted(*arguments: Any) -> Any:
            self.calls[name, current_thread().name] += 1
            return call(*arguments)

        return counted

    def counts(self) -> dict[str, int]:
        """Calls by name, whatever the thread, since the last look."""
        found: Counter[str] = Counter()
        for (name, _), count in self.calls.items():
            found[name] += count
        self.calls.clear()
        return dict(found)


class UnsyncedDisk(OsDisk):
    """The real disk without its waiting: for tests that run many rounds and never lose power."""

    def syncfs(self, fd: int, /) -> None:
        pass

    @staticmethod
    def fdatasync(fd: int, /) -> None:
        pass

    @staticmethod
    def sync_directory(path: str, /) -> None:
        pass


class Place:
    """A data directory with logs in it, driven without an event loop."""

    def __init__(self, root: Path, disk: Disk | None = None, limit: int = 100) -> None:
        self.root = root
        self.disk: Any = disk or OsDisk()
        self.limit = limit
        self.restart()

    def restart(self) -> None:
        """What a new process has: nothing open, nothing dirty."""
        self.files = OpenFiles(self.disk, self.limit)
        self.rounds = CommitRounds(self.disk, self.root)

    def directory(self, partition: int = 0) -> Path:
        return self.root / "topics" / str(TOPIC) / str(partition)

    def open(
        self, partition: int = 0, *, leader_epoch: int = 1, now_ms: int = NOW_MS, log_start: int = 0, **config: Any
    ) -> Log:
        return Log.open(
            self.disk,
            self.directory(partition),
            LogConfig(**config),
            leader_epoch=leader_epoch,
            now_ms=now_ms,
            files=self.files,
            log_start=log_start,
            mark_dirty=self.rounds.dirty,
        )

    def commit(self, *logs: Log) -> None:
        """Flush these logs and make them durable."""
        for log in logs:
            log.flush()
            self.rounds.dirty(log)
        self.rounds.run_once()

    def names(self, partition: int = 0) -> set[str]:
        return {path.name for path in self.directory(partition).iterdir()}


def read_some(log: Log, offset: int, max_bytes: int = 2**20) -> bytes:
    """As a broker reads: without waiting, and in a thread (here: this one) when that does not do."""
    try:
        return bytes(log.read(offset, max_bytes))
    except WouldBlock:
        return bytes(log.read_blocking(offset, max_bytes))


def read_all(log: Log, max_bytes: int = 2**20, offset: int | None = None) -> list[Record]:
    """Every local record from an offset on, following the reader's way over gaps."""
    at = max(log.log_start, log.local_start) if offset is None else offset
    found: list[Record] = []
    while True:
        try:
            records = decode_records(read_some(log, at, max_bytes))
        except BelowLocalStart as gap:
            at = gap.next_local
            continue
        if not records:
            return found
        found += [record for record in records if record.offset >= at]
        at = records[-1].offset + 1


def values_of(log: Log) -> list[bytes | None]:
    return [record.value for record in read_all(log)]
