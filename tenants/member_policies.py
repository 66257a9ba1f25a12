"""Members' rights as casbin policies: RBAC with domains, for explaining them and for checking the compiled ones.

A domain is the platform, a tenant's id, or a tenant's and a namespace's id with a slash between. Roles are the same
everywhere, so a policy line is a role, a right, and how far it reaches from the domain it is granted in: `here` only,
to the namespaces `below` a tenant, or `everywhere`. Grants are casbin's groupings. No request asks the enforcer: it
interprets its matcher for every line.
"""

import logging
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from .member_entry import MemberEntry
from .member_grants import MemberGrantEntry
from .rights import RIGHTS_OF, MemberRole, Right, rights_in_namespace

Enforcer = Any  # casbin.Enforcer, which has no types and is imported only when one is made

MODEL = """
[request_definition]
r = sub, dom, act

[policy_definition]
p = sub, reach, act

[role_definition]
g = _, _, _

[policy_effect]
e = some(where (p.eft == allow))

[matchers]
m = r.act == p.act && (g(r.sub, p.sub, r.dom) || (p.reach == "below" && g(r.sub, p.sub, tenant_of(r.dom))) || \
(p.reach == "everywhere" && g(r.sub, p.sub, "platform")))
"""
PLATFORM = "platform"
PLATFORM_ADMIN, GUEST = "platform-admin", "guest"  # a guest has a role in a namespace of the tenant
HERE, BELOW, EVERYWHERE = "here", "below", "everywhere"


def make_member_enforcer(member: MemberEntry, grants: Iterable[MemberGrantEntry]) -> Enforcer:
    """A casbin enforcer of one member's rights. Ask it `enforce(member's id, domain_of(…), right)`."""
    import casbin

    library: Any = casbin  # untyped
    enforcer: Enforcer = library.Enforcer(library.Enforcer.new_model(text=MODEL))
    logging.getLogger("casbin").setLevel(logging.ERROR)  # it would warn of every denial, with the request in the text
    enforcer.add_function("tenant_of", _tenant_of)
    enforcer.add_policies([list(line) for line in sorted(set(_lines()))])
    for grouping in sorted(set(_groupings(member, grants))):
        enforcer.add_grouping_policy(*grouping)
    return enforcer


def domain_of(tenant_id: UUID | None = None, namespace_id: UUID | None = None) -> str:
    if tenant_id is None:
        return PLATFORM
    return str(tenant_id) if namespace_id is None else f"{tenant_id}/{namespace_id}"


def _lines() -> Iterator[tuple[str, str, str]]:
    for right in Right:
        yield PLATFORM_ADMIN, EVERYWHERE, right.value
    yield GUEST, HERE, Right.TENANT_VIEW.value
    for role in MemberRole:
        for right in RIGHTS_OF[role]:
            yield _in_tenant(role), BELOW, right.value
        for right in rights_in_namespace(role):
            yield _in_namespace(role), HERE, right.value


def _groupings(member: MemberEntry, grants: Iterable[MemberGrantEntry]) -> Iterator[tuple[str, str, str]]:
    if member.disabled:
        return
    subject = str(member.id)
    if member.platform_admin:
        yield subject, PLATFORM_ADMIN, PLATFORM
    for grant in grants:
        domain = domain_of(grant.tenant_id, grant.namespace_id)
        if grant.namespace_id is None:
            yield subject, _in_tenant(grant.role), domain
        else:
            yield subject, _in_namespace(grant.role), domain
            yield subject, GUEST, domain_of(grant.tenant_id)


def _in_tenant(role: MemberRole) -> str:
    return f"tenant:{role}"


def _in_namespace(role: MemberRole) -> str:
    return f"namespace:{role}"


def _tenant_of(domain: str) -> str:
    return domain.partition("/")[0]
