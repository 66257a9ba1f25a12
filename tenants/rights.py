"""What a member may do in the console and the HTTP API, and the roles that give it.

Always true: a role is a table of rights, kept by name, so that a role that learns something in a later release learns
it for the members that have it. Being a platform administrator is no role: it is a property of the member.
"""

from collections.abc import Mapping
from enum import StrEnum


class Right(StrEnum):
    PLATFORM_MANAGE = "platform-manage"  # tenants and the platform's members; no role gives it
    TENANT_VIEW = "tenant-view"  # the tenant, and the names of its namespaces
    TENANT_MANAGE = "tenant-manage"  # create, alter and delete namespaces
    MEMBERS_VIEW = "members-view"  # who has which role in the tenant
    MEMBERS_MANAGE = "members-manage"
    NAMESPACE_VIEW = "namespace-view"  # topics, configs, figures, groups, jobs, keys without their secrets
    RECORDS_VIEW = "records-view"  # seeing data is a privilege of its own
    TOPICS_MANAGE = "topics-manage"  # create, alter, delete, offload, compact
    KEYS_MANAGE = "keys-manage"  # create, rotate, revoke
    AUDIT_VIEW = "audit-view"


class MemberRole(StrEnum):
    TENANT_ADMIN = "tenant-admin"
    DEVELOPER = "developer"
    VIEWER_DATA = "viewer-data"
    VIEWER_METADATA = "viewer-metadata"
    AUDITOR = "auditor"


_VIEW = frozenset({Right.TENANT_VIEW, Right.NAMESPACE_VIEW})

RIGHTS_OF: Mapping[MemberRole, frozenset[Right]] = {
    MemberRole.TENANT_ADMIN: frozenset(Right) - {Right.PLATFORM_MANAGE},
    MemberRole.DEVELOPER: _VIEW | {Right.RECORDS_VIEW, Right.TOPICS_MANAGE, Right.KEYS_MANAGE},
    MemberRole.VIEWER_DATA: _VIEW | {Right.RECORDS_VIEW},
    MemberRole.VIEWER_METADATA: _VIEW,
    MemberRole.AUDITOR: _VIEW | {Right.MEMBERS_VIEW, Right.AUDIT_VIEW},
}
# What a grant in one namespace can give: the others are about the tenant as a whole.
NAMESPACE_RIGHTS = frozenset(Right) - {
    Right.PLATFORM_MANAGE,
    Right.TENANT_MANAGE,
    Right.MEMBERS_VIEW,
    Right.MEMBERS_MANAGE,
}
NAMESPACE_ROLES = frozenset(MemberRole) - {MemberRole.TENANT_ADMIN}


def rights_in_namespace(role: MemberRole) -> frozenset[Right]:
    """What the role gives in a namespace it is granted for alone."""
    return RIGHTS_OF[role] & NAMESPACE_RIGHTS
