"""kill -9, of everything and of the cold worker alone, while clients work. More of it: `make soak`."""

import threading
from pathlib import Path

import psutil
import pytest
from coldstream.tests.faults import kill
from coldstream.tests.platform_process import PlatformProcess
from coldstream.tests.virtual_cluster import HttpApi, VirtualCluster, consume, eventually, produce

KILLS = 3


@pytest.mark.slow
def test_acknowledged_records_survive_kills_of_everything(tmp_path: Path) -> None:
    outcome = kill.run(KILLS, tmp_path, broker_kills=1)
    print(outcome)
    assert not outcome.wrong, str(outcome)


@pytest.mark.slow
def test_the_cold_workers_death_is_noticed_repaired_and_harmless(tmp_path: Path) -> None:
    """Killed in the middle of offload, then in the middle of reads of what is cold."""
    with PlatformProcess.started(tmp_path, offload_interval_ms=50) as platform:
        cluster = VirtualCluster.make(HttpApi(platform.url, platform.token), platform.kafka)
        topic = cluster.topic(segment_bytes=2**18, local_retention_bytes=0)
        values = [b"%06d " % n * 100 for n in range(6000)]
        broker = psutil.Process(platform.pids["broker"])
        for start in range(0, len(values), 2000):
            produce(cluster.confluent(), topic, values[start : start + 2000])
            kill_worker(broker)
        cluster.offload(topic)
        assert cluster.show(topic)["partitions"][0]["local_start"] == len(values)
        for start in range(0, len(values), 2000):
            timer = threading.Timer(0.05, kill_worker, [broker])
            timer.start()
            read = consume(cluster.confluent(), topic, len(values) - start, start=start)
            assert [message.value() for message in read] == values[start:]
            timer.join()
        produce(cluster.confluent(), topic, [b"goes on"])
        assert platform.pids["broker"] == broker.pid, "the broker went with its worker"
        assert "request failed" not in platform.log_text()


def kill_worker(broker: psutil.Process) -> None:
    """kill -9 of the cold worker that lives now; waits for one if it is just being started."""
    (worker,) = eventually(broker.children, "a cold worker")
    worker.kill()
