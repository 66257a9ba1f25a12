"""kafka-python against a running platform, as it is and held to what older brokers spoke."""

import threading
import time
from typing import Any

import pytest
from coldstream.tests.virtual_cluster import VirtualCluster, consume, eventually, fresh, produce
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import MessageSizeTooLargeError

DEADLINE_S = 15.0
OLD_VERSIONS = ((0, 11), (1, 0), (2, 0), (2, 5), (3, 0))


def take(consumer: KafkaConsumer, count: int, deadline_s: float = DEADLINE_S) -> list[Any]:
    found: list[Any] = []
    limit_s = time.monotonic() + deadline_s
    while len(found) < count and time.monotonic() < limit_s:
        for messages in consumer.poll(timeout_ms=100, max_records=count - len(found)).values():
            found += messages
    assert len(found) == count, f"{len(found)} of {count}"
    return found


def consumer_of(cluster: VirtualCluster, *topics: str, group: str | None = None, **settings: Any) -> KafkaConsumer:
    mine = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "fetch_max_wait_ms": 100}
    return KafkaConsumer(*topics, group_id=group, **{**cluster.python(), **mine, **settings})


# The library does snappy and zstd only with packages that we do not install; confluent-kafka and aiokafka cover them.
@pytest.mark.parametrize("compression", [None, "gzip", "lz4"])
def test_records_come_back_whole_in_every_compression(cluster: VirtualCluster, compression: str | None) -> None:
    topic = cluster.topic()
    sent = [(b"key %d" % n, b"value %d " % n * 40, [("h", b"\xff")]) for n in range(100)]
    producer = KafkaProducer(**cluster.python(), compression_type=compression, linger_ms=10)
    try:
        futures = [producer.send(topic, value, key, headers=headers) for key, value, headers in sent]
        assert [future.get(DEADLINE_S).offset for future in futures] == list(range(100))
    finally:
        producer.close()
    consumer = consumer_of(cluster, topic)
    try:
        assert [(m.key, m.value, list(m.headers)) for m in take(consumer, 100)] == sent
    finally:
        consumer.close()


@pytest.mark.parametrize(
    "settings",
    [{"acks": 0}, {"acks": 1}, {"acks": "all"}, {"acks": "all", "enable_idempotence": True}],
    ids=["0", "1", "all", "idempotent"],
)
def test_every_level_of_acknowledgement(cluster: VirtualCluster, settings: dict[str, Any]) -> None:
    topic = cluster.topic()
    producer = KafkaProducer(**{**cluster.python(), "enable_idempotence": False, **settings})
    try:
        for number in range(30):
            producer.send(topic, b"%d" % number)
        producer.flush(DEADLINE_S)
    finally:
        producer.close()
    assert [m.value() for m in consume(cluster.confluent(), topic, 30)] == [b"%d" % n for n in range(30)]


@pytest.mark.parametrize("version", OLD_VERSIONS, ids=lambda version: ".".join(map(str, version)))
def test_a_client_that_believes_in_an_older_broker(cluster: VirtualCluster, version: tuple[int, int]) -> None:
    topic, group = cluster.topic(), fresh("group")
    producer = KafkaProducer(**cluster.python(), api_version=version, enable_idempotence=False)
    try:
        assert producer.send(topic, b"old", b"k").get(DEADLINE_S).offset == 0
    finally:
        producer.close()
    consumer = consumer_of(cluster, topic, group=group, api_version=version)
    try:
        assert [m.value for m in take(consumer, 1)] == [b"old"]
        consumer.commit()
        assert consumer.committed(TopicPartition(topic, 0)) == 1
    finally:
        consumer.close()


def test_two_members_share_a_topic_and_a_group_goes_on_where_it_committed(cluster: VirtualCluster) -> None:
    topic, group = cluster.topic(partitions=4), fresh("group")
    for partition in range(4):
        produce(cluster.confluent(), topic, [b"%d" % n for n in range(25)], partition=partition)
    first = consumer_of(cluster, topic, group=group)
    assert len(take(first, 60)) == 60
    first.commit()
    second = consumer_of(cluster, topic, group=group)
    stop = threading.Event()
    polling = threading.Thread(target=lambda: [second.poll(50) for _ in iter(stop.is_set, True)], daemon=True)
    polling.start()
    try:
        eventually(lambda: first.poll(50) is not None and len(first.assignment()) == 2, "two of four")
        eventually(lambda: len(second.assignment()) == 2, "the other two")
    finally:
        stop.set()
        polling.join(DEADLINE_S)
        second.close()
    eventually(lambda: first.poll(50) is not None and len(first.assignment()) == 4, "all four back")
    first.close(autocommit=False)
    third = consumer_of(cluster, topic, group=group)
    try:
        # The library may join before it knows the topic; it then has to look, and join again.
        assert len(take(third, 40, 3 * DEADLINE_S)) == 40
    finally:
        third.close()


def test_offsets_by_time(cluster: VirtualCluster) -> None:
    topic = cluster.topic(retention_ms=-1)
    producer = KafkaProducer(**cluster.python())
    for number in range(10):
        producer.send(topic, b"x", timestamp_ms=1_700_000_000_000 + number * 1000).get(DEADLINE_S)
    producer.close()
    consumer = consumer_of(cluster)
    partition = TopicPartition(topic, 0)
    try:
        assert consumer.offsets_for_times({partition: 1_700_000_003_500})[partition].offset == 4
        assert consumer.offsets_for_times({partition: 1_900_000_000_000})[partition] is None
        assert consumer.beginning_offsets([partition]) == {partition: 0}
        assert consumer.end_offsets([partition]) == {partition: 10}
    finally:
        consumer.close()


def test_topics_groups_and_the_cluster_through_the_admin_client(cluster: VirtualCluster) -> None:
    admin, name, group = KafkaAdminClient(**cluster.python()), fresh("made"), fresh("group")
    try:
        admin.create_topics(
            {name: {"num_partitions": 2, "replication_factor": 1, "configs": {"retention.ms": "1000000"}}}
        )
        (topic,) = admin.describe_topics([name])
        assert len(topic["partitions"]) == 2
        described = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        assert described["topic"][name]["retention.ms"]["value"] == "1000000"
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {"retention.ms": "2000000"})])

        def value() -> str:
            now = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
            return str(now["topic"][name]["retention.ms"]["value"])

        eventually(lambda: value() == "2000000", "the altered config is described")
        produce(cluster.confluent(), name, [b"something"] * 10)
        directories = {d["log_dir"]: d for broker in admin.describe_log_dirs() for d in broker["log_dirs"]}
        assert set(directories) == {"hot", "cold"}
        sizes = {
            p["partition_index"]: p["partition_size"]
            for t in directories["hot"]["topics"]
            if t["name"] == name
            for p in t["partitions"]
        }
        assert sizes[0] > 0
        consumer = consumer_of(cluster, name, group=group)
        try:
            eventually(lambda: consumer.poll(1000) is not None and consumer.assignment(), "an assignment")
            consumer.commit()
            assert admin.describe_groups([group])[group]["group_state"] == "Stable"
            assert group in {listed["group_id"] for listed in admin.list_groups()}
        finally:
            consumer.close()
        assert admin.describe_cluster()["cluster_id"] == cluster.cluster_id
        admin.delete_topics([name])
        eventually(lambda: name not in admin.list_topics(), "the topic is gone")
    finally:
        admin.close()


def test_a_message_too_large_is_refused_at_once(cluster: VirtualCluster) -> None:
    topic = cluster.topic(max_message_bytes=10_000)
    producer = KafkaProducer(**cluster.python(), max_request_size=10**6)
    try:
        with pytest.raises(MessageSizeTooLargeError):
            producer.send(topic, b"x" * 20_000).get(5)
    finally:
        producer.close()
