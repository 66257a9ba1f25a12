"""Members' rights: what the roles give and where, and that the compiled answer is casbin's on whatever grants."""

from uuid import UUID

import pytest
from coldstream.tenants.errors import NotFound
from coldstream.tenants.member_access import MemberAccess, load_access, load_member
from coldstream.tenants.member_entry import MemberEntry
from coldstream.tenants.member_grants import MemberGrantEntry, grant_role
from coldstream.tenants.member_policies import domain_of, make_member_enforcer
from coldstream.tenants.members import create_member, disable_member
from coldstream.tenants.rights import RIGHTS_OF, MemberRole, Right, rights_in_namespace
from coldstream.tenants.tenancy import create_namespace, create_tenant
from coldstream.tenants.versions import versions
from hypothesis import given, settings
from hypothesis import strategies as st

from .world import ACTOR, World, in_world

ACME, OTHER = UUID(int=1), UUID(int=2)
SHOP, LAB, ELSEWHERE = UUID(int=11), UUID(int=12), UUID(int=21)
NAMES = {ACME: "acme", OTHER: "other", SHOP: "shop", LAB: "lab", ELSEWHERE: "elsewhere"}
TENANT_OF = {SHOP: ACME, LAB: ACME, ELSEWHERE: OTHER}
PLACES = [(None, None), (ACME, None), (OTHER, None), (ACME, SHOP), (ACME, LAB), (OTHER, ELSEWHERE), (OTHER, SHOP)]
JOE = UUID(int=99)
TENANT_RIGHTS = "tenant-view tenant-manage members-view members-manage"


def member(*, platform_admin: bool = False, disabled: bool = False) -> MemberEntry:
    return MemberEntry(JOE, "joe", platform_admin, disabled, 0)


def grant(role: MemberRole, tenant_id: UUID, namespace_id: UUID | None = None) -> MemberGrantEntry:
    namespace = None if namespace_id is None else NAMES[namespace_id]
    return MemberGrantEntry(
        UUID(int=0), JOE, "joe", tenant_id, NAMES[tenant_id], namespace_id, namespace, role, 0, "somebody"
    )


def access(*grants: MemberGrantEntry) -> MemberAccess:
    return MemberAccess(member(), grants)


def given_in(compiled: MemberAccess, *place: UUID | None) -> set[Right]:
    return {right for right in Right if compiled.allows(right, *place)}


@pytest.mark.parametrize(
    ("role", "rights"),
    [
        (
            MemberRole.TENANT_ADMIN,
            f"{TENANT_RIGHTS} namespace-view records-view topics-manage keys-manage audit-view",
        ),
        (MemberRole.DEVELOPER, "tenant-view namespace-view records-view topics-manage keys-manage"),
        (MemberRole.VIEWER_DATA, "tenant-view namespace-view records-view"),
        (MemberRole.VIEWER_METADATA, "tenant-view namespace-view"),
        (MemberRole.AUDITOR, "tenant-view namespace-view members-view audit-view"),
    ],
)
def test_a_role_gives_exactly_this_in_its_tenant_and_below(role: MemberRole, rights: str) -> None:
    compiled = access(grant(role, ACME))
    assert given_in(compiled, ACME) == given_in(compiled, ACME, SHOP) == set(rights.split())
    for elsewhere in ((), (OTHER,), (OTHER, ELSEWHERE), (OTHER, SHOP)):
        assert given_in(compiled, *elsewhere) == set()


@pytest.mark.parametrize(
    ("role", "rights"),
    [
        (MemberRole.DEVELOPER, "tenant-view namespace-view records-view topics-manage keys-manage"),
        (MemberRole.VIEWER_DATA, "tenant-view namespace-view records-view"),
        (MemberRole.VIEWER_METADATA, "tenant-view namespace-view"),
        (MemberRole.AUDITOR, "tenant-view namespace-view audit-view"),
    ],
)
def test_a_role_in_a_namespace_gives_this_there_and_shows_the_tenant(role: MemberRole, rights: str) -> None:
    compiled = access(grant(role, ACME, SHOP))
    assert given_in(compiled, ACME, SHOP) == set(rights.split())
    assert given_in(compiled, ACME) == {Right.TENANT_VIEW}
    for elsewhere in ((), (OTHER,), (ACME, LAB), (OTHER, ELSEWHERE), (OTHER, SHOP)):
        assert given_in(compiled, *elsewhere) == set()
    assert compiled.sees_tenant(ACME) and not compiled.sees_tenant(OTHER)
    assert compiled.sees_namespace(ACME, SHOP) and not compiled.sees_namespace(ACME, LAB)


def test_every_role_shows_what_it_is_in_and_only_platform_administrators_manage_the_platform() -> None:
    assert all({Right.TENANT_VIEW, Right.NAMESPACE_VIEW} <= rights_in_namespace(role) for role in MemberRole)
    assert not any(Right.PLATFORM_MANAGE in rights for rights in RIGHTS_OF.values())
    admin = MemberAccess(member(platform_admin=True), ())
    assert all(given_in(admin, *place) == set(Right) for place in PLACES)


def test_roles_add_up() -> None:
    compiled = access(grant(MemberRole.AUDITOR, ACME), grant(MemberRole.DEVELOPER, ACME, SHOP))
    assert compiled.allows(Right.AUDIT_VIEW, ACME, SHOP) and compiled.allows(Right.KEYS_MANAGE, ACME, SHOP)
    assert not compiled.allows(Right.KEYS_MANAGE, ACME, LAB) and not compiled.allows(Right.KEYS_MANAGE, ACME)


def test_a_disabled_member_may_do_nothing() -> None:
    compiled = MemberAccess(member(platform_admin=True, disabled=True), [grant(MemberRole.TENANT_ADMIN, ACME)])
    assert all(given_in(compiled, *place) == set() for place in PLACES)
    assert compiled.why(Right.TENANT_VIEW, ACME) == "this member is disabled"


def test_why_names_the_role_and_the_place() -> None:
    compiled = access(grant(MemberRole.DEVELOPER, ACME, SHOP), grant(MemberRole.AUDITOR, ACME))
    assert compiled.why(Right.KEYS_MANAGE, ACME, SHOP) == "role developer in acme/shop"
    assert compiled.why(Right.NAMESPACE_VIEW, ACME, SHOP) == "role auditor in acme"
    assert compiled.why(Right.KEYS_MANAGE, ACME, LAB) == "no role gives keys-manage here"
    assert (
        compiled.why(Right.PLATFORM_MANAGE) == "only platform administrators have platform-manage on the whole platform"
    )
    assert MemberAccess(member(platform_admin=True), ()).why(Right.KEYS_MANAGE, ACME) == "platform administrator"
    guest = access(grant(MemberRole.VIEWER_DATA, ACME, SHOP))
    assert guest.why(Right.TENANT_VIEW, ACME) == "role viewer-data in acme/shop"


tenant_grants = st.builds(grant, st.sampled_from(MemberRole), st.sampled_from([ACME, OTHER]))
namespace_grants = st.builds(
    lambda role, namespace_id: grant(role, TENANT_OF[namespace_id], namespace_id),
    st.sampled_from(MemberRole),  # tenant-admin too: a row that should not be there gives no right over the tenant
    st.sampled_from([SHOP, LAB, ELSEWHERE]),
)
some_grants = st.lists(tenant_grants | namespace_grants, max_size=4)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(some_grants, st.integers(0, 9).map(lambda n: n == 0), st.integers(0, 9).map(lambda n: n == 0))
def test_compiled_access_answers_as_casbin_does(
    grants: list[MemberGrantEntry], platform_admin: bool, disabled: bool
) -> None:
    who = member(platform_admin=platform_admin, disabled=disabled)
    compiled, enforcer = MemberAccess(who, grants), make_member_enforcer(who, grants)
    for place in PLACES:
        for right in Right:
            answer = compiled.allows(right, *place)
            assert answer is enforcer.enforce(str(JOE), domain_of(*place), right.value), (right, place)
            assert answer is not compiled.why(right, *place).startswith(("no role", "only platform", "this member"))
    assert not enforcer.enforce(str(UUID(int=98)), domain_of(ACME), Right.TENANT_VIEW.value)


def test_access_is_loaded_from_the_database(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            lab = await create_namespace(session, ACTOR, "acme", "lab")
            other = await create_tenant(session, ACTOR, "other")
            joe = await create_member(session, ACTOR, "joe", None)
            ann = await create_member(session, ACTOR, "ann", None)
            boss = await create_member(session, ACTOR, "boss", None, platform_admin=True)
            await grant_role(session, ACTOR, "acme", "joe", MemberRole.DEVELOPER, "shop")
            await grant_role(session, ACTOR, "acme", "ann", MemberRole.TENANT_ADMIN)
        acme, shop = world.tenant_id, world.namespace_id
        async with world.db.read() as session:
            his, hers, bosses = [await load_access(session, who) for who in (joe, ann, boss)]
        assert his.version == (await versions(world.db)).policy
        assert his.allows(Right.KEYS_MANAGE, acme, shop) and not his.sees_namespace(acme, lab.id)
        assert hers.allows(Right.MEMBERS_MANAGE, acme) and not hers.sees_tenant(other.id)
        assert bosses.allows(Right.PLATFORM_MANAGE) and bosses.member is boss
        async with world.db.write() as session:
            await disable_member(session, ACTOR, "ann")
            ann = await load_member(session, ann.id)
            assert not (await load_access(session, ann)).sees_tenant(acme)
            with pytest.raises(NotFound):
                await load_member(session, UUID(int=5))

    in_world(url, scenario)
