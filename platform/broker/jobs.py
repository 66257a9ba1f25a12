"""The jobs that this broker works on: one table of kinds, and how any of them is leased, watched over and ended.

Always true: a job is a leased row; the lease is renewed for as long as its work goes on here, and work whose lease was
lost is cancelled; one job of each kind is worked on at a time, so that a short one never waits for a long one of
another kind. A kind's work may be repeated from the start by whoever takes the job up next.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from ...tenants import jobs
from ...tenants.errors import LeaseLost
from .compact_job import CompactJob
from .job_run import JobFailed, JobKind, JobRun
from .offload_job import OffloadJob
from .preview_job import PreviewJob
from .tiering import EXPECTED

if TYPE_CHECKING:
    from .services import Services

log = logging.getLogger("coldstream.jobs")

LOOK_EVERY_S = 5.0  # besides being told: a job whose owner vanished is taken up again
LEASE_MS = 60_000
REPORT_EVERY_S = 1.0  # of what changed
RENEW_EVERY_S = 20.0  # of the lease, whatever changed
RETRY_S = 1.0
RELEASE_S_MAX = 1.0
PRUNE_EVERY_S = 600.0


def job_kinds(services: "Services") -> Mapping[str, JobKind]:
    """What this broker can do, by the name of its kind."""
    return {
        jobs.OFFLOAD: OffloadJob(services),
        jobs.COMPACT: CompactJob(services),
        jobs.PREVIEW: PreviewJob(services),
    }


class BrokerJobs:
    """One per broker."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._kinds = job_kinds(services)
        self._wanted = {kind: asyncio.Event() for kind in self._kinds}

    def changed(self) -> None:
        """There may be a job: look now."""
        for wanted in self._wanted.values():
            wanted.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as lanes:
            for kind in self._kinds:
                lanes.create_task(self._run_kind(kind), name=f"{kind} jobs")
            lanes.create_task(self._prune(), name="job pruning")

    async def _prune(self) -> None:
        while True:
            try:
                await jobs.prune_jobs(self._services.database)
            except Exception as error:
                log.warning("old jobs cannot be forgotten", extra={"error": repr(error)})
            await asyncio.sleep(PRUNE_EVERY_S)

    async def _run_kind(self, kind: str) -> None:
        owner, wanted = f"broker-{self._services.broker_id}", self._wanted[kind]
        while True:
            try:
                for job in await jobs.lease(self._services.database, [kind], owner, LEASE_MS):
                    wanted.set()  # there may be another one behind it
                    await self._work(job)
            except Exception as error:
                log.warning("jobs cannot be looked at", extra={"kind": kind, "error": repr(error)})
                await asyncio.sleep(RETRY_S)
            try:
                await asyncio.wait_for(wanted.wait(), LOOK_EVERY_S)
            except TimeoutError:
                continue
            finally:
                wanted.clear()

    async def _work(self, job: jobs.JobEntry) -> None:
        database = self._services.database
        try:
            amounts = await self._worked(JobRun(self._services, job))
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

    async def _worked(self, run: JobRun) -> dict[str, Any]:
        """The job's amounts once its work is done. Raises LeaseLost, and whatever the work raises."""
        work = asyncio.create_task(self._done(run), name=f"{run.job.kind} job {run.job.id}")
        try:
            told: dict[str, Any] = {}
            told_s = self._services.loop.time()
            while not (await asyncio.wait({work}, timeout=REPORT_EVERY_S))[0]:
                now_s = self._services.loop.time()
                if run.amounts != told or now_s - told_s >= RENEW_EVERY_S:
                    told, told_s = dict(run.amounts), now_s
                    await self._tell(run, told)
            return await work
        finally:
            if not work.done():
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)

    async def _done(self, run: JobRun) -> dict[str, Any]:
        await self._kinds[run.job.kind](run)
        return run.amounts

    async def _tell(self, run: JobRun, amounts: Mapping[str, Any]) -> None:
        try:
            await jobs.progress(self._services.database, run.job, amounts, LEASE_MS)
        except (SQLAlchemyError, OSError) as error:  # the lease is longer than most troubles of a database
            log.warning("progress cannot be stored", extra={"job": str(run.job.id), "error": str(error)})
