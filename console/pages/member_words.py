"""The roles that a member can have, in words; what each allows is tenants/rights.py's."""

from collections.abc import Mapping

from msgspec import Struct

from ...tenants.rights import NAMESPACE_ROLES, MemberRole
from .page import Fields, Refused


class RoleChoice(Struct, frozen=True):
    """A role as a form offers it."""

    value: str
    label: str
    about: str


ROLES: Mapping[MemberRole, RoleChoice] = {
    MemberRole.TENANT_ADMIN: RoleChoice(
        "tenant-admin",
        "Administrator",
        "Everything in the tenant: its namespaces, its members, keys with every role. Always for the whole tenant.",
    ),
    MemberRole.DEVELOPER: RoleChoice("developer", "Developer", "Makes and changes topics and keys, and sees records."),
    MemberRole.VIEWER_DATA: RoleChoice("viewer-data", "Data viewer", "Sees everything in a namespace, records too."),
    MemberRole.VIEWER_METADATA: RoleChoice(
        "viewer-metadata", "Metadata viewer", "Sees topics, figures, groups and keys; no record."
    ),
    MemberRole.AUDITOR: RoleChoice(
        "auditor", "Auditor", "As the metadata viewer, and reads the audit log and who has which role."
    ),
}


def role_label(role: str) -> str:
    return ROLES[MemberRole(role)].label if role in set(MemberRole) else role


def chosen_role(fields: Fields) -> MemberRole:
    """Raises Refused."""
    chosen = fields.text("role")
    if chosen not in set(MemberRole):
        raise Refused({"role": "Choose a role. None is given before you do."})
    return MemberRole(chosen)


def chosen_namespace(fields: Fields, role: MemberRole) -> str | None:
    """None for the whole tenant. Raises Refused."""
    namespace = fields.text("namespace") or None
    if namespace is not None and role not in NAMESPACE_ROLES:
        raise Refused({"namespace": f"{ROLES[role].label} is for the whole tenant."})
    return namespace
