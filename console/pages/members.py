"""The platform's members, for its administrators: who may come in, with which password, and who administers."""

from collections.abc import Sequence

from ...tenants.errors import AlreadyExists, Conflict, InvalidName
from ...tenants.rights import Right
from .. import member_routes
from .. import member_schemas as schemas
from .page import Action, Fields, Page, Query, Redirect, Refused, Shown, View, Visit
from .paging import Span, paged
from .refusals import at_field
from .tenant_members import YOURSELF, ShownPasswordView

PATH = "/members/{member}"


class MembersQuery(Query):
    filter: str = ""
    page: int = 1


class MembersView(View):
    rows: list[schemas.MemberView]
    span: Span
    filter: str
    total: int
    yourself: str


class NewMemberView(View):
    pass


class MemberPageView(View):
    """`yourself`: why some of what is done to a member is not done to oneself; else empty."""

    member: schemas.MemberDetail
    yourself: str


async def show_members(visit: Visit, query: MembersQuery) -> MembersView:
    found = (await member_routes.list_members(visit.call)).members
    sought = query.filter.strip()
    shown, span = paged(
        [member for member in found if sought.lower() in member.name.lower()],
        query.page,
        lambda page: MEMBERS.url(filter=sought or None, page=page),
    )
    rows: Sequence[schemas.MemberView] = shown
    return MembersView(rows=list(rows), span=span, filter=sought, total=len(found), yourself=visit.member.name)


async def show_new_member(visit: Visit) -> NewMemberView:
    return NewMemberView()


async def create_member(visit: Visit, fields: Fields) -> Shown:
    body = schemas.CreateMember(
        name=fields.required("name", "Give the member a name: an e-mail address will do."),
        platform_admin=fields.switch("platform_admin"),
    )
    with at_field("name", InvalidName, AlreadyExists):
        made = await member_routes.create_member(visit.call, body)
    return _shown(made.member.name, made.password)


def _shown(name: str, password: str) -> Shown:
    view = ShownPasswordView(name=name, password=password, back=MEMBER.url(member=name))
    return Shown("pages/member_shown.html", view, name)


async def show_member(visit: Visit) -> MemberPageView:
    yourself = YOURSELF if visit.path["member"] == visit.member.name else ""
    return MemberPageView(member=await member_routes.show_member(visit.call), yourself=yourself)


async def reset_password(visit: Visit, fields: Fields) -> Shown:
    _not_yourself(visit)
    made = await member_routes.reset_password(visit.call)
    return _shown(made.member, made.password)


async def disable(visit: Visit, fields: Fields) -> Redirect:
    return await _altered(visit, schemas.AlterMember(disabled=True), "member-disabled")


async def enable(visit: Visit, fields: Fields) -> Redirect:
    return await _altered(visit, schemas.AlterMember(disabled=False), "member-enabled")


async def raise_member(visit: Visit, fields: Fields) -> Redirect:
    return await _altered(visit, schemas.AlterMember(platform_admin=True), "saved")


async def lower_member(visit: Visit, fields: Fields) -> Redirect:
    return await _altered(visit, schemas.AlterMember(platform_admin=False), "saved")


async def _altered(visit: Visit, change: schemas.AlterMember, notice: str) -> Redirect:
    _not_yourself(visit)
    await member_routes.alter_member(visit.call, change)
    return Redirect(MEMBER.url(**visit.path), notice)


async def delete_member(visit: Visit, fields: Fields) -> Redirect:
    _not_yourself(visit)
    if fields.text("confirm") != visit.path["member"]:
        raise Refused({"confirm": "That is not the name. Nothing was deleted."})
    with at_field("", Conflict):
        await member_routes.delete_member(visit.call)
    return Redirect(MEMBERS.url(), "member-deleted")


def _not_yourself(visit: Visit) -> None:
    """Nobody locks themselves out by a slip. Raises Refused."""
    if visit.path["member"] == visit.member.name:
        raise Refused({"": YOURSELF})


MEMBERS = Page(
    name="members",
    path="/members",
    title="Members",
    template="pages/members.html",
    handler=show_members,
    needs=Right.PLATFORM_MANAGE,
    query=MembersQuery,
    section="members",
)
NEW_MEMBER = Page(
    name="new_member",
    path="/members/new",
    title="New member",
    template="pages/new_member.html",
    handler=show_new_member,
    needs=Right.PLATFORM_MANAGE,
    section="members",
)
MEMBER = Page(
    name="member",
    path=f"{PATH}/profile",
    title="{member}",
    template="pages/member.html",
    handler=show_member,
    needs=Right.PLATFORM_MANAGE,
    section="members",
)
DELETE_MEMBER = Page(
    name="delete_member",
    path=f"{PATH}/delete",
    title="Delete {member}",
    template="pages/delete_member.html",
    handler=show_member,
    needs=Right.PLATFORM_MANAGE,
    section="members",
)
PAGES = (MEMBERS, NEW_MEMBER, MEMBER, DELETE_MEMBER)
ACTIONS = tuple(
    Action(name=name, path=path, page=page, handler=handler, needs=Right.PLATFORM_MANAGE, dangerous=True)
    for name, path, page, handler in (
        ("create_member", NEW_MEMBER.path, NEW_MEMBER, create_member),
        ("reset_password", f"{PATH}/reset-password", MEMBER, reset_password),
        ("disable_member", f"{PATH}/disable", MEMBER, disable),
        ("enable_member", f"{PATH}/enable", MEMBER, enable),
        ("raise_member", f"{PATH}/raise", MEMBER, raise_member),
        ("lower_member", f"{PATH}/lower", MEMBER, lower_member),
        ("delete_member", DELETE_MEMBER.path, DELETE_MEMBER, delete_member),
    )
)
