"""What a client is told that may not, cannot or should not: the right Kafka error within seconds, why in the log."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import errors as aiokafka_errors
from coldstream.tests.platform_process import PlatformProcess
from coldstream.tests.virtual_cluster import HttpApi, Key, VirtualCluster, consume, eventually, fresh, produce
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from kafka import KafkaProducer
from kafka import errors as kafka_errors

SECONDS = 8.0
UNKNOWN_TOPIC = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}


def wrong_secret(cluster: VirtualCluster) -> Key:
    key = cluster.key()
    other = cluster.key()
    return Key(key.id, other.secret)


def mistyped_secret(cluster: VirtualCluster) -> Key:
    key = cluster.key()
    return Key(key.id, key.secret[:-1] + ("A" if key.secret[-1] != "A" else "B"))


def unknown_key(cluster: VirtualCluster) -> Key:
    return Key("Unknown12345", cluster.key().secret)


def revoked_key(cluster: VirtualCluster) -> Key:
    key = cluster.key()
    cluster.revoke(key)
    return key


def expired_key(cluster: VirtualCluster) -> Key:
    key = cluster.key(expires_in_s=1)
    time.sleep(1.1)
    return key


REFUSED_KEYS: dict[str, tuple[Callable[[VirtualCluster], Key], str]] = {
    "wrong secret": (wrong_secret, "password is not this key's token"),
    "mistyped secret": (mistyped_secret, "password is not this key's token"),
    "unknown key": (unknown_key, "unknown key"),
    "revoked key": (revoked_key, "revoked"),
    "expired key": (expired_key, "expired"),
}


def told_confluent(settings: dict[str, Any]) -> None:
    errors: list[KafkaError] = []
    client = AdminClient({**settings, "error_cb": errors.append})

    def poll() -> list[KafkaError]:
        client.poll(0.05)
        return [error for error in errors if error.code() == KafkaError._AUTHENTICATION]

    assert "Authentication failed" in eventually(poll, "an authentication error", SECONDS)[0].str()


def told_aiokafka(settings: dict[str, Any]) -> None:
    async def scenario() -> None:
        producer = AIOKafkaProducer(**settings)
        try:
            with pytest.raises((aiokafka_errors.AuthenticationFailedError, aiokafka_errors.KafkaConnectionError)):
                await asyncio.wait_for(producer.start(), SECONDS)
        finally:
            await producer.stop()

    asyncio.run(scenario())


def told_kafka_python(settings: dict[str, Any]) -> None:
    """It logs the reason of each attempt and then says that it could not bootstrap in time."""
    with pytest.raises(kafka_errors.KafkaTimeoutError):
        KafkaProducer(**settings, bootstrap_timeout_ms=500).close()


@pytest.mark.parametrize("what", REFUSED_KEYS)
def test_a_key_that_does_not_work_is_told_so(
    platform: PlatformProcess, cluster: VirtualCluster, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    make, reason = REFUSED_KEYS[what]
    key = make(cluster)
    caplog.set_level("ERROR", "kafka")
    for told, settings in (
        (told_confluent, key.confluent(cluster.bootstrap)),
        (told_aiokafka, key.python(cluster.bootstrap)),
        (told_kafka_python, key.python(cluster.bootstrap)),
    ):
        began_s = time.monotonic()
        told(settings)
        assert time.monotonic() - began_s < SECONDS
    assert any("SaslAuthenticationFailed" in line for line in caplog.messages), "kafka-python was not told why"
    assert platform.wait_for_log(key.id, reason), platform.log_text()[-2000:]
    assert key.secret not in platform.log_text()


def test_a_key_revoked_while_it_is_used_stops_working(cluster: VirtualCluster) -> None:
    topic, key = cluster.topic(), cluster.key("producer")
    errors: list[KafkaError] = []
    producer = Producer({**key.confluent(cluster.bootstrap), "error_cb": errors.append, "message.timeout.ms": 60_000})
    producer.produce(topic, b"while it works")
    assert producer.flush(SECONDS) == 0
    cluster.revoke(key)

    def refused() -> bool:
        producer.produce(topic, b"later")
        producer.poll(0.1)
        return any(error.code() == KafkaError._AUTHENTICATION for error in errors)

    eventually(refused, "an authentication error after the key was revoked", SECONDS)
    producer.purge()


def test_a_key_of_another_namespace_finds_no_such_topic(platform: PlatformProcess, cluster: VirtualCluster) -> None:
    other = VirtualCluster.make(HttpApi(platform.url, platform.token), platform.bootstrap)
    topic = cluster.topic()
    assert delivery_error(other.confluent("producer"), topic).code() in UNKNOWN_TOPIC
    assert cluster.ends(topic) == [0]


def delivery_error(settings: dict[str, Any], topic: str) -> KafkaError:
    """What a producer is told of one record; fails when it was taken."""
    outcome: list[KafkaError | None] = []
    quick = {"message.timeout.ms": int(SECONDS * 1000), "topic.metadata.propagation.max.ms": 1000}
    producer = Producer({**settings, **quick})
    producer.produce(topic, b"x", on_delivery=lambda error, _: outcome.append(error))
    producer.flush(SECONDS)
    assert outcome and outcome[0] is not None, outcome
    return outcome[0]


def test_an_unknown_topic_is_said(cluster: VirtualCluster) -> None:
    assert delivery_error(cluster.confluent(), fresh("missing")).code() in UNKNOWN_TOPIC
    consumer = Consumer(cluster.confluent(group_id=fresh("group")))
    try:
        consumer.subscribe([fresh("missing")])
        message = eventually(lambda: consumer.poll(0.2), "an error", SECONDS)
        assert message.error().code() in UNKNOWN_TOPIC
    finally:
        consumer.close()


def test_a_consumers_key_may_not_produce(cluster: VirtualCluster) -> None:
    topic = cluster.topic()
    began_s = time.monotonic()
    error = delivery_error(cluster.confluent("consumer"), topic)
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert time.monotonic() - began_s < SECONDS
    assert cluster.ends(topic) == [0]


def test_a_consumers_key_may_not_be_idempotent(cluster: VirtualCluster) -> None:
    topic = cluster.topic()
    producer = Producer(cluster.confluent("consumer", enable_idempotence=True))
    producer.produce(topic, b"x")
    with pytest.raises(KafkaException) as refused:
        eventually(lambda: producer.poll(0.1) < 0, "an error", SECONDS)
    assert refused.value.args[0].code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED
    producer.purge()


def test_a_producers_key_may_neither_fetch_nor_join(cluster: VirtualCluster) -> None:
    topic = cluster.topic()
    produce(cluster.confluent("producer"), topic, [b"x"])
    with pytest.raises(AssertionError, match=r"(?i)authoriz"):
        consume(cluster.confluent("producer"), topic, 1)
    consumer = Consumer(cluster.confluent("producer", group_id=fresh("group")))
    try:
        consumer.subscribe([topic])
        message = eventually(lambda: consumer.poll(0.2), "an error", SECONDS)
        assert message.error().code() in (KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED)
    finally:
        consumer.close()


def test_a_key_for_one_prefix_may_not_reach_beyond_it(cluster: VirtualCluster) -> None:
    inside, outside = cluster.topic(fresh("orders")), cluster.topic(fresh("payments"))
    key = cluster.key("developer", topic="orders*", group="orders*")
    settings = key.confluent(cluster.bootstrap)
    produce(settings, inside, [b"x"])
    assert delivery_error(settings, outside).code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert delivery_error(settings, fresh("absent")).code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    consumer = Consumer({**settings, "group.id": fresh("payments")})
    try:
        consumer.subscribe([inside])
        message = eventually(lambda: consumer.poll(0.2), "an error", SECONDS)
        assert message.error().code() == KafkaError.GROUP_AUTHORIZATION_FAILED
    finally:
        consumer.close()


@pytest.mark.parametrize("role", ["producer", "consumer", "viewer-metadata", "viewer-data"])
def test_who_is_no_developer_makes_no_topics(cluster: VirtualCluster, role: str) -> None:
    admin, name = AdminClient(cluster.confluent(role)), fresh("topic")
    with pytest.raises(KafkaException) as refused:
        admin.create_topics([NewTopic(name, 1, 1)])[name].result(SECONDS)
    codes = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED)
    assert refused.value.args[0].code() in codes
    there = cluster.topic()
    with pytest.raises(KafkaException) as refused:
        admin.delete_topics([there])[there].result(SECONDS)
    assert refused.value.args[0].code() in codes


def test_a_viewer_of_metadata_sees_topics_and_no_records(cluster: VirtualCluster) -> None:
    topic = cluster.topic()
    produce(cluster.confluent(), topic, [b"x"])
    assert topic in AdminClient(cluster.confluent("viewer-metadata")).list_topics(timeout=SECONDS).topics
    with pytest.raises(AssertionError, match=r"(?i)authoriz"):
        consume(cluster.confluent("viewer-metadata"), topic, 1)


def test_a_client_without_sasl_is_refused_with_a_reason(platform: PlatformProcess, cluster: VirtualCluster) -> None:
    with socket.socket() as probe:  # only to have a port of our own to look for in the log
        probe.connect(address(platform))
        port = probe.getsockname()[1]
        probe.sendall(b"\0\0\0\x0f\0\3\0\0\0\0\0\7\0\5plain")
        probe.settimeout(SECONDS)
        assert probe.recv(100) == b""
    assert platform.wait_for_log(f":{port}", "SASL")


def test_plain_http_gets_one_clear_line_in_the_log(platform: PlatformProcess) -> None:
    mark = len(platform.log_text())
    with socket.create_connection(address(platform), SECONDS) as client:
        port = client.getsockname()[1]
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while client.recv(1000):
            pass
    assert len(told_of(platform, mark, f":{port}", "HTTP")) == 1


def test_tls_on_a_plaintext_port_gets_one_clear_line_in_the_log(platform: PlatformProcess) -> None:
    mark = len(platform.log_text())
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(address(platform), SECONDS) as client:
        port = client.getsockname()[1]
        with pytest.raises((ssl.SSLError, ConnectionError, TimeoutError)):
            context.wrap_socket(client)
    assert len(told_of(platform, mark, f":{port}", "TLS")) == 1


def told_of(platform: PlatformProcess, mark: int, client: str, word: str) -> list[str]:
    """The log's lines about a client since `mark` (ports are used again), once one of them has the word."""

    def lines() -> list[str]:
        return [line for line in platform.log_text()[mark:].splitlines() if client in line]

    eventually(lambda: any(word in line for line in lines()), f"a log line about {client} with {word}", SECONDS)
    return lines()


def address(platform: PlatformProcess) -> tuple[str, int]:
    host, _, port = platform.bootstrap.rpartition(":")
    return host, int(port)


def test_aiokafka_is_told_which_topic_or_group_it_may_not_use(cluster: VirtualCluster) -> None:
    topic = cluster.topic()

    async def scenario() -> None:
        async with AIOKafkaProducer(**cluster.python("consumer")) as producer:
            with pytest.raises(aiokafka_errors.TopicAuthorizationFailedError):
                await asyncio.wait_for(producer.send_and_wait(topic, b"x"), SECONDS)
        consumer = AIOKafkaConsumer(topic, group_id=fresh("group"), **cluster.python("producer"))
        with pytest.raises(aiokafka_errors.GroupAuthorizationFailedError):
            await asyncio.wait_for(consumer.start(), SECONDS)
            await asyncio.wait_for(consumer.getone(), SECONDS)
        await consumer.stop()

    asyncio.run(scenario())
