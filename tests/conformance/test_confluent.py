"""confluent-kafka (librdkafka) against a running platform: the library most of our users have."""

import time
from typing import Any

import pytest
from coldstream.tests.virtual_cluster import VirtualCluster, consume, eventually, fresh, produce
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")
TIMEOUT_S = 15.0


def group_consumer(cluster: VirtualCluster, group: str, **settings: Any) -> Consumer:
    mine = {"group_id": group, "auto_offset_reset": "earliest", "enable_auto_commit": False}
    return Consumer(cluster.confluent(**{**mine, **settings}))


def take(consumer: Consumer, count: int) -> list[Any]:
    found: list[Any] = []
    until_s = time.monotonic() + TIMEOUT_S
    while len(found) < count and time.monotonic() < until_s:
        for message in consumer.consume(count - len(found), 0.1):
            assert message.error() is None, message.error()
            found.append(message)
    assert len(found) == count, f"{len(found)} of {count}"
    return found


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_records_come_back_whole_in_every_compression(cluster: VirtualCluster, compression: str) -> None:
    topic = cluster.topic(retention_ms=-1)
    producer = Producer(cluster.confluent(compression_type=compression, linger_ms=20))
    sent = [(f"key {n}".encode(), f"value {n} ".encode() * 50, [("h", b"\x00\xff"), ("n", None)]) for n in range(200)]
    for key, value, headers in sent:
        producer.produce(topic, value, key, headers=headers, timestamp=1_700_000_000_000)
    assert producer.flush(TIMEOUT_S) == 0
    got = consume(cluster.confluent(), topic, len(sent))
    assert [(m.key(), m.value(), m.headers()) for m in got] == sent
    assert [m.offset() for m in got] == list(range(len(sent)))
    assert {m.timestamp()[1] for m in got} == {1_700_000_000_000}


@pytest.mark.parametrize("acks", ["0", "1", "all"])
def test_every_level_of_acknowledgement(cluster: VirtualCluster, acks: str) -> None:
    topic = cluster.topic()
    offsets = produce(cluster.confluent(acks=acks), topic, [b"%d" % n for n in range(50)])
    assert acks == "0" or offsets == list(range(50))
    assert [m.value() for m in consume(cluster.confluent(), topic, 50)] == [b"%d" % n for n in range(50)]


def test_an_idempotent_producer_fills_many_partitions_in_order(cluster: VirtualCluster) -> None:
    topic = cluster.topic(partitions=4)
    producer = Producer(cluster.confluent(enable_idempotence=True, batch_num_messages=50, linger_ms=1))
    for number in range(2000):
        producer.produce(topic, b"%d" % number, partition=number % 4)
        producer.poll(0)
    assert producer.flush(TIMEOUT_S) == 0
    for partition in range(4):
        got = consume(cluster.confluent(), topic, 500, partition=partition)
        assert [int(m.value()) for m in got] == list(range(partition, 2000, 4))


def test_null_keys_values_and_empty_ones_stay_apart(cluster: VirtualCluster) -> None:
    topic = cluster.topic()
    producer = Producer(cluster.confluent())
    sent = [(None, b"v"), (b"", b""), (b"k", None), (b"k", b"")]
    for key, value in sent:
        producer.produce(topic, value, key)
    assert producer.flush(TIMEOUT_S) == 0
    assert [(m.key(), m.value()) for m in consume(cluster.confluent(), topic, 4)] == sent


def test_two_members_share_a_topic_and_one_takes_over_when_the_other_leaves(cluster: VirtualCluster) -> None:
    topic, group = cluster.topic(partitions=4), fresh("group")
    members = [group_consumer(cluster, group, session_timeout_ms=6000) for _ in range(2)]

    def owned() -> list[int]:
        for member in members:
            assert member.poll(0.05) is None
        return [len(member.assignment()) for member in members]

    try:
        members[0].subscribe([topic])
        eventually(lambda: owned() == [4, 0], "all four to the only member")
        members[1].subscribe([topic])
        eventually(lambda: owned() == [2, 2], "two of four to each member")
        assert {tp.partition for member in members for tp in member.assignment()} == {0, 1, 2, 3}
        members.pop().close()
        eventually(lambda: owned() == [4], "all four back")
    finally:
        for member in members:
            member.close()


def test_a_group_goes_on_where_it_committed(cluster: VirtualCluster) -> None:
    topic, group = cluster.topic(), fresh("group")
    produce(cluster.confluent(), topic, [b"%d" % n for n in range(100)])
    consumer = group_consumer(cluster, group)
    consumer.subscribe([topic])
    taken = take(consumer, 40)
    consumer.commit(taken[-1], asynchronous=False)
    consumer.close()
    consumer = group_consumer(cluster, group)
    consumer.subscribe([topic])
    try:
        assert [int(m.value()) for m in take(consumer, 60)] == list(range(40, 100))
        (committed,) = consumer.committed([TopicPartition(topic, 0)], TIMEOUT_S)
        assert committed.offset == 40
    finally:
        consumer.close()


@pytest.mark.parametrize("strategy", ["cooperative-sticky", "roundrobin"])
def test_other_assignment_strategies(cluster: VirtualCluster, strategy: str) -> None:
    topic = cluster.topic(partitions=2)
    consumer = group_consumer(cluster, fresh("group"), partition_assignment_strategy=strategy)
    consumer.subscribe([topic])
    try:
        eventually(lambda: consumer.poll(0.05) is None and len(consumer.assignment()) == 2, "both partitions")
    finally:
        consumer.close()


def test_a_static_member_comes_back_without_a_rebalance(cluster: VirtualCluster) -> None:
    topic, group = cluster.topic(partitions=2), fresh("group")
    admin = AdminClient(cluster.confluent())

    def member() -> Consumer:
        consumer = group_consumer(cluster, group, group_instance_id="instance-1", session_timeout_ms=30_000)
        consumer.subscribe([topic])
        eventually(lambda: consumer.poll(0.05) is None and len(consumer.assignment()) == 2, "its partitions")
        return consumer

    member().close()  # a static member does not leave
    (described,) = [f.result(TIMEOUT_S) for f in admin.describe_consumer_groups([group]).values()]
    assert [m.group_instance_id for m in described.members] == ["instance-1"]
    member().close()


def test_offsets_by_time(cluster: VirtualCluster) -> None:
    topic = cluster.topic(retention_ms=-1)
    producer = Producer(cluster.confluent(linger_ms=0))
    for number in range(20):
        producer.produce(topic, b"%d" % number, timestamp=1_700_000_000_000 + number * 1000)
        producer.flush(TIMEOUT_S)
    consumer = group_consumer(cluster, "unused")
    try:
        for at_ms, expected in ((0, 0), (1_700_000_007_000, 7), (1_700_000_006_500, 7), (1_900_000_000_000, 20)):
            (found,) = consumer.offsets_for_times([TopicPartition(topic, 0, at_ms)], TIMEOUT_S)
            assert found.offset == expected or (expected == 20 and found.offset == -1), at_ms
        assert consumer.get_watermark_offsets(TopicPartition(topic, 0), TIMEOUT_S) == (0, 20)
    finally:
        consumer.close()
    admin = AdminClient(cluster.confluent())
    specs = (OffsetSpec.earliest(), OffsetSpec.latest(), OffsetSpec.max_timestamp())
    for spec, expected in zip(specs, (0, 20, 19), strict=True):
        (future,) = admin.list_offsets({TopicPartition(topic, 0): spec}).values()
        assert future.result(TIMEOUT_S).offset == expected


def test_topics_are_made_described_altered_and_deleted(cluster: VirtualCluster) -> None:
    admin, name = AdminClient(cluster.confluent()), fresh("made")
    new = NewTopic(name, num_partitions=3, replication_factor=1, config={"retention.ms": "86400000"})
    admin.create_topics([new], request_timeout=TIMEOUT_S)[name].result(TIMEOUT_S)
    produce(cluster.confluent(), name, [b"at once"], partition=2)
    assert len(admin.list_topics(name, TIMEOUT_S).topics[name].partitions) == 3
    resource = ConfigResource(ResourceType.TOPIC, name)
    (described,) = [f.result(TIMEOUT_S) for f in admin.describe_configs([resource]).values()]
    assert described["retention.ms"].value == "86400000" and not described["retention.ms"].is_default
    assert described["cleanup.policy"].value == "delete" and described["cleanup.policy"].is_default
    entry = ConfigEntry("retention.ms", "172800000", incremental_operation=AlterConfigOpType.SET)
    change = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([change]).values():
        future.result(TIMEOUT_S)

    def value() -> str:
        (now,) = [f.result(TIMEOUT_S) for f in admin.describe_configs([resource]).values()]
        return str(now["retention.ms"].value)

    eventually(lambda: value() == "172800000", "the altered config is described")
    admin.delete_topics([name])[name].result(TIMEOUT_S)
    eventually(lambda: name not in admin.list_topics(timeout=TIMEOUT_S).topics, "the topic is gone")
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(TIMEOUT_S)
    assert eventually(lambda: cluster.ends(name), "the new topic of that name has a leader") == [0], (
        "old records came back"
    )


@pytest.mark.parametrize(
    ("new", "code"),
    [
        (NewTopic("bad/name", 1, 1), KafkaError.TOPIC_EXCEPTION),
        (NewTopic("x" * 250, 1, 1), KafkaError.TOPIC_EXCEPTION),
        (NewTopic("many", 100_000, 1), KafkaError.INVALID_PARTITIONS),
        (NewTopic("odd", 1, 1, config={"retention.ms": "soon"}), KafkaError.INVALID_CONFIG),
        (NewTopic("odd", 1, 1, config={"no.such.config": "1"}), KafkaError.INVALID_CONFIG),
        (NewTopic("there", 1, 1), KafkaError.TOPIC_ALREADY_EXISTS),
    ],
    ids=["name", "length", "partitions", "config value", "config name", "exists"],
)
def test_a_topic_that_cannot_be_made_says_why(cluster: VirtualCluster, new: NewTopic, code: int) -> None:
    admin = AdminClient(cluster.confluent())
    if code == KafkaError.TOPIC_ALREADY_EXISTS:
        cluster.topic(new.topic)
    with pytest.raises(KafkaException) as refused:
        admin.create_topics([new])[new.topic].result(TIMEOUT_S)
    error = refused.value.args[0]
    assert error.code() == code, error
    assert len(error.str()) > 10


def test_groups_and_the_cluster_are_described(cluster: VirtualCluster) -> None:
    admin, topic, group = AdminClient(cluster.confluent()), cluster.topic(), fresh("group")
    consumer = group_consumer(cluster, group, client_id="the-member")
    consumer.subscribe([topic])
    try:
        eventually(lambda: consumer.poll(0.05) is None and consumer.assignment(), "an assignment")
        consumer.commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
        (described,) = [f.result(TIMEOUT_S) for f in admin.describe_consumer_groups([group]).values()]
        assert described.state.name == "STABLE" and len(described.members) == 1
        (member,) = described.members
        assert member.client_id == "the-member"
        assert [(tp.topic, tp.partition) for tp in member.assignment.topic_partitions] == [(topic, 0)]
        listed = admin.list_consumer_groups().result(TIMEOUT_S)
        assert not listed.errors and group in {g.group_id for g in listed.valid}
    finally:
        consumer.close()
    about = admin.describe_cluster().result(TIMEOUT_S)
    assert about.cluster_id == cluster.cluster_id and len(about.nodes) == 1


def test_a_big_message_within_the_limit_comes_back(cluster: VirtualCluster) -> None:
    topic = cluster.topic(max_message_bytes=9 * 2**20)
    value = bytes(range(256)) * (8 * 2**20 // 256)
    produce(cluster.confluent(message_max_bytes=10**7), topic, [value])
    (got,) = consume(cluster.confluent(fetch_message_max_bytes=1000), topic, 1)
    assert got.value() == value


def test_a_message_too_large_is_refused_at_once(cluster: VirtualCluster) -> None:
    topic = cluster.topic(max_message_bytes=10_000)
    outcome: list[KafkaError | None] = []
    producer = Producer(cluster.confluent(message_timeout_ms=10_000))
    began_s = time.monotonic()
    producer.produce(topic, b"x" * 20_000, on_delivery=lambda error, _: outcome.append(error))
    producer.flush(TIMEOUT_S)
    assert outcome[0] is not None and outcome[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
    assert time.monotonic() - began_s < 5
    produce(cluster.confluent(), topic, [b"a small one goes"])


def test_an_offset_out_of_range_is_said(cluster: VirtualCluster) -> None:
    topic = cluster.topic()
    produce(cluster.confluent(), topic, [b"only one"])
    consumer = Consumer(cluster.confluent(group_id="unused", auto_offset_reset="error"))
    try:
        consumer.assign([TopicPartition(topic, 0, 500)])
        message = eventually(lambda: consumer.poll(0.2), "an error")
        assert message.error().code() in (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET)
    finally:
        consumer.close()


def test_cold_records_come_back_like_hot_ones(cluster: VirtualCluster) -> None:
    topic = cluster.topic(segment_bytes=2**16)
    values = [b"%d " % n * 60 for n in range(3000)]
    produce(cluster.confluent(compression_type="lz4"), topic, values)
    cluster.offload(topic)
    shown = cluster.show(topic)
    (partition,) = shown["partitions"]
    assert partition["local_start"] == partition["end"] == 3000 and partition["log_start"] == 0
    assert shown["cold_bytes"] > 0
    produce(cluster.confluent(), topic, [b"hot again"])
    got = consume(cluster.confluent(), topic, 3001)
    assert [m.value() for m in got] == [*values, b"hot again"]
    assert [m.offset() for m in got] == list(range(3001))
