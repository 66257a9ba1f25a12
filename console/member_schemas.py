"""What the HTTP API takes and gives about members and their roles, as types. The rules are those of schemas.py."""

from typing import Literal

from msgspec import UNSET, UnsetType

from .schemas import Answer, Name, Request, Time

MemberRoleName = Literal["tenant-admin", "developer", "viewer-data", "viewer-metadata", "auditor"]


class CreateMember(Request):
    name: Name
    platform_admin: bool = False


class AlterMember(Request):
    """Changes what is given. Disabling ends sessions and stops tokens; nothing is lost."""

    disabled: bool | None = None
    platform_admin: bool | None = None


class MemberView(Answer):
    """`password_temporary`: it was generated, and has to be changed at the next sign-in."""

    id: str
    name: str
    platform_admin: bool
    disabled: bool
    has_password: bool
    password_temporary: bool
    created_at: Time


class MemberList(Answer):
    members: list[MemberView]


class NewMember(Answer):
    """Shown once: `password` is temporary; its member chooses another at the first sign-in."""

    password: str
    member: MemberView


class NewPassword(Answer):
    """Shown once: a temporary password; the member's sessions have ended."""

    member: str
    password: str


class CreateGrant(Request):
    """Without `namespace` for the whole tenant."""

    member: Name
    role: MemberRoleName
    namespace: Name | None = None


class NamedGrant(Request):
    """Which grant is meant; without `namespace` that for the whole tenant."""

    member: Name
    role: MemberRoleName
    namespace: Name | UnsetType = UNSET


class GrantView(Answer):
    """A role of a member, in one namespace or in the whole tenant."""

    id: str
    member: str
    tenant: str
    namespace: str | None
    role: MemberRoleName
    created_at: Time
    created_by: str


class GrantList(Answer):
    grants: list[GrantView]


class MemberDetail(MemberView):
    """A member with all roles that they have."""

    grants: list[GrantView]


class CreateTenantMember(Request):
    """A new member, with a first role in the tenant, or in one namespace of it."""

    name: Name
    role: MemberRoleName
    namespace: Name | None = None


class NewTenantMember(Answer):
    """Shown once: `password` is temporary; its member chooses another at the first sign-in."""

    password: str
    grant: GrantView


class TenantMemberView(Answer):
    """Somebody with a role in the tenant. `administered_here`: its administrators may disable them and reset their
    password, since nothing outside the tenant depends on it."""

    id: str
    name: str
    disabled: bool
    password_temporary: bool
    administered_here: bool
    grants: list[GrantView]


class TenantMemberList(Answer):
    members: list[TenantMemberView]
