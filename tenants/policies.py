"""A namespace's casbin policies: role grants and access rules as rows, loaded into one small enforcer per namespace.

The model is RBAC with domains: the domain is the namespace's id, a subject is a service account's or a key's id, and
a key is in the role of its service account. Deny wins. The enforcer is for explaining and for checking the compiled
permissions; casbin interprets its matcher for every policy line, which no request path can afford.
"""

import logging
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from .models import AccessRule, ApiKey, Effect, PatternType, RoleGrant, ServiceAccount
from .names import Pattern
from .roles import Role, rules_of
from .rules import Operation, ResourceType, Rule, speaks_to

Enforcer = Any  # casbin.Enforcer, which has no types and is imported only when one is made

MODEL = """
[request_definition]
r = sub, dom, typ, obj, act

[policy_definition]
p = sub, dom, typ, pat, obj, act, eft

[role_definition]
g = _, _, _

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = r.dom == p.dom && r.typ == p.typ && speaks_to(p.act, p.eft, r.act) && covers(p.pat, p.obj, r.obj) && \
g(r.sub, p.sub, r.dom)
"""


async def load_rules(
    session: AsyncSession, namespace_id: UUID, subjects: Sequence[str] | None = None
) -> list[tuple[str, Rule]]:
    """(subject, rule) of the namespace, role grants expanded; only of some subjects if they are given."""
    grants = select(RoleGrant).where(RoleGrant.namespace_id == namespace_id)
    lines = select(AccessRule).where(AccessRule.namespace_id == namespace_id)
    if subjects is not None:
        grants = grants.where(RoleGrant.subject.in_(subjects))
        lines = lines.where(AccessRule.subject.in_(subjects))
    rules = [
        (grant.subject, rule)
        for grant in await session.scalars(grants)
        for rule in rules_of(Role(grant.role), grant.topic_pattern, grant.group_pattern)
    ]
    rules += [(line.subject, _rule(line)) for line in await session.scalars(lines)]
    return rules


async def load_enforcer(session: AsyncSession, namespace_id: UUID) -> Enforcer:
    """The namespace's whole policy with its keys as members of their service accounts."""
    keys = await session.execute(
        select(ApiKey.id, ApiKey.service_account_id)
        .join(ServiceAccount, ServiceAccount.id == ApiKey.service_account_id)
        .where(ServiceAccount.namespace_id == namespace_id)
    )
    members = [(key_id, str(account_id)) for key_id, account_id in keys]
    return make_enforcer(namespace_id, await load_rules(session, namespace_id), members)


def make_enforcer(
    namespace_id: UUID, rules: Iterable[tuple[str, Rule]], members: Iterable[tuple[str, str]]
) -> Enforcer:
    """A casbin enforcer of one namespace. Ask it `enforce(subject, namespace id, resource type, name, operation)`."""
    import casbin

    library: Any = casbin  # untyped
    domain = str(namespace_id)
    enforcer: Enforcer = library.Enforcer(library.Enforcer.new_model(text=MODEL))
    logging.getLogger("casbin").setLevel(logging.ERROR)  # it would warn of every denial, with the request in the text
    enforcer.add_function("speaks_to", _speaks_to)
    enforcer.add_function("covers", _covers)
    lines = {(subject, domain, *_line(rule)) for subject, rule in rules}
    if lines:
        enforcer.add_policies([list(line) for line in sorted(lines)])
    for member, group in sorted(set(members)):
        enforcer.add_grouping_policy(member, group, domain)
    return enforcer


def _rule(line: AccessRule) -> Rule:
    return Rule(
        ResourceType(line.resource_type),
        Pattern(PatternType(line.pattern_type), line.pattern),
        Operation(line.operation),
        Effect(line.effect),
    )


def _line(rule: Rule) -> tuple[str, str, str, str, str]:
    pattern = rule.pattern
    return (rule.resource_type.value, pattern.type.value, pattern.text, rule.operation.value, rule.effect.value)


def _speaks_to(rule: str, effect: str, asked: str) -> bool:
    return speaks_to(Operation(rule), Effect(effect), Operation(asked))


def _covers(pattern_type: str, text: str, name: str) -> bool:
    return Pattern(PatternType(pattern_type), text).matches(name)
