"""Roles of members: granted once, gone with what they were for, and who may administer whom."""

import asyncio
from uuid import UUID

import pytest
from coldstream.tenants import audit
from coldstream.tenants.database import Database
from coldstream.tenants.errors import AlreadyExists, Conflict, InvalidArgument, NotFound
from coldstream.tenants.member_access import MemberAccess, load_access
from coldstream.tenants.member_grants import (
    check_may_administer,
    grant_role,
    list_grants,
    may_administer,
    revoke_role,
)
from coldstream.tenants.members import create_member, delete_member, get_member, reset_password
from coldstream.tenants.passwords import generate_password
from coldstream.tenants.rights import MemberRole, Right
from coldstream.tenants.tenancy import create_namespace, create_tenant, delete_namespace, delete_tenant
from coldstream.tenants.versions import versions
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from .world import ACTOR, World, in_world

ADMIN, DEVELOPER, AUDITOR = MemberRole.TENANT_ADMIN, MemberRole.DEVELOPER, MemberRole.AUDITOR


async def members(session: AsyncSession, *names: str, home: UUID | None = None) -> None:
    for name in names:
        await create_member(session, ACTOR, name, None, home_tenant_id=home)


async def shown(session: AsyncSession) -> list[str]:
    return [f"{each.member}: {each.role} in {each.place}" for each in await list_grants(session)]


def test_roles_are_granted_listed_and_revoked(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            await members(session, "joe", "ann")
            await create_tenant(session, ACTOR, "other")
            before = await versions(world.db)
            first = await grant_role(session, ACTOR, "acme", "joe", DEVELOPER, "shop")
            await grant_role(session, ACTOR, "other", "joe", AUDITOR)
            await grant_role(session, ACTOR, "acme", "joe", DEVELOPER)
            await grant_role(session, ACTOR, "acme", "ann", ADMIN)
        assert (await versions(world.db)).policy == before.policy + 6  # two members, four roles
        assert (first.member, first.tenant, first.namespace, first.place) == ("joe", "acme", "shop", "acme/shop")
        assert (first.created_at_ms, first.created_by) == (world.now_ms, ACTOR.name)
        async with world.db.write() as session:
            assert await shown(session) == [
                "ann: tenant-admin in acme",
                "joe: developer in acme",
                "joe: developer in acme/shop",
                "joe: auditor in other",
            ]
            of_acme = await list_grants(session, tenant_id=world.tenant_id)
            assert [each.member for each in of_acme] == ["ann", "joe", "joe"] and first in of_acme
            assert len(await list_grants(session, tenant_id=world.tenant_id, member_id=first.member_id)) == 2
            await revoke_role(session, ACTOR, "acme", "joe", DEVELOPER)
            assert first in await list_grants(session, member_id=first.member_id)
            await revoke_role(session, ACTOR, "acme", "joe", DEVELOPER, "shop")
            assert await shown(session) == ["ann: tenant-admin in acme", "joe: auditor in other"]
            entries = await audit.entries(session, tenant_id=world.tenant_id, object_kind="member")
        assert [(each.action, each.object_name, each.namespace_id) for each in entries[:3]] == [
            ("member.revoke_role", "joe", world.namespace_id),
            ("member.revoke_role", "joe", None),
            ("member.grant_role", "ann", None),
        ]
        assert entries[0].before == {"role": "developer", "in": "acme/shop"}
        assert entries[2].after == {"role": "tenant-admin", "in": "acme"}

    in_world(url, scenario)


def test_what_cannot_be_granted_says_why(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            await members(session, "joe", "gone")
            await delete_member(session, ACTOR, "gone")
            await grant_role(session, ACTOR, "acme", "joe", AUDITOR)
            await grant_role(session, ACTOR, "acme", "joe", AUDITOR, "shop")
            for namespace in (None, "shop"):
                with pytest.raises(AlreadyExists, match="auditor in acme"):
                    await grant_role(session, ACTOR, "acme", "joe", AUDITOR, namespace)
            with pytest.raises(InvalidArgument, match="whole tenant"):
                await grant_role(session, ACTOR, "acme", "joe", ADMIN, "shop")
            for tenant, member, namespace in (
                ("nope", "joe", None),
                ("nope", "joe", "shop"),
                ("acme", "joe", "nope"),
                ("acme", "nobody", None),
                ("acme", "gone", None),
                ("acme", "a\x00b", None),
            ):
                with pytest.raises(NotFound):
                    await grant_role(session, ACTOR, tenant, member, DEVELOPER, namespace)
                with pytest.raises(NotFound):
                    await revoke_role(session, ACTOR, tenant, member, AUDITOR, namespace)
            with pytest.raises(NotFound, match="no role developer"):
                await revoke_role(session, ACTOR, "acme", "joe", DEVELOPER)

    in_world(url, scenario)


def test_grants_go_with_their_namespace_tenant_or_member(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            await members(session, "joe", "ann")
            await create_namespace(session, ACTOR, "acme", "lab")
            await create_tenant(session, ACTOR, "other")
            for namespace in (None, "shop", "lab"):
                await grant_role(session, ACTOR, "acme", "joe", DEVELOPER, namespace)
            await grant_role(session, ACTOR, "other", "joe", DEVELOPER)
            await grant_role(session, ACTOR, "other", "ann", DEVELOPER)
            await delete_namespace(session, ACTOR, "acme", "lab")
            assert len(await shown(session)) == 4
            await delete_tenant(session, ACTOR, "acme")
            assert await shown(session) == ["ann: developer in other", "joe: developer in other"]
            await delete_member(session, ACTOR, "ann")
            assert await session.scalar(text("SELECT count(*) FROM member_grants")) == 1
            await create_tenant(session, ACTOR, "acme")  # of the same name, and nobody's
            await create_namespace(session, ACTOR, "acme", "lab")
            assert await shown(session) == ["joe: developer in other"]

    in_world(url, scenario)


def test_the_same_role_granted_twice_at_once_is_there_once(url: str) -> None:
    async def scenario(world: World) -> None:
        other = Database.open(url, clock=lambda: world.now_ms)

        async def give(db: Database) -> None:
            async with db.write() as session:
                await grant_role(session, ACTOR, "acme", "joe", DEVELOPER)

        async with world.db.write() as session:
            await members(session, "joe")
        try:
            results = await asyncio.gather(*map(give, (world.db, other, world.db)), return_exceptions=True)
        finally:
            await other.dispose()
        assert sorted(type(result).__name__ for result in results) == ["AlreadyExists", "AlreadyExists", "NoneType"]

    in_world(url, scenario)


def test_who_may_administer_whom(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            await create_tenant(session, ACTOR, "other")
            mine = world.tenant_id
            await members(session, "joe", "both", "new", "elsewhere", "admin-of-acme", "developer", home=mine)
            await members(session, "guest")  # made by the platform, perhaps to work for another tenant tomorrow
            await grant_role(session, ACTOR, "acme", "guest", DEVELOPER)
            await create_member(session, ACTOR, "boss", None, platform_admin=True)
            await grant_role(session, ACTOR, "acme", "boss", DEVELOPER)
            await grant_role(session, ACTOR, "acme", "joe", DEVELOPER, "shop")
            await grant_role(session, ACTOR, "acme", "joe", AUDITOR)
            await grant_role(session, ACTOR, "acme", "both", DEVELOPER)
            await grant_role(session, ACTOR, "other", "both", AUDITOR)
            await grant_role(session, ACTOR, "other", "elsewhere", DEVELOPER)
            await grant_role(session, ACTOR, "acme", "admin-of-acme", ADMIN)
            await grant_role(session, ACTOR, "acme", "developer", DEVELOPER)
            tenant_admin = await load_access(session, await get_member(session, "admin-of-acme"))
            developer = await load_access(session, await get_member(session, "developer"))
            boss = await load_access(session, await get_member(session, "boss"))

        async def answer(access: MemberAccess, name: str) -> str:
            async with world.db.write() as session:
                try:
                    assert (await check_may_administer(session, access, name)).name == name
                except (Conflict, NotFound) as refusal:
                    return type(refusal).__name__
                member = await get_member(session, name)
                assert may_administer(access, member, await list_grants(session, member_id=member.id))
            return "yes"

        everybody = ["joe", "admin-of-acme", "both", "boss", "guest", "elsewhere", "new", "nobody"]
        assert [await answer(boss, name) for name in everybody] == ["yes"] * 7 + ["NotFound"]
        assert [await answer(tenant_admin, name) for name in everybody] == [
            *("yes", "yes", "Conflict", "Conflict", "Conflict"),
            *("NotFound", "NotFound", "NotFound"),  # in the words for who does not exist
        ]
        assert {await answer(developer, name) for name in everybody} == {"NotFound"}

    in_world(url, scenario)


def test_rights_granted_while_a_password_is_reset_are_not_missed(url: str) -> None:
    """An administrator of acme resets a member's password while the member is given a role in another tenant."""

    async def scenario(world: World) -> None:
        other = Database.open(url, clock=lambda: world.now_ms)
        async with world.db.write() as session:
            await create_tenant(session, ACTOR, "other")
            await members(session, "joe", "admin-of-acme", home=world.tenant_id)
            await grant_role(session, ACTOR, "acme", "joe", DEVELOPER)
            await grant_role(session, ACTOR, "acme", "admin-of-acme", ADMIN)
            access = await load_access(session, await get_member(session, "admin-of-acme"))
        checked, given = asyncio.Event(), await generate_password()

        async def reset() -> None:
            async with world.db.write() as session:
                await check_may_administer(session, access, "joe")
                checked.set()
                await reset_password(session, ACTOR, "joe", given)

        async def grant() -> None:
            await checked.wait()
            async with other.write() as session:
                await grant_role(session, ACTOR, "other", "joe", ADMIN)

        try:
            await asyncio.gather(reset(), grant())
            async with world.db.read() as session:  # the reset came first: the role's giver sees who joe is now
                rows = await audit.entries(session, object_kind="member", limit=2)
            assert [row.action for row in rows] == ["member.grant_role", "member.reset_password"]
            with pytest.raises(Conflict, match="elsewhere"):
                await reset()
        finally:
            await other.dispose()

    in_world(url, scenario)


def test_a_role_of_a_later_release_gives_nothing_and_breaks_nothing(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            await members(session, "joe", home=world.tenant_id)
            await grant_role(session, ACTOR, "acme", "joe", MemberRole.VIEWER_METADATA)
            await grant_role(session, ACTOR, "acme", "joe", AUDITOR)
            await session.execute(text("UPDATE member_grants SET role = 'astronaut' WHERE role = 'auditor'"))
            access = await load_access(session, await get_member(session, "joe"))
            assert await shown(session) == ["joe: viewer-metadata in acme"]
        assert access.allows(Right.NAMESPACE_VIEW, world.tenant_id, world.namespace_id)
        assert not access.allows(Right.AUDIT_VIEW, world.tenant_id)
        async with world.db.write() as session:  # unknown here, but a right elsewhere all the same
            await members(session, "admin-of-acme")
            await grant_role(session, ACTOR, "acme", "admin-of-acme", ADMIN)
            access = await load_access(session, await get_member(session, "admin-of-acme"))
            await check_may_administer(session, access, "joe")
            await create_tenant(session, ACTOR, "other")
            await grant_role(session, ACTOR, "other", "joe", AUDITOR)
            await session.execute(text("UPDATE member_grants SET role = 'astronaut' WHERE role = 'auditor'"))
            with pytest.raises(Conflict):
                await check_may_administer(session, access, "joe")

    in_world(url, scenario)
