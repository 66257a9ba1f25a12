"""Commit rounds: what makes appended bytes durable, by fsync of local files.

Always true: a round captures on the loop, syncs in one thread of its own, and publishes on the loop exactly what it
captured; rounds run back to back, one at a time, without a timer, so a busy moment makes larger rounds and not more of
them. A ticket is the number of the next round to *start*: what was flushed before `dirty` returned it is in that round.
After a failed sync nothing is ever published again: the kernel has marked the failed pages clean, so the process must
exit and read them back.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

from .disk import Disk
from .errors import StorageFailed
from .log import Capture, Log

_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
FILES_SYNCED_ONE_BY_ONE_MAX = 8  # above, one syncfs is cheaper than that many fdatasyncs


class DurabilitySink(Protocol):
    """What an acknowledgement waits for. Local fsync is one; an object store or other brokers may be others."""

    completed: int
    on_completed: Callable[[int, Sequence[Log]], None]
    on_failed: Callable[[BaseException], None]

    def ticket(self) -> int:
        """What an append flushed now must wait for."""

    def dirty(self, log: Log) -> int:
        """A log has flushed bytes that are not durable: make sure a round takes them. Returns the ticket."""


class CommitRounds:
    """The local-fsync sink; one per process. Everything belongs to the loop's thread, except `sync`.

    `directory` lies on the file system of all logs. Without a loop, drive it by hand: `capture`, `sync`, `publish`.
    """

    def __init__(self, disk: Disk, directory: Path, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._disk, self._loop = disk, loop
        # Held open since before any write, so that syncfs reports every error of writing back (Linux 5.8).
        self._directory_fd = disk.open(str(directory), _DIRECTORY_FLAGS, 0o644)
        self._dirty: list[Log] = []
        self._started = 0
        self._scheduled = False
        self._running = False
        self._waiting: list[asyncio.Future[None]] = []  # for the end of the round that runs
        self._work: SimpleQueue[tuple[int, list[Capture]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self.completed = 0
        self.failure: BaseException | None = None
        self.on_completed: Callable[[int, Sequence[Log]], None] = _ignore_completed
        self.on_failed: Callable[[BaseException], None] = _ignore_failed

    def ticket(self) -> int:
        """The number of the next round to start."""
        return self._started + 1

    def dirty(self, log: Log) -> int:
        """Mark a log dirty and see to it that a round runs. Cheap; call it after every flush."""
        if not log.is_dirty:
            log.is_dirty = True
            self._dirty.append(log)
        if not self._scheduled and not self._running and self._loop is not None:
            self._scheduled = True
            self._loop.call_soon(self._start)  # not at once: whatever else this pass of the loop flushes joins in
        return self._started + 1

    # --- a round, step by step

    def capture(self) -> tuple[int, list[Capture]]:
        """Begin a round with every log that is dirty now."""
        self._started += 1
        dirty, self._dirty = self._dirty, []
        return self._started, [log.capture() for log in dirty]

    def sync(self, captures: Sequence[Capture]) -> None:
        """Make what was captured durable. Blocks; the only step that may run in another thread. Raises OSError."""
        files = [segment.file for capture in captures for segment, _, _ in capture.parts]
        directories = dict.fromkeys(directory for capture in captures for directory in capture.directories)
        if len(files) + len(directories) > FILES_SYNCED_ONE_BY_ONE_MAX:
            self._disk.syncfs(self._directory_fd)
            return
        for file in files:
            self._disk.fdatasync(file.fd)
        for directory in directories:
            try:
                self._disk.sync_directory(directory)
            except FileNotFoundError:
                continue  # the topic was deleted meanwhile

    def publish(self, number: int, captures: Sequence[Capture]) -> None:
        """End a round: its logs' durable offsets move, then whoever waits for the ticket is told."""
        for capture in captures:
            capture.log.publish(capture)
        self.completed = number
        self.on_completed(number, [capture.log for capture in captures])

    def run_once(self) -> int:
        """A whole round in this thread; its number."""
        number, captures = self.capture()
        self.sync(captures)
        self.publish(number, captures)
        return number

    # --- on the loop

    def _start(self) -> None:
        self._scheduled = False
        if self._running or self.failure is not None or not self._dirty:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._sync_forever, name="commit-rounds", daemon=True)
            self._thread.start()
        self._running = True
        self._work.put(self.capture())

    def _sync_forever(self) -> None:
        assert self._loop is not None
        while (round_ := self._work.get()) is not None:
            failure: BaseException | None = None
            try:
                self.sync(round_[1])
            except BaseException as error:
                failure = error
            try:
                self._loop.call_soon_threadsafe(self._finished, *round_, failure)
            except RuntimeError:
                return  # the loop is closed: nobody is left to be told

    def _finished(self, number: int, captures: list[Capture], failure: BaseException | None) -> None:
        self._running = False
        if failure is not None:
            self.failure = failure
            self.on_failed(StorageFailed(f"fsync failed: {failure}"))
        else:
            try:
                self.publish(number, captures)
            finally:  # whatever became of those who were told
                self._start()
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def drain(self) -> None:
        """Wait until everything that is dirty now, or becomes it meanwhile, is durable, or a sync has failed."""
        while (self._running or self._dirty) and self.failure is None:
            if not self._running:
                self._start()
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter

    def close(self) -> None:
        """Stop the thread. Call `drain` first."""
        if self._thread is not None:
            self._work.put(None)
            self._thread.join()
            self._thread = None
        if self._directory_fd >= 0:
            self._disk.close(self._directory_fd)
            self._directory_fd = -1


def _ignore_completed(number: int, logs: Sequence[Log]) -> None:
    """Nobody is told."""


def _ignore_failed(error: BaseException) -> None:
    """Nobody is told."""
