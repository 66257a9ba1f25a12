"""The object store hangs: SeaweedFS stopped by SIGSTOP, so that connections stay open and nothing answers.

Producing and hot reads go on as if nothing were (I8); cold reads wait, and never pretend that records are missing; when
the store is back everything catches up by itself.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from coldstream.tests.platform_process import PlatformProcess
from coldstream.tests.s3_servers import s3_url
from coldstream.tests.virtual_cluster import HttpApi, VirtualCluster, consume, eventually, produce
from confluent_kafka import Consumer, TopicPartition

HANG_S = 6.0
RECORD_S_MAX = 5.0  # a hang that reached the hot path would be the whole of HANG_S, or longer
CATCH_UP_S = 60.0


@contextmanager
def hanging(process: psutil.Process) -> Iterator[None]:
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def store_process() -> psutil.Process:
    (weed,) = [child for child in psutil.Process().children() if child.name() == "weed"]
    return weed


@pytest.mark.slow
def test_a_store_that_hangs_costs_producers_nothing_and_readers_only_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = s3_url("seaweedfs", monkeypatch)
    with PlatformProcess.started(tmp_path, object_store=url, offload_interval_ms=100) as platform:
        cluster = VirtualCluster.make(HttpApi(platform.url, platform.token), platform.kafka)
        topic = cluster.topic(segment_bytes=2**16, local_retention_bytes=0)
        values = [b"%06d " % n * 100 for n in range(2000)]
        settings = cluster.confluent(batch_size=16_000)
        produce(settings, topic, values)
        cluster.offload(topic)
        slowest_s = 0.0
        cold = Consumer({**cluster.confluent(), "group.id": "unused", "auto.offset.reset": "error"})
        cold.assign([TopicPartition(topic, 0, 0)])
        with hanging(store_process()):
            until_s = time.monotonic() + HANG_S
            while time.monotonic() < until_s:
                began_s = time.monotonic()
                values += [b"%06d " % n * 100 for n in range(len(values), len(values) + 20)]
                produce(settings, topic, values[-20:])
                slowest_s = max(slowest_s, time.monotonic() - began_s)
                (newest,) = consume(cluster.confluent(), topic, 1, start=len(values) - 1)
                assert newest.value() == values[-1]
                message = cold.poll(0)
                assert message is None or message.error() is None, f"a cold read ended in {message.error()}"
        assert slowest_s < RECORD_S_MAX, f"a producer waited {slowest_s:.1f} s"
        cold.close()
        assert [message.value() for message in consume(cluster.confluent(), topic, len(values))] == values

        def only_local() -> int:
            return int(len(values) - cluster.show(topic)["partitions"][0]["local_start"])

        eventually(lambda: only_local() < 200, "offload catches up", CATCH_UP_S)
        assert [message.value() for message in consume(cluster.confluent(), topic, len(values))] == values
