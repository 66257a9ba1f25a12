"""A topic's changes on the command line: planned, made, and looked back at."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from coldstream.console import preview_routes
from coldstream.platform.cli.topic_changes import differences
from coldstream.tests.console.preview_broker import answering_on_a_thread, partition_effect
from coldstream.tests.platform.cli.conftest import Run

TOPIC = "default/default/planned"


@pytest.fixture(scope="module", autouse=True)
def impatience() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preview_routes, "WAIT_S", 0.1)
        yield


def lines(run: Run, *arguments: str) -> list[str]:
    status, out, err = run(*arguments)
    assert status == 0, err
    return out.splitlines()


def test_a_plan_shows_configs_and_effect_and_changes_nothing(
    run: Run, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(payload: Mapping[str, Any]) -> Mapping[str, Any]:
        gone = {"log_start_after": 7, "records_gone": 7, "bytes_gone_hot": 2048, "bytes_gone_cold": 1024}
        effects = [partition_effect(0, **gone), partition_effect(1, local_bytes_evicted=512), partition_effect(2)]
        return {"as_of_ms": 1_700_000_000_000, "partitions": effects}

    monkeypatch.setattr(preview_routes, "WAIT_S", 5.0)
    lines(run, "topic", "create", TOPIC, "--partitions", "3")
    alter = ("topic", "alter", TOPIC, "--config", "retention.ms=1h", "--partitions", "4", "--plan")
    with answering_on_a_thread(f"sqlite:///{data_dir / 'coldstream.db'}", answer):
        assert lines(run, *alter) == [
            "CONFIG              BEFORE     AFTER    FROM",
            "local.retention.ms  86400000   3600000  limited",
            "retention.ms        604800000  3600000  topic",
            "partitions: 3, then 4",
            "",
            "PARTITION  LOG START  THEN  RECORDS GONE  HOT GONE  COLD GONE  LEAVES LOCAL DISK",
            "0          0          7     7             2.0 KiB   1.0 KiB    0 B",
            "1          0          0     0             0 B       0 B        512 B",
            "all                         7             2.0 KiB   1.0 KiB    512 B",
            "1 of 3 partitions keep all that they have, where they have it",
            "as of 2023-11-14T22:13:20Z",
            "nothing was changed",
        ]
        status, out, _ = run(*alter, "--json")
        assert (status, json.loads(out)["totals"]["records_gone"]) == (0, 7)
    (shown,) = (line for line in lines(run, "topic", "show", TOPIC) if line.startswith("configs"))
    assert "all defaults" in shown


def test_a_plan_without_a_broker_says_what_is_missing(run: Run) -> None:
    lines(run, "topic", "create", f"{TOPIC}-alone")
    shown = lines(run, "topic", "alter", f"{TOPIC}-alone", "--unset", "retention.ms", "--plan")
    assert shown == [
        f"no config of {TOPIC}-alone would change",
        "",
        "what would go is not known: the broker did not answer within 0 s",
        "nothing was changed",
    ]


def test_a_plan_of_what_cannot_be_is_an_error(run: Run) -> None:
    lines(run, "topic", "create", f"{TOPIC}-wrong")
    status, out, err = run("topic", "alter", f"{TOPIC}-wrong", "--config", "retention.ms=soon", "--plan")
    assert (status, out) == (1, "") and "retention.ms=soon: not a whole number" in err
    assert run("topic", "alter", f"{TOPIC}-wrong", "--plan")[0] == 2


def test_the_history_of_a_topic_shows_who_changed_what(run: Run) -> None:
    topic = f"{TOPIC}-old"
    lines(run, "topic", "create", topic, "--config", "segment.bytes=1MiB")
    lines(run, "topic", "alter", topic, "--config", "retention.ms=1h", "--unset", "segment.bytes")
    lines(run, "topic", "alter", topic, "--partitions", "2")
    shown = [line.split(maxsplit=3) for line in lines(run, "topic", "history", topic)]
    assert shown[0] == ["AT", "BY", "ACTION", "CHANGE"]
    assert [line[1:] for line in shown[1:]] == [
        ["admin", "topic.alter", "partitions: 1 -> 2"],
        ["admin", "topic.alter", "retention.ms: (not set) -> 3600000"],
        ["admin", "topic.alter", "segment.bytes: 1048576 -> (not set)"],
        ["admin", "topic.create", "durability: local"],
        ["admin", "topic.create", "partitions: 1"],
        ["admin", "topic.create", "segment.bytes: 1048576"],
    ]
    assert len(lines(run, "topic", "history", topic, "--limit", "1")) == 2
    status, out, _ = run("topic", "history", topic, "--json")
    assert (status, len(json.loads(out)["entries"])) == (0, 3)


def test_an_audit_row_without_a_difference_is_one_empty_line() -> None:
    assert list(differences({}, {})) == [""]
    assert list(differences({"configs": {"a": "1"}}, {"configs": {"a": "1"}})) == [""]
