"""Power fails under a whole broker, again and again: its log is on a disk that forgets what was not synced."""

import random
import shutil
import socket
import time
from pathlib import Path

import pytest
from coldstream.platform.wire.api import ApiKey
from coldstream.tests.broker_in_process import InProcessBroker, prepare
from coldstream.tests.faults.lossy_disk import LossyDisk
from coldstream.tests.faults.witness import Memory, Watcher, Writer, contradictions, read_all
from coldstream.tests.raw_kafka import RawKafka

CUTS = 4
RUN_S = (0.3, 1.2)
TOPIC, PARTITIONS = "power", 3


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def create(address: str) -> None:
    topic = {"name": TOPIC, "num_partitions": PARTITIONS, "configs": [{"name": "segment.bytes", "value": "200000"}]}
    with RawKafka(address) as client:
        (result,) = client.ask(ApiKey.CREATE_TOPICS, 5, {"topics": [topic], "timeout_ms": 1000}).topics
        assert result.error_code == 0, result.error_message


def ends_of(address: str) -> dict[tuple[str, int], int]:
    partitions = [{"partition_index": index, "timestamp": -1} for index in range(PARTITIONS)]
    with RawKafka(address) as client:
        answer = client.ask(ApiKey.LIST_OFFSETS, 5, {"topics": [{"name": TOPIC, "partitions": partitions}]})
    return {(TOPIC, part.partition_index): part.offset for part in answer.topics[0].partitions}


@pytest.mark.parametrize("seed", [1, 2])
def test_no_acknowledged_record_is_lost_and_none_is_visible_twice_when_power_fails(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    data_dir = tmp_path / "data"
    prepare(data_dir)
    (data_dir / "topics").mkdir()
    disk = LossyDisk(str(data_dir / "topics"))
    port = free_port()
    settings = {"bootstrap.servers": f"127.0.0.1:{port}"}
    memory = Memory()
    broker = InProcessBroker(data_dir, disk, port=port)
    broker.__enter__()
    create(broker.address)
    writer = Writer(settings, TOPIC, PARTITIONS, 200, memory)
    watcher = Watcher(settings, {TOPIC: PARTITIONS}, memory)
    writer.start()
    watcher.start()
    for _ in range(CUTS):
        acknowledged = len(memory.acknowledged)
        time.sleep(rng.uniform(*RUN_S))
        wait_for_progress(memory, acknowledged)
        broker.crash()
        disk.crash(rng)
        shutil.rmtree(data_dir / "cache", ignore_errors=True)
        broker = InProcessBroker(data_dir, disk, port=port)
        broker.__enter__()
    unanswered = writer.stop()
    watcher.stop()
    now = read_all(settings, ends_of(broker.address))
    broker.__exit__()
    assert writer.fatal is None and unanswered == 0
    assert contradictions(memory, now) == []
    assert len(memory.acknowledged) > CUTS * 50 and len(memory.seen) > 0


def wait_for_progress(memory: Memory, before: int) -> None:
    deadline_s = time.monotonic() + 20
    while len(memory.acknowledged) <= before + 50 and time.monotonic() < deadline_s:
        time.sleep(0.05)
