"""The SQL manifest at the common exam, and fencing between two processes, on both databases."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from coldstream.platform.cluster.manifests import SqlManifest, _lock_led
from coldstream.platform.cluster.membership import BrokerRegistration, register_broker
from coldstream.platform.cluster.partitions import ensure_partitions, take_leadership
from coldstream.platform.cluster.tables import ColdSegmentRow, Partition
from coldstream.storage.manifest import ColdSegment, Fenced, RangeTaken, SegmentState
from coldstream.tenants.actor import Actor
from coldstream.tenants.database import Database
from coldstream.tenants.tenancy import create_namespace, create_tenant
from coldstream.tenants.topics import add_partitions, create_topic
from coldstream.tests.storage.manifest_contract import ManifestContract, ManifestHarness, filled
from sqlalchemy import func, select, update

ACTOR = Actor.local("tester")
TTL_MS = 60_000
BLOCKED_S = 0.15  # long enough that something that does not wait would be done


@dataclass
class SqlHarness:
    db: Database
    clock: list[int]
    manifest: SqlManifest
    broker: BrokerRegistration
    namespace_id: UUID

    async def add_partition(self, *, leader_epoch: int, topic_id: UUID | None = None) -> tuple[UUID, int]:
        async with self.db.write() as session:
            if topic_id is None:
                topic = await create_topic(session, ACTOR, self.namespace_id, f"t-{uuid4().hex}", 1, {})
            else:
                name = next(iter([t for t in await self._topics(session) if t.id == topic_id])).name
                count = await session.scalar(select(func.count()).where(Partition.topic_id == topic_id))
                topic = await add_partitions(session, ACTOR, self.namespace_id, name, (count or 0) + 1)
        await ensure_partitions(self.db, self.broker, [(topic.id, topic.partitions)])
        await self.new_leader(topic.id, topic.partitions - 1, leader_epoch)
        return topic.id, topic.partitions - 1

    async def _topics(self, session: Any) -> Any:
        from coldstream.tenants.scope import namespace_scope_by_id

        return await (await namespace_scope_by_id(session, self.namespace_id)).topics()

    async def new_leader(self, topic_id: UUID, partition: int, leader_epoch: int) -> None:
        async with self.db.write() as session:
            await session.execute(
                update(Partition)
                .where(Partition.topic_id == topic_id, Partition.partition == partition)
                .values(leader_epoch=leader_epoch)
            )

    async def pass_time(self, ms: int) -> None:
        self.clock[0] += ms

    async def rows(self) -> int:
        async with self.db.read() as session:
            return await session.scalar(select(func.count()).select_from(ColdSegmentRow)) or 0


@asynccontextmanager
async def sql_harness(url: str) -> AsyncIterator[SqlHarness]:
    clock = [1_700_000_000_000]
    db = Database.open(url, clock=lambda: clock[0])
    try:
        async with db.write() as session:
            await create_tenant(session, ACTOR, "acme")
            namespace = await create_namespace(session, ACTOR, "acme", "shop")
        broker = await register_broker(db, uuid4())
        yield SqlHarness(db, clock, SqlManifest(db, broker.cluster_id), broker, namespace.id)
    finally:
        await db.dispose()


class TestSqlManifest(ManifestContract):
    @pytest.fixture(autouse=True)
    def give_database(self, url: str) -> None:
        self.url = url

    def harness(self) -> AbstractAsyncContextManager[ManifestHarness]:
        return sql_harness(self.url)


def sit(url: str, scenario: Callable[[SqlHarness, Database], Awaitable[None]]) -> None:
    """Runs the scenario with a second process's access to the same database."""

    async def run() -> None:
        async with sql_harness(url) as harness:
            other = Database.open(url, clock=lambda: harness.clock[0])
            try:
                await scenario(harness, other)
            finally:
                await other.dispose()

    asyncio.run(run())


async def blocked(task: "asyncio.Task[Any]") -> bool:
    await asyncio.wait({task}, timeout=BLOCKED_S)
    return not task.done()


Change = Callable[[SqlManifest, ColdSegment, ColdSegment], Awaitable[Any]]
CHANGES: dict[str, Change] = {
    "prepare": lambda m, new, old: m.prepare(new.topic_id, new.partition, 1, 20, 30, TTL_MS),
    "commit": lambda m, new, old: m.commit(filled(new)),
    "mark": lambda m, new, old: m.mark([old], leader_epoch=1),
    "advance_log_start": lambda m, new, old: m.advance_log_start(new.topic_id, new.partition, 1, 5),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_waits_for_a_takeover_under_way_and_is_then_fenced(url: str, change: str) -> None:
    """Breaks without the row lock on PostgreSQL: the change would read the old epoch and go through."""

    async def scenario(h: SqlHarness, successor: Database) -> None:
        topic, partition = await h.add_partition(leader_epoch=1)
        old = filled(await h.manifest.prepare(topic, partition, 1, 0, 10, TTL_MS))
        await h.manifest.commit(old)
        new = await h.manifest.prepare(topic, partition, 1, 10, 20, TTL_MS)
        rows = await h.rows()
        async with successor.write() as session:
            await session.execute(update(Partition).values(leader_epoch=2))
            changing = asyncio.create_task(CHANGES[change](h.manifest, new, old))
            assert await blocked(changing)
        with pytest.raises(Fenced):
            await changing
        assert await h.rows() == rows
        assert await h.manifest.state_of(old.object_id) is SegmentState.COMMITTED
        assert await h.manifest.state_of(new.object_id) is SegmentState.PREPARED
        assert await h.manifest.advance_log_start(topic, partition, 2, 0) == 0

    sit(url, scenario)


def test_a_takeover_waits_for_a_change_under_way(url: str) -> None:
    async def scenario(h: SqlHarness, successor: Database) -> None:
        topic, partition = await h.add_partition(leader_epoch=1)
        async with h.db.write() as session:
            await _lock_led(session, topic, partition, 1)
            taking = asyncio.create_task(take_leadership(successor, h.broker))
            assert await blocked(taking)
        ((_, row),) = (await taking).items()
        assert row.leader_epoch == 2

    sit(url, scenario)


def test_two_commits_of_one_range_cannot_both_win(url: str) -> None:
    async def scenario(h: SqlHarness, other: Database) -> None:
        topic, partition = await h.add_partition(leader_epoch=1)
        theirs = SqlManifest(other, h.broker.cluster_id)  # nothing but the partition's lock orders the two
        mine = [filled(await h.manifest.prepare(topic, partition, 1, i, 10 + i, TTL_MS)) for i in range(4)]
        commits = [(h.manifest if i % 2 else theirs).commit(segment) for i, segment in enumerate(mine)]
        outcomes = await asyncio.gather(*commits, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes if outcome is not None] == [RangeTaken] * 3
        assert len(await h.manifest.committed(topic, partition)) == 1

    sit(url, scenario)


def test_the_leaders_committed_segments_come_in_one_answer(url: str) -> None:
    async def scenario(h: SqlHarness, other: Database) -> None:
        topic, _ = await h.add_partition(leader_epoch=1)
        _, second = await h.add_partition(leader_epoch=1, topic_id=topic)
        for partition, base in ((0, 10), (0, 0), (second, 0)):
            await h.manifest.commit(filled(await h.manifest.prepare(topic, partition, 1, base, base + 10, TTL_MS)))
        await h.manifest.prepare(topic, 0, 1, 20, 30, TTL_MS)
        found = await h.manifest.committed_of_leader(h.broker.broker_id)
        assert {key: [s.base for s in segments] for key, segments in found.items()} == {
            (topic, 0): [0, 10],
            (topic, second): [0],
        }
        assert await h.manifest.committed_of_leader(99) == {}
        rows = await take_leadership(h.db, h.broker)
        assert {row.cold_end for row in rows.values()} == {10, 20}

    sit(url, scenario)
