"""Offload jobs: seal, upload and, if asked, evict one topic now. What `coldstream offload` waits for.

Always true: a job is a leased row; its work may be repeated from the start by whoever takes it up next, since each step
finds what was done already.
"""

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING
from uuid import UUID

from ...tenants import jobs
from ...tenants.errors import LeaseLost
from .namespace import Partition, Topic
from .tiering import EXPECTED, Tiering

if TYPE_CHECKING:
    from .services import Services

log = logging.getLogger("coldstream.offload_jobs")

LOOK_EVERY_S = 5.0  # besides being told: a job whose owner vanished is taken up again
LEASE_MS = 60_000
TRIES_MAX = 5
RETRY_S = 1.0
RELEASE_S_MAX = 1.0
SEALED_WAIT_S = 0.02


class JobFailed(Exception):
    """Trying again would not help; the message is for whoever asked for the job."""


class OffloadJobs:
    """One per broker."""

    def __init__(self, services: "Services", tiering: Tiering) -> None:
        self._services = services
        self._tiering = tiering
        self._wanted = asyncio.Event()

    def changed(self) -> None:
        """There may be a job: look now."""
        self._wanted.set()

    async def run(self) -> None:
        """Until cancelled."""
        owner = f"broker-{self._services.broker_id}"
        while True:
            try:
                for job in await jobs.lease(self._services.database, [jobs.OFFLOAD], owner, LEASE_MS):
                    self._wanted.set()  # there may be another one behind it
                    await self._work(job)
            except Exception as error:
                log.warning("jobs cannot be looked at", extra={"error": repr(error)})
                await asyncio.sleep(RETRY_S)
            try:
                await asyncio.wait_for(self._wanted.wait(), LOOK_EVERY_S)
            except TimeoutError:
                continue
            finally:
                self._wanted.clear()

    async def _work(self, job: jobs.JobEntry) -> None:
        database = self._services.database
        try:
            amounts = await self._offload_topic(job)
            await jobs.finish(database, job, amounts)
        except LeaseLost:
            log.warning("job was taken over", extra={"job": str(job.id)})
        except JobFailed as failed:
            await jobs.fail(database, job, str(failed))
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):  # who cannot give it back in time lets its lease run out
                async with asyncio.timeout(RELEASE_S_MAX):
                    await jobs.release(database, job, "the broker was stopped")
            raise
        except EXPECTED as error:
            await jobs.fail(database, job, f"{type(error).__name__}: {error}")
        except Exception as error:
            log.exception("job failed", extra={"job": str(job.id)})
            await jobs.fail(database, job, f"a mistake of the broker's, its log says more: {type(error).__name__}")

    async def _offload_topic(self, job: jobs.JobEntry) -> dict[str, int]:
        topic = self._services.follower.topic(UUID(str(job.payload["topic_id"])))
        if topic is None:
            raise JobFailed("the topic is not open here: it was deleted, or is offline")
        if not topic.configs["remote.storage.enable"]:
            raise JobFailed("remote.storage.enable is false for this topic: its segments stay on the broker's disk")
        amounts = {
            "partitions": len(topic.partitions),
            "partitions_done": 0,
            "segments_offloaded": 0,
            "bytes_offloaded": 0,
        }
        await self._seal(topic)
        for partition in topic.partitions:
            await self._offload_partition(partition, amounts)
            if job.payload.get("drop_local"):
                await self._tiering.evict(partition, everything=True)
            amounts["partitions_done"] += 1
            await jobs.progress(self._services.database, job, amounts, LEASE_MS)
        return amounts

    async def _seal(self, topic: Topic) -> None:
        """Seal what is written now, and wait until it is durable."""
        now_ms = self._services.now_ms()
        self._check_lives(topic)
        for partition in topic.partitions:
            partition.log.seal(now_ms)
        for partition in topic.partitions:
            end = partition.log.segments[-1].base  # where the active segment begins, everything before it is sealed
            while partition.log.durable < end:
                await asyncio.sleep(SEALED_WAIT_S)
                self._check_lives(topic)

    def _check_lives(self, topic: Topic) -> None:
        """Raises JobFailed: nothing of a deleted topic becomes durable or cold any more."""
        if self._services.follower.topic(topic.id) is not topic:
            raise JobFailed("the topic was deleted")

    async def _offload_partition(self, partition: Partition, amounts: dict[str, int]) -> None:
        failures = 0
        while True:
            outcome = await self._tiering.offload(partition, at_once=True)
            self._check_lives(partition.topic)
            amounts["segments_offloaded"] += len(outcome.uploaded)
            amounts["bytes_offloaded"] += sum(segment.size_bytes for segment in outcome.uploaded)
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
