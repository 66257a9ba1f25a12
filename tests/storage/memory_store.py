"""An object store in memory that counts, waits and fails as a test says. It sits the exam of the real ones."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Collection
from pathlib import Path

from coldstream.storage.object_store import (
    CALL_DEADLINE_S,
    DigestMismatch,
    ObjectInfo,
    ObjectMissing,
    ObjectStoreUnavailable,
    ObjectTruncated,
    checked_key,
    checked_range,
)


class MemoryStore:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.ranges: list[tuple[str, int, int]] = []
        self.puts: list[str] = []
        self.deletes: list[str] = []
        self.gate = asyncio.Event()  # closed while a test wants downloads to hang
        self.gate.set()
        self.failing: Exception | None = None  # every call
        self.failing_puts: Exception | None = None  # puts only
        self.lose_puts_after_storing = False  # the answer is lost, the object is there
        self.undeletable = set[str]()
        self.knows_md5 = True

    def _check(self) -> None:
        if self.failing is not None:
            raise self.failing

    async def put_file(self, key: str, path: Path, *, md5: bytes, deadline_s: float) -> None:
        try:
            async with asyncio.timeout(deadline_s):
                data = await asyncio.to_thread(path.read_bytes)
                await self.gate.wait()
        except TimeoutError:
            raise ObjectStoreUnavailable("no answer") from None
        self._put(key, data, md5)

    async def put_bytes(self, key: str, data: bytes, *, deadline_s: float = CALL_DEADLINE_S) -> None:
        self._put(key, data, hashlib.md5(data).digest())

    def _put(self, key: str, data: bytes, md5: bytes) -> None:
        self._check()
        if self.failing_puts is not None:
            raise self.failing_puts
        if hashlib.md5(data).digest() != md5:
            raise DigestMismatch(key)
        self.puts.append(key)
        self.objects[checked_key(key)] = data
        if self.lose_puts_after_storing:
            raise ObjectStoreUnavailable("the answer was lost")

    async def get_range(self, key: str, start: int, end: int) -> bytes:
        checked_range(start, end)
        self.ranges.append((key, start, end))
        await self.gate.wait()
        self._check()
        if key not in self.objects:
            raise ObjectMissing(key)
        if end > len(self.objects[key]):
            raise ObjectTruncated(key)
        return self.objects[key][start:end]

    async def head(self, key: str) -> ObjectInfo | None:
        self._check()
        data = self.objects.get(key)
        return None if data is None else ObjectInfo(len(data), hashlib.md5(data).digest() if self.knows_md5 else None)

    async def delete(self, keys: Collection[str]) -> set[str]:
        self._check()
        gone = set(keys) - self.undeletable
        for key in keys:
            self.deletes.append(key)
            if key in gone:
                self.objects.pop(key, None)
        return gone

    async def list(self, prefix: str) -> AsyncIterator[tuple[str, int]]:
        self._check()
        for key, data in list(self.objects.items()):
            if key.startswith(prefix):
                yield key, len(data)

    async def probe(self) -> None:
        self._check()

    async def close(self) -> None:
        pass
