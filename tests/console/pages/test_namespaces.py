"""Namespaces on pages: the list, the making, settings in people's spelling, limits that nobody lifts for themselves."""

from pathlib import Path
from typing import Any

import pytest
from coldstream.tests.console.browsing import fingerprint, forms_of, in_seeded_world, tab
from coldstream.tests.console.seeded import Seeded
from coldstream.tests.console.world import World

LIST, NEW, SETTINGS = "/tenants/acme/namespaces", "/tenants/acme/new-namespace", "/n/acme/shop/settings"
LIMITS = ("topics_max", "partitions_max", "partitions_per_topic_max")


async def namespace(world: World, path: str = "acme/shop") -> Any:
    return await world.done("GET", f"/namespaces/{path}")


async def form_of(world: World, seeded: Seeded, who: str) -> dict[str, list[str]]:
    page = await tab(world, seeded, who).get(SETTINGS)
    return next(form for form in forms_of(page.text) if form.action == SETTINGS).fields


def test_the_list_shows_what_each_holds(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        view = (await tab(world, seeded, "watcher").get(f"{LIST}.json")).json()
        rows = {row["name"]: row for row in view["namespaces"]}
        assert set(rows) == {"empty", "shop"}
        assert (rows["shop"]["topics"], rows["shop"]["partitions"], rows["shop"]["keys"]) == (3, 5, 3)
        assert rows["shop"]["hot_bytes"] is None, "nobody has looked at the broker yet: that is no zero"
        assert [
            row["name"] for row in (await tab(world, seeded, "local").get(f"{LIST}.json")).json()["namespaces"]
        ] == ["shop"]
        assert "New namespace" not in (await tab(world, seeded, "watcher").get(LIST)).text
        assert "New namespace" in (await tab(world, seeded, "owner").get(LIST)).text

    in_seeded_world(tmp_path, scenario)


def test_a_namespace_is_made_with_limits_by_platform_administrators_alone(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        fields = {"name": "fresh", "auto_create_topics": "on", **dict.fromkeys(LIMITS, "7")}
        made = await tab(world, seeded, "root").post(NEW, fields)
        assert made.headers["location"] == "/n/acme/fresh/home?notice=namespace-created"
        found = await namespace(world, "acme/fresh")
        assert [found[name] for name in LIMITS] == [7, 7, 7] and found["auto_create_topics"]

        owner = tab(world, seeded, "owner")
        assert "topics_max" not in (await owner.get(NEW)).text
        assert (await owner.post(NEW, {**fields, "name": "mine"})).status_code == 303
        assert (await namespace(world, "acme/mine"))["topics_max"] == 1_000, "what the form does not offer is not taken"
        taken = await owner.post(NEW, {"name": "mine"})
        assert taken.status_code == 422 and "already exists" in taken.text

    in_seeded_world(tmp_path, scenario)


@pytest.mark.parametrize("name", LIMITS)
def test_nobody_lifts_their_own_limits(tmp_path: Path, name: str) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        token = seeded.people["owner"].token
        for method, path, body in (
            ("PATCH", "/namespaces/acme/shop", {name: 5}),
            ("POST", "/namespaces/acme", {"name": "more", name: 5}),
        ):
            status, code, message = await world.refused(method, path, body, token=token)
            assert (status, code) == (403, "not_allowed") and name in message
        assert (await world.done("PATCH", "/namespaces/acme/shop", {name: 5}))[name] == 5

    in_seeded_world(tmp_path, scenario)


def test_settings_are_typed_and_shown_as_people_spell_them(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        owner = tab(world, seeded, "owner")
        fields = await form_of(world, seeded, "owner")
        assert not any(values[0] for name, values in fields.items() if name.startswith("config.") and values)
        fields |= {
            "config.retention.ms": ["30d"],
            "config.max.message.bytes": ["2 MiB"],
            "config.retention.bytes": ["unlimited"],
            "config.remote.storage.enable": ["false"],
            "auto_create_topics": ["on"],
        }
        assert (await owner.post(SETTINGS, fields)).headers["location"].endswith("notice=saved")
        found = await namespace(world)
        assert found["auto_create_topics"] and found["defaults"] == {
            "retention.ms": "2592000000",
            "max.message.bytes": "2097152",
            "retention.bytes": "-1",
            "remote.storage.enable": "false",
        }
        shown = await form_of(world, seeded, "owner")
        assert shown["config.retention.ms"] == ["30d"] and shown["config.max.message.bytes"] == ["2MiB"]
        assert shown["config.retention.bytes"] == ["unlimited"] and shown["auto_create_topics"] == ["on"]

        before = await fingerprint(world.database)
        assert (await owner.post(SETTINGS, shown)).headers["location"].endswith("notice=nothing-changed")
        assert await fingerprint(world.database) == before, "sent as it is shown, nothing changes"

        shown["config.retention.ms"] = [""]
        await owner.post(SETTINGS, shown)
        assert "retention.ms" not in (await namespace(world))["defaults"]

    in_seeded_world(tmp_path, scenario)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"config.retention.ms": "3 years"}, "unknown unit|not a whole number"),
        ({"config.retention.ms": "-5"}, "must be from -1"),
        ({"config.retention.ms": "1h", "config.local.retention.ms": "2h"}, "what is kept locally is a part"),
        ({"config.message.timestamp.type": "Yesterday"}, "must be CreateTime or LogAppendTime"),
    ],
)
def test_what_cannot_be_is_said_at_its_field_and_nothing_changes(
    tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        fields = await form_of(world, seeded, "owner") | {name: [value] for name, value in changes.items()}
        before = await fingerprint(world.database)
        answer = await tab(world, seeded, "owner").post(SETTINGS, fields)
        assert answer.status_code == 422
        assert any(text in answer.text for text in said.split("|"))
        assert 'class="error"' in answer.text and all(value in answer.text for value in changes.values())
        assert await fingerprint(world.database) == before

    in_seeded_world(tmp_path, scenario)


def test_limits_are_for_platform_administrators(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        fields = await form_of(world, seeded, "root")
        assert [fields[name] for name in LIMITS] == [["1000"], ["10000"], ["1000"]]
        await tab(world, seeded, "root").post(SETTINGS, fields | {"topics_max": ["12"]})
        assert (await namespace(world))["topics_max"] == 12
        refused = await tab(world, seeded, "root").post(SETTINGS, fields | {"topics_max": ["-1"]})
        assert "The number of topics is a whole number from 0" in refused.text
        assert "A platform administrator changes these" in (await tab(world, seeded, "owner").get(SETTINGS)).text
        owned = await form_of(world, seeded, "owner")
        await tab(world, seeded, "owner").post(SETTINGS, owned | {"topics_max": ["99999"]})
        assert (await namespace(world))["topics_max"] == 12

    in_seeded_world(tmp_path, scenario)


def test_it_is_suspended_resumed_and_deleted_by_its_name(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        owner = tab(world, seeded, "owner")
        assert (await owner.post("/n/acme/shop/suspend")).headers["location"].endswith("namespace-suspended")
        assert (await namespace(world))["suspended"] and "Resume shop" in (await owner.get(SETTINGS)).text
        assert "The namespace is suspended" in (await owner.get("/n/acme/shop/home")).text
        await owner.post("/n/acme/shop/resume")
        assert not (await namespace(world))["suspended"]

        await world.done("PATCH", "/tenants/acme", {"suspended": True})
        page = (await owner.get(SETTINGS)).text
        assert "Suspended with its tenant" in page and "Resume shop" not in page
        await world.done("PATCH", "/tenants/acme", {"suspended": False})

        page = (await owner.get("/n/acme/shop/delete")).text
        assert "3 topics with 5 partitions" in page and "3 working keys" in page
        refused = await owner.post("/n/acme/shop/delete", {"confirm": "acme/shop"})
        assert refused.status_code == 422 and "Nothing was deleted" in refused.text
        done = await owner.post("/n/acme/shop/delete", {"confirm": "shop"})
        assert done.headers["location"] == "/tenants/acme/namespaces?notice=namespace-deleted"
        assert (await world.ask("GET", "/namespaces/acme/shop"))[0] == 404

    in_seeded_world(tmp_path, scenario)
