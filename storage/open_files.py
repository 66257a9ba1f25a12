"""A budget of open descriptors shared by all logs of a process, so that 10,000 partitions need not be 30,000 files.

Always true: only the logs' own thread (the event loop) closes shared descriptors, so that thread may use one it sees
open without asking anybody; every other thread pins a descriptor while it uses it, and a pinned or dirty one is never
closed. Dirty ones stay open so that an error of writing back reaches the descriptor that will be synced (errseq, Linux
4.13 and later): the budget may be overrun while everything open is dirty.
"""

import resource
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .disk import Disk

LIMIT_MIN = 16
STEPS_MAX = 256  # of one sweep: where all is dirty, the budget waits rather than the append


class OpenFile:
    """One file that may or may not have a descriptor right now."""

    __slots__ = ("dirty", "doomed", "fd", "flags", "on_closed", "path", "pins", "used")

    def __init__(self, path: str, flags: int) -> None:
        self.path = path
        self.flags = flags
        self.fd = -1
        self.dirty = False  # written since the last sync: must not be closed
        self.used = False  # since the sweep last came by (second chance)
        self.doomed = False  # never to be opened again
        self.pins = 0
        self.on_closed: Callable[[], None] | None = None


class OpenFiles:
    """The descriptors. `limit` counts shared ones; a thread may hold one more of its own for the length of a read."""

    def __init__(self, disk: Disk, limit: int | None = None) -> None:
        self._disk = disk
        self.limit = max(LIMIT_MIN, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2 if limit is None else limit)
        self._lock = threading.Lock()
        self._open: OrderedDict[OpenFile, None] = OrderedDict()  # the next to be looked at first
        self._doomed: list[OpenFile] = []

    def __len__(self) -> int:
        return len(self._open)

    def open(self, file: OpenFile, extra_flags: int = 0) -> int:
        """Open for the logs' own thread, closing others where the budget asks for it. Raises OSError."""
        if file.fd >= 0:
            return file.fd
        self.make_room()
        fd = self._disk.open(file.path, file.flags | extra_flags, 0o644)
        return self._install(file, fd)

    def _install(self, file: OpenFile, fd: int) -> int:
        with self._lock:
            if file.fd < 0 and not file.doomed:
                file.fd, file.used = fd, True
                self._open[file] = None
                return fd
            known = file.fd
        self._disk.close(fd)  # another thread was quicker, or the file has gone meanwhile
        if known < 0:
            raise FileNotFoundError(f"{file.path} was removed")
        return known

    def make_room(self, count: int = 1) -> None:
        """Close clean, unpinned descriptors, those not used lately first, until `count` more fit. Own thread only."""
        self.reap()
        if len(self._open) + count <= self.limit:
            return
        victims: list[tuple[OpenFile, int]] = []
        with self._lock:
            excess = len(self._open) + count - self.limit
            steps = min(2 * len(self._open), STEPS_MAX + 2 * excess)
            while excess > 0 and steps > 0:
                steps -= 1
                file = next(iter(self._open))
                if file.dirty or file.pins or file.used:
                    file.used = False
                    self._open.move_to_end(file)
                    continue
                victims.append((file, file.fd))
                file.fd = -1
                del self._open[file]
                excess -= 1
        for file, fd in victims:
            self._close(file, fd)

    def doom(self, file: OpenFile) -> None:
        """The file is being removed: close it soon, on the logs' own thread, and never open it again. Any thread.

        Harmless to repeat: a descriptor closed twice may be somebody else's by then.
        """
        with self._lock:
            if file.doomed:
                return
            file.doomed = True
            file.dirty = False
            if file.fd >= 0:
                self._doomed.append(file)

    def reap(self) -> None:
        """Close what was doomed and is not pinned. Own thread only."""
        if not self._doomed:
            return
        with self._lock:
            # One that was doomed while `make_room` swept is closed already.
            ready = [(file, file.fd) for file in self._doomed if not file.pins and file.fd >= 0]
            self._doomed = [file for file in self._doomed if file.pins]
            for file, _ in ready:
                file.fd = -1
                self._open.pop(file, None)
        for file, fd in ready:
            self._close(file, fd)

    def close(self, file: OpenFile) -> None:
        """Close one file for good, now unless it is pinned. Own thread only."""
        self.doom(file)
        self.reap()

    def pin(self, file: OpenFile) -> None:
        """Keep an open descriptor open until `unpin`."""
        with self._lock:
            file.pins += 1

    def unpin(self, file: OpenFile) -> None:
        with self._lock:
            file.pins -= 1

    @contextmanager
    def pinned(self, file: OpenFile) -> Iterator[int]:
        """A descriptor for any thread. Raises FileNotFoundError when the file was removed meanwhile."""
        with self._lock:
            doomed = file.doomed
            shared = file.fd if not doomed else -1
            if shared >= 0:
                file.pins += 1
                file.used = True
        if shared < 0:
            if doomed:
                raise FileNotFoundError(f"{file.path} was removed")
            fd = self._disk.open(file.path, file.flags, 0o644)
            with self._lock:
                doomed = file.doomed  # while it was being opened: by now another file may have the name
                if not doomed and file.fd < 0 and len(self._open) < self.limit:
                    file.fd, file.used, shared = fd, True, fd
                    file.pins += 1
                    self._open[file] = None
            if doomed:
                self._disk.close(fd)
                raise FileNotFoundError(f"{file.path} was removed")
            if shared < 0:
                try:
                    yield fd
                finally:
                    self._disk.close(fd)
                return
        try:
            yield shared
        finally:
            self.unpin(file)

    def _close(self, file: OpenFile, fd: int) -> None:
        self._disk.close(fd)
        if file.on_closed is not None:
            file.on_closed()
