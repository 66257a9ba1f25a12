"""The members of one tenant: who has which role where, giving and taking roles, and letting somebody in.

Always true: a member is found by exact name, and nobody's name is offered who has no role here.
"""

from collections.abc import Sequence

from msgspec import Struct

from ...tenants.errors import AlreadyExists, InvalidName, NotFound
from ...tenants.rights import Right
from .. import grant_routes, member_routes, schemas, tenant_routes
from .. import member_schemas as members
from .member_words import ROLES, RoleChoice, chosen_namespace, chosen_role, role_label
from .navigation import TENANT_PATH
from .page import Action, Fields, Page, Query, Redirect, Refused, Shown, View, Visit
from .paging import Span, paged
from .refusals import at_field, why_not

NAME_WANTED = "Give the exact name."
YOURSELF = "Somebody else has to do this: it is about you."
ELSEWHERE = (
    "This member was not made by the tenant, or has rights outside of it: only a platform administrator can do this."
)


class RoleRow(Struct, kw_only=True):
    """One role of a member; `where` is empty for the whole tenant."""

    role: str
    label: str
    where: str
    created_by: str


class TenantMemberRow(Struct, kw_only=True):
    name: str
    yourself: bool
    disabled: bool
    password_temporary: bool
    roles: list[RoleRow]


class TenantMembersQuery(Query):
    filter: str = ""
    page: int = 1


class TenantMembersView(View):
    rows: list[TenantMemberRow]
    span: Span
    filter: str
    total: int
    roles: list[RoleChoice]
    namespaces: list[str]
    manage_refused: str
    own_roles_refused: str


class NewTenantMemberView(View):
    roles: list[RoleChoice]
    namespaces: list[str]


class TenantMemberView(View):
    """`sign_in_refused`: why the visitor cannot disable them or reset their password."""

    member: TenantMemberRow
    manage_refused: str
    sign_in_refused: str


class ShownPasswordView(View):
    """A temporary password, as the answer to the POST that made it."""

    name: str
    password: str
    back: str


async def show_members(visit: Visit, query: TenantMembersQuery) -> TenantMembersView:
    found = (await grant_routes.list_tenant_members(visit.call)).members
    sought = query.filter.strip()
    matching = [member for member in found if sought.lower() in member.name.lower()]
    tenant = visit.path["tenant"]
    shown, span = paged(
        matching, query.page, lambda page: TENANT_MEMBERS.url(tenant=tenant, filter=sought or None, page=page)
    )
    return TenantMembersView(
        rows=_rows(visit, shown),
        span=span,
        filter=sought,
        total=len(found),
        roles=list(ROLES.values()),
        namespaces=await _namespaces(visit),
        manage_refused=why_not(visit, Right.MEMBERS_MANAGE),
        own_roles_refused="" if visit.member.platform_admin else YOURSELF,
    )


async def _namespaces(visit: Visit) -> list[str]:
    found = await tenant_routes.list_namespaces(visit.call, schemas.NamespaceFilter(tenant=visit.path["tenant"]))
    return [namespace.name for namespace in found.namespaces]


def _rows(visit: Visit, found: Sequence[members.TenantMemberView]) -> list[TenantMemberRow]:
    return [
        TenantMemberRow(
            name=member.name,
            yourself=member.name == visit.member.name,
            disabled=member.disabled,
            password_temporary=member.password_temporary,
            roles=[
                RoleRow(
                    role=grant.role,
                    label=role_label(grant.role),
                    where=grant.namespace or "",
                    created_by=grant.created_by,
                )
                for grant in member.grants
            ],
        )
        for member in found
    ]


async def give_role(visit: Visit, fields: Fields) -> Redirect:
    role = chosen_role(fields)
    namespace = chosen_namespace(fields, role)
    name = fields.required("member", NAME_WANTED)
    with at_field("member", NotFound, AlreadyExists):
        await grant_routes.create_grant(
            visit.call, members.CreateGrant(member=name, role=role.value, namespace=namespace)
        )
    return Redirect(TENANT_MEMBERS.url(tenant=visit.path["tenant"]), "role-granted")


async def take_role(visit: Visit, fields: Fields) -> Redirect:
    name, role = fields.required("member", NAME_WANTED), chosen_role(fields)
    if name == visit.member.name and not visit.member.platform_admin:
        raise Refused({"": YOURSELF})
    given = {"namespace": namespace} if (namespace := fields.text("namespace")) else {}
    with at_field("", NotFound):
        await grant_routes.delete_grant(visit.call, members.NamedGrant(member=name, role=role.value, **given))
    return Redirect(TENANT_MEMBERS.url(tenant=visit.path["tenant"]), "role-revoked")


async def show_new_member(visit: Visit) -> NewTenantMemberView:
    return NewTenantMemberView(roles=list(ROLES.values()), namespaces=await _namespaces(visit))


async def create_member(visit: Visit, fields: Fields) -> Shown:
    role = chosen_role(fields)
    body = members.CreateTenantMember(
        name=fields.required("name", "Give the member a name: an e-mail address will do."),
        role=role.value,
        namespace=chosen_namespace(fields, role),
    )
    with at_field("name", InvalidName, AlreadyExists):
        made = await grant_routes.create_tenant_member(visit.call, body)
    return _shown(visit, made.grant.member, made.password)


async def show_member(visit: Visit) -> TenantMemberView:
    member = await _member(visit)
    refused = why_not(visit, Right.MEMBERS_MANAGE)
    elsewhere = "" if member.administered_here or visit.member.platform_admin else ELSEWHERE
    yourself = YOURSELF if member.name == visit.member.name else ""
    return TenantMemberView(
        member=_rows(visit, [member])[0],
        manage_refused=refused,
        sign_in_refused=refused or yourself or elsewhere,
    )


async def reset_password(visit: Visit, fields: Fields) -> Shown:
    await _another_member(visit)
    made = await member_routes.reset_password(visit.call)
    return _shown(visit, made.member, made.password)


async def disable(visit: Visit, fields: Fields) -> Redirect:
    return await _let_in(visit, disabled=True)


async def enable(visit: Visit, fields: Fields) -> Redirect:
    return await _let_in(visit, disabled=False)


async def _let_in(visit: Visit, *, disabled: bool) -> Redirect:
    await _another_member(visit)
    await member_routes.alter_member(visit.call, members.AlterMember(disabled=disabled))
    return Redirect(TENANT_MEMBER.url(**visit.path), "member-disabled" if disabled else "member-enabled")


async def _member(visit: Visit) -> members.TenantMemberView:
    """Who the path names, if they have a role in this tenant. Raises NotFound."""
    for member in (await grant_routes.list_tenant_members(visit.call)).members:
        if member.name == visit.path["member"]:
            return member
    raise NotFound(f"no member {visit.path['member']!r} in {visit.path['tenant']}")


async def _another_member(visit: Visit) -> None:
    """Raises NotFound, Refused."""
    if (await _member(visit)).name == visit.member.name:
        raise Refused({"": YOURSELF})


def _shown(visit: Visit, name: str, password: str) -> Shown:
    back = TENANT_MEMBERS.url(tenant=visit.path["tenant"])
    return Shown("pages/member_shown.html", ShownPasswordView(name=name, password=password, back=back), name)


TENANT_MEMBERS = Page(
    name="tenant_members",
    path=f"{TENANT_PATH}/members",
    title="Members of {tenant}",
    template="pages/tenant_members.html",
    handler=show_members,
    needs=Right.MEMBERS_VIEW,
    query=TenantMembersQuery,
    section="members",
)
NEW_TENANT_MEMBER = Page(
    name="new_tenant_member",
    path=f"{TENANT_PATH}/new-member",
    title="New member of {tenant}",
    template="pages/new_tenant_member.html",
    handler=show_new_member,
    needs=Right.MEMBERS_MANAGE,
    section="members",
)
TENANT_MEMBER = Page(
    name="tenant_member",
    path=f"{TENANT_PATH}/members/{{member}}/profile",
    title="{member} in {tenant}",
    template="pages/tenant_member.html",
    handler=show_member,
    needs=Right.MEMBERS_VIEW,
    section="members",
)
PAGES = (TENANT_MEMBERS, NEW_TENANT_MEMBER, TENANT_MEMBER)


_OF_A_MEMBER = f"{TENANT_PATH}/members/{{member}}"
_MANAGE = Right.MEMBERS_MANAGE
ACTIONS = (
    Action(
        name="give_role",
        path=TENANT_MEMBERS.path,
        page=TENANT_MEMBERS,
        handler=give_role,
        needs=_MANAGE,
        dangerous=True,
    ),
    Action(
        name="take_role", path=f"{TENANT_MEMBERS.path}/take-back", page=TENANT_MEMBERS, handler=take_role, needs=_MANAGE
    ),
    Action(
        name="create_tenant_member",
        path=NEW_TENANT_MEMBER.path,
        page=NEW_TENANT_MEMBER,
        handler=create_member,
        needs=_MANAGE,
        dangerous=True,
    ),
    *(
        Action(
            name=f"{name}_of_tenant",
            path=f"{_OF_A_MEMBER}/{word}",
            page=TENANT_MEMBER,
            handler=handler,
            needs=_MANAGE,
            dangerous=True,
        )
        for name, word, handler in (
            ("reset_password", "reset-password", reset_password),
            ("disable_member", "disable", disable),
            ("enable_member", "enable", enable),
        )
    ),
)
