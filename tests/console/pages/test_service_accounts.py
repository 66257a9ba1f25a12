"""Service accounts: what they hold, and that deleting one takes its exact name."""

from pathlib import Path

from coldstream.tenants.keys import touch_key
from coldstream.tests.console.browsing import fingerprint, in_seeded_world, tab
from coldstream.tests.console.seeded import DAY_MS, Seeded
from coldstream.tests.console.world import World

ACCOUNTS = "/n/acme/shop/service-accounts"


def test_accounts_are_listed_with_their_keys_and_their_last_use(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        now_ms = await world.database.now_ms()
        await touch_key(world.database, seeded.things["key_id"], now_ms)
        watcher = tab(world, seeded, "watcher")
        shown = (await watcher.get(f"{ACCOUNTS}.json")).json()["rows"]
        counted = [(row["name"], row["working_keys"], row["keys"]) for row in shown]
        assert counted == [("report", 1, 1), ("shop-front", 2, 3)]
        assert [row["last_used_at"] is None for row in shown] == [True, False]
        keys = (await watcher.get(f"{ACCOUNTS}/shop-front/detail.json")).json()["keys"]
        assert {row["key"]["service_account"] for row in keys} == {"shop-front"} and len(keys) == 3
        assert (await watcher.get(f"{ACCOUNTS}/nobody/detail")).status_code == 404

    in_seeded_world(tmp_path, scenario)


def test_keys_in_use_are_a_warning_before_an_account_is_deleted(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        developer, path = tab(world, seeded, "developer"), f"{ACCOUNTS}/shop-front/delete"
        assert "None of its keys was used in the last seven days" in (await developer.get(path)).text
        now_ms = await world.database.now_ms()
        await touch_key(world.database, seeded.things["key_id"], now_ms - 8 * DAY_MS)
        assert (await developer.get(f"{path}.json")).json()["used_lately"] == []
        await touch_key(world.database, seeded.things["key_id"], now_ms)
        assert "In use: one key was used in the last seven days" in (await developer.get(path)).text

    in_seeded_world(tmp_path, scenario)


def test_an_account_is_deleted_by_its_exact_name(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        developer, path = tab(world, seeded, "developer"), f"{ACCOUNTS}/shop-front/delete"
        before = await fingerprint(world.database)
        for typed in ({}, {"confirm": "shop-fron"}, {"confirm": "SHOP-FRONT"}):
            answer = await developer.post(path, typed)
            assert (answer.status_code, "That is not its name" in answer.text) == (422, True)
        assert await fingerprint(world.database) == before
        gone = await developer.post(path, {"confirm": "shop-front"})
        assert (gone.status_code, gone.headers["location"]) == (303, f"{ACCOUNTS}?notice=account-deleted")
        assert [row["name"] for row in (await developer.get(f"{ACCOUNTS}.json")).json()["rows"]] == ["report"]
        revoked = (await developer.get("/n/acme/shop/keys.json?state=revoked")).json()["rows"]
        assert len(revoked) == 3

    in_seeded_world(tmp_path, scenario)
