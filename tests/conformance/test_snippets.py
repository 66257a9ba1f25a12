"""The console's snippets, run as they stand: kcat and the two Python clients, against a real broker, each with a key
that may do no more than they need. Go, Java and Node need toolchains that the tests do not ask for.
"""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from coldstream.console.snippets import Connection, snippet
from coldstream.tests.virtual_cluster import VirtualCluster, eventually, fresh

TIMEOUT_S = 20.0
GREETING = "Hello, Coldstream"


def connection(cluster: VirtualCluster, topic: str, role: str) -> Connection:
    key = cluster.key(role, topic=topic, group="my-group*")
    return Connection(
        bootstrap=cluster.bootstrap,
        security_protocol="SASL_PLAINTEXT",
        topic=topic,
        username=key.id,
        password=key.secret,
        group=fresh("my-group"),
    )


@pytest.mark.parametrize("client", ["confluent-kafka", "aiokafka"])
def test_the_python_snippets_write_a_record_and_read_it(cluster: VirtualCluster, tmp_path: Path, client: str) -> None:
    topic = cluster.topic()
    written = tmp_path / "produce.py"
    written.write_text(snippet(client, connection(cluster, topic, "producer")).produce)
    done = subprocess.run([sys.executable, written], capture_output=True, text=True, timeout=TIMEOUT_S)
    assert (done.returncode, done.stdout) == (0, "written to partition 0 at offset 0\n"), done.stderr
    reader = tmp_path / "consume.py"
    reader.write_text(snippet(client, connection(cluster, topic, "consumer")).consume)
    running = subprocess.Popen([sys.executable, reader], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == f"b'greeting' b'{GREETING}'\n"
        running.send_signal(signal.SIGINT)
        _, complaints = running.communicate(timeout=TIMEOUT_S)
        assert running.returncode == 0, complaints
    finally:
        running.kill()


@pytest.mark.skipif(shutil.which("kcat") is None, reason="no kcat here: apt-get install kcat")
def test_the_kcat_snippets_write_a_record_and_read_it(cluster: VirtualCluster) -> None:
    topic = cluster.topic()
    assert run(snippet("kcat", connection(cluster, topic, "producer")).produce) == ""
    eventually(lambda: cluster.ends(topic) == [1], "the record is there")
    assert run(snippet("kcat", connection(cluster, topic, "consumer")).consume) == f"{GREETING}\n"


def test_a_shell_can_source_the_settings(cluster: VirtualCluster, tmp_path: Path) -> None:
    wanted = connection(cluster, cluster.topic(), "consumer")
    (tmp_path / ".env").write_text(snippet("env", wanted).consume)
    told = run('set -a; . ./.env; printf "%s %s" "$KAFKA_SASL_PASSWORD" "$KAFKA_GROUP_ID"', tmp_path)
    assert told == f"{wanted.password} {wanted.group}"


def run(command: str, directory: Path | None = None) -> str:
    """What a shell prints; fails with its complaint."""
    done = subprocess.run(["sh", "-c", command], cwd=directory, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    return done.stdout
