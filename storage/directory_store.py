"""Objects as files below one directory: the embedded default.

Always true: a file under its final name is whole and synced, and so are the directory entries that lead to it, because
bytes go to a temporary file first, are checked against their MD5, synced, renamed, and then the directories are synced.
Temporary files live in `.incoming/`, which no key can name. Directories that lose their last object are removed.
"""

import asyncio
import errno
import hashlib
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from .object_store import (
    CALL_DEADLINE_S,
    DigestMismatch,
    ObjectInfo,
    ObjectMissing,
    ObjectStoreDenied,
    ObjectStoreError,
    ObjectStoreUnavailable,
    ObjectTruncated,
    body_deadline_s,
    checked_key,
    checked_range,
)

_LOG = logging.getLogger(__name__)
T = TypeVar("T")
COPY_BYTES = 4 * 2**20  # also how much is written before it is synced, so that no append waits for our dirty pages
ABANDONED_AFTER_S = 86_400.0  # a temporary file this old belongs to a process that died
LIST_PAGE = 256
INCOMING = ".incoming"
RENAME_TRIES = 20  # each lost to a concurrent removal of the directory that had just become empty


class DirectoryStore:
    """Files of the objects below `root`, which is created when something is first stored."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / INCOMING

    def __str__(self) -> str:
        return f"directory {self._root}"

    async def put_file(self, key: str, path: Path, *, md5: bytes, deadline_s: float) -> None:
        target = self._path(key)
        await self._call(lambda: self._put(target, _pieces_of(path), md5), deadline_s)

    async def put_bytes(self, key: str, data: bytes, *, deadline_s: float = CALL_DEADLINE_S) -> None:
        target = self._path(key)
        md5 = hashlib.md5(data, usedforsecurity=False).digest()
        await self._call(lambda: self._put(target, iter((data,)), md5), deadline_s)

    async def get_range(self, key: str, start: int, end: int) -> bytes:
        length = checked_range(start, end)
        path = self._path(key)
        data = await self._call(lambda: _read(path, length, start), body_deadline_s(length))
        if len(data) < length:
            raise ObjectTruncated(f"{self}: {key} ends before byte {end}")
        return data

    async def head(self, key: str) -> ObjectInfo | None:
        path = self._path(key)
        try:
            status = await self._call(path.stat, CALL_DEADLINE_S)
        except ObjectMissing:
            return None
        return ObjectInfo(status.st_size, None)

    async def delete(self, keys: Collection[str]) -> set[str]:
        gone = set[str]()
        for key in keys:
            path = self._path(key)
            try:
                await self._call(partial(self._delete, path), CALL_DEADLINE_S)
            except ObjectStoreError as error:
                _LOG.warning("object not deleted: %s", error)
                continue  # not confirmed: the caller asks again
            gone.add(key)
        return gone

    async def list(self, prefix: str) -> AsyncIterator[tuple[str, int]]:
        found = self._walk(self._root, prefix)
        while True:
            page = await self._call(lambda: _take(found, LIST_PAGE), CALL_DEADLINE_S)
            for item in page:
                yield item
            if len(page) < LIST_PAGE:
                return

    async def probe(self) -> None:
        key = f"v1/probe/{uuid4().hex}"
        await self._call(self._drop_abandoned, CALL_DEADLINE_S)
        await self.put_bytes(key, b"coldstream")
        if await self.get_range(key, 0, 10) != b"coldstream" or await self.delete([key]) != {key}:
            raise ObjectStoreUnavailable(f"{self}: a probe object did not come back as written")

    async def close(self) -> None:
        pass

    def _path(self, key: str) -> Path:
        return self._root / checked_key(key)

    async def _call(self, work: Callable[[], T], deadline_s: float) -> T:
        """Runs file work in a thread. Past the deadline the thread goes on, and its outcome is unknown."""
        try:
            async with asyncio.timeout(deadline_s):
                return await asyncio.to_thread(work)
        except TimeoutError:
            raise ObjectStoreUnavailable(f"{self}: no answer within {deadline_s:.0f} s") from None
        except OSError as error:
            raise self._classified(error) from error

    def _classified(self, error: OSError) -> ObjectStoreError:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return ObjectMissing(f"{self}: no object {error.filename}")
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return ObjectStoreDenied(f"{self}: {error}; make it writable for the user that runs Coldstream")
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return ObjectStoreUnavailable(f"{self}: {error}; free space there or choose another object store")
        return ObjectStoreUnavailable(f"{self}: {error}")

    def _put(self, target: Path, pieces: Iterator[bytes], md5: bytes) -> None:
        self._incoming.mkdir(parents=True, exist_ok=True)
        temporary = self._incoming / uuid4().hex
        try:
            if _write(temporary, pieces) != md5:
                raise DigestMismatch(f"{self}: the bytes for {target.name} are not those of the MD5 given")
            self._rename(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)

    def _rename(self, temporary: Path, target: Path) -> None:
        for attempt in range(1, RENAME_TRIES + 1):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary.rename(target)
                break
            except (FileNotFoundError, FileExistsError):
                # A delete has just removed the empty directory again; `mkdir` says that it exists when it goes between
                # its attempt to make it and its look.
                if attempt == RENAME_TRIES:
                    raise
        folder = target.parent
        while True:
            _sync_directory(folder)
            if folder == self._root.parent:
                break
            folder = folder.parent

    def _delete(self, path: Path) -> None:
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return
        _sync_directory(path.parent)
        folder = path.parent
        while folder != self._root:
            try:
                folder.rmdir()
            except OSError:
                return  # not empty, or someone else was faster: either is fine
            folder = folder.parent

    def _walk(self, folder: Path, prefix: str) -> Iterator[tuple[str, int]]:
        at = "" if folder == self._root else folder.relative_to(self._root).as_posix() + "/"
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            name = at + entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if (name + "/").startswith(prefix) or prefix.startswith(name + "/"):
                    yield from self._walk(folder / entry.name, prefix)
            elif name.startswith(prefix):
                try:
                    yield name, entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:
                    continue  # deleted while we listed

    def _drop_abandoned(self) -> None:
        if not self._incoming.is_dir():
            return
        for path in self._incoming.iterdir():
            if time.time() - path.lstat().st_mtime > ABANDONED_AFTER_S:
                path.unlink(missing_ok=True)


def _pieces_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while piece := source.read(COPY_BYTES):
            yield piece


def _write(path: Path, pieces: Iterator[bytes]) -> bytes:
    """Writes and syncs piece by piece; answers the MD5. The pages are dropped, since nobody reads them soon."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("xb", buffering=0) as file:
        for piece in pieces:
            digest.update(piece)
            view = memoryview(piece)
            while view:
                view = view[file.write(view) or 0 :]
            os.fdatasync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        os.fsync(file.fileno())
    return digest.digest()


def _read(path: Path, length: int, start: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = []
        while length and (piece := os.pread(fd, length, start)):
            pieces.append(piece)
            start += len(piece)
            length -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
    finally:
        os.close(fd)


def _take(found: Iterator[tuple[str, int]], count: int) -> list[tuple[str, int]]:
    return list(islice(found, count))


def _sync_directory(folder: Path) -> None:
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # removed meanwhile, with everything that was in it
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
