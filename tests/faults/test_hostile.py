"""Strangers that send anything: no crash, no growth, no harm to others, and a reason in the log."""

import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from coldstream.platform.wire.api import APIS, ApiKey
from coldstream.tests.platform_process import PlatformProcess
from coldstream.tests.raw_kafka import ConnectionEnded, RawKafka
from coldstream.tests.virtual_cluster import Key, VirtualCluster, produce

from .hostile import Attack, attacks, frame, header

GROWTH_BYTES_MAX = 16 * 2**20
SLOW_CONNECTIONS = 300
ANSWER_S = 5.0


def pss_bytes(platform: PlatformProcess) -> int:
    """Memory of the broker, shared pages counted in part."""
    return int(psutil.Process(platform.pids["broker"]).memory_full_info().pss)


@pytest.fixture(scope="module")
def cluster(platform: PlatformProcess) -> VirtualCluster:
    from coldstream.tests.virtual_cluster import HttpApi

    cluster = VirtualCluster.make(HttpApi(platform.url, platform.token), platform.bootstrap)
    cluster.topic("bystander")
    return cluster


@contextmanager
def bystander(cluster: VirtualCluster) -> Iterator[list[float]]:
    """Another client that produces all the while; how long each record took. Fails when one fails."""
    took_s: list[float] = []
    failed: list[BaseException] = []
    stop = threading.Event()

    def work() -> None:
        from confluent_kafka import Producer

        producer = Producer({**cluster.confluent(), "linger.ms": 0, "message.timeout.ms": 10_000})
        try:
            while not stop.is_set():
                began_s = time.monotonic()
                outcome: list[object] = []
                producer.produce("bystander", b"x", on_delivery=lambda error, _, o=outcome: o.append(error))
                producer.flush(10)
                assert outcome == [None], outcome
                took_s.append(time.monotonic() - began_s)
                time.sleep(0.005)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield took_s
    finally:
        stop.set()
        thread.join(20)
    assert not failed, failed
    assert took_s, "the bystander got nothing done"


def strike(bootstrap: str, attack: Attack, key: Key | None) -> None:
    """Sends the attack and reads whatever comes, for a moment; the connection may be closed at any time."""
    with RawKafka(bootstrap, timeout_s=0.05) as client:
        if key is not None:
            client.socket.settimeout(ANSWER_S)
            assert client.sign_in(key.id, key.secret).error_code == 0
            client.socket.settimeout(0.05)
        with contextlib.suppress(ConnectionEnded, TimeoutError, OSError):
            for piece in attack.pieces:
                client.send(piece)
                client.receive()


@pytest.mark.parametrize("signed_in", [False, True], ids=["before sign-in", "after sign-in"])
def test_no_bytes_crash_it_or_make_it_grow(platform: PlatformProcess, cluster: VirtualCluster, signed_in: bool) -> None:
    key = cluster.key("admin") if signed_in else None
    broker = platform.pids["broker"]
    for attack in attacks(seed=1):  # the first time around, caches fill and code is imported
        strike(platform.bootstrap, attack, key)
    before_bytes = pss_bytes(platform)
    with bystander(cluster):
        for attack in attacks(seed=2):
            strike(platform.bootstrap, attack, key)
    assert platform.pids["broker"] == broker and psutil.pid_exists(broker), "the broker was started again"
    grown_bytes = pss_bytes(platform) - before_bytes
    assert grown_bytes < GROWTH_BYTES_MAX, f"{grown_bytes / 2**20:.1f} MiB more"
    assert "Traceback" not in platform.log_text(), "an attack ended in an exception"


def test_a_two_gigabyte_length_ends_the_connection_with_a_reason(platform: PlatformProcess) -> None:
    with RawKafka(platform.bootstrap, timeout_s=ANSWER_S) as client:
        client.send(struct.pack(">i", 2**31 - 1))
        with pytest.raises(ConnectionEnded):
            client.receive()
        port = client.socket.getsockname()[1] if client.socket.fileno() >= 0 else 0
    assert port
    assert platform.wait_for_log(f":{port}", "2147483647")


@pytest.mark.parametrize("key", APIS, ids=lambda key: ApiKey(key).name)
def test_a_truncated_request_ends_its_connection_only(
    platform: PlatformProcess, cluster: VirtualCluster, key: int
) -> None:
    chance = random.Random(key)
    mine = cluster.key_for("admin")
    with RawKafka(platform.bootstrap, timeout_s=ANSWER_S) as other:
        assert other.sign_in(mine.id, mine.secret).error_code == 0
        for version in {APIS[key].offered_min, APIS[key].offered_max}:
            with RawKafka(platform.bootstrap, timeout_s=1) as client:
                assert client.sign_in(mine.id, mine.secret).error_code == 0
                body = header(key, version) + bytes([0] * chance.randrange(3)) + b"\0\0\0\7"
                client.send(frame(body))
                with contextlib.suppress(ConnectionEnded, TimeoutError):
                    client.receive()
        assert other.is_alive()


def test_connections_that_never_finish_a_frame_cost_next_to_nothing(
    platform: PlatformProcess, cluster: VirtualCluster
) -> None:
    host, _, port = platform.bootstrap.rpartition(":")
    before_bytes = pss_bytes(platform)
    slow: list[socket.socket] = []
    try:
        with bystander(cluster):
            for number in range(SLOW_CONNECTIONS):
                connection = socket.create_connection((host, int(port)), timeout=ANSWER_S)
                slow.append(connection)
                connection.sendall(struct.pack(">i", 60_000)[: 1 + number % 4])
            for at in range(5):
                for number, connection in enumerate(slow):
                    with contextlib.suppress(OSError):
                        connection.sendall(b"\0" if number % 4 != 3 or at else b"\0\x12")
                time.sleep(0.05)
            grown_bytes = pss_bytes(platform) - before_bytes
            assert grown_bytes < GROWTH_BYTES_MAX, f"{grown_bytes / SLOW_CONNECTIONS / 1024:.0f} KiB for each"
    finally:
        for connection in slow:
            connection.close()


def test_a_signed_in_client_that_announces_much_and_sends_little_costs_what_it_sent(
    platform: PlatformProcess, cluster: VirtualCluster
) -> None:
    key = cluster.key_for("admin")
    before_bytes = pss_bytes(platform)
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            client = stack.enter_context(RawKafka(platform.bootstrap, timeout_s=ANSWER_S))
            assert client.sign_in(key.id, key.secret).error_code == 0
            client.send(struct.pack(">i", 99 * 2**20) + header(ApiKey.PRODUCE, 9))
        time.sleep(0.3)
        grown_bytes = pss_bytes(platform) - before_bytes
    assert grown_bytes < GROWTH_BYTES_MAX, f"{grown_bytes / 2**20:.1f} MiB for 40 connections"


def test_a_client_that_asks_and_never_reads_is_held_back(platform: PlatformProcess, cluster: VirtualCluster) -> None:
    key = cluster.key_for("admin")
    topic = cluster.topic()
    produce(cluster.confluent(), topic, [b"x" * 500_000] * 4)
    partition = {"partition": 0, "fetch_offset": 0, "partition_max_bytes": 2**20}
    fields = {"max_wait_ms": 0, "min_bytes": 0, "topics": [{"topic": topic, "partitions": [partition]}]}
    before_bytes = pss_bytes(platform)
    with RawKafka(platform.bootstrap, timeout_s=1) as client:
        assert client.sign_in(key.id, key.secret).error_code == 0
        with contextlib.suppress(TimeoutError, ConnectionEnded, OSError):
            for _ in range(3000):
                client.send(client.request(ApiKey.FETCH, 11, fields))
        grown_bytes = pss_bytes(platform) - before_bytes
        assert grown_bytes < 2 * GROWTH_BYTES_MAX, f"{grown_bytes / 2**20:.1f} MiB"
