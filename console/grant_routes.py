"""Who has which role in a tenant, over HTTP.

Always true: nobody gives a role that allows more than they may do themselves; whether somebody has a name that has no
role here is told to nobody but by giving them one.
"""

from msgspec import UNSET

from ..tenants import member_grants, members, tenant_members
from ..tenants.errors import NotFound
from ..tenants.member_grants import MemberGrantEntry
from ..tenants.passwords import generate_password
from ..tenants.rights import RIGHTS_OF, MemberRole, Right
from . import member_schemas as schemas
from .failures import Failure
from .operations import Call, Operation
from .schemas import time_of

TENANT = "/api/v1/tenants/{tenant}"


def grant_view(grant: MemberGrantEntry) -> schemas.GrantView:
    return schemas.GrantView(
        id=str(grant.id),
        member=grant.member,
        tenant=grant.tenant,
        namespace=grant.namespace,
        role=grant.role.value,
        created_at=time_of(grant.created_at_ms),
        created_by=grant.created_by,
    )


async def list_grants(call: Call) -> schemas.GrantList:
    async with call.database.read() as session:
        grants = await member_grants.list_grants(session, tenant_id=call.place.tenant_id)
    return schemas.GrantList(grants=[grant_view(grant) for grant in grants])


async def create_grant(call: Call, body: schemas.CreateGrant) -> schemas.GrantView:
    role = _check_role(call, body.role)
    async with call.database.write() as session:
        grant = await member_grants.grant_role(
            session, call.actor, call.path["tenant"], body.member, role, body.namespace
        )
    return grant_view(grant)


async def delete_grant(call: Call, query: schemas.NamedGrant) -> None:
    namespace = None if query.namespace is UNSET else query.namespace
    tenant = call.path["tenant"]
    try:
        async with call.database.write() as session:
            await member_grants.revoke_role(
                session, call.actor, tenant, query.member, MemberRole(query.role), namespace
            )
    except NotFound:  # the same words whether or not somebody has that name
        place = tenant if namespace is None else f"{tenant}/{namespace}"
        raise NotFound(f"no member {query.member!r} has role {query.role} in {place}") from None


async def list_tenant_members(call: Call) -> schemas.TenantMemberList:
    assert call.place.tenant_id is not None, "the path names a tenant"
    async with call.database.read() as session:
        found = await tenant_members.members_of(session, call.place.tenant_id)
    return schemas.TenantMemberList(
        members=[
            schemas.TenantMemberView(
                id=str(each.member.id),
                name=each.member.name,
                disabled=each.member.disabled,
                password_temporary=each.member.password_temporary,
                administered_here=each.administered_here,
                grants=[grant_view(grant) for grant in each.grants],
            )
            for each in found
        ]
    )


async def create_tenant_member(call: Call, body: schemas.CreateTenantMember) -> schemas.NewTenantMember:
    role = _check_role(call, body.role)
    password = await generate_password()
    async with call.database.write() as session:
        member = await members.create_member(
            session, call.actor, body.name, password, home_tenant_id=call.place.tenant_id
        )
        grant = await member_grants.grant_role(
            session, call.actor, call.path["tenant"], member.name, role, body.namespace
        )
    return schemas.NewTenantMember(password=password.text, grant=grant_view(grant))


def _check_role(call: Call, name: schemas.MemberRoleName) -> MemberRole:
    """Raises Failure."""
    role = MemberRole(name)
    if not all(call.allows(right) for right in RIGHTS_OF[role]):
        raise Failure(403, "not_allowed", f"role {role} allows more than you may do here: nobody gives what they lack")
    return role


OPERATIONS = (
    Operation(
        name="list_grants",
        method="GET",
        path=f"{TENANT}/grants",
        summary="Who has which role in the tenant and its namespaces",
        handler=list_grants,
        needs=Right.MEMBERS_VIEW,
        answer=schemas.GrantList,
    ),
    Operation(
        name="create_grant",
        method="POST",
        path=f"{TENANT}/grants",
        summary="Give a member a role in the tenant, or in one namespace of it",
        handler=create_grant,
        needs=Right.MEMBERS_MANAGE,
        dangerous=True,
        body=schemas.CreateGrant,
        answer=schemas.GrantView,
        status=201,
        errors=(409,),
    ),
    Operation(
        name="delete_grant",
        method="DELETE",
        path=f"{TENANT}/grants",
        summary="Take a role back",
        handler=delete_grant,
        needs=Right.MEMBERS_MANAGE,
        query=schemas.NamedGrant,
        answer=None,
        status=204,
    ),
    Operation(
        name="list_tenant_members",
        method="GET",
        path=f"{TENANT}/members",
        summary="Everybody with a role in the tenant or in a namespace of it",
        handler=list_tenant_members,
        needs=Right.MEMBERS_VIEW,
        answer=schemas.TenantMemberList,
    ),
    Operation(
        name="create_tenant_member",
        method="POST",
        path=f"{TENANT}/members",
        summary="Make a member with a role in the tenant; the temporary password is shown this once",
        handler=create_tenant_member,
        needs=Right.MEMBERS_MANAGE,
        dangerous=True,
        body=schemas.CreateTenantMember,
        answer=schemas.NewTenantMember,
        status=201,
        errors=(409, 503),
        secret=True,
    ),
)
