"""The broker as a process: how it ends under load, and what it says when it cannot start."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from coldstream.platform.wire.api import ApiKey
from coldstream.storage.batch import iterate_headers
from coldstream.storage.records import decode_records
from coldstream.tests.broker_in_process import InProcessBroker, prepare
from coldstream.tests.platform.broker.conftest import batch_of, fetch_fields, fetched, produce_fields, produced
from coldstream.tests.raw_kafka import ConnectionEnded, RawKafka, answer_of

PRODUCE, FETCH = 9, 12
WRITERS, IN_FLIGHT = 4, 20
END_S_MAX = 8.0


class Process:
    """`python -m coldstream.platform.broker` as a supervisor starts it; `said` is its ready line."""

    def __init__(self, data_dir: Path, *, kafka: str = "127.0.0.1:0", metrics: str = "127.0.0.1:0") -> None:
        ready, ready_for_child = os.pipe()
        lifeline_for_child, self._lifeline = os.pipe()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COLDSTREAM_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "coldstream.platform.broker"],
            env=kept
            | {
                "COLDSTREAM_DATA_DIR": str(data_dir),
                "COLDSTREAM_KAFKA": kafka,
                "COLDSTREAM_BROKER_METRICS": metrics,
                "COLDSTREAM_ANONYMOUS": "default/default",
                "COLDSTREAM_READY_FD": str(ready_for_child),
                "COLDSTREAM_LIFELINE_FD": str(lifeline_for_child),
            },
            pass_fds=[ready_for_child, lifeline_for_child],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(ready_for_child)
        os.close(lifeline_for_child)
        with os.fdopen(ready) as pipe:
            self.said = json.loads(pipe.readline())

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def cut_lifeline(self) -> None:
        os.close(self._lifeline)
        self._lifeline = -1

    def end(self) -> tuple[int, str]:
        """Its exit status and what it wrote, once it has ended; in time."""
        try:
            _, written = self._process.communicate(timeout=END_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise
        finally:
            if self._lifeline >= 0:
                self.cut_lifeline()
        return self._process.returncode, written


class Writer(threading.Thread):
    """Produces with acks=all until the broker hangs up; `acknowledged` maps offsets to values."""

    def __init__(self, address: str, name: str) -> None:
        super().__init__(name=name)
        self._client = RawKafka(address)
        self.acknowledged: dict[int, bytes] = {}
        self.begun = threading.Event()

    def run(self) -> None:
        number = 0
        try:
            while True:
                values = [f"{self.name}-{number + at}".encode() for at in range(IN_FLIGHT)]
                number += IN_FLIGHT
                frames = [
                    self._client.request(ApiKey.PRODUCE, PRODUCE, produce_fields("load", batch_of(value)))
                    for value in values
                ]
                self._client.send(b"".join(frames))
                for value in values:
                    part = produced(answer_of(ApiKey.PRODUCE, PRODUCE, self._client.receive()))
                    if part.error_code == 0:
                        self.acknowledged[part.base_offset] = value
                self.begun.set()
        except ConnectionEnded:
            pass
        finally:
            self._client.close()


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("process")
    prepare(path)
    return path


def test_a_broker_told_to_end_under_load_ends_soon_cleanly_and_keeps_what_it_acknowledged(data_dir: Path) -> None:
    broker = Process(data_dir)
    address = broker.said["ready"]
    with RawKafka(address) as client:
        topics = [{"name": "load", "num_partitions": 1}, {"name": "idle", "num_partitions": 1}]
        made = client.ask(ApiKey.CREATE_TOPICS, 5, {"topics": topics, "timeout_ms": 1000}).topics
        assert [topic.error_code for topic in made] == [0, 0]
    writers = [Writer(address, f"writer-{number}") for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    with RawKafka(address) as waiting, RawKafka(address) as unread:
        waiting.send(waiting.request(ApiKey.FETCH, FETCH, fetch_fields("idle", 0, max_wait_ms=60_000)))
        for writer in writers:
            assert writer.begun.wait(10)
        unread.send(unread.request(ApiKey.FETCH, FETCH, fetch_fields("load", 0)) * 500)
        time.sleep(0.2)
        broker.signal(signal.SIGTERM)
        broker.signal(signal.SIGTERM)
        status, written = broker.end()
    for writer in writers:
        writer.join(10)
    assert (status, "Traceback" in written) == (0, False), written
    end = max(max(writer.acknowledged) for writer in writers) + 1
    with InProcessBroker(data_dir) as again, RawKafka(again.address) as client:
        kept = everything(client, end)
    for writer in writers:
        assert {offset: kept.get(offset) for offset in writer.acknowledged} == writer.acknowledged


def everything(client: RawKafka, end: int) -> dict[int, bytes | None]:
    found: dict[int, bytes | None] = {}
    offset = 0
    while offset < end:
        data = fetched(client.ask(ApiKey.FETCH, FETCH, fetch_fields("load", offset))).records
        for position, header in iterate_headers(data):
            for record in decode_records(data[position : position + 12 + header.length]):
                found[record.offset] = record.value
                offset = record.offset + 1
    return found


def test_a_broker_whose_supervisor_is_gone_ends_by_itself(data_dir: Path) -> None:
    broker = Process(data_dir)
    assert "ready" in broker.said
    broker.cut_lifeline()
    status, written = broker.end()
    assert (status, "Traceback" in written) == (0, False), written


@pytest.mark.parametrize("listener", ["kafka", "metrics"])
def test_a_taken_port_is_named_with_its_setting(data_dir: Path, listener: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:" + str(taken.getsockname()[1])
        broker = Process(data_dir, kafka=address) if listener == "kafka" else Process(data_dir, metrics=address)
        status, written = broker.end()
    setting = "kafka" if listener == "kafka" else "broker_metrics"
    assert broker.said["error"] == f"cannot listen on {address} (setting {setting}): Address already in use"
    assert (status, "Traceback" in written) == (1, False), written


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        ("cluster-secret", None, "coldstream up"),
        ("cluster-secret", "no hex", "coldstream up"),
        ("cluster-secret", "", "too few"),
        ("broker.json", "{", "cannot be read"),
        ("broker.json", "[]", "not what a broker wrote"),
    ],
)
def test_a_file_that_is_missing_or_spoiled_is_named(data_dir: Path, file: str, content: str | None, why: str) -> None:
    path = data_dir / file
    before = path.read_text() if path.exists() else None
    try:
        if content is None:
            path.unlink()
        else:
            path.write_text(content)
        broker = Process(data_dir)
        status, written = broker.end()
    finally:
        if before is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(before)
    assert str(path) in broker.said["error"] and why in broker.said["error"]
    assert (status, "Traceback" in written) == (1, False), written
