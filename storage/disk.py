"""Everything a log does to a file system, as one seam, so that a test can lose what was not synced.

Always true: `OsDisk` adds nothing: its attributes are the functions of `os` where one does the job, so that the hot
path pays no extra frame. No call here retries, buffers or hides an error.
"""

import ctypes
import os
from collections.abc import Sequence
from typing import Protocol

Buffer = bytes | bytearray | memoryview
NOWAIT = os.RWF_NOWAIT  # preadv: raise BlockingIOError, or read short, rather than wait for the device (Linux 4.14)
IOV_MAX = os.sysconf("SC_IOV_MAX")


class Disk(Protocol):
    """The calls, each with the meaning of its Linux namesake. All raise OSError."""

    def open(self, path: str, flags: int, mode: int = 0o644, /) -> int: ...
    def close(self, fd: int, /) -> None: ...
    def writev(self, fd: int, buffers: Sequence[Buffer], /) -> int: ...
    def pwrite(self, fd: int, data: Buffer, offset: int, /) -> int: ...
    def preadv(self, fd: int, buffers: Sequence[bytearray | memoryview], offset: int, flags: int = 0, /) -> int: ...
    def pread(self, fd: int, length: int, offset: int, /) -> bytes: ...
    def ftruncate(self, fd: int, length: int, /) -> None: ...
    def fdatasync(self, fd: int, /) -> None: ...
    def fsync(self, fd: int, /) -> None: ...
    def rename(self, source: str, target: str, /) -> None: ...
    def unlink(self, path: str, /) -> None: ...
    def mkdir(self, path: str, /) -> None: ...
    def rmdir(self, path: str, /) -> None: ...
    def listdir(self, path: str, /) -> list[str]: ...
    def exists(self, path: str, /) -> bool: ...
    def stat(self, path: str, /) -> os.stat_result: ...

    def syncfs(self, fd: int, /) -> None:
        """Make everything durable that was written to this descriptor's file system before the call."""

    def fstat_size(self, fd: int, /) -> int:
        """Bytes in the open file."""

    def sync_directory(self, path: str, /) -> None:
        """Make a directory's entries durable: files created in, renamed into and removed from it."""

    def free_bytes(self, path: str, /) -> int:
        """What an unprivileged process may still write to this file system."""


class OsDisk:
    """The real file system."""

    open = staticmethod(os.open)
    close = staticmethod(os.close)
    writev = staticmethod(os.writev)
    pwrite = staticmethod(os.pwrite)
    preadv = staticmethod(os.preadv)
    pread = staticmethod(os.pread)
    ftruncate = staticmethod(os.ftruncate)
    fdatasync = staticmethod(os.fdatasync)
    fsync = staticmethod(os.fsync)
    rename = staticmethod(os.rename)
    unlink = staticmethod(os.unlink)
    mkdir = staticmethod(os.mkdir)
    rmdir = staticmethod(os.rmdir)
    listdir = staticmethod(os.listdir)
    exists = staticmethod(os.path.exists)
    stat = staticmethod(os.stat)

    def __init__(self) -> None:
        self._syncfs = ctypes.CDLL(
            None, use_errno=True
        ).syncfs  # Python has no os.syncfs; Linux 5.8 reports errors here

    def syncfs(self, fd: int, /) -> None:
        if self._syncfs(fd) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))

    @staticmethod
    def fstat_size(fd: int, /) -> int:
        return os.fstat(fd).st_size

    @staticmethod
    def sync_directory(path: str, /) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    @staticmethod
    def free_bytes(path: str, /) -> int:
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize
