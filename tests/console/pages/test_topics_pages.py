"""Topics by browser: found, made, looked at, configured by way of a preview, deleted; without a script."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import httpx
from coldstream.console.figures import PartitionFigures, TopicFigures
from coldstream.console.pages import topics as topics_page
from coldstream.console.samples import Activity, TopicSample
from coldstream.tenants.actor import Actor
from coldstream.tenants.catalogue import TopicEntry
from coldstream.tenants.scope import namespace_scope
from coldstream.tenants.sessions import CONFIRMED_MS
from coldstream.tenants.topics import create_topic
from coldstream.tests.console.browsing import Tab, forms_of, in_seeded_world, tab
from coldstream.tests.console.seeded import NAMESPACE, TENANT, TOPIC, Seeded
from coldstream.tests.console.world import World
from sqlalchemy import text

SHOP = f"/n/{TENANT}/{NAMESPACE}"
ORDERS = f"{SHOP}/topics/{TOPIC}"
NEW = {"name": "made", "partitions": "2", "cleanup_policy": "delete", "retention": "604800000", "tiering": "on"}
FULL = PartitionFigures(10, 50, 100, 1024, 2048)


async def twin(browser: Tab, path: str) -> Any:
    answer = await browser.get(path)
    assert answer.status_code == 200, (path, answer.text)
    return answer.json()


async def topic_of(world: World, name: str) -> TopicEntry:
    async with world.database.read() as session:
        return await (await namespace_scope(session, TENANT, NAMESPACE)).topic(name)


def where_to(answer: httpx.Response) -> str:
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


# the list


async def many_topics(world: World, count: int) -> None:
    async with world.database.write() as session:
        namespace_id = (await namespace_scope(session, TENANT, NAMESPACE)).id
        for number in range(count):
            await create_topic(session, Actor.system("test"), namespace_id, f"Sensor.{number:03}", 1 + number % 3, {})


def test_a_filter_finds_by_part_of_a_name_and_a_page_beyond_the_last_is_the_last(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        await many_topics(world, 60)
        browser = tab(world, seeded, "watcher")
        first = await twin(browser, f"{SHOP}/topics.json?q=sensor&order=-name")
        assert (first["span"]["first"], first["span"]["last"], first["span"]["total"]) == (1, 50, 60)
        assert first["rows"][0]["name"] == "Sensor.059"
        assert parse_qs(urlsplit(first["span"]["later"]).query) == {"q": ["sensor"], "order": ["-name"], "page": ["2"]}
        last = await twin(browser, f"{SHOP}/topics.json?q=sensor&page=99")
        assert (last["span"]["page"], len(last["rows"]), last["rows"][-1]["name"]) == (2, 10, "Sensor.059")
        assert len((await twin(browser, f"{SHOP}/topics.json?order=nonsense&page=-3"))["rows"]) == 50

    in_seeded_world(tmp_path, scenario)


def test_no_topic_yet_is_another_thing_than_no_match(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        owner = tab(world, seeded, "owner")
        none_yet = (await owner.get(f"/n/{TENANT}/empty/topics")).text
        assert "No topic yet" in none_yet and f"/n/{TENANT}/empty/new-topic" in none_yet
        assert f"/n/{TENANT}/empty/first-record" in none_yet
        no_match = (await owner.get(f"{SHOP}/topics?q=absent")).text
        assert "No topic matches" in no_match and "Clear the filter" in no_match
        looking = (await tab(world, seeded, "watcher").get(f"/n/{TENANT}/empty/topics")).text
        assert "new-topic" not in looking and "no role gives topics-manage here" in looking.lower()

    in_seeded_world(tmp_path, scenario)


def test_every_column_orders_the_list_and_what_is_not_known_comes_last() -> None:
    def topic(name: str, sample: TopicSample | None, **configs: str) -> tuple[TopicEntry, TopicSample | None]:
        named = {key.replace("_", "."): value for key, value in configs.items()}
        return TopicEntry(uuid4(), UUID(int=0), name, 1, named, "local", False, 0), sample

    def sample(hot: int, rate: float, last_ms: int | None) -> TopicSample:
        return TopicSample("", TopicFigures(()), Activity(0, 1, rate), hot, 100 - hot, 0, last_ms)

    given = [
        topic("d", None, retention_ms="-1"),
        topic("b", sample(5, 1.0, 2), retention_ms="1000"),
        topic("a", sample(5, 3.0, None)),
        topic("c", sample(7, 2.0, 1), retention_ms="2000"),
    ]

    def names(order: str) -> str:
        return "".join(entry.name for entry, _ in topics_page.in_order(given, order, {}))

    assert {order: names(order) for order in ("name", "-name", "hot", "-hot", "-rate", "last", "-last")} == {
        "name": "abcd",
        "-name": "dcba",
        "hot": "abcd",
        "-hot": "cabd",
        "-rate": "acbd",
        "last": "cbda",
        "-last": "bcda",
    }
    assert names("retention") == "bcad"
    assert {*topics_page.ORDERS} == {"name", "partitions", "hot", "cold", "rate", "last", "retention", "policy"}
    for order in topics_page.ORDERS:
        assert sorted(names(order)) == sorted(names(f"-{order}")) == [*"abcd"]


# making one


def test_a_name_is_checked_as_the_service_would(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        browser = tab(world, seeded, "developer")
        problems = {
            name: (await twin(browser, f"{SHOP}/new-topic.json?name={name}"))["problem"]
            for name in ("fine", TOPIC, "orders_v1", "no%20spaces", "__internal", "x" * 250)
        }
        assert problems["fine"] == ""
        assert "already exists" in problems[TOPIC]
        assert "collides" in problems["orders_v1"]
        assert all(problems[name] for name in problems if name != "fine")

    in_seeded_world(tmp_path, scenario)


def test_a_topic_keeps_what_differs_from_the_defaults(tmp_path: Path) -> None:
    cases: tuple[tuple[dict[str, str], dict[str, str]], ...] = (
        ({}, {}),
        ({"retention": "-1"}, {"retention.ms": "-1"}),
        ({"retention": "custom", "retention_custom": "45d"}, {"retention.ms": "3888000000"}),
        ({"retention_bytes": "2GiB"}, {"retention.bytes": "2147483648"}),
        ({"local_retention": "2h"}, {"local.retention.ms": "7200000"}),
        ({"local_retention": "1d"}, {}),
        ({"cleanup_policy": "compact"}, {"cleanup.policy": "compact", "remote.storage.enable": "false"}),
    )

    async def scenario(world: World, seeded: Seeded) -> None:
        for number, (more, configs) in enumerate(cases):
            name = f"made-{number}"
            answer = await tab(world, seeded, "developer").post(f"{SHOP}/new-topic", {**NEW, "name": name, **more})
            assert where_to(answer) == f"{SHOP}/topics/{name}/overview?notice=topic-created"
            made = await topic_of(world, name)
            assert (made.partitions, dict(made.configs)) == (2, configs)

    in_seeded_world(tmp_path, scenario)


def test_a_refusal_lands_at_its_field_with_what_was_typed(tmp_path: Path) -> None:
    cases: tuple[tuple[dict[str, str], str, str], ...] = (
        ({"name": ""}, "name", "Give the topic a name"),
        ({"name": TOPIC}, "name", "already exists"),
        ({"name": "not this"}, "name", "only letters"),
        ({"partitions": "0"}, "partitions", "whole number from 1 to"),
        ({"partitions": "many"}, "partitions", "whole number from 1 to"),
        ({"retention": "custom"}, "retention_custom", "Say how long"),
        ({"retention": "custom", "retention_custom": "30"}, "retention_custom", "give a unit"),
        ({"retention": "custom", "retention_custom": "30 apples"}, "retention_custom", "not a whole number"),
        ({"retention_bytes": "-5"}, "retention_bytes", "must be from -1"),
        ({"retention": "3600000", "local_retention": "2d"}, "local_retention", "more than retention.ms"),
        ({"cleanup_policy": "burn"}, "cleanup_policy", "must be"),
    )

    async def scenario(world: World, seeded: Seeded) -> None:
        for more, field, words in cases:
            answer = await tab(world, seeded, "developer").post(f"{SHOP}/new-topic", {**NEW, **more})
            assert answer.status_code == 422, more
            at = answer.text.index(f'<div id="f-{field}-says"')
            assert words in answer.text[at : at + 500], more
            form = next(form for form in forms_of(answer.text) if form.action.endswith("/new-topic"))
            assert form.fields["partitions"] == [{**NEW, **more}["partitions"]]

    in_seeded_world(tmp_path, scenario)


# looking at one


def test_the_overview_tells_figures_and_draws_them(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        world.broker.known = {0: FULL, 1: FULL, 2: PartitionFigures(0, 0, 0, 0, 0)}
        browser = tab(world, seeded, "watcher")
        told = await twin(browser, f"{ORDERS}/overview.json")
        assert (told["records"], told["hot_bytes"], told["cold_bytes"]) == (180, 2048, 4096)
        assert told["figures_missing_because"] is None
        page = (await browser.get(f"{ORDERS}/overview")).text
        assert 'aria-label="Partition 0: offsets 10 to 50 cold and 50 to 100 hot; 2.00 KiB cold, 1.00 KiB hot"' in page
        assert 'data-label="Local start">50<' in page
        assert page.count("style=") == 0

    in_seeded_world(tmp_path, scenario)


def test_without_the_broker_the_pages_tell_why_figures_are_missing(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        world.broker.unavailable = "the broker is away for tea"
        browser = tab(world, seeded, "developer")
        for page in ("overview", "delete"):
            answer = await browser.get(f"{ORDERS}/{page}")
            assert answer.status_code == 200 and "the broker is away for tea" in answer.text
        preview = await browser.get(f"{ORDERS}/preview?retention.ms=3600000")
        assert "Which records would go is not known" in preview.text and "1 h" in preview.text

    in_seeded_world(tmp_path, scenario)


def test_who_may_only_look_finds_every_control_there_and_disabled_with_the_reason(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        browser = tab(world, seeded, "watcher")
        for page in ("overview", "configuration", "delete", "preview?max.message.bytes=2048"):
            text = (await browser.get(f"{ORDERS}/{page}")).text
            assert "No role gives topics-manage here." in text, page
        configuration = (await browser.get(f"{ORDERS}/configuration")).text
        open_fields = [line for line in configuration.split("<") if line.startswith(('input id="f-segment', "select"))]
        assert open_fields and all("disabled" in line for line in open_fields)

    in_seeded_world(tmp_path, scenario)


def test_work_begun_by_hand_is_a_job_that_the_page_then_shows(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        browser = tab(world, seeded, "developer")
        assert where_to(await browser.post(f"{ORDERS}/offload", {"drop_local": "on"})).endswith("notice=job-started")
        jobs = (await twin(browser, f"{ORDERS}/overview.json"))["jobs"]
        assert [job["kind"] for job in jobs] == ["offload", "offload"]
        assert jobs[0]["created_by"] == seeded.people["developer"].name
        refused = await browser.post(f"{ORDERS}/compact")
        assert refused.status_code == 409 and "cleanup.policy=delete" in refused.text
        await browser.post(f"{SHOP}/new-topic", {**NEW, "cleanup_policy": "compact"})
        assert where_to(await browser.post(f"{SHOP}/topics/made/compact")).endswith("notice=job-started")

    in_seeded_world(tmp_path, scenario)


# configuring one


def test_the_form_leads_to_a_preview_that_applies_what_it_showed(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        world.broker.unavailable = "not now"
        browser = tab(world, seeded, "developer")
        form = {"retention.ms.is": "custom", "retention.ms": "30d", "retention.bytes.is": "default", "segment.ms": ""}
        to = where_to(await browser.post(f"{ORDERS}/configuration", form))
        assert to == f"{ORDERS}/preview?retention.ms=2592000000"
        assert (await topic_of(world, TOPIC)).configs["retention.ms"] == "604800000"
        page = await browser.get(to)
        assert "7 d" in page.text and "30 d" in page.text
        apply = next(form for form in forms_of(page.text) if "/preview" in form.action)
        assert where_to(await browser.post(apply.action, apply.fields)).endswith("notice=config-applied")
        assert (await topic_of(world, TOPIC)).configs["retention.ms"] == "2592000000"
        history = (await twin(browser, f"{ORDERS}/history.json"))["rows"]
        assert history[0]["changes"] == [{"name": "retention.ms", "before": "7 d", "after": "30 d"}]
        assert history[0]["actor"] == seeded.people["developer"].name

    in_seeded_world(tmp_path, scenario)


def test_back_to_the_default_is_no_override_and_nothing_changed_is_said(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        world.broker.unavailable = "not now"
        browser = tab(world, seeded, "developer")
        to = where_to(await browser.post(f"{ORDERS}/configuration", {"retention.ms.is": "default"}))
        assert to == f"{ORDERS}/preview?unset=retention.ms"
        apply = next(form for form in forms_of((await browser.get(to)).text) if "/preview" in form.action)
        await browser.post(apply.action, apply.fields)
        assert dict((await topic_of(world, TOPIC)).configs) == {}
        again = await browser.post(f"{ORDERS}/configuration", {"retention.ms.is": "default"})
        assert where_to(again).endswith("/configuration?notice=nothing-changed")

    in_seeded_world(tmp_path, scenario)


def test_what_may_let_records_go_is_applied_by_the_form_that_asks_for_the_password(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        world.broker.unavailable = "not now"
        async with world.database.write() as session:
            await session.execute(
                text("UPDATE sessions SET confirmed_at_ms = confirmed_at_ms - :ms"), {"ms": CONFIRMED_MS}
            )
        browser = tab(world, seeded, "developer")
        page = (await browser.get(f"{ORDERS}/preview?retention.ms=3600000")).text
        apply = next(form for form in forms_of(page) if "/preview" in form.action)
        assert apply.action.startswith(f"{ORDERS}/preview/records-may-go?") and "password" in apply.fields
        assert (await browser.post(apply.action, apply.fields)).status_code == 422
        milder = await browser.post(f"{ORDERS}/preview?retention.ms=3600000", apply.fields)
        assert milder.status_code == 422 and "may let records go" in milder.text
        assert (await topic_of(world, TOPIC)).configs["retention.ms"] == "604800000"

    in_seeded_world(tmp_path, scenario)


def test_a_change_decided_on_another_state_of_the_topic_is_not_made(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        world.broker.unavailable = "not now"
        browser = tab(world, seeded, "developer")
        page = (await browser.get(f"{ORDERS}/preview?max.message.bytes=2097152")).text
        apply = next(form for form in forms_of(page) if "/preview" in form.action)
        await world.done("PATCH", f"/namespaces/{TENANT}/{NAMESPACE}/topics/{TOPIC}", {"configs": {"segment.ms": "2h"}})
        answer = await browser.post(apply.action, apply.fields)
        assert answer.status_code == 422 and "changed meanwhile" in answer.text
        assert "max.message.bytes" not in (await topic_of(world, TOPIC)).configs

    in_seeded_world(tmp_path, scenario)


def test_a_config_that_cannot_be_is_refused_at_its_field(tmp_path: Path) -> None:
    cases: tuple[tuple[dict[str, str], str, str], ...] = (
        ({"retention.ms.is": "custom", "retention.ms": ""}, "retention.ms", "Give a value"),
        ({"segment.bytes": "12 bananas"}, "segment.bytes", "not a whole number"),
        (
            {"local.retention.ms.is": "custom", "local.retention.ms": "30d"},
            "local.retention.ms",
            "more than retention.ms",
        ),
        ({"cleanup.policy": "compact", "remote.storage.enable": "true"}, "cleanup.policy", "not compacted"),
    )

    async def scenario(world: World, seeded: Seeded) -> None:
        for form, field, words in cases:
            answer = await tab(world, seeded, "developer").post(f"{ORDERS}/configuration", form)
            assert answer.status_code == 422, form
            at = answer.text.index(f'id="f-{field}-says"')
            assert words in answer.text[at : at + 400], form

    in_seeded_world(tmp_path, scenario)


def test_an_address_that_asks_for_what_cannot_be_says_so(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        browser = tab(world, seeded, "developer")
        for asked_for in ("retention.ms=never", "segment.bytes=1", "retention.ms="):
            answer = await browser.get(f"{ORDERS}/preview?{asked_for}")
            assert answer.status_code == 200 and 'role="alert"' in answer.text, asked_for
        assert "Nothing would change" in (await browser.get(f"{ORDERS}/preview?colour=blue")).text

    in_seeded_world(tmp_path, scenario)


def test_partitions_are_added_by_who_says_that_they_know_what_it_does(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        browser = tab(world, seeded, "developer")
        for form, words in (
            ({"partitions": "5"}, "what this does to keys"),
            ({"partitions": "3", "understood": "on"}, "can only grow"),
            ({"partitions": "1001", "understood": "on"}, "from 1 to 1000"),
        ):
            answer = await browser.post(f"{ORDERS}/partitions", form)
            assert answer.status_code == 422 and words in answer.text
        added = await browser.post(f"{ORDERS}/partitions", {"partitions": "5", "understood": "on"})
        assert where_to(added).endswith("notice=partitions-added")
        assert (await topic_of(world, TOPIC)).partitions == 5

    in_seeded_world(tmp_path, scenario)


# deleting one


def test_a_topic_goes_when_its_name_is_typed_and_not_before(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        world.broker.known = {0: FULL, 1: FULL, 2: FULL}
        browser = tab(world, seeded, "developer")
        counted = await twin(browser, f"{ORDERS}/delete.json")
        assert (counted["records"], counted["partitions"], counted["cold_bytes"]) == (270, 3, 6144)
        for typed in ("", "orders", f"{TOPIC} x"):
            answer = await browser.post(f"{ORDERS}/delete", {"confirm": typed})
            assert answer.status_code == 422 and "Nothing is deleted" in answer.text
        assert (
            where_to(await browser.post(f"{ORDERS}/delete", {"confirm": TOPIC}))
            == f"{SHOP}/topics?notice=topic-deleted"
        )
        assert (await browser.get(f"{ORDERS}/overview")).status_code == 404

    in_seeded_world(tmp_path, scenario)
