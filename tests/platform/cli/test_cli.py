"""The command line: one JSON document, one line for what went wrong, and a status that scripts can trust."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from coldstream import __version__
from coldstream.console.kafka import PartitionFigures
from coldstream.platform.cli.main import TABLE, _load, without_json
from coldstream.tests.console.world import Broker
from coldstream.tests.platform.cli.conftest import Run


def document(run: Run, *arguments: str) -> Any:
    status, out, err = run(*arguments, "--json")
    assert status == 0, err
    return json.loads(out)


@pytest.mark.parametrize(
    ("given", "left", "wanted"),
    [
        (["--json", "topic", "list", "a/b"], ["topic", "list", "a/b"], True),
        (["topic", "--json", "list", "a/b"], ["topic", "list", "a/b"], True),
        (["topic", "list", "a/b", "--json"], ["topic", "list", "a/b"], True),
        (["topic", "list", "a/b"], ["topic", "list", "a/b"], False),
        (["topic", "show", "--", "--json"], ["topic", "show", "--", "--json"], False),
    ],
)
def test_json_is_understood_in_any_place(given: list[str], left: list[str], wanted: bool) -> None:
    assert without_json(given) == (left, wanted)


@pytest.mark.parametrize("path", TABLE, ids=" ".join)
def test_every_command_of_the_table_exists_and_explains_itself(run: Run, path: tuple[str, ...]) -> None:
    assert _load(path).path == path
    status, out, _ = run(*path, "--help")
    assert status == 0
    assert out.startswith(f"usage: coldstream {' '.join(path)}")
    assert "--json" in out


def test_version_and_overview(run: Run) -> None:
    assert run("--version") == (0, f"coldstream {__version__}\n", "")
    assert document(run, "--version") == {"version": __version__}
    status, out, _ = run("--help")
    assert status == 0
    assert all(" ".join(path) in out for path in TABLE)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], ""),
        (["topick"], "no such command: 'topick'; did you mean `coldstream topic"),
        (["topic"], "say which: coldstream topic create|list|show|alter|delete|produce|consume|tail"),
        (["topic", "creat", "a/b/c"], "did you mean `coldstream topic create`?"),
        (["topic", "create", "a/b"], "'a/b': expected TENANT/NAMESPACE/TOPIC"),
        (["topic", "create", "a/b/c", "--config", "retention.ms"], "expected KEY=VALUE"),
        (["topic", "alter", "a/b/c"], "nothing to change"),
        (["topic", "list"], "required: TENANT/NAMESPACE"),
        (["topic", "list", "a/b", "--part"], "unrecognized arguments: --part"),
        (["key", "create", "a/b", "--name", "k", "--role", "god"], "invalid choice"),
        (["key", "create", "a/b", "--name", "k", "--role", "admin", "--expires", "soon"], "expected a duration"),
        (["key", "rotate", "abc", "--overlap", "1y"], "--overlap '1y'"),
        (["topic", "consume", "a/b/c", "--offset", "3"], "--offset needs --partition"),
        (["tenant", "list", "--url", "ftp://x"], "--url ftp://x: expected http://"),
        (["up", "--brokers", "3"], "exactly one broker"),
        (["up", "--kafka", "nowhere"], "--kafka: expected HOST:PORT"),
        (["up", "--config", "/no/such.toml"], "cannot read the settings file"),
    ],
)
@pytest.mark.parametrize("json_wanted", [False, True])
def test_wrong_usage_is_status_2_and_nothing_on_stdout(
    run: Run, arguments: list[str], said: str, json_wanted: bool
) -> None:
    status, out, err = run(*arguments, *(["--json"] if json_wanted else []))
    assert status == 2
    assert said in err
    assert out == "" or not arguments


def test_a_team_gets_what_it_needs(run: Run, broker: Broker) -> None:
    assert document(run, "tenant", "create", "acme")["name"] == "acme"
    made = document(run, "namespace", "create", "acme/prod", "--default", "retention.ms=30d", "--auto-create-topics")
    assert (made["defaults"], made["auto_create_topics"]) == ({"retention.ms": "2592000000"}, True)
    topic = document(run, "topic", "create", "acme/prod/orders", "--partitions", "2", "--config", "segment.bytes=1MiB")
    assert (topic["partitions"], topic["configs"]) == (2, {"segment.bytes": "1048576"})

    broker.known = {index: PartitionFigures(0, 1, 2, 1024, 3 * 2**20) for index in range(2)}
    shown = document(run, "topic", "show", "acme/prod/orders")
    assert (shown["hot_bytes"], shown["cold_bytes"]) == (2048, 6 * 2**20)
    assert [(p["log_start"], p["local_start"], p["end"]) for p in shown["partitions"]] == [(0, 1, 2)] * 2
    _, out, _ = run("topic", "show", "acme/prod/orders")
    assert "2.0 KiB" in out and "6.0 MiB" in out

    altered = document(run, "topic", "alter", "acme/prod/orders", "--unset", "segment.bytes", "--partitions", "3")
    assert (altered["configs"], altered["partitions"]) == ({}, 3)
    document(run, "namespace", "alter", "acme/prod", "--suspended", "on", "--no-defaults", "--topics-max", "9")
    shown = document(run, "namespace", "show", "acme/prod")
    assert (shown["suspended"], shown["defaults"], shown["topics_max"]) == (True, {}, 9)
    assert document(run, "tenant", "alter", "acme", "--suspend")["suspended"]
    assert [t["name"] for t in document(run, "topic", "list", "acme/prod")["topics"]] == ["orders"]

    status, _, err = run("tenant", "delete", "acme")
    assert (status, "cascade" in err) == (1, True)
    assert document(run, "topic", "delete", "acme/prod/orders") == {"deleted": "acme/prod/orders"}
    assert document(run, "namespace", "delete", "acme/prod", "--cascade") == {"deleted": "acme/prod"}
    assert document(run, "tenant", "delete", "acme") == {"deleted": "acme"}
    assert [t["name"] for t in document(run, "tenant", "list")["tenants"]] == ["default"]


def test_a_key_says_what_it_covers_and_shows_its_secret_once(run: Run) -> None:
    status, out, err = run("key", "create", "default/default", "--name", "shop", "--role", "producer", "--json")
    key = json.loads(out)
    assert status == 0
    assert {"id", "secret", "bootstrap"} <= key.keys()
    assert key["bootstrap"] == "kafka.example:9092"
    assert "covers every topic and group of default/default" in err
    narrow = ["key", "create", "default/default", "--name", "n", "--role", "consumer", "--topic", "orders*"]
    status, out, err = run(*narrow, "--expires", "30d")
    assert (status, err) == (0, "")
    assert "password" in out

    second = document(run, "key", "rotate", key["id"], "--overlap", "0")
    assert second["key"]["rotated_from"] == key["id"]
    assert document(run, "key", "revoke", second["id"])["state"] == "revoked"
    assert document(run, "key", "show", key["id"])["state"] == "expired"
    listed = document(run, "key", "list", "default/default")
    assert key["secret"] not in json.dumps(listed)
    status, out, _ = run("key", "list", "default/default")
    assert status == 0 and key["id"] in out and key["secret"] not in out


def test_an_offload_without_wait_is_a_job(run: Run) -> None:
    document(run, "topic", "create", "default/default/off")
    job = document(run, "offload", "default/default/off", "--drop-local")
    assert (job["kind"], job["state"]) == ("offload", "queued")
    _, out, _ = run("offload", "default/default/off")
    assert "is queued: job" in out


def test_a_compaction_is_a_job_too_and_only_for_what_is_compacted(run: Run) -> None:
    document(run, "topic", "create", "default/default/latest", "--config", "cleanup.policy=compact")
    job = document(run, "topic", "compact", "default/default/latest")
    assert (job["kind"], job["state"]) == ("compact", "queued")
    document(run, "topic", "create", "default/default/all")
    status, _, err = run("topic", "compact", "default/default/all")
    assert status == 1 and "cleanup.policy=delete" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["topic", "show", "default/default/none"], "no topic 'none' in default/default"),
        (["topic", "show", "default/default/a b"], "there is nothing at this address"),
        (["topic", "produce", "default/default/none"], "no topic 'none'"),
        (["topic", "create", "default/default/__x"], "reserved"),
        (["tenant", "create", "default"], "already exists"),
        (["key", "revoke", "AAAAAAAAAAAA"], "no key"),
        (["tenant", "list", "--token", "cs_token_wrong"], "the access token is not valid"),
        (["tenant", "list", "--url", "http://127.0.0.1:1"], "cannot reach the console at http://127.0.0.1:1"),
        (["tenant", "list", "--data-dir", "/nonexistent"], "no platform runs on the data directory /nonexistent"),
    ],
)
@pytest.mark.parametrize("json_wanted", [False, True])
def test_errors_are_one_line_on_stderr_and_status_1(
    run: Run, arguments: list[str], said: str, json_wanted: bool
) -> None:
    status, out, err = run(*arguments, *(["--json"] if json_wanted else []))
    assert (status, out) == (1, "")
    assert said in err
    assert err.count("\n") == 1


def test_what_answers_but_is_no_console_is_named(run: Run, data_dir: Path) -> None:
    import http.server
    import threading

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        status, _, err = run("tenant", "list", "--url", url)
    assert (status, err) == (1, f"coldstream: what answers at {url} is not a Coldstream console (HTTP 200, no JSON)\n")


def test_a_command_starts_without_what_it_does_not_use() -> None:
    heavy = ("sqlalchemy", "starlette", "uvicorn", "httpx", "aiokafka", "rich", "asyncio", "casbin", "msgspec")
    script = (
        "import sys; from coldstream.platform.cli.main import main; main(['topic', 'list', 'a/b', '--url', 'http://127.0.0.1:1',"
        f" '--token', 'x']); print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_supervisor_starts_without_what_it_does_not_use() -> None:
    heavy = ("sqlalchemy", "starlette", "uvicorn", "asyncio", "ssl", "hashlib", "random", "sqlite3", "rich", "msgspec")
    script = (
        "import sys; from coldstream.platform.cli import main, serve; from coldstream.platform import supervisor;"
        f" from coldstream import wiring; print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
