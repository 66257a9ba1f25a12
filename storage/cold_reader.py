"""The broker's side of a cold read: which object, which chunk of it, which batches of that.

Always true: answers hold whole batches, beginning with the one that holds the offset, or with the next one where
compaction left a gap; never more than one chunk, so never more than one object. No file is read on the event loop.
Where the cache file has gone meanwhile, the worker is asked again. Permits are the caller's.
"""

import asyncio
import os
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from struct import Struct
from typing import NamedTuple, TypeVar
from uuid import UUID

from .batch import BATCH_LENGTH_MIN, HEADER_BYTES, LENGTH_STARTS_AT, parse_header
from .cold_format import CorruptObject
from .cold_worker import ChunkFile, ChunkWanted, ColdObject, ColdWorker, ColdWorkerUnavailable
from .manifest import ColdSegment
from .records import iterate_records

T = TypeVar("T")
OBJECTS_MAX = 1_000  # whose chunk files are remembered
FILES_PER_OBJECT_MAX = 8
MARKS_MAX = 64
REMEMBER_S = 30.0  # then the worker is asked again, which also tells it that the chunk is in use
TRIES = 3
WALK = Struct(">qi11xi")  # base offset, length, last offset delta


class TimestampFound(NamedTuple):
    offset: int
    timestamp_ms: int


class _Piece(NamedTuple):
    data: bytes
    next_offset: int
    next_position: int


@dataclass(slots=True)
class _Place:
    """A chunk file that the worker named, and where readers of it went on."""

    file: ChunkFile
    until_s: float
    marks: dict[int, int] = field(default_factory=dict)  # offset -> position of the batch that holds it


class ColdReader:
    """Reads committed cold segments through a worker.

    Args:
        executor: Where files are read; the loop's default one if None.
    """

    def __init__(
        self,
        worker: ColdWorker,
        *,
        executor: Executor | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._worker = worker
        self._executor = executor
        self._clock_s = clock_s
        self._places: OrderedDict[UUID, list[_Place]] = OrderedDict()

    async def read(
        self,
        segments: Sequence[ColdSegment],
        offset: int,
        max_bytes: int,
        *,
        at_least_one: bool = True,
        permit: AbstractAsyncContextManager[object] | None = None,
    ) -> bytes:
        """Whole batches from the one that holds `offset` on, or from the next one; b"" where `segments` hold none.

        Ends at the end of a chunk at the latest, so it may be short of `max_bytes` although more follows.

        Args:
            segments: Committed ones of one partition, ascending.
            at_least_one: Answer the first batch even if it is larger than `max_bytes`.
            permit: Held while the worker and the disk are at it.

        Raises: ColdWorkerUnavailable or ObjectStoreUnavailable (retriable), ObjectMissing, ObjectStoreDenied,
            CorruptObject.
        """
        async with permit or nullcontext():
            for number in range(bisect_right(segments, offset, key=_end), len(segments)):
                segment, following = segments[number], segments[number + 1 : number + 2]
                wanted = ChunkWanted(
                    ColdObject.of(segment),
                    max(offset, segment.base),
                    following=ColdObject.of(following[0]) if following else None,
                )
                piece = await self._read_chunk(wanted, max_bytes, at_least_one)
                if piece is not None:
                    return piece.data
            return b""

    async def offset_for_timestamp(
        self,
        segments: Sequence[ColdSegment],
        timestamp_ms: int,
        *,
        from_offset: int = 0,
        permit: AbstractAsyncContextManager[object] | None = None,
    ) -> TimestampFound | None:
        """The first record at or after `from_offset` whose timestamp is not earlier; None where `segments` have none.

        Exact to the record. Raises as `read` does, DecodeFailed and CorruptBatch.
        """
        async with permit or nullcontext():
            for segment in segments:
                if segment.end <= from_offset or segment.max_timestamp_ms < timestamp_ms:
                    continue
                found = await self._first_at(segment, timestamp_ms, from_offset)
                if found is not None:
                    return found
            return None

    async def _first_at(self, segment: ColdSegment, timestamp_ms: int, from_offset: int) -> TimestampFound | None:
        offset = max(from_offset, segment.base)
        while offset < segment.end:
            wanted = ChunkWanted(ColdObject.of(segment), offset, timestamp_ms=timestamp_ms)
            found = await self._with_file(wanted, partial(self._search, timestamp_ms, from_offset))
            if found is None:
                return None
            chunk, result = found
            if result is not None:
                return result
            offset = chunk.end  # the header promised a time that no record of the chunk has
        return None

    async def _read_chunk(self, wanted: ChunkWanted, max_bytes: int, at_least_one: bool) -> _Piece | None:
        """None when the object holds nothing from the offset on."""
        place = self._remembered(wanted)
        if place is not None:
            try:
                return await self._read_place(place, wanted.offset, max_bytes, at_least_one)
            except FileNotFoundError:
                self._forget(wanted.object.object_id, place)
                wanted = _again(wanted)

        async def read(file: ChunkFile) -> _Piece:
            return await self._read_place(self._remember(wanted, file), wanted.offset, max_bytes, at_least_one)

        found = await self._with_file(wanted, read)
        return None if found is None else found[1]

    async def _with_file(
        self, wanted: ChunkWanted, work: Callable[[ChunkFile], Awaitable[T]]
    ) -> tuple[ChunkFile, T] | None:
        """The chunk that the worker names, and what `work` makes of it; None when it names none."""
        for _ in range(TRIES):
            named = await self._worker.chunk(wanted)
            if named is None:
                return None
            try:
                return named, await work(named)
            except FileNotFoundError:  # trimmed since, or damaged
                wanted = _again(wanted)
        raise ColdWorkerUnavailable("the chunk cache loses files faster than they can be read: it is too small")

    async def _read_place(self, place: _Place, offset: int, max_bytes: int, at_least_one: bool) -> _Piece:
        position = place.marks.get(offset)
        piece = await self._in_thread(lambda: _read(place.file, offset, position, max_bytes, at_least_one))
        if piece.next_position < place.file.length:
            if len(place.marks) >= MARKS_MAX:
                place.marks.clear()
            place.marks[piece.next_offset] = piece.next_position
        return piece

    async def _search(self, timestamp_ms: int, from_offset: int, file: ChunkFile) -> TimestampFound | None:
        return await self._in_thread(lambda: _search(file, timestamp_ms, from_offset))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def _remembered(self, wanted: ChunkWanted) -> _Place | None:
        places = self._places.get(wanted.object.object_id)
        if places is None:
            return None
        self._places.move_to_end(wanted.object.object_id)
        now_s = self._clock_s()
        for place in places:
            if place.file.base <= wanted.offset < place.file.end and now_s < place.until_s:
                return place
        return None

    def _remember(self, wanted: ChunkWanted, file: ChunkFile) -> _Place:
        places = self._places.setdefault(wanted.object.object_id, [])
        self._places.move_to_end(wanted.object.object_id)
        known = next((place for place in places if place.file == file), None)
        place = known or _Place(file, 0.0)
        place.until_s = self._clock_s() + REMEMBER_S
        if known is None:
            places.append(place)
            del places[:-FILES_PER_OBJECT_MAX]
        if len(self._places) > OBJECTS_MAX:
            self._places.popitem(last=False)
        return place

    def _forget(self, object_id: UUID, place: _Place) -> None:
        places = self._places.get(object_id, [])
        if place in places:
            places.remove(place)


def _end(segment: ColdSegment) -> int:
    return segment.end


def _again(wanted: ChunkWanted) -> ChunkWanted:
    return replace(wanted, file_was_gone=True)


def _read(file: ChunkFile, offset: int, position: int | None, max_bytes: int, at_least_one: bool) -> _Piece:
    """Whole batches of a chunk file. `position` is where the batch of `offset` begins, if that is known."""
    fd = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        start = 0 if position is None else position
        want = file.length - start if position is None else min(max_bytes, file.length - start)
        data = os.pread(fd, max(want, min(HEADER_BYTES, file.length - start)), start)
        first, size = _find(data, offset) if position is None else (0, _size_at(data, 0))
        if size > max_bytes and not at_least_one:
            return _Piece(b"", offset, start + first)
        if first + size > len(data):
            data = data[first:] + os.pread(fd, first + size - len(data), start + len(data))
            start, first = start + first, 0
    finally:
        os.close(fd)
    end = next_offset = first
    for at, base, batch_bytes, delta in _walk(data, first):
        if end > first and at + batch_bytes - first > max_bytes:
            break
        end, next_offset = at + batch_bytes, base + delta + 1
    if end == first:
        raise FileNotFoundError(f"{file.path} is shorter than it was")
    return _Piece(data[first:end], next_offset, start + end)


def _find(data: bytes, offset: int) -> tuple[int, int]:
    """(position, size) of the first batch that ends above the offset."""
    for at, base, size, delta in _walk(data, 0):
        if base + delta >= offset:
            return at, size
    raise FileNotFoundError("a chunk file does not hold what its name says")


def _size_at(data: bytes, at: int) -> int:
    if len(data) - at < HEADER_BYTES:
        raise FileNotFoundError("a chunk file is shorter than it was")
    _, length, _ = WALK.unpack_from(data, at)
    return LENGTH_STARTS_AT + int(length)


def _walk(data: bytes, at: int) -> Iterator[tuple[int, int, int, int]]:
    """(position, base offset, size, last offset delta) of each whole batch from a position on."""
    end, unpack = len(data), WALK.unpack_from
    while end - at >= HEADER_BYTES:
        base, length, delta = unpack(data, at)
        if length < BATCH_LENGTH_MIN:
            raise CorruptObject(f"a batch of {length} bytes in a chunk whose CRC-32C agreed")
        size = LENGTH_STARTS_AT + length
        if at + size > end:
            return
        yield at, base, size, delta
        at += size


def _search(file: ChunkFile, timestamp_ms: int, from_offset: int) -> TimestampFound | None:
    with open(file.path, "rb", buffering=0) as source:  # noqa: PTH123 - a path string, in a thread
        data = source.read()
    for at, base, size, delta in _walk(data, 0):
        if base + delta < from_offset or parse_header(data, at).max_timestamp_ms < timestamp_ms:
            continue
        for record in iterate_records(data[at : at + size]):
            if record.timestamp_ms >= timestamp_ms and record.offset >= from_offset:
                return TimestampFound(record.offset, record.timestamp_ms)
    return None
