"""The platform's members on their pages, for its administrators."""

from pathlib import Path

from coldstream.tenants.members import verify_password
from coldstream.tests.console.browsing import fingerprint, in_seeded_world, tab
from coldstream.tests.console.pages.test_tenant_members import password_of
from coldstream.tests.console.seeded import Seeded
from coldstream.tests.console.world import World
from sqlalchemy import text


def test_a_member_is_made_raised_lowered_and_deleted(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        root = tab(world, seeded, "root")
        made = await root.post("/members/new", {"name": "ann"})
        assert (await verify_password(world.database, "ann", password_of(made.text))).password_temporary
        assert "ann" in (await root.get("/members?filter=ANN")).text
        for word, admin in (("raise", True), ("lower", False)):
            assert (await root.post(f"/members/ann/{word}")).headers["location"] == "/members/ann/profile?notice=saved"
            assert (await root.get("/members/ann/profile.json")).json()["member"]["platform_admin"] is admin
        for word, disabled in (("disable", True), ("enable", False)):
            assert (await root.post(f"/members/ann/{word}")).status_code == 303
            assert (await root.get("/members/ann/profile.json")).json()["member"]["disabled"] is disabled
        another = await root.post("/members/ann/reset-password")
        assert password_of(another.text) != password_of(made.text)
        assert (await root.post("/members/ann/delete", {"confirm": "an"})).status_code == 422
        gone = await root.post("/members/ann/delete", {"confirm": "ann"})
        assert gone.headers["location"] == "/members?notice=member-deleted"
        assert (await root.get("/members/ann/profile")).status_code == 404

    in_seeded_world(tmp_path, scenario)


def test_nobody_locks_themselves_out(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        root, name = tab(world, seeded, "root"), seeded.people["root"].name
        before = await fingerprint(world.database)
        for word in ("disable", "lower", "delete", "reset-password"):
            answer = await root.post(f"/members/{name}/{word}", {"confirm": name})
            assert (answer.status_code, "it is about you" in answer.text) == (422, True)
        page = (await root.get(f"/members/{name}/profile")).text
        assert "formaction" not in page and f"/members/{name}/delete" not in page
        assert await fingerprint(world.database) == before

    in_seeded_world(tmp_path, scenario)


def test_a_name_that_is_taken_or_cannot_be_is_said_at_the_field(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        root = tab(world, seeded, "root")
        for name, words in (
            ("admin", "already exists"),
            ("", "Give the member a name"),
            ("a b", "letters, digits and"),
        ):
            answer = await root.post("/members/new", {"name": name})
            assert (answer.status_code, words in answer.text) == (422, True)

    in_seeded_world(tmp_path, scenario)


def test_dangerous_forms_want_the_password_of_who_has_not_given_it_lately(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        root, reader = tab(world, seeded, "root"), seeded.people["reader"].name
        async with world.database.write() as session:
            await session.execute(text("UPDATE sessions SET confirmed_at_ms = 0"))
        before = await fingerprint(world.database)
        key = seeded.path("/n/acme/shop/keys/{key_id}/revoke")
        for path, fields in (
            ("/members/new", {"name": "ann"}),
            (f"/members/{reader}/reset-password", {}),
            (f"/members/{reader}/raise", {}),
            (f"/members/{reader}/delete", {"confirm": reader}),
            ("/tenants/acme/members", {"member": reader, "role": "auditor"}),
            ("/tenants/acme/new-member", {"name": "ann", "role": "auditor"}),
            (f"/tenants/acme/members/{reader}/disable", {}),
            ("/n/acme/shop/service-accounts/report/delete", {"confirm": "report"}),
            (key, {}),
        ):
            answer = await root.post(path, {**fields, "password": "wrong"})
            assert answer.status_code in (422, 429), path
            assert 'name="password"' in answer.text, path
        assert await fingerprint(world.database) == before

    in_seeded_world(tmp_path, scenario)


def test_the_visitor_is_named_on_the_page_of_another(tmp_path: Path) -> None:
    """A template that calls something else `member` would show the wrong one at the top of the page."""

    async def scenario(world: World, seeded: Seeded) -> None:
        for path in ("/members/admin/profile", "/members/admin/delete", "/tenants/acme/members/watcher.acme/profile"):
            page = (await tab(world, seeded, "root").get(path)).text
            assert f'<a href="/profile">{seeded.people["root"].name}</a>' in page

    in_seeded_world(tmp_path, scenario)
