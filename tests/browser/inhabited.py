"""The seeded world on a running platform: with records, hot and cold, and a group that has read some of them."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from coldstream.tenants.database import Database
from coldstream.tests.browser.corpus import BYTES, polyglot
from coldstream.tests.console.seeded import NAMESPACE, PASSWORD, TOPIC, Seeded, seed
from coldstream.tests.platform_process import PlatformProcess
from coldstream.tests.virtual_cluster import HttpApi, VirtualCluster, eventually, fresh
from confluent_kafka import Consumer, Producer, TopicPartition

RECORDS = 300
GROUP = "billing"


def inhabit(platform: PlatformProcess) -> Seeded:
    """A tenant of its own each time, so that several files of tests share a platform."""
    world = in_thread(_seed, f"sqlite:///{platform.data_dir / 'coldstream.db'}", fresh("acme"), fresh("rival"))
    cluster = cluster_of(platform, world)
    eventually(lambda: len(cluster.ends(TOPIC)) == 3, "the topic has a leader")
    fill(cluster, TOPIC, RECORDS)
    cluster.offload(TOPIC)
    fill(cluster, TOPIC, RECORDS // 10)
    read_some(cluster, TOPIC, GROUP, RECORDS // 6)
    return world


def cluster_of(platform: PlatformProcess, world: Seeded) -> VirtualCluster:
    """The world's namespace as Kafka clients and the HTTP API see it."""
    api = HttpApi(platform.url, platform.token)
    tenant = world.things["tenant"]
    found = api("GET", f"/namespaces/{tenant}/{NAMESPACE}")
    return VirtualCluster(api, platform.bootstrap, tenant, NAMESPACE, found["cluster_id"], found["id"])


def in_thread(work: Any, *arguments: Any) -> Any:
    """Runs a coroutine function where no browser's event loop is running."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work(*arguments))).result()


async def _seed(url: str, tenant: str, rival: str) -> Seeded:
    database = Database.open(url)
    try:
        return await seed(database, tenant, rival, password=PASSWORD)
    finally:
        await database.dispose()


def fill(cluster: VirtualCluster, topic: str, count: int) -> None:
    """Records over all partitions, some of them with keys, values and headers that no page may take for its own."""
    producer = Producer({**cluster.confluent("admin"), "linger.ms": 5, "client.id": polyglot(3)[:200]})
    for number in range(count):
        producer.produce(topic, key=b"order-%d" % number, value=b'{"order": %d, "paid": true}' % number)
    for name, content in BYTES.items():
        producer.produce(topic, key=name.encode(), value=content, headers={polyglot(1): content[:2000]})
    producer.produce(topic, key=None, value=None)
    assert producer.flush(20) == 0


def read_some(cluster: VirtualCluster, topic: str, group: str, offset: int) -> None:
    """A group that is behind: it has committed, and is not there now."""
    settings = {**cluster.confluent("admin"), "group.id": group, "enable.auto.commit": False}
    consumer = Consumer(settings)
    try:
        consumer.commit(offsets=[TopicPartition(topic, 0, min(offset, 20))], asynchronous=False)
    finally:
        consumer.close()
