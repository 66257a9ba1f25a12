"""One broker in this process for the tests of its own behaviour, on a disk that a test can hold up or make fail."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from coldstream.platform.wire.api import ApiKey
from coldstream.storage.disk import OsDisk
from coldstream.storage.records import Record, build_batch
from coldstream.tests.broker_in_process import InProcessBroker, prepare
from coldstream.tests.raw_kafka import RawKafka


class WilfulDisk(OsDisk):
    """The machine's disk, with switches. Counts what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.syncs_may_go_on = threading.Event()
        self.syncs_may_go_on.set()
        self.sync_error: OSError | None = None
        self.write_error: OSError | None = None
        self.undirectable = False  # no directory can be made
        self.writev_calls = 0
        self.sync_threads: set[int] = set()

    def mkdir(self, path: str, /) -> None:
        if self.undirectable:
            raise OSError(errno.ENOSPC, "No space left on device")
        os.mkdir(path)

    def writev(self, fd: int, buffers: Any, /) -> int:
        self.writev_calls += 1
        if self.write_error is not None:
            raise self.write_error
        return os.writev(fd, buffers)

    def fdatasync(self, fd: int, /) -> None:
        self._sync()
        os.fdatasync(fd)

    def syncfs(self, fd: int, /) -> None:
        self._sync()
        super().syncfs(fd)

    def _sync(self) -> None:
        self.sync_threads.add(threading.get_ident())
        self.syncs_may_go_on.wait()
        if self.sync_error is not None:
            raise self.sync_error

    def fill_up(self) -> None:
        self.write_error = OSError(errno.ENOSPC, "No space left on device")


class Bench:
    """A broker, its disk, and the shortest way to use both."""

    def __init__(self, broker: InProcessBroker, disk: WilfulDisk) -> None:
        self.broker = broker
        self.disk = disk

    def connect(self) -> RawKafka:
        return RawKafka(self.broker.address)

    def create(self, name: str, partitions: int = 1, **configs: str) -> None:
        topic = {
            "name": name,
            "num_partitions": partitions,
            "configs": [{"name": key.replace("_", "."), "value": value} for key, value in configs.items()],
        }
        with self.connect() as client:
            (result,) = client.ask(ApiKey.CREATE_TOPICS, 5, {"topics": [topic], "timeout_ms": 1000}).topics
            assert result.error_code == 0, result.error_message


def batch_of(
    *values: bytes,
    producer_id: int = -1,
    base_sequence: int = -1,
    epoch: int | None = None,
    first_ms: int | None = None,
) -> bytes:
    """Records a millisecond apart; the first is of now, so that no retention is waiting for it."""
    first_ms = time.time_ns() // 1_000_000 if first_ms is None else first_ms
    records = [Record(0, first_ms + at, b"key", value, ()) for at, value in enumerate(values)]
    producer_epoch = epoch if epoch is not None else (0 if producer_id >= 0 else -1)
    return build_batch(records, producer_id=producer_id, producer_epoch=producer_epoch, base_sequence=base_sequence)


def produce_fields(topic: str, batch: bytes, acks: int = -1, partition: int = 0) -> dict[str, Any]:
    partition_data = {"index": partition, "records": batch}
    return {"acks": acks, "timeout_ms": 1000, "topic_data": [{"name": topic, "partition_data": [partition_data]}]}


def fetch_fields(
    topic: str, offset: int, *, max_wait_ms: int = 0, min_bytes: int = 1, partition: int = 0
) -> dict[str, Any]:
    asked = {"partition": partition, "fetch_offset": offset, "partition_max_bytes": 2**20}
    return {
        "max_wait_ms": max_wait_ms,
        "min_bytes": min_bytes,
        "max_bytes": 2**20,
        "topics": [{"topic": topic, "partitions": [asked]}],
    }


def produced(answer: Any) -> Any:
    return answer.responses[0].partition_responses[0]


def fetched(answer: Any) -> Any:
    return answer.responses[0].partitions[0]


def wait_until(holds: Callable[[], object], timeout_s: float = 5.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not holds() and time.monotonic() < deadline_s:
        time.sleep(0.01)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("broker")
    prepare(path)
    return path


@pytest.fixture(scope="module")
def bench(data_dir: Path) -> Iterator[Bench]:
    disk = WilfulDisk()
    with InProcessBroker(data_dir, disk) as broker:
        yield Bench(broker, disk)
