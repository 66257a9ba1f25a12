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
    from .fetch import SlowRead

log = logging.getLogger("coldstream.slow_reads")

T = TypeVar("T")

PERMITS_PER_TENANT = 8
READ_THREADS = 16  # made when needed; more than a tenant has permits, so that none can take them all
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

    def permits(self, caller: Caller) -> asyncio.Semaphore:
        """What a tenant's slow reads have to hold while they run."""
        return self._permits.setdefault(caller.namespace.tenant_id, asyncio.Semaphore(PERMITS_PER_TENANT))

    async def read(self, caller: Caller, wanted: "SlowRead") -> None:
        """Fill one part of a fetch: its data or its error. One that takes too long stays empty, to be asked again."""
        part = wanted.part
        assert part.partition is not None
        try:
            async with asyncio.timeout(COLD_READ_S_MAX), self.permits(caller):
                part.data = await self.read_range(
                    part.partition, part.asked.fetch_offset, wanted.max_bytes, at_least_one=wanted.whole_first
                )
        except TimeoutError:
            part.data = b""
        except LogError as error:
            part.error = fetch_error(error)
        except (ColdWorkerUnavailable, ObjectStoreError, CorruptObject) as error:
            part.error = ErrorCode.KAFKA_STORAGE_ERROR
            log.warning("cold read failed", extra=about(part.partition, part.asked.fetch_offset, error))

    async def read_range(
        self, partition: Partition, offset: int, max_bytes: int, *, at_least_one: bool = True
    ) -> bytes | bytearray:
        """Whole batches from the one that holds `offset` on, from whichever tier has it.

        Raises LogError, ObjectStoreError, CorruptObject or ColdWorkerUnavailable.
        """

        def read_local(start: int) -> bytearray:
            return partition.log.read_blocking(start, max_bytes, at_least_one=at_least_one)

        try:
            return await self.run_blocking(lambda: read_local(offset))
        except BelowLocalStart as missing:
            next_local = missing.next_local
        cold = [segment for segment in partition.cold if segment.base < next_local]
        data = await self._cold.read(cold, offset, max_bytes, at_least_one=at_least_one)
        self._metrics.cold_read_bytes += len(data)
        if data or next_local <= offset or (cold and cold[-1].end > offset):
            return data
        # Neither tier has these offsets (quarantined at a recovery): a reader must not wait for them for ever.
        log.error("offsets are missing from both tiers", extra=about(partition, offset, f"going on at {next_local}"))
        return await self.run_blocking(lambda: read_local(next_local))

    async def run_blocking(self, function: Callable[[], T]) -> T:
        """Run a blocking look-up of a log on the read threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)


def about(partition: Partition, offset: int, error: object) -> dict[str, object]:
    """Fields of a log line about one partition's failed read."""
    return {"topic_id": str(partition.topic.id), "partition": partition.index, "offset": offset, "error": str(error)}
