"""When the logs of compacted topics are compacted: by themselves, the dirtiest first, and when a job asks for it.

Always true: one pass goes on at a time, in the cold worker; a partition is never compacted and offloaded at once; one
that cannot be compacted is left alone for a while and said so, and holds up no other. Of estimates at most one request
is with the worker, whoever still waits for it.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from ...storage.cleaning import Clean, Cleaned, CompactionFailed, SegmentCleaner
from ...storage.cold_worker import ColdWorkerUnavailable
from ...storage.compaction import CompactionPlan, is_due
from ...storage.compactor import CompactionEstimate, CompactionOutcome, compact, estimate
from ...storage.config import LogConfig
from ...storage.errors import LogError
from .metrics import BrokerMetrics
from .namespace import Partition
from .partition_logs import PartitionLogs
from .tiering import Tiering, about

log = logging.getLogger("coldstream.compaction")

LOOK_EVERY_S = 5.0  # log.cleaner.backoff.ms
PARTITIONS_PER_BREATH = 100
BACKOFF_MS = 60_000
EXPECTED = (CompactionFailed, ColdWorkerUnavailable, LogError, OSError)


class Compactor:
    """One per broker."""

    def __init__(
        self,
        cleaner: SegmentCleaner,
        logs: PartitionLogs,
        tiering: Tiering,
        metrics: BrokerMetrics,
        now_ms: Callable[[], int],
    ) -> None:
        self._cleaner = cleaner
        self._estimator = OneRequestAtATime(cleaner)
        self._logs = logs
        self._tiering = tiering
        self._metrics = metrics
        self._now_ms = now_ms
        self._one_at_a_time = asyncio.Lock()
        self._left_alone_until_ms: dict[Partition, int] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.look()
            except Exception:  # a mistake about one topic must not end the broker for all of them
                log.exception("a look at the compacted topics broke off, it will be tried again")

    async def look(self) -> None:
        """Compact what is due, the dirtiest log first, until nothing is."""
        while (partition := await self._dirtiest()) is not None:
            was_clean_below = partition.log.clean_below
            try:
                await self.compact(partition, CompactionOutcome(), only_if_due=True)
            except Exception as error:
                failed(partition, error)
            if partition.log.clean_below == was_clean_below:
                self._leave_alone(partition)

    def _leave_alone(self, partition: Partition) -> None:
        self._left_alone_until_ms[partition] = self._now_ms() + BACKOFF_MS

    async def _dirtiest(self) -> Partition | None:
        now_ms = self._now_ms()
        self._left_alone_until_ms = {each: at for each, at in self._left_alone_until_ms.items() if at > now_ms}
        best: tuple[float, Partition] | None = None
        for number, partition in enumerate(self._logs.partitions()):
            if number % PARTITIONS_PER_BREATH == 0:
                await asyncio.sleep(0)
            config = partition.topic.log_config
            if not config.compacted or partition in self._left_alone_until_ms or self._tiering.is_uploading(partition):
                continue
            try:
                plan = await planned(partition, now_ms)
            except Exception as error:
                failed(partition, error)
                self._leave_alone(partition)
                continue
            if is_due(plan, config, now_ms) and (best is None or plan.dirty_ratio > best[0]):
                best = plan.dirty_ratio, partition
        return best[1] if best is not None else None

    async def compact(
        self,
        partition: Partition,
        outcome: CompactionOutcome,
        on_segment: Callable[[], object] = lambda: None,
        *,
        only_if_due: bool = False,
    ) -> bool:
        """One pass over a partition; whether something is left to clean. Raises one of EXPECTED."""
        config = partition.topic.log_config
        async with self._one_at_a_time:
            if not config.compacted:
                return False  # not any more
            if self._tiering.is_uploading(partition):
                raise CompactionFailed("a segment of the partition is being moved to the object store; try again later")
            now_ms = self._now_ms()
            before = replace(outcome)
            partition.compacting = True
            try:
                await self._tiering.settle(partition)
                return await compact(
                    partition.log,
                    self._cleaner,
                    config,
                    now_ms,
                    outcome,
                    cold_end=highest_cold_end(partition),
                    is_wanted=lambda plan: not only_if_due or is_due(plan, config, now_ms),
                    on_segment=on_segment,
                )
            except EXPECTED:
                self._metrics.compaction_failures += 1
                raise
            finally:
                partition.compacting = False
                self._count(before, outcome)

    def _count(self, before: CompactionOutcome, after: CompactionOutcome) -> None:
        metrics = self._metrics
        metrics.compaction_passes += after.passes - before.passes
        metrics.compacted_bytes += after.bytes_before - before.bytes_before
        metrics.compaction_bytes_removed += (after.bytes_before - after.bytes_after) - (
            before.bytes_before - before.bytes_after
        )
        metrics.compaction_records_removed += (after.records_before - after.records_after) - (
            before.records_before - before.records_after
        )

    async def estimate(self, partition: Partition, config: LogConfig | None = None) -> CompactionEstimate:
        """What compacting a partition now would take away, by its configuration or another. Nothing is changed.

        Raises one of EXPECTED.
        """
        return await estimate(
            partition.log,
            self._estimator,
            config or partition.topic.log_config,
            self._now_ms(),
            cold_end=highest_cold_end(partition),
        )


class OneRequestAtATime:
    """A cleaner that is asked again only once it has answered, though nobody may wait: a worker does not stop so."""

    def __init__(self, cleaner: SegmentCleaner) -> None:
        self._cleaner = cleaner
        self._is_free = asyncio.Lock()

    async def clean(self, request: Clean) -> Cleaned:
        """Raises CompactionFailed, ColdWorkerUnavailable."""
        await self._is_free.acquire()
        answer = asyncio.ensure_future(self._cleaner.clean(request))
        answer.add_done_callback(self._answered)
        return await asyncio.shield(answer)

    def _answered(self, answer: asyncio.Future[Cleaned]) -> None:
        self._is_free.release()
        if not answer.cancelled():
            answer.exception()  # heard, even if nobody waits for it


async def planned(partition: Partition, now_ms: int) -> CompactionPlan:
    """What a pass would cover. On a thread where that takes reading files, as it does once after a start."""
    cold_end = highest_cold_end(partition)
    if partition.log.is_described:
        return partition.log.plan_compaction(now_ms, cold_end)
    return await asyncio.to_thread(partition.log.plan_compaction, now_ms, cold_end)


def failed(partition: Partition, error: Exception) -> None:
    """Say so; with a traceback where it is a mistake of ours."""
    level = logging.INFO if isinstance(error, ColdWorkerUnavailable) else logging.WARNING
    mistake = None if isinstance(error, EXPECTED) else error
    fields = about(partition) | {"why": str(error)}
    log.log(level, "compaction failed, it will be tried again", extra=fields, exc_info=mistake)


def highest_cold_end(partition: Partition) -> int:
    """Where the last committed cold segment ends; 0 without one."""
    return max((segment.end for segment in partition.cold), default=0)
