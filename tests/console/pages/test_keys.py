"""The pages about keys: found, made, rotated, revoked; a secret is seen once."""

import re
from pathlib import Path
from typing import Any

from coldstream.tenants.keys import TOKEN_PATTERN, authenticate_key
from coldstream.tests.console.browsing import fingerprint, forms_of, in_seeded_world, tab
from coldstream.tests.console.seeded import Seeded
from coldstream.tests.console.world import World

KEYS, NEW_KEY = "/n/acme/shop/keys", "/n/acme/shop/new-key"
CHOSEN = {"name": "till", "role": "producer", "topics": "prefix", "topic": "orders.", "expiry": "30"}


async def rows(world: World, seeded: Seeded, query: str = "") -> list[dict[str, Any]]:
    answer = await tab(world, seeded, "watcher").get(f"{KEYS}.json{query}")
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["rows"]
    return found


def names(found: list[dict[str, Any]]) -> list[str]:
    return [row["key"]["name"] for row in found]


def test_keys_are_found_by_state_text_and_order(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        assert sorted(names(await rows(world, seeded))) == ["report", "shop-front", "shop-front"]
        assert names(await rows(world, seeded, "?state=revoked")) == ["old"]
        assert len(await rows(world, seeded, "?state=all")) == 4
        assert names(await rows(world, seeded, "?filter=BILLING")) == []
        assert names(await rows(world, seeded, "?filter=Report")) == ["report"]
        assert names(await rows(world, seeded, "?state=all&order=name"))[0] == "old"
        assert names(await rows(world, seeded, "?state=all&order=-name"))[-1] == "old"
        by_expiry = await rows(world, seeded, "?order=-expires")
        assert by_expiry[-1]["key"]["expires_at"] is None, "what never ends comes last, whichever way"
        assert len(await rows(world, seeded, "?state=nonsense&order=nonsense&page=99")) == 3

    in_seeded_world(tmp_path, scenario)


def test_a_list_that_is_empty_says_why(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        owner = tab(world, seeded, "owner")
        assert "No key yet" in (await owner.get("/n/acme/empty/keys")).text
        assert "No key matches" in (await owner.get(f"{KEYS}?filter=zebra")).text
        assert "No key is expired" in (await owner.get(f"{KEYS}?state=expired")).text

    in_seeded_world(tmp_path, scenario)


def test_a_new_key_shows_its_secret_once_and_works(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        developer = tab(world, seeded, "developer")
        answer = await developer.post(NEW_KEY, CHOSEN)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        made = next(row["key"] for row in await rows(world, seeded) if row["key"]["name"] == "till")
        found = re.search(TOKEN_PATTERN, answer.text)
        assert found is not None
        secret = found[0]
        principal = await authenticate_key(world.database, made["id"], secret, await world.database.now_ms())
        assert principal.name == "till"
        assert (made["topic_pattern"], made["service_account"]) == ("orders.*", "till")
        for path in (KEYS, f"{KEYS}/{made['id']}/detail", f"{KEYS}/{made['id']}/detail.json", f"{KEYS}.json"):
            assert secret not in (await developer.get(path)).text

    in_seeded_world(tmp_path, scenario)


def test_nothing_is_chosen_before_somebody_does(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        developer = tab(world, seeded, "developer")
        (form,) = [f for f in forms_of((await developer.get(NEW_KEY)).text) if f.action.endswith("/new-key")]
        assert [form.fields[name] for name in ("role", "topics", "groups")] == [[], [], []]
        assert form.fields["expiry"] == ["90"]
        before = await fingerprint(world.database)
        answer = await developer.post(NEW_KEY, {"name": "till", "role": "consumer"})
        assert answer.status_code == 422
        for words in ("Choose which topics", "Choose which groups"):
            assert words in answer.text
        assert 'value="till"' in answer.text, "what was typed is there again"
        assert await fingerprint(world.database) == before

    in_seeded_world(tmp_path, scenario)


def test_each_mistake_is_said_at_its_field(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        developer = tab(world, seeded, "developer")
        for change, words in (
            ({"name": ""}, "Give the key a name"),
            ({"name": "no spaces"}, "letters, digits and"),
            ({"role": ""}, "Choose what the key may do"),
            ({"role": "emperor"}, "Choose what the key may do"),
            ({"topic": ""}, "Say how the topics’ names begin"),
            ({"topic": "*"}, "Say how the topics’ names begin"),
            ({"topics": "one", "topic": "orders*"}, "A topic’s name has no star"),
            ({"topics": "one", "topic": "a,b"}, "letters, digits and"),
            ({"service_account": "<b>"}, "Service account name"),
            ({"expiry": "900"}, "Choose one of the times"),
            ({"role": "admin"}, "only the tenant&#39;s administrators make one"),
        ):
            answer = await developer.post(NEW_KEY, CHOSEN | change)
            assert (answer.status_code in (403, 422), words in answer.text) == (True, True), change

    in_seeded_world(tmp_path, scenario)


def test_the_role_of_an_administrator_is_out_of_a_developers_reach(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        for who, words in (("developer", True), ("owner", False)):
            page = (await tab(world, seeded, who).get(NEW_KEY)).text
            assert ("Only administrators of the tenant make keys with this role" in page) == words
        made = await tab(world, seeded, "owner").post(NEW_KEY, {"name": "all", "role": "admin", "expiry": "never"})
        assert made.status_code == 200
        key_id = next(row["key"]["id"] for row in await rows(world, seeded) if row["key"]["name"] == "all")
        answer = await tab(world, seeded, "developer").post(f"{KEYS}/{key_id}/rotate", {"overlap": "0"})
        assert answer.status_code == 403

    in_seeded_world(tmp_path, scenario)


def test_a_key_is_rotated_and_its_end_is_seen(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        developer = tab(world, seeded, "developer")
        old = next(row["key"]["id"] for row in await rows(world, seeded) if row["key"]["name"] == "report")
        answer = await developer.post(f"{KEYS}/{old}/rotate", {"overlap": "3600000", "expiry": "never"})
        assert answer.status_code == 200
        assert "goes on until" in answer.text and "cs_key_" in answer.text
        shown = (await developer.get(f"{KEYS}/{old}/detail.json")).json()
        assert shown["successor"] is not None and shown["ends_soon"]
        successor = (await developer.get(f"{KEYS}/{shown['successor']}/detail.json")).json()
        assert successor["key"]["rotated_from"] == old
        assert (await developer.post(f"{KEYS}/{old}/rotate", {"overlap": "77"})).status_code == 422

    in_seeded_world(tmp_path, scenario)


def test_a_key_is_revoked_by_who_gave_their_password_lately(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        path = seeded.path(f"{KEYS}/{{key_id}}")
        answer = await tab(world, seeded, "developer").post(f"{path}/revoke")
        assert answer.status_code == 303
        assert answer.headers["location"] == f"{path}/detail?notice=key-revoked"
        shown = await tab(world, seeded, "watcher").get(f"{path}/detail")
        assert "revoked" in shown.text and ">Revoke<" not in shown.text

    in_seeded_world(tmp_path, scenario)


def test_who_may_only_look_sees_what_they_lack(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        watcher = tab(world, seeded, "watcher")
        for path in (KEYS, f"{KEYS}/{{key_id}}/detail", "/n/acme/shop/service-accounts"):
            page = (await watcher.get(seeded.path(path))).text
            assert "No role gives keys-manage here." in page
            assert "/new-key" not in page and "/revoke" not in page

    in_seeded_world(tmp_path, scenario)
