"""`coldstream first-record`, from nothing to a record on the terminal."""

import json
import subprocess
import sys

import pytest
from coldstream.tests.platform.cli.conftest import Run
from coldstream.tests.platform_process import PlatformProcess
from coldstream.tests.virtual_cluster import HttpApi, VirtualCluster, fresh
from confluent_kafka import Producer


def test_what_it_prints_is_a_key_that_works_and_it_shows_what_comes(platform: PlatformProcess) -> None:
    cluster = VirtualCluster.make(HttpApi(platform.url, platform.token), platform.bootstrap, tenant=fresh("cli"))
    path = f"{cluster.tenant}/{cluster.namespace}/orders"
    command = [sys.executable, "-m", "coldstream", "first-record", path, "--client", "env", "--wait", "--timeout", "60"]
    environ = {"COLDSTREAM_URL": platform.url, "COLDSTREAM_TOKEN": platform.token}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None and running.stderr is not None
        assert running.stdout.readline() == f"made topic {path}\n"
        assert running.stdout.readline().startswith("made key ")
        printed = {}
        while "KAFKA_TOPIC" not in printed:
            name, found, value = running.stdout.readline().strip().partition("=")
            if found:
                printed[name] = value
        assert "waiting for a record" in running.stderr.readline()
        producer = Producer(
            {
                "bootstrap.servers": printed["KAFKA_BOOTSTRAP_SERVERS"],
                "security.protocol": printed["KAFKA_SECURITY_PROTOCOL"],
                "sasl.mechanism": printed["KAFKA_SASL_MECHANISM"],
                "sasl.username": printed["KAFKA_SASL_USERNAME"],
                "sasl.password": printed["KAFKA_SASL_PASSWORD"],
            }
        )
        producer.produce(printed["KAFKA_TOPIC"], key=b"\xff\x00", value="wörd \x1b[31m".encode(), headers={"h": b"1"})
        assert producer.flush(20) == 0
        out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (0, "")
    assert "partition 0, offset 0, 20" in out
    assert "key (hexadecimal): ff00" in out and "header h: 1" in out
    assert "value (hexadecimal)" in out and "\x1b" not in out, "what would steer a terminal is no text"


def test_it_is_one_json_document_too(run: Run) -> None:
    status, out, err = run("first-record", "default/default/fresh", "--role", "producer", "--expires", "30d", "--json")
    assert (status, err) == (0, "")
    made = json.loads(out)
    assert made["topic_created"] and made["key"]["key"]["role"] == "producer" and made["key"]["key"]["expires_at"]
    assert made["key"]["secret"] in out


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["default/default"], 2, "expected TENANT/NAMESPACE/TOPIC"),
        (["default/default/t", "--timeout", "0"], 2, "1 to 86400 seconds"),
        (["default/default/bad name"], 1, "only letters, digits"),
        (["default/nothing/t"], 1, "no namespace"),
        (["default/default/t", "--client", "telnet"], 1, "choose one of kcat"),
        (["default/default/t", "--wait", "--timeout", "1"], 1, "the broker"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(run: Run, arguments: list[str], status: int, said: str) -> None:
    ended, _, err = run("first-record", *arguments)
    assert ended == status
    assert said in err.splitlines()[-1]
