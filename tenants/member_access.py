"""What one member may do where, compiled to set lookups.

Always true: a compiled answer equals casbin's on the same grants (a property test says so); a member who is disabled
may do nothing; a namespace named with another tenant's id is nobody's.
"""

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from .member_entry import MemberEntry
from .member_grants import MemberGrantEntry, list_grants
from .members import load_member
from .rights import RIGHTS_OF, Right, rights_in_namespace
from .versions import session_versions

__all__ = ["MemberAccess", "load_access", "load_member"]

_NOTHING: frozenset[Right] = frozenset()


class MemberAccess:
    """Immutable. `version` is the policy counter at or after which the grants were read.

    A role in a tenant covers its namespaces. A role in one namespace shows the tenant it is in, and nothing else there.
    """

    __slots__ = ("_everything", "_grants", "_in_namespaces", "_in_tenants", "_shown_tenants", "member", "version")

    def __init__(self, member: MemberEntry, grants: Iterable[MemberGrantEntry], version: int = 0) -> None:
        self.member = member
        self.version = version
        self._everything = member.platform_admin and not member.disabled
        self._grants = () if member.disabled else tuple(grants)
        in_tenants: defaultdict[UUID, frozenset[Right]] = defaultdict(frozenset)
        in_namespaces: defaultdict[tuple[UUID, UUID], frozenset[Right]] = defaultdict(frozenset)
        for grant in self._grants:
            if grant.namespace_id is None:
                in_tenants[grant.tenant_id] |= RIGHTS_OF[grant.role]
            else:
                in_namespaces[grant.tenant_id, grant.namespace_id] |= rights_in_namespace(grant.role)
        self._in_tenants = dict(in_tenants)
        self._in_namespaces = dict(in_namespaces)
        self._shown_tenants = frozenset(tenant_id for tenant_id, _ in in_namespaces)

    def allows(self, right: Right, tenant_id: UUID | None = None, namespace_id: UUID | None = None) -> bool:
        """Whether the right is given there: on the platform, in the whole tenant, or in the namespace."""
        assert tenant_id is not None or namespace_id is None, "a namespace is named with its tenant"
        if self._everything:
            return True
        if tenant_id is None:
            return False
        if right in self._in_tenants.get(tenant_id, _NOTHING):
            return True
        if namespace_id is None:
            return right is Right.TENANT_VIEW and tenant_id in self._shown_tenants
        return right in self._in_namespaces.get((tenant_id, namespace_id), _NOTHING)

    def why(self, right: Right, tenant_id: UUID | None = None, namespace_id: UUID | None = None) -> str:
        """One line for people: what gives the right there, or that nothing does."""
        if self.member.disabled:
            return "this member is disabled"
        if self._everything:
            return "platform administrator"
        if self.allows(right, tenant_id, namespace_id):
            for grant in sorted(self._grants, key=lambda grant: grant.namespace_id is not None):
                if MemberAccess(self.member, (grant,)).allows(right, tenant_id, namespace_id):
                    return f"role {grant.role} in {grant.place}"
        if tenant_id is None:
            return f"only platform administrators have {right} on the whole platform"
        return f"no role gives {right} here"

    def roles(self) -> list[str]:
        """What the member was given, a line for each grant."""
        return [f"{grant.role} in {grant.place}" for grant in self._grants]

    def sees_tenant(self, tenant_id: UUID) -> bool:
        return self.allows(Right.TENANT_VIEW, tenant_id)

    def sees_namespace(self, tenant_id: UUID, namespace_id: UUID) -> bool:
        return self.allows(Right.NAMESPACE_VIEW, tenant_id, namespace_id)


async def load_access(session: AsyncSession, member: MemberEntry) -> MemberAccess:
    """The member's rights now, in two statements."""
    version = (await session_versions(session)).policy  # before the grants, so never newer than they are
    return MemberAccess(member, await list_grants(session, member_id=member.id), version)
