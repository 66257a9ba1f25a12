"""Reads that may take long: from a disk whose pages are not in memory, and from the cold tier.

Always true: they run on threads and in the cold worker, never on the loop; each tenant has its own permits, so that no
replay can slow another tenant's reads or anybody's writes.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from ...storage.cold_format import CorruptObject
from ...storage.cold_reader import ColdReader
from ...storage.cold_worker import ColdWorkerUnavailable
from ...storage.errors import BelowLocalStart, LogError
from ...storage.object_store import ObjectStoreError
from ..wire.errors import ErrorCode
from .context import Caller
from .log_errors import fetch_error
from .metrics import BrokerMetrics
from .namespace import Partition

if TYPE_CHECKING:
    from .fetch import Part

log = logging.getLogger("coldstream.slow_reads")

T = TypeVar("T")

PERMITS_PER_TENANT = 8
READ_THREADS = 4
COLD_READ_S_MAX = 20.0  # under the request timeout of every client; the download goes on into the cache


class SlowReads:
    """One per broker."""

    def __init__(self, cold: ColdReader, metrics: BrokerMetrics) -> None:
        self._cold = cold
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="read")
        self._permits: dict[UUID, asyncio.Semaphore] = {}

    def close(self) -> None:
        """Let running reads end, accept no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def read(self, caller: Caller, part: "Part", max_bytes: int) -> None:
        """Fill one part of a fetch: its data or its error. One that takes too long stays empty, to be asked again."""
        assert part.partition is not None
        permits = self._permits.setdefault(caller.namespace.tenant_id, asyncio.Semaphore(PERMITS_PER_TENANT))
        limit_bytes = min(part.asked.max_bytes, max_bytes)
        try:
            async with asyncio.timeout(COLD_READ_S_MAX), permits:
                part.data = await self.read_range(part.partition, part.asked.fetch_offset, limit_bytes)
        except TimeoutError:
            part.data = b""
        except LogError as error:
            part.error = fetch_error(error)
        except (ColdWorkerUnavailable, ObjectStoreError, CorruptObject) as error:
            part.error = ErrorCode.KAFKA_STORAGE_ERROR
            log.warning("cold read failed", extra=about(part.partition, part.asked.fetch_offset, error))

    async def read_range(self, partition: Partition, offset: int, max_bytes: int) -> bytes | bytearray:
        """Whole batches from the one that holds `offset` on, from whichever tier has it.

        Raises LogError, ObjectStoreError or ColdWorkerUnavailable.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, partition.log.read_blocking, offset, max_bytes)
        except BelowLocalStart:
            data = await self._cold.read(partition.cold, offset, max_bytes)
            self._metrics.cold_read_bytes += len(data)
            return data

    async def run_blocking(self, function: Callable[[], T]) -> T:
        """Run a blocking look-up of a log on the read threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)


def about(partition: Partition, offset: int, error: Exception) -> dict[str, object]:
    """Fields of a log line about one partition's failed read."""
    return {"topic_id": str(partition.topic.id), "partition": partition.index, "offset": offset, "error": str(error)}
