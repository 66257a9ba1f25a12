"""Tenants on pages: who sees which, and what only platform administrators do to them."""

from pathlib import Path
from typing import Any

from coldstream.tenants.sessions import CONFIRMED_MS
from coldstream.tests.console.browsing import fingerprint, in_seeded_world, tab
from coldstream.tests.console.seeded import PASSWORD, Seeded, seed
from coldstream.tests.console.world import World
from sqlalchemy import text


async def names(world: World, seeded: Seeded, who: str, query: str = "") -> list[str]:
    answer = await tab(world, seeded, who).get(f"/tenants.json{query}")
    assert answer.status_code == 200
    return [tenant["name"] for tenant in answer.json()["tenants"]]


async def tenants(world: World) -> dict[str, Any]:
    return {tenant["name"]: tenant for tenant in (await world.done("GET", "/tenants"))["tenants"]}


def test_everybody_sees_their_own_and_counts_of_what_they_see(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        assert await names(world, seeded, "root") == ["acme", "default", "rival"]
        assert await names(world, seeded, "rival") == ["rival"]
        assert await names(world, seeded, "nobody") == []
        for who, namespaces in (("developer", 2), ("local", 1)):
            (row,) = (await tab(world, seeded, who).get("/tenants.json")).json()["tenants"]
            assert (row["name"], row["namespaces"], row["topics"], row["keys"]) == ("acme", namespaces, 3, 3)
        page = (await tab(world, seeded, "nobody").get("/tenants")).text
        assert "Nobody has given you a role yet" in page and "/tenants/new" not in page

    in_seeded_world(tmp_path, scenario)


def test_the_list_is_filtered_and_paged_by_its_address(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        for number in range(60):
            await world.done("POST", "/tenants", {"name": f"team-{number:02}"})
        assert len(await names(world, seeded, "root")) == 50
        assert len(await names(world, seeded, "root", "?page=2")) == 13
        assert await names(world, seeded, "root", "?page=99") == await names(world, seeded, "root", "?page=2")
        assert await names(world, seeded, "root", "?page=-5") == await names(world, seeded, "root")
        assert await names(world, seeded, "root", "?q=TEAM-1") == [f"team-1{number}" for number in range(10)]
        page = (await tab(world, seeded, "root").get("/tenants?q=team")).text
        assert "1 to 50 of 60 tenants" in page and "/tenants?q=team&amp;page=2" in page
        assert "Clear the filter" in (await tab(world, seeded, "root").get("/tenants?q=zebra")).text

    in_seeded_world(tmp_path, scenario)


def test_a_tenant_is_made_suspended_resumed_and_deleted_by_its_name(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        root = tab(world, seeded, "root")
        made = await root.post("/tenants/new", {"name": "fresh"})
        assert (made.status_code, made.headers["location"]) == (303, "/tenants/fresh/namespaces?notice=tenant-created")
        taken = await root.post("/tenants/new", {"name": "fresh"})
        assert taken.status_code == 422 and "already exists" in taken.text and 'value="fresh"' in taken.text
        assert "1 to 63 of a-z" in (await root.post("/tenants/new", {"name": "No Such Name"})).text
        assert "Give the tenant a name" in (await root.post("/tenants/new", {"name": " "})).text

        assert (await root.post("/tenants/acme/suspend")).status_code == 303
        assert (await tenants(world))["acme"]["suspended"]
        assert "Resume acme" in (await root.get("/tenants/acme/settings")).text
        assert (await root.post("/tenants/acme/resume")).status_code == 303
        assert not (await tenants(world))["acme"]["suspended"]

        page = (await root.get("/tenants/acme/delete")).text
        assert "3 topics with 5 partitions" in page and "its 2 namespaces: empty, shop" in page
        assert "3 working keys" in page
        before = await fingerprint(world.database)
        for typed in ("", "ACME", "acme/shop"):
            refused = await root.post("/tenants/acme/delete", {"confirm": typed})
            assert refused.status_code == 422 and "Nothing was deleted" in refused.text
        assert await fingerprint(world.database) == before
        assert (
            (await root.post("/tenants/acme/delete", {"confirm": "acme"})).headers["location"].startswith("/tenants?")
        )
        assert "acme" not in await tenants(world)

    in_seeded_world(tmp_path, scenario)


def test_what_is_dangerous_asks_for_the_password_again_after_a_while(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        fresh = await seed(world.database, "other", "others", password=PASSWORD)
        async with world.database.write() as session:
            await session.execute(text("UPDATE members SET platform_admin = 1 WHERE name = 'developer.other'"))
            await session.execute(text(f"UPDATE sessions SET confirmed_at_ms = confirmed_at_ms - {CONFIRMED_MS + 1}"))
        admin = tab(world, fresh, "developer")
        assert "Your password, once more" in (await admin.get("/tenants/acme/delete")).text
        for path, fields in (("suspend", {}), ("delete", {"confirm": "acme"})):
            refused = await admin.post(f"/tenants/acme/{path}", {**fields, "password": "wrong"})
            assert refused.status_code == 422, path
        assert not (await tenants(world))["acme"]["suspended"]
        done = await admin.post("/tenants/acme/delete", {"confirm": "acme", "password": PASSWORD})
        assert done.status_code == 303 and "acme" not in await tenants(world)

    in_seeded_world(tmp_path, scenario)
