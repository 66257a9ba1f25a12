"""The platform's members over HTTP: who they are, whether they may come in, and a new password for who has lost theirs.

Always true: a generated password is in the answer of the call that made it and nowhere else; a tenant's administrators
change the sign-in of those alone whose every role is in that tenant.
"""

from ..tenants import member_grants, members
from ..tenants.member_entry import MemberEntry
from ..tenants.passwords import generate_password
from ..tenants.rights import Right
from . import member_schemas as schemas
from .grant_routes import grant_view
from .operations import Call, Operation
from .schemas import time_of


def member_view(member: MemberEntry) -> schemas.MemberView:
    return schemas.MemberView(
        id=str(member.id),
        name=member.name,
        platform_admin=member.platform_admin,
        disabled=member.disabled,
        has_password=member.has_password,
        password_temporary=member.password_temporary,
        created_at=time_of(member.created_at_ms),
    )


async def list_members(call: Call) -> schemas.MemberList:
    async with call.database.read() as session:
        entries = await members.list_members(session)
    return schemas.MemberList(members=[member_view(entry) for entry in entries])


async def create_member(call: Call, body: schemas.CreateMember) -> schemas.NewMember:
    password = await generate_password()
    async with call.database.write() as session:
        member = await members.create_member(
            session, call.actor, body.name, password, platform_admin=body.platform_admin
        )
    return schemas.NewMember(password=password.text, member=member_view(member))


async def show_member(call: Call) -> schemas.MemberDetail:
    async with call.database.read() as session:
        member = await members.get_member(session, call.path["member"])
        grants = await member_grants.list_grants(session, member_id=member.id)
    view = member_view(member)
    return schemas.MemberDetail(
        **{name: getattr(view, name) for name in view.__struct_fields__},
        grants=[grant_view(grant) for grant in grants],
    )


async def alter_member(call: Call, body: schemas.AlterMember) -> schemas.MemberView:
    if body.platform_admin is not None:
        call.require(Right.PLATFORM_MANAGE)
    name = call.path["member"]
    await _look(call)
    async with call.database.write() as session:
        member = await member_grants.check_may_administer(session, call.access, name)
        if body.platform_admin is not None:
            member = await members.set_platform_admin(session, call.actor, name, body.platform_admin)
        if body.disabled is not None:
            change = members.disable_member if body.disabled else members.enable_member
            member = await change(session, call.actor, name)
    return member_view(member)


async def delete_member(call: Call) -> None:
    async with call.database.write() as session:
        await members.delete_member(session, call.actor, call.path["member"])


async def reset_password(call: Call) -> schemas.NewPassword:
    await _look(call)
    password = await generate_password()
    async with call.database.write() as session:
        member = await member_grants.check_may_administer(session, call.access, call.path["member"])
        await members.reset_password(session, call.actor, member.name, password)
    return schemas.NewPassword(member=member.name, password=password.text)


async def _look(call: Call) -> None:
    """So that who administers nobody makes the platform hash and lock nothing. Raises NotFound, Conflict."""
    async with call.database.read() as session:
        await member_grants.would_administer(session, call.access, call.path["member"])


OPERATIONS = (
    Operation(
        name="list_members",
        method="GET",
        path="/api/v1/members",
        summary="Every member of the platform",
        handler=list_members,
        needs=Right.PLATFORM_MANAGE,
        answer=schemas.MemberList,
    ),
    Operation(
        name="create_member",
        method="POST",
        path="/api/v1/members",
        summary="Make a member without a role; the temporary password is shown this once",
        handler=create_member,
        needs=Right.PLATFORM_MANAGE,
        dangerous=True,
        body=schemas.CreateMember,
        answer=schemas.NewMember,
        status=201,
        errors=(409, 503),
        secret=True,
    ),
    Operation(
        name="show_member",
        method="GET",
        path="/api/v1/members/{member}",
        summary="One member and their roles",
        handler=show_member,
        needs=Right.PLATFORM_MANAGE,
        answer=schemas.MemberDetail,
    ),
    Operation(
        name="alter_member",
        method="PATCH",
        path="/api/v1/members/{member}",
        summary="Disable a member or let them in again; make them an administrator of the platform or not",
        handler=alter_member,
        needs=None,
        dangerous=True,
        body=schemas.AlterMember,
        answer=schemas.MemberView,
        errors=(409,),
    ),
    Operation(
        name="delete_member",
        method="DELETE",
        path="/api/v1/members/{member}",
        summary="Delete a member with their sessions, tokens and roles",
        handler=delete_member,
        needs=Right.PLATFORM_MANAGE,
        dangerous=True,
        answer=None,
        status=204,
        errors=(409,),
    ),
    Operation(
        name="reset_password",
        method="POST",
        path="/api/v1/members/{member}/reset-password",
        summary="A temporary password for a member, shown this once; their sessions end, and their access tokens",
        handler=reset_password,
        needs=None,
        dangerous=True,
        answer=schemas.NewPassword,
        errors=(409, 503),
        secret=True,
    ),
)
