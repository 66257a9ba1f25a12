"""A change of a topic, shown before it is made and after; the broker is somebody who answers jobs."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from coldstream.console import preview_routes
from coldstream.tenants import audit
from coldstream.tenants.models import Job
from coldstream.tests.console.preview_broker import answering, partition_effect
from coldstream.tests.console.world import NAMESPACE, World, in_world
from sqlalchemy import func, select

TOPIC = f"{NAMESPACE}/topics/orders"
EMPTY = {"partitions": [], "totals": None, "compaction": None, "as_of": None}


async def make(world: World, **configs: str) -> None:
    await world.done("POST", f"{NAMESPACE}/topics", {"name": "orders", "partitions": 2, "configs": configs})


async def audit_rows(world: World) -> int:
    async with world.database.read() as session:
        return len(await audit.entries(session, limit=1000))


async def job_rows(world: World) -> int:
    async with world.database.read() as session:
        return await session.scalar(select(func.count()).select_from(Job)) or 0


def test_a_preview_shows_the_configs_that_change_and_what_the_broker_says_would_go(tmp_path: Path) -> None:
    asked: list[Mapping[str, Any]] = []

    def answer(payload: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append(payload)
        gone = {"log_start_after": 7, "records_gone": 7, "segments_gone": 2, "bytes_gone_hot": 70}
        effects = [
            partition_effect(0, **gone, bytes_gone_cold=30),
            partition_effect(1, local_bytes_evicted=5),
        ]
        return {"as_of_ms": 1_700_000_000_000, "partitions": effects, "compaction": None}

    async def scenario(world: World) -> None:
        await make(world, **{"segment.bytes": "1MiB"})
        audited = await audit_rows(world)
        async with answering(world.database, answer):
            body = {"configs": {"retention.ms": "1h"}, "unset": ["segment.bytes"], "partitions": 3}
            shown = await world.done("POST", f"{TOPIC}/preview", body)
        assert [(c["name"], c["before"], c["after"], c["source_before"], c["source"]) for c in shown["changes"]] == [
            ("local.retention.ms", "86400000", "3600000", "default", "limited"),
            ("retention.ms", "604800000", "3600000", "default", "topic"),
            ("segment.bytes", "1048576", "134217728", "topic", "default"),
        ]
        assert (shown["partition_count_before"], shown["partition_count_after"]) == (2, 3)
        assert shown["totals"] == {
            "partitions_changed": 2,
            "records_gone": 7,
            "segments_gone": 2,
            "bytes_gone_hot": 70,
            "bytes_gone_cold": 30,
            "local_bytes_evicted": 5,
        }
        assert [(p["partition"], p["log_start_before"], p["log_start_after"]) for p in shown["partitions"]] == [
            (0, 0, 7),
            (1, 0, 0),
        ]
        assert (shown["as_of"], shown["missing_because"]) == ("2023-11-14T22:13:20Z", None)
        topic = await world.done("GET", TOPIC)
        assert asked[0]["topic_id"] == topic["id"]
        assert asked[0]["configs"] == topic["effective_configs"] | {
            "retention.ms": "3600000",
            "local.retention.ms": "3600000",
            "segment.bytes": "134217728",
        }
        assert topic["configs"] == {"segment.bytes": "1048576"} and len(topic["partitions"]) == 2  # nothing was changed
        assert await audit_rows(world) == audited

    in_world(tmp_path, scenario)


def test_a_preview_refuses_what_the_change_itself_would_be_refused_for(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await make(world)
        for body, code in (
            ({"configs": {"retention.ms": "soon"}}, "invalid_config"),
            ({"configs": {"local.retention.ms": "9d"}}, "invalid_config"),
            ({"unset": ["nonsense"]}, "invalid_config"),
            ({"partitions": 1}, "invalid_partitions"),
            ({"what": 1}, "invalid_body"),
        ):
            status, found, _ = await world.refused("POST", f"{TOPIC}/preview", body)
            assert (status, found) == (422, code)
            assert (await world.refused("PATCH", TOPIC, body))[:2] == (422, code)
        assert (await world.refused("POST", f"{NAMESPACE}/topics/none/preview", {}))[0] == 404
        assert await job_rows(world) == 0

    in_world(tmp_path, scenario)


def test_without_its_broker_a_preview_still_shows_the_configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview_routes, "WAIT_S", 0.2)
    body = {"configs": {"retention.ms": "1h"}}

    async def scenario(world: World) -> None:
        await make(world)
        world.broker.unavailable = "away"
        shown = await world.done("POST", f"{TOPIC}/preview", body)
        assert {name: shown[name] for name in EMPTY} == EMPTY and len(shown["changes"]) == 2
        assert shown["missing_because"] == "the broker cannot be reached"
        assert await job_rows(world) == 0
        world.broker.unavailable = None
        shown = await world.done("POST", f"{TOPIC}/preview", body)
        assert {name: shown[name] for name in EMPTY} == EMPTY and len(shown["changes"]) == 2
        assert shown["missing_because"] == "the broker did not answer within 0 s"
        assert await job_rows(world) == 0  # nobody waits for it any more

    in_world(tmp_path, scenario)


def test_a_preview_says_why_the_broker_could_not_say(tmp_path: Path) -> None:
    def fails(_: Mapping[str, Any]) -> Mapping[str, Any]:
        raise ValueError("the topic is not open here: it was deleted, or is offline")

    def of_another_release(_: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"as_of_ms": 1, "partitions": [{"partition": 0, "records": 7}]}

    async def scenario(world: World) -> None:
        await make(world)
        for answer, why in ((fails, "not open here"), (of_another_release, "another release")):
            async with answering(world.database, answer):
                shown = await world.done("POST", f"{TOPIC}/preview", {"configs": {"retention.ms": "1h"}})
            assert why in shown["missing_because"] and shown["partitions"] == []

    in_world(tmp_path, scenario)


def test_one_member_asks_the_broker_for_few_previews_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may read much, and all tenants' are answered one after another."""
    monkeypatch.setattr(preview_routes, "WAIT_S", 0.3)
    under_way = []

    async def scenario(world: World) -> None:
        await make(world)
        body = {"configs": {"retention.ms": "1h"}}
        asked = [asyncio.create_task(world.done("POST", f"{TOPIC}/preview", body)) for _ in range(6)]
        while not all(each.done() for each in asked):
            under_way.append(await job_rows(world))
            await asyncio.sleep(0.01)
        said = [each.result()["missing_because"] for each in asked]
        assert max(under_way) == 4
        assert sum("busy with other previews" in each for each in said) == 2
        assert all(len(each.result()["changes"]) == 2 for each in asked), "what changes is told in any case"
        assert await job_rows(world) == 0

    in_world(tmp_path, scenario)


def test_the_history_of_a_topic_is_that_of_the_topic_and_not_of_an_earlier_one_of_its_name(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await make(world)
        await world.done("DELETE", TOPIC)
        await make(world, **{"retention.ms": "1h"})
        await world.done("POST", f"{NAMESPACE}/topics", {"name": "other"})
        await world.done("PATCH", TOPIC, {"configs": {"retention.ms": "2h"}})
        await world.done("PATCH", TOPIC, {"partitions": 3})
        entries = (await world.done("GET", f"{TOPIC}/history"))["entries"]
        assert [(each["action"], each["object_name"]) for each in entries] == [
            ("topic.alter", "orders"),
            ("topic.alter", "orders"),
            ("topic.create", "orders"),
        ]
        assert (entries[0]["before"], entries[0]["after"]) == ({"partitions": 2}, {"partitions": 3})
        assert (entries[1]["before"], entries[1]["after"]) == (
            {"configs": {"retention.ms": "3600000"}},
            {"configs": {"retention.ms": "7200000"}},
        )
        first = (await world.done("GET", f"{TOPIC}/history?limit=1"))["entries"]
        rest = (await world.done("GET", f"{TOPIC}/history?before={first[0]['seq']}"))["entries"]
        assert first + rest == entries
        assert (await world.refused("GET", f"{NAMESPACE}/topics/none/history"))[0] == 404

    in_world(tmp_path, scenario)


def test_previews_of_many_readers_do_not_mix(tmp_path: Path) -> None:
    def answer(payload: Mapping[str, Any]) -> Mapping[str, Any]:
        start = int(payload["configs"]["retention.bytes"])
        return {"as_of_ms": 1, "partitions": [partition_effect(0, log_start_after=start)]}

    async def scenario(world: World) -> None:
        await make(world)
        async with answering(world.database, answer):
            shown = await asyncio.gather(
                *(
                    world.done("POST", f"{TOPIC}/preview", {"configs": {"retention.bytes": str(limit)}})
                    for limit in range(5, 9)
                )
            )
        assert [each["partitions"][0]["log_start_after"] for each in shown] == [5, 6, 7, 8]

    in_world(tmp_path, scenario)
