"""kcat, from Debian: librdkafka as an older release has it, on the command line."""

import json
import os
import shutil
import subprocess

import pytest
from coldstream.tests.virtual_cluster import VirtualCluster, fresh, produce

TIMEOUT_S = 20.0


@pytest.fixture(scope="module")
def kcat() -> str:
    path = shutil.which("kcat") or shutil.which("kafkacat")
    if path is None:
        if os.environ.get("COLDSTREAM_REQUIRE_PARTS") == "1":
            pytest.fail("no kcat here: apt-get install kcat (COLDSTREAM_REQUIRE_PARTS=1 says that it must be there)")
        pytest.skip("no kcat here: apt-get install kcat")
    return path


def run(kcat: str, cluster: VirtualCluster, *arguments: str, given: bytes = b"", **settings: str) -> str:
    """Its output; fails with its complaint when it does."""
    options = [f"-X{name}={value}" for name, value in {**cluster.confluent(), **settings}.items()]
    done = subprocess.run([kcat, "-q", *options, *arguments], input=given, capture_output=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_lines_go_in_and_come_out(kcat: str, cluster: VirtualCluster, compression: str) -> None:
    topic = cluster.topic()
    lines = [f"key{n}:line {n} {'x' * 100}" for n in range(100)]
    run(kcat, cluster, "-P", "-t", topic, "-K:", "-z", compression, given="\n".join(lines).encode())
    out = run(kcat, cluster, "-C", "-t", topic, "-e", "-f", "%k:%s\\n")
    assert out.splitlines() == lines


def test_a_group_reads_and_goes_on(kcat: str, cluster: VirtualCluster) -> None:
    topic, group = cluster.topic(), fresh("group")
    produce(cluster.confluent(), topic, [b"%d" % n for n in range(10)])
    first = run(kcat, cluster, "-c", "4", "-X", "auto.offset.reset=earliest", "-G", group, topic, "-f", "%s\\n")
    assert first.split() == ["0", "1", "2", "3"]
    rest = run(kcat, cluster, "-e", "-X", "auto.offset.reset=earliest", "-G", group, topic, "-f", "%s\\n")
    assert rest.split()[-1] == "9" and int(rest.split()[0]) <= 4


def test_metadata_and_offsets_by_time(kcat: str, cluster: VirtualCluster) -> None:
    topic = cluster.topic(partitions=2)
    produce(cluster.confluent(), topic, [b"x"] * 5, partition=1)
    listed = json.loads(run(kcat, cluster, "-L", "-J", "-t", topic))
    assert [len(t["partitions"]) for t in listed["topics"]] == [2]
    assert f"{topic} [1] offset 0" in run(kcat, cluster, "-Q", "-t", f"{topic}:1:0")
