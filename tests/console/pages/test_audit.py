"""The audit log on pages: filtered and paged by the address, each entry with what it changed."""

from pathlib import Path
from uuid import UUID

from coldstream.console.pages.audit_diff import Change, changes
from coldstream.tenants.actor import Actor
from coldstream.tenants.audit import Subject, record
from coldstream.tests.console.browsing import in_seeded_world, tab
from coldstream.tests.console.seeded import Seeded
from coldstream.tests.console.world import World

TENANT, NAMESPACE = "/tenants/acme/audit", "/n/acme/shop/audit"


def test_what_differs_is_a_line_each() -> None:
    before = {"configs": {"retention.ms": "1", "segment.ms": "5"}, "partitions": 1, "suspended": False}
    after = {"configs": {"retention.ms": "2"}, "partitions": 1, "suspended": True, "expires_at_ms": 86_400_000}
    assert changes(before, after, "Europe/Berlin") == [
        Change("retention.ms", "1", "2"),
        Change("segment.ms", "5", None),
        Change("expires", None, "1970-01-02 01:00:00 CET"),
        Change("suspended", "no", "yes"),
    ]
    assert changes(None, None) == []


def test_whatever_json_was_kept_can_be_shown() -> None:
    odd = {"a": [1, {"b": None}], "t_at_ms": 10**30, "<b>": "x" * 5000, "n": {"m": {}}, "f": 1.5, "none": None}
    found = {change.name: change.after for change in changes(None, odd)}
    assert found["a"] == '[1,{"b":null}]'
    assert found["t"] == str(10**30)
    assert len(found["<b>"] or "") == 2001
    assert changes({str(n): n for n in range(500)}, None)[99].after is None


def test_entries_are_filtered_and_lead_to_what_is_like_them(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        owner = tab(world, seeded, "owner")

        async def actions(path: str) -> list[str]:
            return [row["action"] for row in (await owner.get(path)).json()["rows"]]

        everything = await actions(f"{TENANT}.json")
        assert {"tenant.create", "member.grant_role", "topic.create", "key.rotate"} <= set(everything)
        assert "tenant.create" not in await actions(f"{NAMESPACE}.json")
        assert {action.partition(".")[0] for action in await actions(f"{NAMESPACE}.json?kind=key")} == {"key"}
        key_id = seeded.things["key_id"]
        assert await actions(f"{NAMESPACE}.json?object={key_id}") == ["key.rotate", "key.create"]
        assert await actions(f"{NAMESPACE}.json?actor=nobody-has-this") == []
        assert await actions(f"{TENANT}.json?kind=nonsense&before=nonsense") == everything
        assert "No change matches" in (await owner.get(f"{NAMESPACE}?actor=nobody-has-this")).text
        row = (await owner.get(f"{NAMESPACE}.json")).json()["rows"][0]
        assert (await owner.get(row["of_object"])).status_code == 200
        assert (await owner.get(row["of_actor"])).status_code == 200

    in_seeded_world(tmp_path, scenario)


def test_pages_follow_one_another_without_a_gap(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        place = (await world.done("GET", "/audit?tenant=acme&namespace=shop&limit=1"))["entries"][0]
        subject = Subject(
            kind="topic", id="t", name="t", tenant_id=UUID(place["tenant_id"]), namespace_id=UUID(place["namespace_id"])
        )
        async with world.database.write() as session:
            for number in range(120):
                await record(session, Actor.system("test"), "topic.alter", subject, after={"number": number})
        owner, path, numbers = tab(world, seeded, "owner"), f"{NAMESPACE}.json?object=t", []
        for _ in range(3):
            view = (await owner.get(path)).json()
            numbers += [row["changes"][0]["after"] for row in view["rows"]]
            path = (view["older"] or "").replace("/audit?", "/audit.json?")
        assert numbers == [str(number) for number in reversed(range(120))]
        assert path == ""

    in_seeded_world(tmp_path, scenario)


def test_what_was_deleted_since_is_still_said(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        await world.done("DELETE", "/namespaces/acme/shop?cascade=true")
        page = (await tab(world, seeded, "owner").get(TENANT)).text
        assert "namespace.delete" in page and "deleted namespace" in page

    in_seeded_world(tmp_path, scenario)
