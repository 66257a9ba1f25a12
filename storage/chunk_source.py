"""Chunks on demand: from the cache, or from the store into the cache, each downloaded once however many ask.

Always true: a download belongs to nobody's request: it ends in the cache even if whoever asked has left. Every chunk is
checked against the CRC in its object's index before it is written. Read-ahead follows readers that go from chunk to
chunk, 1, 2, then 4 ahead and across the border to the next object, never a reader that jumps. What downloads hold in
memory together is bounded by MEMORY_BYTES, one chunk larger than that excepted, which then goes alone.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID

from .chunk_cache import CachedChunk, ChunkCache
from .cold_format import (
    FOOTER_BYTES,
    INDEX_GUESS_BYTES,
    Chunk,
    CorruptObject,
    chunk_for,
    decode_chunk,
    decode_footer,
    decode_index,
)
from .cold_worker import ChunkFile, ChunkWanted, ColdObject
from .object_store import ObjectStore, ObjectStoreError, ObjectTruncated

_LOG = logging.getLogger(__name__)
T = TypeVar("T")
READ_AHEAD_MAX = 4
MEMORY_BYTES = 48 * 2**20
READ_AHEAD_DOWNLOADS_MAX = 2  # so that what nobody waits for yet leaves room for what somebody does
INDEXED_CHUNKS_MAX = 20_000  # of the indexes kept in memory: about 5 MB
READERS_MAX = 1_000


class ChunkSource:
    def __init__(self, store: ObjectStore, cache: ChunkCache) -> None:
        self._store = store
        self._cache = cache
        self._memory = _Budget(MEMORY_BYTES)
        self._ahead_gate = asyncio.Semaphore(READ_AHEAD_DOWNLOADS_MAX)
        self._indexes: OrderedDict[UUID, tuple[Chunk, ...]] = OrderedDict()  # least recently used first
        self._indexed_chunks = 0
        self._flights: dict[object, asyncio.Task[Any]] = {}
        self._background = set[asyncio.Task[None]]()
        self._expected: OrderedDict[tuple[UUID, int], int] = OrderedDict()  # where a reader asks next: how far ahead
        self.downloaded_bytes = self.hits = self.misses = self.read_ahead = 0

    async def chunk(self, wanted: ChunkWanted) -> ChunkFile | None:
        """See ColdWorker.chunk. Raises CorruptObject, an ObjectStoreError, OSError from the cache."""
        cached = None
        if wanted.file_was_gone:
            self._cache.suspect(wanted.object.object_id)
        if wanted.timestamp_ms is None:
            cached = await self._cache.find(wanted.object.object_id, wanted.offset)
        if cached is None:
            chunks = await self._index(wanted.object)
            number = chunk_for(chunks, wanted.offset, wanted.timestamp_ms)
            if number is None:
                return None
            cached = await self._cache.get((wanted.object.object_id, chunks[number].base))
            self.misses += cached is None
            self.hits += cached is not None
            cached = cached or await self._download_once(wanted.object, chunks[number])
        else:
            self.hits += 1
        if wanted.timestamp_ms is None:
            self._follow(wanted, cached)
        return ChunkFile(str(self._cache.path(cached)), cached.length, cached.base, cached.end)

    async def close(self) -> None:
        """Cancels what is still being downloaded; nobody waits for it any more."""
        running = [*self._flights.values(), *self._background]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _index(self, wanted: ColdObject) -> tuple[Chunk, ...]:
        if (chunks := self._indexes.get(wanted.object_id)) is not None:
            self._indexes.move_to_end(wanted.object_id)
            return chunks
        return await self._once(wanted.object_id, lambda: self._read_index(wanted))

    async def _read_index(self, wanted: ColdObject) -> tuple[Chunk, ...]:
        """One ranged read of the end, or two where the index is larger than was thought."""
        if wanted.size_bytes < FOOTER_BYTES:
            raise CorruptObject(f"{wanted.key}: {wanted.size_bytes} bytes are no segment object")
        guess = min(wanted.size_bytes, wanted.tail_bytes or INDEX_GUESS_BYTES, INDEX_GUESS_BYTES)
        try:
            end = await self._range(wanted, wanted.size_bytes - max(guess, FOOTER_BYTES), wanted.size_bytes)
            index_bytes = decode_footer(end, wanted.size_bytes).index_bytes + FOOTER_BYTES
            if index_bytes > len(end):
                end = await self._range(wanted, wanted.size_bytes - index_bytes, wanted.size_bytes)
            footer, chunks = decode_index(end, wanted.size_bytes)
        except CorruptObject as error:
            raise CorruptObject(f"{wanted.key}: {error}") from error
        if footer.object_id != wanted.object_id:
            raise CorruptObject(f"{wanted.key} holds another object, {footer.object_id}")
        self._indexes[wanted.object_id] = chunks
        self._indexed_chunks += len(chunks)
        while self._indexed_chunks > INDEXED_CHUNKS_MAX and len(self._indexes) > 1:
            _, dropped = self._indexes.popitem(last=False)
            self._indexed_chunks -= len(dropped)
        return chunks

    async def _download_once(self, wanted: ColdObject, chunk: Chunk) -> CachedChunk:
        return await self._once((wanted.object_id, chunk.base), lambda: self._download(wanted, chunk))

    async def _once(self, name: object, work: Callable[[], Awaitable[T]]) -> T:
        """Joins the flight of that name, or starts it. Leaving does not stop it: the cache wants what it brings."""
        flight = self._flights.get(name)
        if flight is None:
            flight = asyncio.ensure_future(_flown(work))
            self._flights[name] = flight
            flight.add_done_callback(lambda done: self._landed(name, done))
        result: T = await asyncio.shield(flight)
        return result

    def _landed(self, name: object, flight: asyncio.Task[Any]) -> None:
        del self._flights[name]
        if not flight.cancelled():
            flight.exception()  # seen: whoever still waits gets it too

    async def _download(self, wanted: ColdObject, chunk: Chunk) -> CachedChunk:
        async with self._memory.take(chunk.stored_bytes + chunk.raw_bytes):
            stored = await self._range(wanted, chunk.position, chunk.position + chunk.stored_bytes)
            self.downloaded_bytes += len(stored)
            try:
                raw = await asyncio.to_thread(decode_chunk, chunk, stored)
            except CorruptObject as error:
                raise CorruptObject(f"{wanted.key}: {error}") from error
            del stored
            name = CachedChunk(wanted.object_id, chunk.base, chunk.end, chunk.raw_bytes, chunk.crc)
            return await self._cache.add(name, raw)

    async def _range(self, wanted: ColdObject, start: int, end: int) -> bytes:
        try:
            return await self._store.get_range(wanted.key, start, end)
        except ObjectTruncated as error:
            raise CorruptObject(f"{wanted.key} is shorter than {wanted.size_bytes} bytes: {error}") from error

    def _follow(self, wanted: ChunkWanted, current: CachedChunk) -> None:
        """Notes where this reader goes next, and runs ahead of it if it came from where one was expected to."""
        ahead = self._expected.get((wanted.object.object_id, wanted.offset), 0)
        for successor in (wanted.object, wanted.following):
            if successor is not None:
                place = (successor.object_id, current.end)
                self._expected[place] = max(self._expected.pop(place, 0), min(2 * ahead, READ_AHEAD_MAX), 1)
        while len(self._expected) > READERS_MAX:
            self._expected.popitem(last=False)
        if ahead:
            task = asyncio.ensure_future(self._run_ahead(wanted, current, ahead))
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    async def _run_ahead(self, wanted: ChunkWanted, current: CachedChunk, ahead: int) -> None:
        try:
            places = await self._chunks_after(wanted, current, ahead)
        except (ObjectStoreError, CorruptObject) as error:
            _LOG.info("no read-ahead: %s", error)
            return
        await asyncio.gather(*(self._fetch_ahead(place, chunk) for place, chunk in places))

    async def _fetch_ahead(self, place: ColdObject, chunk: Chunk) -> None:
        async with self._ahead_gate:
            if self._cache.holds((place.object_id, chunk.base)):
                return
            self.read_ahead += 1
            try:
                await self._download_once(place, chunk)
            except (ObjectStoreError, CorruptObject, OSError) as error:
                _LOG.info("read-ahead failed: %s", error)  # whoever asks for the chunk gets the error

    async def _chunks_after(
        self, wanted: ChunkWanted, current: CachedChunk, count: int
    ) -> list[tuple[ColdObject, Chunk]]:
        chunks = [(wanted.object, chunk) for chunk in await self._index(wanted.object) if chunk.base >= current.end]
        if len(chunks) < count and wanted.following is not None:
            chunks += [(wanted.following, chunk) for chunk in await self._index(wanted.following)]
        return chunks[:count]


class _Budget:
    """Bytes that may be held at a time, given out in the order of asking."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._free = limit
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def take(self, size: int) -> AsyncIterator[None]:
        size = min(size, self._limit)
        if self._waiting or size > self._free:
            await self._turn(size)
        else:
            self._free -= size
        try:
            yield
        finally:
            self._give(size)

    async def _turn(self, size: int) -> None:
        granted = asyncio.get_running_loop().create_future()
        self._waiting.append((size, granted))
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._give(size)
            raise

    def _give(self, size: int) -> None:
        self._free += size
        while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= self._free):
            wanted, granted = self._waiting.popleft()
            if not granted.done():
                self._free -= wanted
                granted.set_result(None)


async def _flown(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
