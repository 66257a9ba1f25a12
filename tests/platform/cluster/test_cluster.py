"""Brokers and their epochs, leadership, producer id blocks, and the end of deleted things."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from coldstream.migrations.upgrade import metadata
from coldstream.platform.cluster.errors import BrokerFenced
from coldstream.platform.cluster.manifests import SqlManifest
from coldstream.platform.cluster.membership import BrokerRegistration, cluster_id, register_broker, renew_lease
from coldstream.platform.cluster.partitions import (
    ensure_partitions,
    epoch_starts,
    record_epoch_starts,
    set_offline,
    take_leadership,
)
from coldstream.platform.cluster.producer_ids import BLOCK_IDS, load_blocks, reserve_block
from coldstream.platform.cluster.purge import purge_finished, purge_namespaces
from coldstream.platform.cluster.tables import BrokerLease, Partition, PartitionState, WalHead
from coldstream.tenants.actor import Actor
from coldstream.tenants.catalogue import TopicEntry, load_changes, versions
from coldstream.tenants.database import Database
from coldstream.tenants.errors import NotFound
from coldstream.tenants.jobs import enqueue
from coldstream.tenants.key_service import create_key
from coldstream.tenants.tenancy import create_namespace, create_tenant, delete_tenant
from coldstream.tenants.topics import add_partitions, create_topic, delete_topic
from coldstream.tests.storage.manifest_contract import filled
from sqlalchemy import select, text

ACTOR = Actor.local("tester")
TTL_MS = 60_000


@dataclass
class Cluster:
    db: Database
    namespace_id: UUID
    broker: BrokerRegistration

    async def topic(self, name: str = "orders", partitions: int = 2) -> TopicEntry:
        async with self.db.write() as session:
            return await create_topic(session, ACTOR, self.namespace_id, name, partitions, {})

    async def delete(self, name: str = "orders") -> None:
        async with self.db.write() as session:
            await delete_topic(session, ACTOR, self.namespace_id, name)


def in_cluster(url: str, scenario: Callable[[Cluster], Awaitable[None]]) -> None:
    async def run() -> None:
        db = Database.open(url)
        try:
            async with db.write() as session:
                await create_tenant(session, ACTOR, "acme")
                namespace = await create_namespace(session, ACTOR, "acme", "shop")
            await scenario(Cluster(db, namespace.id, await register_broker(db, uuid4())))
        finally:
            await db.dispose()

    asyncio.run(run())


def test_a_data_directory_keeps_its_node_id_and_gets_a_new_epoch_each_start(url: str) -> None:
    async def scenario(c: Cluster) -> None:
        again = await register_broker(c.db, c.broker.data_dir_id, "kafka.example:9092")
        other = await register_broker(c.db, uuid4())
        assert (c.broker.broker_id, c.broker.epoch) == (1, 1)
        assert (again.broker_id, again.epoch) == (1, 2)
        assert (other.broker_id, other.epoch) == (2, 1)
        assert again.cluster_id == other.cluster_id == await cluster_id(c.db)
        async with c.db.read() as session:
            head, lease = await session.get_one(WalHead, 1), await session.get_one(BrokerLease, 1)
        assert (head.epoch, head.seq, lease.epoch) == (2, 0, 2)

    in_cluster(url, scenario)


def test_brokers_that_register_at_once_get_different_ids(url: str) -> None:
    async def scenario(c: Cluster) -> None:
        other = Database.open(url)
        try:
            made = await asyncio.gather(*(register_broker(db, uuid4()) for db in (c.db, other) * 3))
        finally:
            await other.dispose()
        assert sorted(each.broker_id for each in made) == [2, 3, 4, 5, 6, 7]

    in_cluster(url, scenario)


def test_a_former_self_can_do_nothing_any_more(url: str) -> None:
    async def scenario(c: Cluster) -> None:
        topic = await c.topic()
        await ensure_partitions(c.db, c.broker, [(topic.id, 2)])
        await renew_lease(c.db, c.broker)
        new = await register_broker(c.db, c.broker.data_dir_id)
        for attempt in (
            renew_lease(c.db, c.broker),
            take_leadership(c.db, c.broker),
            ensure_partitions(c.db, c.broker, [(topic.id, 2)]),
            set_offline(c.db, c.broker, topic.id, 0, "why"),
            record_epoch_starts(c.db, c.broker, [(topic.id, 0, 0, 0)]),
        ):
            with pytest.raises(BrokerFenced):
                await attempt
        await renew_lease(c.db, new)
        assert {row.leader_epoch for row in (await take_leadership(c.db, new)).values()} == {1}

    in_cluster(url, scenario)


def test_partitions_are_made_once_and_more_when_a_topic_grows(url: str) -> None:
    async def scenario(c: Cluster) -> None:
        topic = await c.topic()
        first = await ensure_partitions(c.db, c.broker, [(topic.id, 2)])
        assert sorted(first) == [(topic.id, 0), (topic.id, 1)]
        row = first[topic.id, 1]
        assert (row.topic_id, row.partition, row.leader) == (topic.id, 1, c.broker.broker_id)
        assert (row.leader_epoch, row.log_start, row.cold_end, row.state) == (0, 0, 0, PartitionState.ONLINE)
        assert await ensure_partitions(c.db, c.broker, [(topic.id, 2)]) == first
        async with c.db.write() as session:
            await add_partitions(session, ACTOR, c.namespace_id, "orders", 4)
        grown = await ensure_partitions(c.db, c.broker, [(topic.id, 4)])
        assert len(grown) == 4 and first.items() <= grown.items()
        stranger = await register_broker(c.db, uuid4())
        seen = await ensure_partitions(c.db, stranger, [(topic.id, 4)])
        assert seen == grown  # another broker's partitions are shown as they are, not taken

    in_cluster(url, scenario)


def test_many_topics_cost_a_few_statements(url: str) -> None:
    async def scenario(c: Cluster) -> None:
        async with c.db.write() as session:
            from coldstream.tenants.models import Topic

            topics = [
                Topic(id=uuid4(), namespace_id=c.namespace_id, name=f"t{i}", partitions=2, version=1, created_at_ms=0)
                for i in range(1_200)
            ]
            session.add_all(topics)
        rows = await ensure_partitions(c.db, c.broker, [(topic.id, 2) for topic in topics])
        assert len(rows) == 2_400
        assert len(await take_leadership(c.db, c.broker)) == 2_400

    in_cluster(url, scenario)


def test_a_deleted_topics_partitions_are_neither_made_nor_taken(url: str) -> None:
    async def scenario(c: Cluster) -> None:
        kept, gone = await c.topic("kept", 1), await c.topic("gone", 1)
        await ensure_partitions(c.db, c.broker, [(gone.id, 1)])
        await c.delete("gone")
        assert sorted(await ensure_partitions(c.db, c.broker, [(kept.id, 1), (gone.id, 3), (uuid4(), 1)])) == [
            (kept.id, 0)
        ]
        assert sorted(await take_leadership(c.db, c.broker)) == [(kept.id, 0)]

    in_cluster(url, scenario)


def test_every_start_leads_in_a_new_leader_epoch_from_a_recorded_offset(url: str) -> None:
    async def scenario(c: Cluster) -> None:
        topic = await c.topic(partitions=1)
        await ensure_partitions(c.db, c.broker, [(topic.id, 1)])
        await record_epoch_starts(c.db, c.broker, [(topic.id, 0, 0, 0)])
        broker = c.broker
        for epoch, offset in ((1, 40), (2, 40), (3, 95)):
            broker = await register_broker(c.db, broker.data_dir_id)
            ((row),) = (await take_leadership(c.db, broker)).values()
            assert row.leader_epoch == epoch
            await record_epoch_starts(c.db, broker, [(topic.id, 0, epoch, offset)])
            await record_epoch_starts(c.db, broker, [(topic.id, 0, epoch, offset + 1)])  # once noted, never changed
        assert await epoch_starts(c.db, topic.id, 0) == [(0, 0), (1, 40), (2, 40), (3, 95)]
        assert await epoch_starts(c.db, topic.id, 1) == []
        await record_epoch_starts(c.db, broker, [])

    in_cluster(url, scenario)


def test_an_offline_partition_says_why(url: str) -> None:
    async def scenario(c: Cluster) -> None:
        topic = await c.topic(partitions=1)
        await ensure_partitions(c.db, c.broker, [(topic.id, 1)])
        await set_offline(c.db, c.broker, topic.id, 0, "the log ends at 10, below the cold end 20")
        ((row),) = (await take_leadership(c.db, c.broker)).values()
        assert row.state is PartitionState.OFFLINE and row.offline_reason is not None and "20" in row.offline_reason

    in_cluster(url, scenario)


def test_producer_id_blocks_are_random_apart_and_bound_to_their_namespace(url: str) -> None:
    async def scenario(c: Cluster) -> None:
        async with c.db.write() as session:
            other = await create_namespace(session, ACTOR, "acme", "other")
        blocks = {}
        for namespace_id in (c.namespace_id, other.id) * 10:
            block = await reserve_block(c.db, namespace_id)
            assert len(block) == BLOCK_IDS and block.start % BLOCK_IDS == 0
            assert block.start >= 0 and block.stop <= 2**62
            blocks[block.start // BLOCK_IDS] = namespace_id
        assert len(blocks) == 20
        assert await load_blocks(c.db) == blocks
        assert max(blocks) - min(blocks) > 10**12  # no one can count on neighbours
        with pytest.raises(NotFound):
            await reserve_block(c.db, uuid4())

    in_cluster(url, scenario)


def test_a_taken_block_is_not_given_twice(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(c: Cluster) -> None:
        drawn = iter([7, 7, 7, 8])
        monkeypatch.setattr("secrets.randbelow", lambda _: next(drawn))
        first, second = await reserve_block(c.db, c.namespace_id), await reserve_block(c.db, c.namespace_id)
        assert (first.start, second.start) == (7 * BLOCK_IDS, 8 * BLOCK_IDS)
        monkeypatch.setattr("secrets.randbelow", lambda _: 7)
        with pytest.raises(RuntimeError, match="5 attempts"):
            await reserve_block(c.db, c.namespace_id)

    in_cluster(url, scenario)


def test_a_topics_rows_outlive_its_objects_and_then_go(url: str) -> None:
    async def scenario(c: Cluster) -> None:
        topic = await c.topic(partitions=1)
        await ensure_partitions(c.db, c.broker, [(topic.id, 1)])
        await record_epoch_starts(c.db, c.broker, [(topic.id, 0, 0, 0)])
        manifest = SqlManifest(c.db, c.broker.cluster_id)
        segment = filled(await manifest.prepare(topic.id, 0, 0, 0, 10, TTL_MS))
        await manifest.commit(segment)
        assert not await purge_finished(c.db, topic.id)  # not deleted at all
        await c.delete()
        assert not await purge_finished(c.db, topic.id)
        await manifest.mark_topic(topic.id)
        assert not await purge_finished(c.db, topic.id)
        quiet = await versions(c.db)
        assert not await purge_finished(c.db, topic.id)
        assert await versions(c.db) == quiet  # asking too early wakes nobody
        await manifest.forget([segment.object_id])
        assert await purge_finished(c.db, topic.id)
        assert await purge_finished(c.db, topic.id)
        async with c.db.read() as session:
            for table in ("topics", "partitions", "epoch_starts", "cold_segments"):
                assert await session.scalar(text(f"SELECT count(*) FROM {table}")) == 0

    in_cluster(url, scenario)


def test_a_reader_that_missed_the_deletion_reads_everything_again(url: str) -> None:
    async def scenario(c: Cluster) -> None:
        topic = await c.topic()
        kept = await c.topic("kept")
        slow = (await load_changes(c.db, 0)).version
        await c.delete()
        quick = (await load_changes(c.db, slow)).version
        assert await purge_finished(c.db, topic.id)
        missed = await load_changes(c.db, slow)
        assert missed.complete and {t.id for t in missed.topics} == {kept.id}
        assert not (await load_changes(c.db, quick)).complete
        assert not (await load_changes(c.db, missed.version)).complete

    in_cluster(url, scenario)


def test_after_a_tenant_was_deleted_and_purged_only_audit_and_usage_are_left(url: str) -> None:
    async def scenario(c: Cluster) -> None:
        topic = await c.topic()
        await ensure_partitions(c.db, c.broker, [(topic.id, 2)])
        await reserve_block(c.db, c.namespace_id)
        async with c.db.write() as session:
            await create_key(session, ACTOR, c.namespace_id, "k", "admin")
            await enqueue(session, ACTOR, "offload", {}, namespace_id=c.namespace_id)
        assert await purge_namespaces(c.db) == 0
        async with c.db.write() as session:
            await delete_tenant(session, ACTOR, "acme", cascade=True)
        assert await purge_namespaces(c.db) == 0  # a topic still waits for its purge
        assert await purge_finished(c.db, topic.id)
        assert await purge_namespaces(c.db) == 2
        kept = {"audit", "usage", "versions", "cluster", "brokers", "broker_leases", "wal_head"}
        async with c.db.read() as session:
            for table in metadata().tables.values():
                count = len((await session.execute(select(table))).all())
                assert (count > 0) == (table.name in kept - {"usage"}), table.name

    in_cluster(url, scenario)


def test_leaders_of_partitions_are_brokers_that_exist(url: str) -> None:
    async def scenario(c: Cluster) -> None:
        from sqlalchemy.exc import IntegrityError

        topic = await c.topic(partitions=1)
        with pytest.raises(IntegrityError):
            async with c.db.write() as session:
                session.add(Partition(topic_id=topic.id, partition=0, leader=99, leader_epoch=0))

    in_cluster(url, scenario)
