"""A disk that can lose power: the real file system underneath, and a record of what was synced.

`LossyDisk(root)` is a `storage.disk.Disk`. What lies below `root` is tracked, other paths pass through. `crash(rng)`
closes every descriptor and makes the directory what a power loss could leave:

- of a file, everything up to its last sync, then any of the later writes whole, torn, or not at all (a lost one before
  a kept one leaves zeros), and any of the later truncations;
- of a directory, everything up to its last sync, then a prefix of what was created, renamed and removed in it since.
  A name that survives may have lost its content: syncing a file does not sync its name, nor the other way round.

A sync that was made to fail (`fail`) leaves its writes readable but never durable, whatever is synced later, as Linux
does: the pages are marked clean. `kill()` is kill -9: descriptors go, the page cache stays.

Thread-safe, so that a whole broker can run on one.
"""

import os
import random
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from coldstream.storage.disk import Buffer, OsDisk

ENTRY_SURVIVES, WRITE_SURVIVES, WRITE_TEARS = 0.5, 0.45, 0.2


@dataclass(eq=False)
class Write:
    offset: int
    data: bytes

    def apply(self, content: bytearray) -> None:
        end = self.offset + len(self.data)
        if len(content) < end:
            content.extend(bytes(end - len(content)))
        content[self.offset : end] = self.data


@dataclass(eq=False)
class Truncate:
    size: int

    def apply(self, content: bytearray) -> None:
        if len(content) > self.size:
            del content[self.size :]
        else:
            content.extend(bytes(self.size - len(content)))


@dataclass(eq=False)
class File:
    """`durable` is on the platter; `pending` would go there with the next sync."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Write | Truncate] = field(default_factory=list)
    size: int = 0

    def sync(self) -> None:
        for change in self.pending:
            change.apply(self.durable)
        self.pending.clear()

    def forsake(self) -> None:
        """A failed sync: the page cache has it, the platter never will. Sizes are metadata and may come with a later
        sync, so what was lost reads as zeros."""
        self.pending = [Truncate(self.size)] if self.pending else []


@dataclass(eq=False)
class Directory:
    entries: dict[str, "File | Directory"] = field(default_factory=dict)
    durable: dict[str, "File | Directory"] = field(default_factory=dict)
    pending: list[dict[str, "File | Directory | None"]] = field(default_factory=list)

    def change(self, names: dict[str, "File | Directory | None"]) -> None:
        """One atomic change of entries: all of it survives, or nothing."""
        _apply_names(self.entries, names)
        self.pending.append(names)

    def sync(self) -> None:
        for names in self.pending:
            _apply_names(self.durable, names)
        self.pending.clear()


def _apply_names(entries: dict[str, File | Directory], names: dict[str, File | Directory | None]) -> None:
    for name, node in names.items():
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


@dataclass
class Fault:
    """Raise `error` for the next `times` matching calls, after letting `after` of them through."""

    call: str
    error: OSError
    path_part: str
    after: int
    times: int
    bytes_written: int  # of a write: how much still reaches the file


class LossyDisk:
    """See the module's docstring."""

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)
        self.calls: Counter[tuple[str, str]] = Counter()  # (call, name of the thread)
        self._os = OsDisk()
        self._lock = threading.RLock()
        self._open: dict[int, tuple[str, File | None, bool]] = {}  # fd -> path, file, opened for appending
        self._faults: list[Fault] = []
        self._tree = _load(self.root)

    # --- what a test does

    def fail(
        self, call: str, error: int, *, path_part: str = "", after: int = 0, times: int = 1, bytes_written: int = 0
    ) -> None:
        """Make matching calls fail with this errno."""
        fault = Fault(call, OSError(error, os.strerror(error)), path_part, after, times, bytes_written)
        with self._lock:
            self._faults.append(fault)

    def heal(self) -> None:
        """Drop the faults that have not happened."""
        with self._lock:
            self._faults.clear()

    def kill(self) -> None:
        """What kill -9 leaves: everything written, no descriptor."""
        with self._lock:
            for fd in list(self._open):
                self.close(fd)

    def crash(self, rng: random.Random) -> None:
        """Lose power. What is left is durable, and the disk can be used again."""
        with self._lock:
            self.kill()
            self._faults.clear()
            left = _survivor(self._tree, rng)
            for name in os.listdir(self.root):
                path = os.path.join(self.root, name)
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
            _store(left, self.root)
            self._tree = left

    def unsynced_bytes(self, path: str) -> int:
        """How much of a file a power loss could take."""
        with self._lock:
            node = self._node(path)
            assert isinstance(node, File)
            return sum(len(change.data) for change in node.pending if isinstance(change, Write))

    # --- the Disk protocol

    def open(self, path: str, flags: int, mode: int = 0o644, /) -> int:
        with self._lock:
            self._call("open", path)
            parent, name = self._parent(path)
            is_new = parent is not None and name not in parent.entries
            fd = os.open(path, flags, mode)
            node: File | None = None
            if parent is not None and not flags & os.O_DIRECTORY:
                if is_new:
                    parent.change({name: File()})
                found = parent.entries[name]
                assert isinstance(found, File)
                node = found
                if flags & os.O_TRUNC and node.size:
                    node.pending.append(Truncate(0))
                    node.size = 0
            self._open[fd] = (path, node, bool(flags & os.O_APPEND))
            return fd

    def close(self, fd: int, /) -> None:
        with self._lock:
            self.calls["close", threading.current_thread().name] += 1
            del self._open[fd]
            os.close(fd)

    def writev(self, fd: int, buffers: Sequence[Buffer], /) -> int:
        with self._lock:
            path, node, appending = self._open[fd]
            data = b"".join(buffers)
            allowed = self._call("writev", path, len(data))
            assert appending or node is None, "only files opened with O_APPEND are written to with writev"
            written = self._write(fd, node, data[:allowed], None if node is None else node.size)
            if allowed < len(data) and not written:
                raise AssertionError("a fault that writes nothing raises")
            return written

    def pwrite(self, fd: int, data: Buffer, offset: int, /) -> int:
        with self._lock:
            path, node, _ = self._open[fd]
            self._call("pwrite", path)
            return self._write(fd, node, bytes(data), offset)

    def _write(self, fd: int, node: File | None, data: bytes, offset: int | None) -> int:
        at = 0
        while at < len(data):
            if offset is None or self._open[fd][2]:
                at += os.write(fd, data[at:])
            else:
                at += os.pwrite(fd, data[at:], offset + at)
        if node is not None and offset is not None and data:
            node.pending.append(Write(offset, data))
            node.size = max(node.size, offset + len(data))
        return len(data)

    def preadv(self, fd: int, buffers: Sequence[bytearray | memoryview], offset: int, flags: int = 0, /) -> int:
        self._call("preadv", self._open[fd][0])
        return os.preadv(fd, buffers, offset, flags)

    def pread(self, fd: int, length: int, offset: int, /) -> bytes:
        self._call("pread", self._open[fd][0])
        return os.pread(fd, length, offset)

    def ftruncate(self, fd: int, length: int, /) -> None:
        with self._lock:
            path, node, _ = self._open[fd]
            self._call("ftruncate", path)
            os.ftruncate(fd, length)
            if node is not None:
                node.pending.append(Truncate(length))
                node.size = length

    def fdatasync(self, fd: int, /) -> None:
        self._sync("fdatasync", fd)

    def fsync(self, fd: int, /) -> None:
        self._sync("fsync", fd)

    def _sync(self, call: str, fd: int) -> None:
        with self._lock:
            path, node, _ = self._open[fd]
            try:
                self._call(call, path)
            except OSError:
                if node is not None:
                    node.forsake()
                raise
            if node is not None:
                node.sync()

    def syncfs(self, fd: int, /) -> None:
        with self._lock:
            try:
                self._call("syncfs", self._open[fd][0])
            except OSError:
                _walk(self._tree, File.forsake, lambda _: None)
                raise
            _walk(self._tree, File.sync, Directory.sync)

    def fstat_size(self, fd: int, /) -> int:
        return os.fstat(fd).st_size

    def rename(self, source: str, target: str, /) -> None:
        with self._lock:
            self._call("rename", source)
            os.rename(source, target)
            (parent, name), (target_parent, target_name) = self._parent(source), self._parent(target)
            if parent is not None:
                assert parent is target_parent, "renames across directories are not modelled"
                parent.change({name: None, target_name: parent.entries[name]})

    def unlink(self, path: str, /) -> None:
        self._remove("unlink", path, os.unlink)

    def rmdir(self, path: str, /) -> None:
        self._remove("rmdir", path, os.rmdir)

    def _remove(self, call: str, path: str, remove: Callable[[str], None]) -> None:
        with self._lock:
            self._call(call, path)
            remove(path)
            parent, name = self._parent(path)
            if parent is not None:
                parent.change({name: None})

    def mkdir(self, path: str, /) -> None:
        with self._lock:
            self._call("mkdir", path)
            os.mkdir(path)
            parent, name = self._parent(path)
            if parent is not None:
                parent.change({name: Directory()})

    def listdir(self, path: str, /) -> list[str]:
        return os.listdir(path)

    def exists(self, path: str, /) -> bool:
        return os.path.exists(path)

    def stat(self, path: str, /) -> os.stat_result:
        self._call("stat", path)
        return os.stat(path)

    def sync_directory(self, path: str, /) -> None:
        with self._lock:
            self._call("sync_directory", path)
            if not os.path.isdir(path):
                raise FileNotFoundError(path)
            node = self._node(path)
            if isinstance(node, Directory):
                node.sync()

    def free_bytes(self, path: str, /) -> int:
        return self._os.free_bytes(path)

    # --- the tree

    def _call(self, call: str, path: str, size: int = 0) -> int:
        """Count a call and fail it if asked to. For a write: how many bytes of it go through."""
        with self._lock:
            self.calls[call, threading.current_thread().name] += 1
            for fault in self._faults:
                if fault.call == call and fault.path_part in path:
                    if fault.after > 0:
                        fault.after -= 1
                        return size
                    if fault.bytes_written > 0:
                        allowed, fault.bytes_written = min(size, fault.bytes_written), 0
                        return allowed
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults.remove(fault)
                    raise fault.error
            return size

    def _node(self, path: str) -> File | Directory | None:
        path = os.path.realpath(path)
        if path == self.root:
            return self._tree
        if not path.startswith(self.root + "/"):
            return None
        node: File | Directory = self._tree
        for part in path[len(self.root) + 1 :].split("/"):
            assert isinstance(node, Directory)
            node = node.entries[part]
        return node

    def _parent(self, path: str) -> tuple[Directory | None, str]:
        head, _, name = os.path.realpath(path).rpartition("/")
        node = self._node(head)
        assert node is None or isinstance(node, Directory)
        return node, name


def _walk(node: File | Directory, on_file: Callable[[File], None], on_directory: Callable[[Directory], None]) -> None:
    if isinstance(node, File):
        on_file(node)
        return
    on_directory(node)
    for child in node.entries.values():
        _walk(child, on_file, on_directory)


def _load(path: str) -> Directory:
    """What is there to begin with counts as durable."""
    found = Directory()
    for name in os.listdir(path):
        child = os.path.join(path, name)
        if os.path.isdir(child):
            found.entries[name] = _load(child)
        else:
            with open(child, "rb") as file:
                content = bytearray(file.read())
            found.entries[name] = File(content, [], len(content))
    found.durable = dict(found.entries)
    return found


def _survivor(node: Directory, rng: random.Random) -> Directory:
    """What a power loss leaves of a directory."""
    entries = dict(node.durable)
    for names in node.pending:
        if rng.random() > ENTRY_SURVIVES:
            break
        _apply_names(entries, names)
    left: dict[str, File | Directory] = {}
    for name, child in entries.items():
        left[name] = _survivor(child, rng) if isinstance(child, Directory) else _survivor_of_file(child, rng)
    return Directory(left, dict(left))


def _survivor_of_file(file: File, rng: random.Random) -> File:
    content = bytearray(file.durable)
    for change in file.pending:
        luck = rng.random()
        if luck < WRITE_SURVIVES:
            change.apply(content)
        elif luck < WRITE_SURVIVES + WRITE_TEARS and isinstance(change, Write):
            Write(change.offset, change.data[: rng.randrange(len(change.data))]).apply(content)
    return File(content, [], len(content))


def _store(node: Directory, path: str) -> None:
    for name, child in node.entries.items():
        target = os.path.join(path, name)
        if isinstance(child, Directory):
            os.mkdir(target)
            _store(child, target)
        else:
            with open(target, "wb") as file:
                file.write(child.durable)
