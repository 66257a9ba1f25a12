"""The data directory's own files: the lock, the secrets, and the note of where the platform listens.

Always true: every file here appears whole or not at all (written beside, synced, renamed), secrets are readable by
their owner alone from the first byte, and the lock is held by all who may write below the directory, children included.
"""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .settings import Settings

LOCK_WAIT_S = 10.0  # a killed platform's children finish what they were writing before they let go of the lock


class DataDirError(Exception):
    """The data directory cannot be used. The message says why and what to do."""


class DataDirLock:
    """An exclusive flock on `<data>/lock`, which names its holder. The kernel drops it with the last holder's end."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd

    @classmethod
    def acquire(
        cls,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> "DataDirLock":
        """Takes the lock, waiting only for the leftovers of a holder that is gone. Raises DataDirError."""
        make_data_dir(settings.data_dir)
        path = settings.lock_path
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise DataDirError(f"cannot open {path}: {error.strerror}") from None
        deadline = clock() + LOCK_WAIT_S
        while not _try_lock(fd):
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            if (holder.isdigit() and _is_alive(int(holder))) or clock() >= deadline:
                os.close(fd)
                by = f"by process {holder}" if holder else "by another process"
                raise DataDirError(
                    f"the data directory {settings.data_dir} is in use {by}: stop that, or give another --data-dir"
                )
            sleep(0.05)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        return cls(path, fd)

    def release(self) -> None:
        """Lets go; the file stays, since removing it would let two holders each lock a different file."""
        os.ftruncate(self.fd, 0)
        os.close(self.fd)


def holder_of(settings: Settings) -> int | None:
    """Process id of who holds the data directory now; None when it is free, 0 when the holder is not named."""
    try:
        fd = os.open(settings.lock_path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if _try_lock(fd):
            return None
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        return int(holder) if holder.isdigit() else 0
    finally:
        os.close(fd)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with contextlib.suppress(OSError, IndexError):  # a zombie holds nothing; without /proc it counts as alive
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    return True


def make_data_dir(path: Path) -> None:
    """Makes the directory, closed to other users, unless it is there. Raises DataDirError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise DataDirError(f"--data-dir {path} is not a directory") from None
    except OSError as error:
        raise DataDirError(f"cannot make the data directory {path}: {error.strerror}") from None


def write_whole(path: Path, text: str, mode: int = 0o600) -> None:
    """Replaces a file so that a reader, or a crash, sees the old content or the new one and nothing between."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def ensure_cluster_secret(settings: Settings) -> None:
    """Makes `<data>/cluster-secret` (32 random bytes, hex) unless it is there."""
    if not settings.cluster_secret_path.exists():
        write_whole(settings.cluster_secret_path, os.urandom(32).hex() + "\n")


def write_endpoints(settings: Settings, endpoints: dict[str, Any]) -> None:
    """`<data>/endpoints.json`: how the command line finds the running platform. No secrets in it."""
    write_whole(settings.endpoints_path, json.dumps(endpoints, indent=2) + "\n", 0o644)


def read_endpoints(data_dir: Path) -> dict[str, Any] | None:
    """What the running platform noted, or None where nothing (readable) is noted."""
    try:
        noted = json.loads((data_dir / "endpoints.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return noted if isinstance(noted, dict) else None
