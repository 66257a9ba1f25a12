"""Jobs: one owner at a time, taken up again when it vanished, watched by anybody."""

import asyncio

import pytest
from coldstream.tenants import audit
from coldstream.tenants.actor import Actor
from coldstream.tenants.catalogue import versions
from coldstream.tenants.database import Database
from coldstream.tenants.errors import InvalidArgument, LeaseLost, NotFound
from coldstream.tenants.jobs import (
    ATTEMPTS_MAX,
    ENDED,
    KEPT_MS,
    NEXT,
    OFFLOAD,
    PREVIEW,
    QUIET_KEPT_MS,
    JobEntry,
    enqueue,
    fail,
    finish,
    get_job,
    lease,
    list_jobs,
    progress,
    prune_jobs,
    release,
    withdraw,
)
from coldstream.tenants.models import JobState
from coldstream.tenants.scope import namespace_scope

from .world import ACTOR, World, in_world

LEASE_MS = 10_000


async def add(world: World, **payload: object) -> JobEntry:
    world.pass_time(1)
    async with world.db.write() as session:
        return await enqueue(session, ACTOR, OFFLOAD, payload, namespace_id=world.namespace_id)


async def take(world: World, owner: str = "broker-1") -> JobEntry:
    ((job),) = await lease(world.db, [OFFLOAD], owner, LEASE_MS)
    return job


async def shown(world: World, job: JobEntry) -> JobEntry:
    async with world.db.read() as session:
        return await get_job(session, job.id)


def test_a_job_runs_from_queue_to_done_and_watchers_are_told(url: str) -> None:
    async def scenario(world: World) -> None:
        before = await versions(world.db)
        added = await add(world, topic_id="x", drop_local=True)
        assert (await versions(world.db)).jobs == before.jobs + 1
        assert (added.state, added.created_by) == (JobState.QUEUED, "tester")
        job = await take(world)
        assert (job.id, job.state, job.payload, job.attempts) == (
            added.id,
            JobState.RUNNING,
            {"topic_id": "x", "drop_local": True},
            1,
        )
        await progress(world.db, job, {"segments": 3}, LEASE_MS)
        assert (await shown(world, job)).progress == {"segments": 3}
        await finish(world.db, job, {"segments": 5})
        ended = await shown(world, job)
        assert ended.ended and ended.state is JobState.DONE and ended.progress == {"segments": 5}
        assert ended.finished_at_ms == world.now_ms and ended.lease_owner is None
        assert (await versions(world.db)).jobs == before.jobs + 2
        assert await lease(world.db, [OFFLOAD], "broker-1", LEASE_MS) == []

    in_world(url, scenario)


def test_the_oldest_goes_first_and_no_job_to_two_owners(url: str) -> None:
    async def scenario(world: World) -> None:
        jobs = [await add(world, number=number) for number in range(6)]
        assert (await take(world)).id == jobs[0].id
        other = Database.open(url, clock=lambda: world.now_ms)
        try:
            leased = await asyncio.gather(
                *(lease(db, [OFFLOAD], f"broker-{i}", LEASE_MS, 2) for i, db in enumerate((world.db, other) * 3))
            )
        finally:
            await other.dispose()
        ids = [job.id for batch in leased for job in batch]
        assert len(ids) == len(set(ids)) and set(ids) <= {job.id for job in jobs[1:]}
        rest = await lease(world.db, [OFFLOAD], "broker-9", LEASE_MS, 10)
        assert len(ids) + len(rest) == 5

    in_world(url, scenario)


def test_a_job_of_a_vanished_owner_goes_on_with_another_and_the_first_one_is_shut_out(url: str) -> None:
    async def scenario(world: World) -> None:
        await add(world)
        first = await take(world)
        first = await progress(world.db, first, {"segments": 2}, LEASE_MS)
        world.pass_time(LEASE_MS - 1)
        assert await lease(world.db, [OFFLOAD], "broker-2", LEASE_MS) == []
        world.pass_time(1)
        second = await take(world, "broker-2")
        assert (second.id, second.attempts, second.progress) == (first.id, 2, {"segments": 2})
        for late in (
            progress(world.db, first, {}, LEASE_MS),
            finish(world.db, first),
            fail(world.db, first, "no"),
            release(world.db, first),
        ):
            with pytest.raises(LeaseLost):
                await late
        await finish(world.db, second)
        with pytest.raises(LeaseLost):
            await finish(world.db, second)

    in_world(url, scenario)


def test_the_same_broker_in_a_new_life_is_another_owner(url: str) -> None:
    async def scenario(world: World) -> None:
        await add(world)
        first = await take(world)
        world.pass_time(LEASE_MS)
        second = await take(world)
        with pytest.raises(LeaseLost):
            await finish(world.db, first)
        await finish(world.db, second)

    in_world(url, scenario)


def test_progress_renews_the_lease(url: str) -> None:
    async def scenario(world: World) -> None:
        await add(world)
        job = await take(world)
        for _ in range(3):
            world.pass_time(LEASE_MS - 1)
            job = await progress(world.db, job, {}, LEASE_MS)
            assert await lease(world.db, [OFFLOAD], "broker-2", LEASE_MS) == []

    in_world(url, scenario)


def test_a_released_job_waits_for_the_next_and_a_failed_one_says_why(url: str) -> None:
    async def scenario(world: World) -> None:
        await add(world)
        await release(world.db, await take(world), "the object store does not answer")
        again = await take(world, "broker-2")
        assert again.attempts == 2
        await fail(world.db, again, "no such topic any more")
        ended = await shown(world, again)
        assert (ended.state, ended.error) == (JobState.FAILED, "no such topic any more")

    in_world(url, scenario)


def test_a_job_that_kills_its_owners_is_given_up(url: str) -> None:
    async def scenario(world: World) -> None:
        added = await add(world)
        for _ in range(ATTEMPTS_MAX):
            await take(world)
            world.pass_time(LEASE_MS)
        assert await lease(world.db, [OFFLOAD], "broker-1", LEASE_MS) == []
        ended = await shown(world, added)
        assert ended.state is JobState.FAILED and ended.error is not None
        assert "given up after 20 attempts" in ended.error

    in_world(url, scenario)


def test_jobs_are_seen_within_their_namespace_only(url: str) -> None:
    async def scenario(world: World) -> None:
        from coldstream.tenants.tenancy import create_namespace

        job = await add(world)
        async with world.db.write() as session:
            await create_namespace(session, ACTOR, "acme", "other")
            scope, other = (
                await namespace_scope(session, "acme", "shop"),
                await namespace_scope(session, "acme", "other"),
            )
            assert (await scope.job(job.id)).id == job.id
            with pytest.raises(NotFound):
                await other.job(job.id)
            assert [each.id for each in await list_jobs(session, scope.id)] == [job.id]
            assert await list_jobs(session, other.id) == []
            with pytest.raises(NotFound):
                await get_job(session, world.tenant_id)
            with pytest.raises(InvalidArgument, match="offload"):
                await enqueue(session, Actor.system(), "mine-bitcoin", {})

    in_world(url, scenario)


def test_a_preview_changes_nothing_and_is_noted_nowhere(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            job = await enqueue(session, ACTOR, PREVIEW, {"topic_id": "x"}, namespace_id=world.namespace_id)
        async with world.db.read() as session:
            assert [entry.action for entry in await audit.entries(session, object_kind="job")] == []
            assert await list_jobs(session, world.namespace_id) == []
            assert (await get_job(session, job.id)).kind == PREVIEW

    in_world(url, scenario)


def test_a_preview_that_nobody_waits_for_is_withdrawn_and_other_jobs_are_not(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            quiet = await enqueue(session, ACTOR, PREVIEW, {}, namespace_id=world.namespace_id)
            other = await enqueue(session, ACTOR, OFFLOAD, {}, namespace_id=world.namespace_id)
        (leased,) = await lease(world.db, [PREVIEW], "broker-1", LEASE_MS)
        async with world.db.write() as session:
            await withdraw(session, quiet.id)
            await withdraw(session, other.id)
        with pytest.raises(NotFound):
            await shown(world, quiet)
        assert (await shown(world, other)).state is JobState.QUEUED
        with pytest.raises(LeaseLost):
            await finish(world.db, leased, {"late": 1})

    in_world(url, scenario)


def test_jobs_are_forgotten_some_time_after_they_ended(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            for kind in (PREVIEW, OFFLOAD):
                await enqueue(session, ACTOR, kind, {}, namespace_id=world.namespace_id)
        world.pass_time(1)
        async with world.db.write() as session:
            unheard = await enqueue(session, ACTOR, PREVIEW, {"nobody": "took it"}, namespace_id=world.namespace_id)
            waiting = await enqueue(session, ACTOR, OFFLOAD, {"still": "queued"}, namespace_id=world.namespace_id)
        (preview,) = await lease(world.db, [PREVIEW], "broker-1", LEASE_MS)
        (offload,) = await lease(world.db, [OFFLOAD], "broker-1", LEASE_MS)
        await finish(world.db, preview)
        await fail(world.db, offload, "no")
        world.pass_time(QUIET_KEPT_MS - 1)
        assert await prune_jobs(world.db) == 0
        world.pass_time(2)
        assert await prune_jobs(world.db) == 2
        for gone in (preview, unheard):
            with pytest.raises(NotFound):
                await shown(world, gone)
        world.pass_time(KEPT_MS)
        assert await prune_jobs(world.db) == 1
        with pytest.raises(NotFound):
            await shown(world, offload)
        assert (await shown(world, waiting)).state is JobState.QUEUED
        assert await prune_jobs(world.db) == 0

    in_world(url, scenario)


def test_the_states_are_a_table_with_ends() -> None:
    assert set(NEXT) == set(JobState)
    assert {JobState.DONE, JobState.FAILED} == ENDED
