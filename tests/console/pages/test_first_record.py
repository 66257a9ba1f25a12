"""One form makes topic and key, and its answer is the only place that ever shows the secret."""

import re
from pathlib import Path
from typing import Any

import pytest
from coldstream.console import first_record
from coldstream.console.pages import first_record as page
from coldstream.tenants import key_service
from coldstream.tenants.errors import Conflict
from coldstream.tenants.keys import TOKEN_PATTERN
from coldstream.tests.console.browsing import Tab, fingerprint, forms_of, in_seeded_world, tab
from coldstream.tests.console.seeded import NAMESPACE, TENANT, TOPIC, Seeded
from coldstream.tests.console.world import World

FORM = f"/n/{TENANT}/{NAMESPACE}/first-record"
API = f"/namespaces/{TENANT}/{NAMESPACE}"
CHOSEN = {"topic": "fresh.v1", "role": "developer", "expiry": "30"}


async def keys_of(world: World, topic: str) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = (await world.done("GET", f"{API}/keys"))["keys"]
    return [key for key in keys if key["topic_pattern"] == topic]


async def topics(world: World) -> set[str]:
    return {topic["name"] for topic in (await world.done("GET", f"{API}/topics"))["topics"]}


def developer(world: World, seeded: Seeded) -> Tab:
    return tab(world, seeded, "developer")


def test_topic_and_key_are_made_and_the_snippet_holds_the_real_secret(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        answer = await developer(world, seeded).post(FORM, CHOSEN)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        (key,) = await keys_of(world, "fresh.v1")
        assert (key["role"], key["group_pattern"], key["name"]) == ("developer", "fresh.v1*", "fresh.v1")
        assert "fresh.v1" in await topics(world)
        secrets = set(re.findall(TOKEN_PATTERN, answer.text))
        assert len(secrets) == 1
        (secret,) = secrets
        assert f"sasl.password={secret}" in answer.text and f"sasl.username={key['id']}" in answer.text
        assert f'data-events="{FORM.removesuffix("/first-record")}/topics/fresh.v1/first-record/events?' in answer.text
        elsewhere = await developer(world, seeded).get(f"/n/{TENANT}/{NAMESPACE}/topics/fresh.v1/first-record")
        assert elsewhere.status_code == 200 and secret not in elsewhere.text and "YOUR_KEY_SECRET" in elsewhere.text
        assert secret not in str(await fingerprint(world.database))

    in_seeded_world(tmp_path, scenario)


def test_a_topic_that_is_there_is_used_as_it_is(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        before = await topics(world)
        answer = await developer(world, seeded).post(FORM, CHOSEN | {"topic": TOPIC, "partitions": "7"})
        assert answer.status_code == 200 and f"The key for {TOPIC} is made" in answer.text
        assert await topics(world) == before
        assert len((await world.done("GET", f"{API}/topics/{TOPIC}"))["partitions"]) == 3
        assert [key["group_pattern"] for key in await keys_of(world, TOPIC)] == [f"{TOPIC}*"]
        assert "position=latest" in answer.text, "the broker does not tell the end: from now on, then"

    in_seeded_world(tmp_path, scenario)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"topic": ""}, "Give the topic a name"),
        ({"topic": "no spaces"}, "only letters, digits"),
        ({"topic": "x" * 250}, "1 to 249 characters"),
        ({"topic": "ü"}, "only letters, digits"),
        ({"topic": "__hidden"}, "reserved for the platform"),
        ({"topic": TOPIC.replace(".", "_")}, "collides with"),
        ({"partitions": "0"}, "The number of partitions is a whole number from 1 to 1000"),
        ({"partitions": "many"}, "The number of partitions is a whole number from 1 to 1000"),
        ({"role": "admin"}, "Choose one of these"),
        ({"expiry": "tomorrow"}, "Choose one of the times"),
    ],
)
def test_what_cannot_be_is_said_at_its_field_and_nothing_is_made(
    tmp_path: Path, change: dict[str, str], said: str
) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        before = await fingerprint(world.database)
        answer = await developer(world, seeded).post(FORM, CHOSEN | change)
        assert answer.status_code == 422
        assert said in answer.text
        typed = next(form for form in forms_of(answer.text) if form.action == FORM).fields
        assert typed["topic"] == [change.get("topic", CHOSEN["topic"])[:249]] or len(change["topic"]) > 249
        assert await fingerprint(world.database) == before

    in_seeded_world(tmp_path, scenario)


def test_without_the_key_there_is_no_topic_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any, **__: Any) -> None:
        raise Conflict("no key today")

    async def scenario(world: World, seeded: Seeded) -> None:
        before = await fingerprint(world.database)
        monkeypatch.setattr(key_service, "create_key", refuse)
        answer = await developer(world, seeded).post(FORM, CHOSEN)
        assert answer.status_code == 409 and "no key today" in answer.text
        assert await fingerprint(world.database) == before

    in_seeded_world(tmp_path, scenario)


def test_a_name_is_checked_while_it_is_typed(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        async def asked(topic: str) -> tuple[str, bool]:
            answer = (await developer(world, seeded).get(f"{FORM}.json?topic={topic}")).json()
            return answer["problem"], answer["exists"]

        assert await asked("fresh") == ("", False)
        assert await asked(TOPIC) == ("", True)
        assert await asked("") == ("", False)
        assert "only letters" in (await asked("a%20b"))[0]
        await world.done("PATCH", API, {"topics_max": 3})
        assert "may have 3" in (await asked("fresh"))[0]

    in_seeded_world(tmp_path, scenario)


def test_who_may_only_look_is_told_why_the_button_is_off(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        shown = await tab(world, seeded, "reader").get(FORM)
        assert shown.status_code == 200
        assert "No role gives topics-manage here." in shown.text and "disabled" in shown.text

    in_seeded_world(tmp_path, scenario)


@pytest.mark.parametrize(
    ("topic", "name"),
    [("orders.v1", "orders.v1"), ("_x_", "x"), ("-", "first-record"), ("a" * 249, "a" * 100), ("...", "first-record")],
)
def test_a_key_is_called_as_its_topic_as_far_as_that_goes(topic: str, name: str) -> None:
    assert first_record.key_name(topic) == name


def test_a_topic_with_any_name_gets_a_key(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        for topic in ("-", "_", "a" * 249):
            assert (await developer(world, seeded).post(FORM, CHOSEN | {"topic": topic})).status_code == 200
            assert [key["group_pattern"] for key in await keys_of(world, topic)] == [f"{topic}*"]

    in_seeded_world(tmp_path, scenario)


def test_no_more_topics_are_suggested_than_a_browser_lists_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "SUGGESTED_MAX", 2)

    async def scenario(world: World, seeded: Seeded) -> None:
        assert len((await developer(world, seeded).get(f"{FORM}.json")).json()["topics"]) == 2

    in_seeded_world(tmp_path, scenario)


def test_a_page_that_waits_says_why_it_has_nothing_to_show(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        path = f"/n/{TENANT}/{NAMESPACE}/topics/{TOPIC}/first-record"
        shown = await tab(world, seeded, "watcher").get(path)
        assert shown.status_code == 200
        assert "The broker cannot be reached" in shown.text
        assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in shown.text
        assert (await tab(world, seeded, "watcher").get(f"{path}?position=nonsense")).status_code == 404
        assert (await tab(world, seeded, "watcher").get(path.replace(TOPIC, "nothing"))).status_code == 404

    in_seeded_world(tmp_path, scenario)


def test_over_the_api_topic_and_key_come_with_every_snippet(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        body = {"topic": "by.api", "partitions": 2, "role": "producer", "expires_at": "2999-01-01T00:00:00Z"}
        token = seeded.people["developer"].token
        made = await world.done("POST", f"{API}/first-record", body, token=token)
        assert made["topic_created"] and made["topic"]["partitions"] == 2 and made["position"] == "earliest"
        key = made["key"]["key"]
        assert (key["role"], key["topic_pattern"], key["expires_at"][:4]) == ("producer", "by.api", "2999")
        assert all(
            made["key"]["secret"] in snippet["produce"] and "by.api" in snippet["produce"]
            for snippet in made["snippets"]
        )
        again = await world.done("POST", f"{API}/first-record", {"topic": "by.api"}, token=token)
        assert not again["topic_created"] and again["key"]["id"] != made["key"]["id"]
        status, code, message = await world.refused("POST", f"{API}/first-record", {"topic": "x", "role": "admin"})
        assert (status, code) == (422, "invalid_argument") and "admin" in message
        for who in ("reader", "watcher", "auditor", "rival", "nobody"):
            status, code, _ = await world.refused(
                "POST", f"{API}/first-record", {"topic": "y"}, token=seeded.people[who].token
            )
            assert (status, code) == (404, "not_found")
        assert not {"x", "y"} & await topics(world)

    in_seeded_world(tmp_path, scenario)
