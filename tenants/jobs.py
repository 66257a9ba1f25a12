"""Jobs for brokers: rows that any process may add, one owner at a time works on, and everybody can watch.

Always true: a running job has an owner and a lease by database time; only that owner moves it (compare and set on owner
and attempt), so a worker that was slow to die spoils nothing; a job whose owner vanished is taken up again, and has to
go on from its progress. States move as NEXT says and never back from an end.

Kinds now: `offload`, payload `{"topic_id", "drop_local"}`: seal, offload, and with `drop_local` evict, a topic.
`compact`, payload `{"topic_id"}`: seal and compact a topic.
`preview`, payload `{"topic_id", "configs"}`: tell what a topic would lose with these effective configs, as text. It
changes nothing: it has no audit row, is not listed, and is soon forgotten.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, CursorResult, Select, and_, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from .actor import Actor
from .audit import Subject, record
from .database import Database, session_now_ms
from .errors import InvalidArgument, LeaseLost, NotFound
from .models import Job, JobState, Namespace
from .versions import Counter, bump

OFFLOAD = "offload"
COMPACT = "compact"
PREVIEW = "preview"
KINDS = frozenset({OFFLOAD, COMPACT, PREVIEW})
QUIET = frozenset({PREVIEW})  # kinds that change nothing
KEPT_MS = 30 * 86_400_000  # how long an ended job can be looked at
QUIET_KEPT_MS = 3_600_000  # and one that changes nothing, whether it ended or nobody ever took it up
ATTEMPTS_MAX = 20  # of a job that takes its owner down with it each time
NEXT: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.FAILED}),  # failed: given up after too many attempts
    JobState.RUNNING: frozenset({JobState.QUEUED, JobState.DONE, JobState.FAILED}),
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset(),
}
ENDED = frozenset(state for state, then in NEXT.items() if not then)


@dataclass(frozen=True, slots=True)
class JobEntry:
    """A job as of one read. `attempts` counts its leases; the present owner's lease is the last of them."""

    id: UUID
    namespace_id: UUID | None
    kind: str
    payload: Mapping[str, Any]
    state: JobState
    progress: Mapping[str, Any]
    error: str | None
    attempts: int
    lease_owner: str | None
    lease_expires_at_ms: int | None
    created_by: str
    created_at_ms: int
    updated_at_ms: int
    finished_at_ms: int | None

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @classmethod
    def of(cls, row: Job) -> "JobEntry":
        return cls(
            row.id,
            row.namespace_id,
            row.kind,
            dict(row.payload),
            JobState(row.state),
            dict(row.progress),
            row.error,
            row.attempts,
            row.lease_owner,
            row.lease_expires_at_ms,
            row.created_by,
            row.created_at_ms,
            row.updated_at_ms,
            row.finished_at_ms,
        )


async def enqueue(
    session: AsyncSession,
    actor: Actor,
    kind: str,
    payload: Mapping[str, Any],
    *,
    namespace_id: UUID | None = None,
) -> JobEntry:
    """Adds a job; brokers notice the jobs counter. Raises InvalidArgument for an unknown kind."""
    if kind not in KINDS:
        raise InvalidArgument(f"no job kind {kind[:40]!r}: there is {', '.join(sorted(KINDS))}")
    await bump(session, Counter.JOBS)
    now_ms = await session_now_ms(session)
    job = Job(
        id=uuid4(),
        namespace_id=namespace_id,
        kind=kind,
        payload=dict(payload),
        state=JobState.QUEUED,
        progress={},
        attempts=0,
        created_by=actor.name,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )
    session.add(job)
    await session.flush()
    if kind not in QUIET:
        await record(session, actor, f"job.{kind}", await _subject(session, job), after=dict(payload))
    return JobEntry.of(job)


async def lease(db: Database, kinds: Collection[str], owner: str, lease_ms: int, limit: int = 1) -> list[JobEntry]:
    """Takes up to `limit` jobs, oldest first: queued ones, and running ones whose lease ran out.

    A job that was leased ATTEMPTS_MAX times without an end fails instead.
    """
    async with db.read() as session:  # most looks find nothing and should cost no write
        if await session.scalar(_due(kinds, await session_now_ms(session)).with_only_columns(Job.id).limit(1)) is None:
            return []
    async with db.write() as session:
        now_ms = await session_now_ms(session)
        due = _due(kinds, now_ms).order_by(Job.created_at_ms, Job.id).limit(limit)
        leased: list[JobEntry] = []
        for job in (await session.scalars(due.with_for_update(skip_locked=True))).all():
            job.updated_at_ms = now_ms
            if job.attempts >= ATTEMPTS_MAX:
                _move(job, JobState.FAILED, now_ms)
                job.error = f"given up after {job.attempts} attempts; last error: {job.error or 'its broker vanished'}"
                continue
            if job.state != JobState.RUNNING:
                _move(job, JobState.RUNNING, now_ms)
            job.attempts += 1
            job.lease_owner, job.lease_expires_at_ms = owner, now_ms + lease_ms
            leased.append(JobEntry.of(job))
        return leased


async def progress(db: Database, job: JobEntry, amounts: Mapping[str, Any], lease_ms: int) -> JobEntry:
    """Stores how far the job is and renews its lease. Raises LeaseLost."""
    async with db.write() as session:
        row, now_ms = await _owned(session, job)
        row.progress, row.updated_at_ms = dict(amounts), now_ms
        row.lease_expires_at_ms = now_ms + lease_ms
        return JobEntry.of(row)


async def finish(db: Database, job: JobEntry, amounts: Mapping[str, Any] | None = None) -> JobEntry:
    """Done. Raises LeaseLost."""
    return await _end(db, job, JobState.DONE, None, amounts)


async def fail(db: Database, job: JobEntry, error: str) -> JobEntry:
    """Ended by an error that a retry would not mend; the message is for whoever asked for the job. Raises LeaseLost."""
    return await _end(db, job, JobState.FAILED, error, None)


async def release(db: Database, job: JobEntry, error: str | None = None) -> JobEntry:
    """Back to the queue, to be taken up again from its progress: at a shutdown, or after an error that may pass.

    Raises LeaseLost.
    """
    return await _end(db, job, JobState.QUEUED, error, None)


async def get_job(session: AsyncSession, job_id: UUID) -> JobEntry:
    """Raises NotFound."""
    row = await session.get(Job, job_id)
    if row is None:
        raise NotFound(f"no job {job_id}")
    return JobEntry.of(row)


async def list_jobs(session: AsyncSession, namespace_id: UUID, limit: int = 100) -> list[JobEntry]:
    """Of one namespace, the newest first; without those that change nothing."""
    mine = select(Job).where(Job.namespace_id == namespace_id, Job.kind.not_in(QUIET))
    query = mine.order_by(Job.created_at_ms.desc(), Job.id).limit(limit)
    return [JobEntry.of(row) for row in await session.scalars(query)]


async def withdraw(session: AsyncSession, job_id: UUID) -> None:
    """Forgets a job that changes nothing, since nobody waits for it any more; any other job stays."""
    await session.execute(delete(Job).where(Job.id == job_id, Job.kind.in_(QUIET)))


async def prune_jobs(db: Database) -> int:
    """Forgets jobs that ended long ago, and those that change nothing after an hour; how many."""
    async with db.read() as session:  # mostly there is nothing, and that should cost no write
        if await session.scalar(select(Job.id).where(_outlived(await session_now_ms(session))).limit(1)) is None:
            return 0
    async with db.write() as session:
        result = await session.execute(delete(Job).where(_outlived(await session_now_ms(session))))
        assert isinstance(result, CursorResult)
        return result.rowcount


def _outlived(now_ms: int) -> ColumnElement[bool]:
    ended = and_(Job.state.in_(ENDED), Job.finished_at_ms < now_ms - KEPT_MS)
    return or_(ended, and_(Job.kind.in_(QUIET), Job.created_at_ms < now_ms - QUIET_KEPT_MS))


def _due(kinds: Collection[str], now_ms: int) -> "Select[Job]":
    vanished = and_(Job.state == JobState.RUNNING, Job.lease_expires_at_ms <= now_ms)
    return select(Job).where(Job.kind.in_(kinds), or_(Job.state == JobState.QUEUED, vanished))


def _move(job: Job, to: JobState, now_ms: int) -> None:
    assert to in NEXT[JobState(job.state)], f"{job.state} -> {to}"
    job.state, job.updated_at_ms = to, now_ms
    if to is not JobState.RUNNING:
        job.lease_owner = job.lease_expires_at_ms = None
    if to in ENDED:
        job.finished_at_ms = now_ms


async def _owned(session: AsyncSession, job: JobEntry) -> tuple[Job, int]:
    row = await session.scalar(select(Job).where(Job.id == job.id).with_for_update())
    owned = row is not None and row.state == JobState.RUNNING
    if row is None or not owned or (row.lease_owner, row.attempts) != (job.lease_owner, job.attempts):
        raise LeaseLost(f"job {job.id} is no longer this worker's: leave it")
    return row, await session_now_ms(session)


async def _end(
    db: Database, job: JobEntry, to: JobState, error: str | None, amounts: Mapping[str, Any] | None
) -> JobEntry:
    async with db.write() as session:
        await bump(session, Counter.JOBS)
        row, now_ms = await _owned(session, job)
        _move(row, to, now_ms)
        row.error = error
        if amounts is not None:
            row.progress = dict(amounts)
        return JobEntry.of(row)


async def _subject(session: AsyncSession, job: Job) -> Subject:
    tenant_id = None
    if job.namespace_id is not None:
        tenant_id = await session.scalar(select(Namespace.tenant_id).where(Namespace.id == job.namespace_id))
    return Subject(kind="job", id=str(job.id), name=job.kind, tenant_id=tenant_id, namespace_id=job.namespace_id)
