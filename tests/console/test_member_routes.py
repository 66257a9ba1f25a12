"""Members, their roles and their passwords over HTTP, and what nobody may do to whom."""

from pathlib import Path

import pytest
from coldstream.tenants.keys import AuthenticationFailed
from coldstream.tenants.members import verify_password
from coldstream.tests.console.browsing import fingerprint, in_seeded_world
from coldstream.tests.console.seeded import Seeded
from coldstream.tests.console.world import World

ABSENT = (404, "not_found", "there is nothing at this address, or nothing that this token may see")


def token(seeded: Seeded, who: str) -> dict[str, str]:
    return {"token": seeded.people[who].token}


def test_a_new_member_signs_in_with_the_password_of_the_answer(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        made = await world.done("POST", "/members", {"name": "ann"})
        assert made["member"]["password_temporary"] and not made["member"]["platform_admin"]
        assert (await verify_password(world.database, "ann", made["password"])).password_temporary
        assert made["password"] not in (await world.send("GET", "/members")).text
        assert "ann" in [each["name"] for each in (await world.done("GET", "/members"))["members"]]
        assert (await world.done("GET", "/members/ann"))["grants"] == []
        assert (await world.refused("POST", "/members", {"name": "ann"}))[:2] == (409, "already_exists")
        assert (await world.refused("POST", "/members", {"name": "no spaces"}))[:2] == (422, "invalid_name")

    in_seeded_world(tmp_path, scenario)


def test_a_member_is_disabled_raised_and_deleted(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        reader = seeded.people["reader"]
        assert (await world.done("PATCH", f"/members/{reader.name}", {"disabled": True}))["disabled"]
        assert (await world.ask("GET", "/me", token=reader.token))[0] == 401
        raised = await world.done("PATCH", f"/members/{reader.name}", {"disabled": False, "platform_admin": True})
        assert (raised["disabled"], raised["platform_admin"]) == (False, True)
        assert (await world.ask("GET", "/members", token=reader.token))[0] == 200
        assert await world.done("DELETE", f"/members/{reader.name}") is None
        assert (await world.refused("GET", f"/members/{reader.name}"))[0] == 404

    in_seeded_world(tmp_path, scenario)


def test_somebody_is_left_to_administer_the_platform(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        root = seeded.people["root"].name
        await world.done("PATCH", f"/members/{root}", {"platform_admin": False})
        for change in ({"disabled": True}, {"platform_admin": False}):
            assert (await world.refused("PATCH", "/members/admin", change))[:2] == (409, "conflict")
        assert (await world.refused("DELETE", "/members/admin"))[:2] == (409, "conflict")

    in_seeded_world(tmp_path, scenario)


def test_a_tenants_administrator_makes_members_and_gives_and_takes_roles(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        owner = token(seeded, "owner")
        body = {"name": "ann", "role": "developer", "namespace": "shop"}
        made = await world.done("POST", "/tenants/acme/members", body, **owner)
        assert made["grant"]["namespace"] == "shop"
        assert (await verify_password(world.database, "ann", made["password"])).password_temporary
        grant = {"member": "ann", "role": "auditor"}
        await world.done("POST", "/tenants/acme/grants", grant, **owner)
        assert (await world.refused("POST", "/tenants/acme/grants", grant, **owner))[:2] == (409, "already_exists")
        mine = [g for g in (await world.done("GET", "/tenants/acme/grants", **owner))["grants"] if g["member"] == "ann"]
        assert [(g["role"], g["namespace"]) for g in mine] == [("auditor", None), ("developer", "shop")]
        await world.done("DELETE", "/tenants/acme/grants?member=ann&role=developer&namespace=shop", **owner)
        await world.done("DELETE", "/tenants/acme/grants?member=ann&role=auditor", **owner)
        members = (await world.done("GET", "/tenants/acme/members", **owner))["members"]
        assert "ann" not in [each["name"] for each in members]

    in_seeded_world(tmp_path, scenario)


def test_whether_somebody_elsewhere_has_a_name_is_not_said(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        owner, known, unknown = token(seeded, "owner"), seeded.people["rival"].name, "no-such-member"
        for path in ("/tenants/acme/grants?member={}&role=developer", "/tenants/acme/grants?member={}&role=auditor"):
            answers = [await world.refused("DELETE", path.format(name), **owner) for name in (known, unknown)]
            assert answers[0][2].replace(known, unknown) == answers[1][2]
        for method, path, body in (
            ("GET", "/members/{}", None),
            ("DELETE", "/members/{}", None),
            ("PATCH", "/members/{}", {"disabled": True}),
            ("PATCH", "/members/{}", {"platform_admin": True}),
            ("POST", "/members/{}/reset-password", None),
        ):
            for name in (known, unknown, "admin"):
                assert await world.refused(method, path.format(name), body, **owner) == ABSENT, (method, path, name)

    in_seeded_world(tmp_path, scenario)


def test_a_tenants_administrator_changes_the_sign_in_of_those_alone_who_are_nowhere_else(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        owner, reader, watcher = token(seeded, "owner"), seeded.people["reader"].name, seeded.people["watcher"].name
        made = await world.done("POST", f"/members/{reader}/reset-password", **owner)
        assert (await verify_password(world.database, reader, made["password"])).password_temporary
        await world.done("PATCH", f"/members/{reader}", {"disabled": True}, **owner)
        with pytest.raises(AuthenticationFailed):
            await verify_password(world.database, reader, made["password"])

        await world.done("POST", "/tenants/rival/grants", {"member": watcher, "role": "auditor"})
        for method, path, body in (
            ("POST", f"/members/{watcher}/reset-password", None),
            ("PATCH", f"/members/{watcher}", {"disabled": True}),
        ):
            assert (await world.refused(method, path, body, **owner))[:2] == (409, "conflict")
        here = {m["name"]: m for m in (await world.done("GET", "/tenants/acme/members", **owner))["members"]}
        assert here[reader]["administered_here"] and not here[watcher]["administered_here"]
        assert {grant["tenant"] for member in here.values() for grant in member["grants"]} == {"acme"}

        await world.done("PATCH", f"/members/{seeded.people['auditor'].name}", {"platform_admin": True})
        assert (await world.refused("PATCH", f"/members/{seeded.people['auditor'].name}", {"disabled": True}, **owner))[
            :2
        ] == (409, "conflict")

    in_seeded_world(tmp_path, scenario)


def test_nobody_raises_themselves(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        before = await fingerprint(world.database)
        for who in ("owner", "developer", "auditor", "local", "nobody"):
            name, asking = seeded.people[who].name, token(seeded, who)
            assert await world.refused("PATCH", f"/members/{name}", {"platform_admin": True}, **asking) == ABSENT
            for tenant in ("acme", "rival"):
                if (who, tenant) != ("owner", "acme"):
                    grant = {"member": name, "role": "tenant-admin"}
                    assert await world.refused("POST", f"/tenants/{tenant}/grants", grant, **asking) == ABSENT
        assert await fingerprint(world.database) == before

    in_seeded_world(tmp_path, scenario)


def test_a_role_that_is_for_a_whole_tenant_is_not_given_in_a_namespace(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        grant = {"member": seeded.people["nobody"].name, "role": "tenant-admin", "namespace": "shop"}
        assert (await world.refused("POST", "/tenants/acme/grants", grant))[:2] == (422, "invalid_argument")
        new = {"name": "ann", "role": "tenant-admin", "namespace": "shop"}
        assert (await world.refused("POST", "/tenants/acme/members", new))[:2] == (422, "invalid_argument")
        assert (await world.refused("GET", "/members/ann"))[0] == 404, "half of it would be a member without a role"

    in_seeded_world(tmp_path, scenario)


def test_a_service_account_goes_with_its_keys(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        path = "/namespaces/acme/shop"
        assert (await world.refused("DELETE", f"{path}/service-accounts/shop-front", **token(seeded, "reader"))) == (
            ABSENT
        )
        await world.done("DELETE", f"{path}/service-accounts/shop-front", **token(seeded, "developer"))
        keys = (await world.done("GET", f"{path}/keys"))["keys"]
        assert {key["state"] for key in keys if key["service_account"] == "shop-front"} == {"revoked"}
        accounts = (await world.done("GET", f"{path}/service-accounts"))["service_accounts"]
        assert [account["name"] for account in accounts] == ["report"]
        assert (await world.refused("DELETE", f"{path}/service-accounts/shop-front"))[0] == 404

    in_seeded_world(tmp_path, scenario)


def test_the_audit_log_is_read_by_tenant_and_filtered(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        async def entries(query: str, who: str = "auditor") -> list[dict[str, object]]:
            found: list[dict[str, object]] = (await world.done("GET", f"/audit{query}", **token(seeded, who)))[
                "entries"
            ]
            return found

        await world.done("DELETE", "/namespaces/acme/shop/topics/clicks", **token(seeded, "developer"))
        whole = await entries("?tenant=acme")
        assert whole[0]["action"] == "topic.delete"
        assert {"tenant.create", "member.grant_role", "key.revoke"} <= {entry["action"] for entry in whole}
        shop = await entries("?tenant=acme&namespace=shop")
        assert "tenant.create" not in {entry["action"] for entry in shop}
        assert {entry["object_kind"] for entry in await entries("?tenant=acme&object_kind=key")} == {"key"}
        by_id = await entries(f"?tenant=acme&object_id={seeded.things['key_id']}")
        assert [entry["action"] for entry in by_id] == ["key.rotate", "key.create"]
        developer = seeded.people["developer"].name
        assert [entry["action"] for entry in await entries(f"?tenant=acme&actor={developer}")] == ["topic.delete"]
        asked = "?tenant=acme&limit=2"
        first, then = await entries(asked), await entries(f"{asked}&before={whole[1]['seq']}")
        assert first + then == whole[:4]

    in_seeded_world(tmp_path, scenario)


def test_the_audit_log_of_others_is_not_there(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        for who in ("auditor", "owner"):
            for query in (
                "",
                "?tenant=rival",
                "?tenant=rival&namespace=shop",
                "?tenant=none",
                "?tenant=acme&namespace=x",
            ):
                assert await world.refused("GET", f"/audit{query}", **token(seeded, who)) == ABSENT, (who, query)
        assert await world.refused("GET", "/audit?tenant=acme", **token(seeded, "developer")) == ABSENT
        assert (await world.refused("GET", "/audit?namespace=shop"))[:2] == (422, "invalid_argument")

    in_seeded_world(tmp_path, scenario)


def test_a_role_given_to_somebody_elses_member_gives_no_power_over_their_sign_in(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        victim = seeded.people["nobody"].name  # made by the platform's administrator, to work for `rival` tomorrow
        given = {"member": victim, "role": "viewer-metadata"}
        await world.done("POST", "/tenants/acme/grants", given, **token(seeded, "owner"))
        for method, path, body in (
            ("POST", f"/members/{victim}/reset-password", None),
            ("PATCH", f"/members/{victim}", {"disabled": True}),
        ):
            assert (await world.refused(method, path, body, **token(seeded, "owner")))[:2] == (409, "conflict")
        made = {"name": "ours", "role": "viewer-metadata"}
        await world.done("POST", "/tenants/acme/members", made, **token(seeded, "owner"))
        await world.done("POST", "/members/ours/reset-password", **token(seeded, "owner"))
        await world.done("POST", "/tenants/rival/grants", given | {"member": "ours"}, **token(seeded, "rival"))
        assert (await world.refused("POST", "/members/ours/reset-password", **token(seeded, "owner")))[0] == 409

    in_seeded_world(tmp_path, scenario)
