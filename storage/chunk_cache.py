"""Chunks of cold objects as files on local disk, raw, so that a broker can serve bytes straight from them.

Always true: a file is handed out only after its CRC-32C was checked once since start; bytes and files stay below their
limits, because trimming begins at TRIM_MARK of either and spares only the newest file; access times live in memory, and
the directory is walked once, at start. What a file is (object, offsets, length, CRC) is in its name. Files that the
cache does not know are neither counted nor touched, except its own half-written ones. Used from one event loop; file
work runs in threads.
"""

import asyncio
import errno
import logging
import os
import re
import stat
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from crc32c import crc32c

_LOG = logging.getLogger(__name__)
TRIM_MARK = 0.8
READ_BYTES = 2**20
PARTIAL_SUFFIX = ".partial"
_NAME = re.compile(r"([0-9a-f]{32})\.(\d{20})\.(\d{20})\.(\d{1,10})\.([0-9a-f]{8})\.chunk")
ChunkId = tuple[UUID, int]  # object, base offset


class CachedChunk(NamedTuple):
    """What a cache file holds; its name says all of it."""

    object_id: UUID
    base: int
    end: int
    length: int
    crc: int

    @property
    def file_name(self) -> str:
        return f"{self.object_id.hex}.{self.base:020d}.{self.end:020d}.{self.length}.{self.crc:08x}.chunk"

    @property
    def id(self) -> ChunkId:
        return self.object_id, self.base

    @classmethod
    def parse(cls, file_name: str) -> "CachedChunk | None":
        if match := _NAME.fullmatch(file_name):
            base, end, length = (int(match[n]) for n in (2, 3, 4))
            if base < end and length > 0:
                return cls(UUID(match[1]), base, end, length, int(match[5], 16))
        return None


@dataclass(slots=True)
class _Entry:
    chunk: CachedChunk
    verified: bool


class ChunkCache:
    """A directory of chunk files, least recently used ones leaving first.

    Args:
        bytes_max: What all files together may take.
        files_max: How many there may be.
    """

    def __init__(self, directory: Path, *, bytes_max: int, files_max: int) -> None:
        self._directory = directory
        self._bytes_mark = int(bytes_max * TRIM_MARK)
        self._files_mark = max(1, int(files_max * TRIM_MARK))
        self._entries: OrderedDict[ChunkId, _Entry] = OrderedDict()  # least recently used first
        self._bases: dict[UUID, list[int]] = {}  # of the chunks that are here, per object
        self.bytes_used = 0

    def __len__(self) -> int:
        return len(self._entries)

    def load(self) -> None:
        """Index what an earlier process left. Blocking; call once, before anything else. Raises OSError."""
        self._directory.mkdir(parents=True, exist_ok=True)
        found = []
        with os.scandir(self._directory) as listing:
            for entry in listing:
                status = entry.stat(follow_symlinks=False)
                if not stat.S_ISREG(status.st_mode):
                    continue
                chunk = CachedChunk.parse(entry.name)
                half_written = entry.name.endswith(PARTIAL_SUFFIX)
                if half_written or (chunk is not None and chunk.length != status.st_size):
                    _unlink(Path(entry.path))
                elif chunk is not None:
                    found.append((status.st_mtime_ns, chunk))
        for _, chunk in sorted(found):
            if chunk.id in self._entries:
                _unlink(self.path(chunk))  # two names for one chunk: neither is ours to prefer, and one is enough
            else:
                self._enter(chunk, verified=False)
        for chunk in self._trimmed(spared=None):
            _unlink(self.path(chunk))

    def path(self, chunk: CachedChunk) -> Path:
        return self._directory / chunk.file_name

    async def find(self, object_id: UUID, offset: int) -> CachedChunk | None:
        """The chunk here whose [base, end) has this offset, verified and marked as used; or None."""
        for base in self._bases.get(object_id, ()):
            if base <= offset < self._entries[object_id, base].chunk.end:
                return await self.get((object_id, base))
        return None

    async def get(self, chunk_id: ChunkId) -> CachedChunk | None:
        """The chunk, verified and marked as used; None if it is not here, or no longer what it was."""
        entry = self._entries.get(chunk_id)
        if entry is None:
            return None
        self._entries.move_to_end(chunk_id)
        if not entry.verified:
            entry.verified = await asyncio.to_thread(_is_sound, self.path(entry.chunk), entry.chunk)
            if not entry.verified:
                _LOG.warning("chunk cache: %s is damaged or gone; dropped", entry.chunk.file_name)
                await self._drop(entry)
                return None
        return entry.chunk

    def suspect(self, object_id: UUID) -> None:
        """A reader found a file of this object gone: look at each again before it is handed out."""
        for base in self._bases.get(object_id, ()):
            self._entries[object_id, base].verified = False

    def holds(self, chunk_id: ChunkId) -> bool:
        """Whether the chunk is here, as far as the index knows; does not count as use."""
        return chunk_id in self._entries

    async def add(self, chunk: CachedChunk, raw: bytes) -> CachedChunk:
        """Writes a chunk whose CRC was just checked, trimming first what has to go. Raises OSError."""
        assert len(raw) == chunk.length, "the name says how long the file is"
        path = self.path(chunk)
        try:
            await asyncio.to_thread(_write, path, raw)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            await self._remove(self._least_used(len(self._entries) // 2 + 1))  # the disk is smaller than we were told
            await asyncio.to_thread(_write, path, raw)
        if chunk.id not in self._entries:
            self._enter(chunk, verified=True)
        await self._remove(list(self._trimmed(spared=chunk.id)))
        return chunk

    def _enter(self, chunk: CachedChunk, *, verified: bool) -> None:
        self._entries[chunk.id] = _Entry(chunk, verified)
        self._bases.setdefault(chunk.object_id, []).append(chunk.base)
        self.bytes_used += chunk.length

    def _forget(self, chunk: CachedChunk) -> None:
        bases = self._bases[chunk.object_id]
        bases.remove(chunk.base)
        if not bases:
            del self._bases[chunk.object_id]
        self.bytes_used -= chunk.length

    def _trimmed(self, spared: ChunkId | None) -> Iterator[CachedChunk]:
        """Takes out of the index what has to leave; the caller removes the files."""
        while self.bytes_used > self._bytes_mark or len(self._entries) > self._files_mark:
            oldest = next(iter(self._entries), None)
            if oldest is None or oldest == spared:
                return
            chunk = self._entries.pop(oldest).chunk
            self._forget(chunk)
            yield chunk

    def _least_used(self, count: int) -> list[CachedChunk]:
        chunks = []
        for _ in range(min(count, len(self._entries))):
            _, entry = self._entries.popitem(last=False)
            self._forget(entry.chunk)
            chunks.append(entry.chunk)
        return chunks

    async def _drop(self, entry: _Entry) -> None:
        if self._entries.get(entry.chunk.id) is entry:
            del self._entries[entry.chunk.id]
            self._forget(entry.chunk)
            await self._remove([entry.chunk])

    async def _remove(self, chunks: list[CachedChunk]) -> None:
        if chunks:
            await asyncio.to_thread(self._unlink_all, chunks)

    def _unlink_all(self, chunks: list[CachedChunk]) -> None:
        for chunk in chunks:
            _unlink(self.path(chunk))


def _is_sound(path: Path, chunk: CachedChunk) -> bool:
    crc = length = 0
    try:
        with path.open("rb", buffering=0) as file:
            while piece := file.read(READ_BYTES):
                crc, length = crc32c(piece, crc), length + len(piece)
    except OSError:
        return False
    return (length, crc) == (chunk.length, chunk.crc)


def _write(path: Path, raw: bytes) -> None:
    """Under another name first. Synced, so that no append waits for our dirty pages; they stay in memory, though."""
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        with partial.open("wb", buffering=0) as file:
            view = memoryview(raw)
            while view:
                view = view[file.write(view) or 0 :]
            os.fdatasync(file.fileno())
        partial.rename(path)
    except BaseException:
        _unlink(partial)
        raise


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _LOG.warning("chunk cache: %s stays: %s", path.name, error)
