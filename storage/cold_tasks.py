"""The work of the cold worker: uploads, chunks, deletions, compaction. The process around it is `platform.worker`.

Always true: an upload that is answered was verified in the store: its size and MD5 where the store tells one, else its
tail, read back. Temporary files live in a directory of the worker's own and are removed whatever happens, at the latest
by the next worker's start.
"""

import asyncio
import logging
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from .chunk_cache import ChunkCache
from .chunk_source import ChunkSource
from .cleaning import Clean, Cleaned
from .cold_worker import ChunkFile, ChunkWanted, ColdWorkerStats, Upload, Uploaded
from .cold_writer import WrittenObject, write_object
from .disk import OsDisk
from .object_store import ObjectStore, ObjectStoreUnavailable

if TYPE_CHECKING:
    from .cleaner import Cleaner

_LOG = logging.getLogger(__name__)
UPLOADS_MAX = 2
CHUNKS_FOLDER, UPLOADS_FOLDER = "chunks", "uploads"


class ColdTasks:
    """Implements ColdWorker in this process, in `directory` (chunk cache and temporary files)."""

    def __init__(self, store: ObjectStore, directory: Path, *, cache_bytes_max: int, cache_files_max: int) -> None:
        self._store = store
        self._uploads = directory / UPLOADS_FOLDER
        self._cache = ChunkCache(directory / CHUNKS_FOLDER, bytes_max=cache_bytes_max, files_max=cache_files_max)
        self._source = ChunkSource(store, self._cache)
        self._upload_gate = asyncio.Semaphore(UPLOADS_MAX)
        self._cleaners: dict[bool, Cleaner] = {}  # one for passes, one for estimates: each keeps the keys of its last
        self._cleaner_gate = asyncio.Semaphore(1)
        self._uploaded_objects = self._uploaded_bytes = 0

    def load(self) -> None:
        """Indexes the cache and drops temporary files of an earlier worker. Blocking. Raises OSError."""
        self._cache.load()
        self._uploads.mkdir(parents=True, exist_ok=True)
        for path in self._uploads.glob("*.seg"):
            path.unlink(missing_ok=True)

    async def upload(self, upload: Upload) -> Uploaded:
        clock_s = asyncio.get_running_loop().time
        ends_at_s = clock_s() + upload.deadline_ms / 1000
        async with self._upload_gate:
            path = self._uploads / f"{upload.object_id.hex}.seg"
            try:
                written = await asyncio.to_thread(write_object, upload, path)
                left_s = ends_at_s - clock_s()
                if left_s <= 0:
                    raise ObjectStoreUnavailable(
                        f"{upload.key}: building it took {upload.deadline_ms} ms: too slow a disk"
                    )
                await self._store.put_file(upload.key, path, md5=written.md5, deadline_s=left_s)
            finally:
                path.unlink(missing_ok=True)
            await self._verify(upload.key, written)
        self._uploaded_objects += 1
        self._uploaded_bytes += written.size_bytes
        return Uploaded(
            size_bytes=written.size_bytes,
            tail_bytes=len(written.tail),
            raw_bytes=written.raw_bytes,
            first_timestamp_ms=written.first_timestamp_ms,
            max_timestamp_ms=written.max_timestamp_ms,
        )

    async def _verify(self, key: str, written: WrittenObject) -> None:
        """Raises ObjectStoreUnavailable unless the store has exactly what was written."""
        info = await self._store.head(key)
        if info is None or info.size_bytes != written.size_bytes:
            found = "nothing" if info is None else f"{info.size_bytes} bytes"
            raise ObjectStoreUnavailable(f"{key}: {found} there after a put of {written.size_bytes} bytes")
        if info.md5 == written.md5:
            return
        # No MD5, or an ETag that only looks like one (S3 with KMS keys): the tail decides.
        tail = await self._store.get_range(key, written.size_bytes - len(written.tail), written.size_bytes)
        if tail != written.tail:
            raise ObjectStoreUnavailable(f"{key}: the store gives back another tail than was put")

    async def clean(self, request: Clean) -> Cleaned:
        async with self._cleaner_gate:
            cleaner = self._cleaners.get(request.write)
            if cleaner is None:
                from .cleaner import Cleaner  # every codec: several megabytes that most workers never need

                cleaner = self._cleaners[request.write] = Cleaner(OsDisk())
            return await asyncio.to_thread(cleaner.clean, request)

    async def chunk(self, wanted: ChunkWanted) -> ChunkFile | None:
        return await self._source.chunk(wanted)

    async def delete(self, keys: Collection[str]) -> set[str]:
        return await self._store.delete(keys)

    async def probe(self) -> None:
        await self._store.probe()

    async def stats(self) -> ColdWorkerStats:
        source = self._source
        return ColdWorkerStats(
            uploaded_objects=self._uploaded_objects,
            uploaded_bytes=self._uploaded_bytes,
            downloaded_bytes=source.downloaded_bytes,
            chunk_hits=source.hits,
            chunk_misses=source.misses,
            chunks_read_ahead=source.read_ahead,
            cache_bytes=self._cache.bytes_used,
            cache_files=len(self._cache),
        )

    async def close(self) -> None:
        await self._source.close()
        await self._store.close()
