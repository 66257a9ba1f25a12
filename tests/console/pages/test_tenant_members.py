"""The members of a tenant on its pages: roles given and taken, somebody let in, a password reset."""

import re
from pathlib import Path

from coldstream.tenants.members import verify_password
from coldstream.tests.console.browsing import fingerprint, forms_of, in_seeded_world, tab
from coldstream.tests.console.seeded import Seeded
from coldstream.tests.console.world import World

MEMBERS, NEW = "/tenants/acme/members", "/tenants/acme/new-member"


async def roles(world: World, seeded: Seeded) -> set[tuple[str, str, str]]:
    rows = (await tab(world, seeded, "auditor").get(f"{MEMBERS}.json")).json()["rows"]
    return {(row["name"], role["role"], role["where"]) for row in rows for role in row["roles"]}


def password_of(html: str) -> str:
    found = re.search(r'id="member-password">([^<]+)<', html)
    assert found is not None
    return found[1]


def test_a_role_is_given_by_exact_name_and_taken_back(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        owner, name = tab(world, seeded, "owner"), seeded.people["nobody"].name
        given = await owner.post(MEMBERS, {"member": name, "role": "developer", "namespace": "shop"})
        assert given.headers["location"] == f"{MEMBERS}?notice=role-granted"
        assert (name, "developer", "shop") in await roles(world, seeded)
        page = (await owner.get(MEMBERS)).text
        (form,) = [f for f in forms_of(page) if f.action.endswith("take-back") and f.fields["member"] == [name]]
        taken = await owner.post(form.action, form.fields)
        assert taken.headers["location"] == f"{MEMBERS}?notice=role-revoked"
        assert name not in {member for member, _, _ in await roles(world, seeded)}

    in_seeded_world(tmp_path, scenario)


def test_what_cannot_be_given_is_said_at_its_field(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        owner, before = tab(world, seeded, "owner"), await fingerprint(world.database)
        reader = seeded.people["reader"].name
        for fields, words in (
            ({"member": reader}, "Choose a role"),
            ({"member": reader, "role": "emperor"}, "Choose a role"),
            ({"member": "", "role": "auditor"}, "Give the exact name"),
            ({"member": "no-such-member", "role": "auditor"}, "No member &#39;no-such-member&#39;."),
            ({"member": reader, "role": "viewer-data"}, "already"),
            ({"member": reader, "role": "tenant-admin", "namespace": "shop"}, "is for the whole tenant"),
        ):
            answer = await owner.post(MEMBERS, fields)
            assert (answer.status_code, words in answer.text) == (422, True), fields
        assert await fingerprint(world.database) == before

    in_seeded_world(tmp_path, scenario)


def test_a_new_member_gets_a_password_that_is_shown_once(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        owner = tab(world, seeded, "owner")
        answer = await owner.post(NEW, {"name": "ann@example.com", "role": "viewer-data"})
        password = password_of(answer.text)
        assert (await verify_password(world.database, "ann@example.com", password)).password_temporary
        for path in (MEMBERS, f"{MEMBERS}/ann@example.com/profile", f"{MEMBERS}.json"):
            assert password not in (await owner.get(path)).text
        again = await owner.post(NEW, {"name": "ann@example.com", "role": "viewer-data"})
        assert (again.status_code, "already exists" in again.text) == (422, True)

    in_seeded_world(tmp_path, scenario)


def test_nobody_takes_their_own_role_or_disables_themselves_by_a_slip(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        owner, name = tab(world, seeded, "owner"), seeded.people["owner"].name
        before = await fingerprint(world.database)
        for path, fields in (
            (f"{MEMBERS}/take-back", {"member": name, "role": "tenant-admin"}),
            (f"{MEMBERS}/{name}/disable", {}),
            (f"{MEMBERS}/{name}/reset-password", {}),
        ):
            answer = await owner.post(path, fields)
            assert (answer.status_code, "it is about you" in answer.text) == (422, True), path
        assert await fingerprint(world.database) == before

    in_seeded_world(tmp_path, scenario)


def test_the_sign_in_of_who_is_nowhere_else_is_changed_and_of_others_not(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        owner, reader, watcher = tab(world, seeded, "owner"), seeded.people["reader"], seeded.people["watcher"]
        answer = await owner.post(f"{MEMBERS}/{reader.name}/reset-password")
        assert (await verify_password(world.database, reader.name, password_of(answer.text))).password_temporary
        assert (await owner.post(f"{MEMBERS}/{reader.name}/disable")).status_code == 303
        assert "disabled" in (await owner.get(f"{MEMBERS}/{reader.name}/profile")).text
        assert (await owner.post(f"{MEMBERS}/{reader.name}/enable")).status_code == 303

        await world.done("POST", "/tenants/rival/grants", {"member": watcher.name, "role": "auditor"})
        page = (await owner.get(f"{MEMBERS}/{watcher.name}/profile")).text
        assert "only a platform administrator can do this" in page and "rival" not in page
        assert (await owner.post(f"{MEMBERS}/{watcher.name}/disable")).status_code == 409

    in_seeded_world(tmp_path, scenario)


def test_a_member_of_another_tenant_is_not_there(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        owner = tab(world, seeded, "owner")
        for name in (seeded.people["rival"].name, seeded.people["nobody"].name, "admin", "no-such-member"):
            assert (await owner.get(f"{MEMBERS}/{name}/profile")).status_code == 404
            for word in ("reset-password", "disable", "enable"):
                assert (await owner.post(f"{MEMBERS}/{name}/{word}")).status_code == 404

    in_seeded_world(tmp_path, scenario)


def test_an_auditor_sees_who_has_which_role_and_changes_nothing(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        auditor = tab(world, seeded, "auditor")
        page = (await auditor.get(MEMBERS)).text
        assert seeded.people["local"].name in page
        assert "Take back" not in page and "Give a role" not in page
        assert (await auditor.get(NEW)).status_code == 404

    in_seeded_world(tmp_path, scenario)
