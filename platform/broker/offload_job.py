"""The job `offload`: seal, upload and, if asked, evict one topic now. What `coldstream offload` waits for.

Always true: it may be repeated from the start by whoever takes it up next, since each step finds what was done already.
"""

import asyncio
from typing import TYPE_CHECKING

from .job_run import SEALED_WAIT_S, JobFailed, JobRun
from .namespace import Partition

if TYPE_CHECKING:
    from .services import Services

TRIES_MAX = 5
RETRY_S = 1.0


class OffloadJob:
    """One per broker."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    async def __call__(self, run: JobRun) -> None:
        topic = run.topic()
        if not topic.configs["remote.storage.enable"]:
            raise JobFailed("remote.storage.enable is false for this topic: its segments stay on the broker's disk")
        run.amounts = {
            "partitions": len(topic.partitions),
            "partitions_done": 0,
            "segments_offloaded": 0,
            "bytes_offloaded": 0,
        }
        await run.seal(topic)
        for partition in topic.partitions:
            await self._offload_partition(run, partition)
            if run.job.payload.get("drop_local"):
                await self._services.tiering.evict(partition, everything=True)
            run.amounts["partitions_done"] += 1

    async def _offload_partition(self, run: JobRun, partition: Partition) -> None:
        failures = 0
        while True:
            outcome = await self._services.tiering.offload(partition, at_once=True)
            run.check_lives(partition.topic)
            run.amounts["segments_offloaded"] += len(outcome.uploaded)
            run.amounts["bytes_offloaded"] += sum(segment.size_bytes for segment in outcome.uploaded)
            if outcome.corrupt:
                raise JobFailed(f"partition {partition.index}: {outcome.corrupt[0]}")
            if outcome.error is not None:
                failures += 1
                if failures >= TRIES_MAX:
                    raise JobFailed(f"partition {partition.index}: {type(outcome.error).__name__}: {outcome.error}")
                await asyncio.sleep(RETRY_S * failures)
            elif not outcome.skipped:
                return
            else:
                await asyncio.sleep(SEALED_WAIT_S)  # a background pass has it: see what that leaves
