"""What is done to topics in the console, and what it does to them: made, shortened, deleted, and seen from Kafka."""

import re
import time
from collections.abc import Callable

import pytest
from coldstream.tests.browser.inhabited import cluster_of
from coldstream.tests.browser.visitor import SCREENS, WIDE, Screen, Visitor
from coldstream.tests.console.seeded import Seeded
from coldstream.tests.platform_process import PlatformProcess
from coldstream.tests.virtual_cluster import VirtualCluster, consume, eventually, fresh
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

DAY_MS = 86_400_000
OLD, NEW = 12, 5
RECORD_BYTES = 300_000  # four to a segment
KEYS, VERSIONS = 5, 8


@pytest.fixture(scope="module")
def cluster(platform: PlatformProcess, world: Seeded) -> VirtualCluster:
    return cluster_of(platform, world)


def opened(visitor: Visitor, world: Seeded, topic: str, page: str) -> None:
    visitor.open(world.path(f"/n/{{tenant}}/{{namespace}}/topics/{{topic}}/{page}", topic=topic))


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_a_topic_is_made_and_can_be_written_to(
    visit: Callable[..., Visitor], world: Seeded, cluster: VirtualCluster, screen: Screen
) -> None:
    topic = fresh("made")
    visitor = visit("developer", screen)
    visitor.open(world.path("/n/{tenant}/{namespace}/topics"))
    visitor.click("main a:text-is('New topic')")
    visitor.fill("input[name=name]", topic)
    visitor.fill("input[name=partitions]", "2")
    visitor.click("label:text-is('30 d')")
    visitor.click("button:text-is('Create the topic')")
    visitor.page.wait_for_url(f"**/topics/{topic}/overview?notice=topic-created")
    assert topic in visitor.page.inner_text("main h1")
    shown = cluster.show(topic)
    assert len(shown["partitions"]) == 2
    assert shown["configs"] == {"retention.ms": str(30 * DAY_MS)}


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_retention_is_shortened_and_the_log_start_moves(
    visit: Callable[..., Visitor], world: Seeded, cluster: VirtualCluster, screen: Screen
) -> None:
    """Ten days old and kept for ever, until somebody says 1 d: first it is shown what would go, then it goes."""
    topic = cluster.topic(retention_ms=-1, segment_bytes=1024 * 1024)
    produce_old_and_new(cluster, topic)
    visitor = visit("developer", screen)
    opened(visitor, world, topic, "configuration")
    setting = visitor.page.locator(".setting", has=visitor.page.locator("[name='retention.ms']"))
    visitor.click(setting.locator("label:text-is('Other')"))
    visitor.fill("input[name='retention.ms']", "1d")
    visitor.click("button:text-is('Preview the change')")
    visitor.page.wait_for_url("**/preview?*")
    told = re.search(r"([\d,]+) records would go for good", visitor.page.inner_text("main"))
    assert told is not None, visitor.page.inner_text("main")
    gone = int(told[1].replace(",", ""))
    assert OLD - 3 <= gone <= OLD, "whole segments go, and the last of the old ones has new records in it"
    assert cluster.show(topic)["partitions"][0]["log_start"] == 0, "nothing goes by looking"
    visitor.click("button:text-is('Apply the change')")
    visitor.page.wait_for_url("**/configuration?notice=config-applied")
    eventually(lambda: cluster.show(topic)["partitions"][0]["log_start"] == gone, "the log start moves as was told")
    opened(visitor, world, topic, "overview")
    assert visitor.page.inner_text("[aria-labelledby=logs] td[data-label='Log start'] >> nth=0") == str(gone)
    kept = consume(cluster.confluent(), topic, OLD + NEW - gone, start=gone)
    assert kept[-1].value().startswith(b"new"), "what is new is there"
    opened(visitor, world, topic, "history")
    history = visitor.page.inner_text("main")
    assert "retention.ms" in history and world.people["developer"].name in history


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_compaction_is_switched_on_and_the_newest_of_each_key_stays(
    visit: Callable[..., Visitor], world: Seeded, cluster: VirtualCluster, screen: Screen
) -> None:
    topic = cluster.topic(segment_bytes=1024 * 1024, remote_storage_enable="false")
    produce_by_key(cluster, topic)
    before = read_to_the_end(cluster, topic)
    assert len(before) == VERSIONS * KEYS
    visitor = visit("developer", screen)
    opened(visitor, world, topic, "configuration")
    visitor.choose("select[name='cleanup.policy']", "compact")
    visitor.click("button:text-is('Preview the change')")
    visitor.page.wait_for_url("**/preview?*")
    told = re.search(r"Compaction would take (?:about )?([\d,]+) of", visitor.page.inner_text("main"))
    assert told is not None, visitor.page.inner_text("main")
    assert len(read_to_the_end(cluster, topic)) == len(before), "nothing goes by looking"
    visitor.click("button:text-is('Apply the change')")
    visitor.page.wait_for_url("**/configuration?notice=config-applied")
    opened(visitor, world, topic, "overview")
    visitor.click("button:text-is('Compact now')")
    visitor.page.wait_for_url("**/overview?notice=job-started*")
    eventually(lambda: len(read_to_the_end(cluster, topic)) < len(before), "older ones of a key are gone")
    after = read_to_the_end(cluster, topic)
    assert dict(after) == dict(before), "the newest of each key is as it was"
    assert len(before) - len(after) >= int(told[1].replace(",", "")) > 0


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_a_topic_is_deleted_by_typing_its_name(
    visit: Callable[..., Visitor], world: Seeded, cluster: VirtualCluster, screen: Screen
) -> None:
    topic = cluster.topic()
    visitor = visit("developer", screen)
    opened(visitor, world, topic, "delete")
    button = visitor.page.locator("button:text-is('Delete the topic')")
    visitor.fill("input[name=confirm]", topic[:-1])
    if screen.scripts:
        assert button.is_disabled(), "not before the name is whole"
    else:
        with visitor.expecting(422):
            visitor.click(button)
            visitor.page.wait_for_selector("input[name=confirm][aria-invalid=true]")
    assert cluster.show(topic)
    visitor.fill("input[name=confirm]", topic)
    visitor.click(button)
    visitor.page.wait_for_url("**/topics?notice=topic-deleted")
    admin = AdminClient(cluster.confluent())
    eventually(lambda: topic not in admin.list_topics(timeout=10).topics, "Kafka clients see it no more")
    visitor.fill("input[type=search]", topic)
    visitor.submit("input[type=search]")
    visitor.page.wait_for_url(f"**/topics?*{topic}*")
    assert "No topic matches" in visitor.page.inner_text("main")


def test_a_broker_that_says_no_is_quoted_at_the_field(visit: Callable[..., Visitor], world: Seeded) -> None:
    visitor = visit("developer", WIDE)
    opened(visitor, world, world.things["topic"], "configuration")
    setting = visitor.page.locator(".setting", has=visitor.page.locator("[name='retention.ms']"))
    visitor.click(setting.locator("label:text-is('Other')"))
    visitor.fill("input[name='retention.ms']", "a fortnight")
    with visitor.expecting(422):
        visitor.click("button:text-is('Preview the change')")
        visitor.page.wait_for_selector("input[name='retention.ms'][aria-invalid=true]")
    assert visitor.page.input_value("input[name='retention.ms']") == "a fortnight"


def produce_old_and_new(cluster: VirtualCluster, topic: str) -> None:
    """Records of ten days ago, and then some of now."""
    now_ms = int(time.time() * 1000)
    producer = Producer({**cluster.confluent(), "batch.num.messages": 1, "linger.ms": 0})
    for number in range(OLD):
        value = (b"old %d " % number).ljust(RECORD_BYTES, b"x")
        producer.produce(topic, value, partition=0, timestamp=now_ms - 10 * DAY_MS + number)
        producer.poll(0)
    for number in range(NEW):
        producer.produce(topic, (b"new %d " % number).ljust(RECORD_BYTES, b"x"), partition=0, timestamp=now_ms + number)
    assert producer.flush(20) == 0


def produce_by_key(cluster: VirtualCluster, topic: str) -> None:
    """Several versions of each key, in more segments than one."""
    producer = Producer({**cluster.confluent(), "batch.num.messages": 1, "linger.ms": 0})
    for version in range(VERSIONS):
        for key in range(KEYS):
            value = (b"version %d " % version).ljust(RECORD_BYTES // 2, b"x")
            producer.produce(topic, value, b"key %d" % key, partition=0)
            producer.poll(0)
    assert producer.flush(20) == 0


def read_to_the_end(cluster: VirtualCluster, topic: str) -> list[tuple[bytes, bytes]]:
    """Key and beginning of the value of every record that is there, oldest first."""
    settings = {**cluster.confluent(), "group.id": "unused", "enable.partition.eof": True}
    consumer = Consumer({**settings, "auto.offset.reset": "error", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        found: list[tuple[bytes, bytes]] = []
        while True:
            message = consumer.poll(10.0)
            assert message is not None, "the end comes within ten seconds"
            if message.error():
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                return found
            found.append((message.key(), message.value()[:16]))
    finally:
        consumer.close()
