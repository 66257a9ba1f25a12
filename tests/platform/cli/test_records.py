"""Records from and to the terminal, through a running platform."""

import json
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from coldstream.platform.cli.records import document_of
from coldstream.tests.platform_process import PlatformProcess
from coldstream.tests.virtual_cluster import HttpApi, VirtualCluster, fresh


@pytest.fixture
def topic(platform: PlatformProcess) -> str:
    """The path of a new topic that can be written to."""
    cluster = VirtualCluster.make(HttpApi(platform.url, platform.token), platform.bootstrap, tenant=fresh("cli"))
    return f"{cluster.tenant}/{cluster.namespace}/{cluster.topic(partitions=2)}"


def test_lines_become_records_and_records_lines(platform: PlatformProcess, topic: str) -> None:
    lines = [f"key{number % 7}:wert {number} ü" for number in range(500)]
    sent = platform.cli("topic", "produce", topic, "--key-separator", ":", stdin="\n".join(lines))
    assert sent == {"topic": topic, "records": 500}
    records = platform.cli("topic", "consume", topic)
    assert sorted(f"{record['key']}:{record['value']}" for record in records) == sorted(lines)
    for partition in (0, 1):
        offsets = [record["offset"] for record in records if record["partition"] == partition]
        assert offsets == list(range(len(offsets)))

    shown = platform.run_cli("topic", "consume", topic, "-n", "3", "--show-keys")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert [line.replace("\t", ":") in lines for line in shown.stdout.splitlines()] == [True] * 3
    later = platform.cli("topic", "consume", topic, "--partition", "1", "--offset", "2", "-n", "1")
    assert [record["offset"] for record in later] == [2]


def test_an_empty_topic_is_consumed_at_once_and_a_line_without_a_key_is_named(
    platform: PlatformProcess, topic: str
) -> None:
    assert platform.cli("topic", "consume", topic) == []
    refused = platform.run_cli("topic", "produce", topic, "--key-separator", ":", stdin="a:b\nno key here\n")
    assert refused.returncode == 1
    assert refused.stderr == "coldstream: line 2 has no ':' between key and value; what came before is sent\n"
    assert [record["value"] for record in platform.cli("topic", "consume", topic)] == ["b"]
    outside = platform.run_cli("topic", "consume", topic, "--partition", "2")
    assert (outside.returncode, "has partitions 0 to 1, not 2" in outside.stderr) == (1, True)


def test_tail_follows_and_ends_with_one_document(platform: PlatformProcess, topic: str) -> None:
    platform.cli("topic", "produce", topic, stdin="before\n")
    command = [sys.executable, "-m", "coldstream", "topic", "tail", topic, "--json"]
    command += ["--url", platform.url, "--token", platform.token]
    one = subprocess.Popen([*command, "-n", "1"], stdout=subprocess.PIPE, text=True)
    until_stopped = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for tail in (one, until_stopped):
        assert tail.stdout is not None
        assert tail.stdout.read(1) == "[", "it follows from here"
    platform.cli("topic", "produce", topic, stdin="after\n")
    out, _ = one.communicate(timeout=20)
    assert one.returncode == 0
    assert [record["value"] for record in json.loads("[" + out)] == ["after"]
    until_stopped.send_signal(signal.SIGINT)
    out, _ = until_stopped.communicate(timeout=20)
    assert until_stopped.returncode == 0
    assert all(record["value"] == "after" for record in json.loads("[" + out))


def test_bytes_that_are_no_text_come_as_base64() -> None:
    record = SimpleNamespace(
        partition=0, offset=7, timestamp=1_700_000_000_000, key=None, value=b"\xff", headers=(("trace", b"\x00"),)
    )
    assert document_of(record) == {
        "partition": 0,
        "offset": 7,
        "timestamp": "2023-11-14T22:13:20.000+00:00",
        "key": None,
        "value": None,
        "value_base64": "/w==",
        "headers": [{"name": "trace", "value": "\x00"}],
    }
