"""aiokafka against a running platform."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError
from coldstream.tests.virtual_cluster import VirtualCluster, consume, fresh, produce

DEADLINE_S = 15.0


async def until(holds: Callable[[], Awaitable[object] | object], what: str) -> None:
    limit_s = time.monotonic() + DEADLINE_S
    while True:
        value = holds()
        if await value if isinstance(value, Awaitable) else value:
            return
        assert time.monotonic() < limit_s, f"not within {DEADLINE_S:.0f} s: {what}"
        await asyncio.sleep(0.05)


async def take(consumer: AIOKafkaConsumer, count: int) -> list[Any]:
    found: list[Any] = []
    limit_s = time.monotonic() + DEADLINE_S
    while len(found) < count and time.monotonic() < limit_s:
        for messages in (await consumer.getmany(timeout_ms=100, max_records=count - len(found))).values():
            found += messages
    assert len(found) == count, f"{len(found)} of {count}"
    return found


def consumer_of(cluster: VirtualCluster, *topics: str, group: str | None = None, **settings: Any) -> AIOKafkaConsumer:
    mine = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "fetch_max_wait_ms": 100}
    return AIOKafkaConsumer(*topics, group_id=group, **{**cluster.python(), **mine, **settings})


@pytest.mark.parametrize("compression", [None, "gzip", "snappy", "lz4", "zstd"])
def test_records_come_back_whole_in_every_compression(cluster: VirtualCluster, compression: str | None) -> None:
    topic = cluster.topic()

    async def scenario() -> None:
        sent = [(b"key %d" % n, b"value %d " % n * 40, [("h", b"\xff")]) for n in range(100)]
        async with AIOKafkaProducer(**cluster.python(), compression_type=compression, linger_ms=10) as producer:
            futures = [await producer.send(topic, value, key, headers=headers) for key, value, headers in sent]
            assert [(await future).offset for future in futures] == list(range(100))
        async with consumer_of(cluster, topic) as consumer:
            assert [(m.key, m.value, list(m.headers)) for m in await take(consumer, 100)] == sent

    asyncio.run(scenario())


@pytest.mark.parametrize("settings", [{"acks": 0}, {"acks": 1}, {"acks": "all"}, {"enable_idempotence": True}], ids=str)
def test_every_level_of_acknowledgement(cluster: VirtualCluster, settings: dict[str, Any]) -> None:
    topic = cluster.topic()

    async def scenario() -> None:
        async with AIOKafkaProducer(**cluster.python(), **settings) as producer:
            for number in range(30):
                await producer.send(topic, b"%d" % number)
            await producer.flush()

    asyncio.run(scenario())
    assert [m.value() for m in consume(cluster.confluent(), topic, 30)] == [b"%d" % n for n in range(30)]


def test_two_members_share_a_topic_and_a_group_goes_on_where_it_committed(cluster: VirtualCluster) -> None:
    topic, group = cluster.topic(partitions=4), fresh("group")
    for partition in range(4):
        produce(cluster.confluent(), topic, [b"%d" % n for n in range(25)], partition=partition)

    async def scenario() -> None:
        async with consumer_of(cluster, topic, group=group) as first:
            assert len(await take(first, 60)) == 60
            await first.commit()
            async with consumer_of(cluster, topic, group=group) as second:
                await until(lambda: len(first.assignment()) == len(second.assignment()) == 2, "two partitions each")
                assert {tp.partition for tp in first.assignment() | second.assignment()} == {0, 1, 2, 3}
            await until(lambda: len(first.assignment()) == 4, "all four back")
        async with consumer_of(cluster, topic, group=group) as third:
            assert len(await take(third, 40)) == 40
            await third.commit()
            assert sum([await third.committed(tp) or 0 for tp in third.assignment()]) == 100

    asyncio.run(scenario())


def test_offsets_by_time(cluster: VirtualCluster) -> None:
    topic = cluster.topic(retention_ms=-1)

    async def scenario() -> None:
        async with AIOKafkaProducer(**cluster.python()) as producer:
            for number in range(10):
                await producer.send_and_wait(topic, b"x", timestamp_ms=1_700_000_000_000 + number * 1000)
        async with consumer_of(cluster) as consumer:
            partition = TopicPartition(topic, 0)
            found = await consumer.offsets_for_times({partition: 1_700_000_003_500})
            assert found[partition].offset == 4
            assert await consumer.beginning_offsets([partition]) == {partition: 0}
            assert await consumer.end_offsets([partition]) == {partition: 10}

    asyncio.run(scenario())


def test_topics_groups_and_the_cluster_through_the_admin_client(cluster: VirtualCluster) -> None:
    name, group = fresh("made"), fresh("group")

    async def scenario() -> None:
        admin = AIOKafkaAdminClient(**cluster.python())
        await admin.start()
        try:
            made = await admin.create_topics([NewTopic(name, 2, 1, topic_configs={"retention.ms": "1000000"})])
            assert made.topic_errors[0][1] == 0
            assert name in await admin.list_topics()
            (topic,) = await admin.describe_topics([name])
            assert len(topic["partitions"]) == 2
            (configs,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
            values = {entry[0]: entry[1] for entry in configs.resources[0][4]}
            assert values["retention.ms"] == "1000000"
            async with consumer_of(cluster, name, group=group) as consumer:
                await until(lambda: consumer.assignment(), "an assignment")
                await consumer.commit({TopicPartition(name, 0): 0})
                (described,) = await admin.describe_consumer_groups([group])
                assert described.groups[0][2] == "Stable"
                assert group in {listed[0] for listed in await admin.list_consumer_groups()}
            offsets = await admin.list_consumer_group_offsets(group)
            assert offsets[TopicPartition(name, 0)].offset == 0
            about = await admin.describe_cluster()
            assert about["cluster_id"] == cluster.cluster_id
            deleted = await admin.delete_topics([name])
            assert deleted.topic_error_codes[0][1] == 0
        finally:
            await admin.close()

    asyncio.run(scenario())


def test_a_message_too_large_is_refused_at_once(cluster: VirtualCluster) -> None:
    topic = cluster.topic(max_message_bytes=10_000)

    async def scenario() -> None:
        async with AIOKafkaProducer(**cluster.python(), max_request_size=10**6) as producer:
            with pytest.raises(MessageSizeTooLargeError):
                await asyncio.wait_for(producer.send_and_wait(topic, b"x" * 20_000), 5)
            await producer.send_and_wait(topic, b"a small one goes")

    asyncio.run(scenario())
