"""What one principal may do in its namespace, compiled to set and prefix lookups for the hot path.

Always true: a compiled answer equals casbin's on the same policies (a property test says so), deny wins, an answer
costs one dictionary lookup once asked, and memory is bounded whatever names a client asks about. Never calls casbin
or SQL.
"""

from collections.abc import Iterable
from typing import Self

from .database import Database
from .keys import Principal
from .models import Effect, PatternType
from .names import Pattern
from .roles import Role, rules_of
from .rules import CLUSTER_NAME, Operation, ResourceType, Rule, speaks_to

__all__ = ["CLUSTER_NAME", "Operation", "Permissions", "ResourceType", "compile_permissions"]

MEMO_ENTRIES_MAX, MEMO_NAME_LENGTH_MAX = 4096, 249


class Permissions:
    """Immutable but for its memo. `policy_version` is the policy counter at or after which the rules were read."""

    __slots__ = ("_allowed", "_denied", "_memo", "policy_version")

    def __init__(self, rules: Iterable[Rule], policy_version: int = 0) -> None:
        rules = tuple(rules)
        self._allowed = _compile(rules, Effect.ALLOW)
        self._denied = _compile(rules, Effect.DENY)
        self._memo: dict[tuple[Operation, ResourceType, str], bool] = {}
        self.policy_version = policy_version

    @classmethod
    def everything(cls) -> Self:
        """For the anonymous loopback listener."""
        return cls.of_role(Role.ADMIN)

    @classmethod
    def of_role(cls, role: Role) -> Self:
        """The role over its whole namespace, as the console's short-lived tokens carry it."""
        return cls(rules_of(role))

    def allows(self, operation: Operation, resource_type: ResourceType, name: str) -> bool:
        asked = (operation, resource_type, name)
        answer = self._memo.get(asked)
        return self._decide(asked) if answer is None else answer

    def allowed_any(self, operation: Operation, resource_type: ResourceType) -> bool:
        """Whether there is a name for which `allows` may be true (Kafka's authorizeByResourceType, KIP-679)."""
        allowed = self._allowed.get((operation, resource_type))
        if allowed is None:
            return False
        denied = self._denied.get((operation, resource_type))
        return denied is None or any(not denied.covers(pattern) for pattern in allowed.patterns)

    def _decide(self, asked: tuple[Operation, ResourceType, str]) -> bool:
        operation, resource_type, name = asked
        allowed = self._allowed.get((operation, resource_type))
        denied = self._denied.get((operation, resource_type))
        answer = allowed is not None and allowed.match(name) and not (denied is not None and denied.match(name))
        if len(name) <= MEMO_NAME_LENGTH_MAX:
            if len(self._memo) >= MEMO_ENTRIES_MAX:
                self._memo.clear()  # only a client that asks about thousands of names gets here
            self._memo[asked] = answer
        return answer


class _Names:
    """The names that some rules of one effect cover."""

    __slots__ = ("literals", "patterns", "prefixes")

    def __init__(self, patterns: frozenset[Pattern]) -> None:
        self.patterns = patterns
        self.literals = frozenset(p.text for p in patterns if p.type is PatternType.LITERAL)
        self.prefixes = tuple(sorted(p.text for p in patterns if p.type is PatternType.PREFIX))

    def match(self, name: str) -> bool:
        return name in self.literals or name.startswith(self.prefixes)

    def covers(self, pattern: Pattern) -> bool:
        """Whether every name of the pattern is among these."""
        return pattern.text.startswith(self.prefixes) or (
            pattern.type is PatternType.LITERAL and pattern.text in self.literals
        )


_Compiled = dict[tuple[Operation, ResourceType], _Names]


def _compile(rules: tuple[Rule, ...], effect: Effect) -> _Compiled:
    mine = [rule for rule in rules if rule.effect is effect]
    compiled: _Compiled = {}
    for operation in Operation:
        for resource_type in {rule.resource_type for rule in mine}:
            patterns = frozenset(
                rule.pattern
                for rule in mine
                if rule.resource_type is resource_type and speaks_to(rule.operation, effect, operation)
            )
            if patterns:
                compiled[operation, resource_type] = _Names(patterns)
    return compiled


async def compile_permissions(db: Database, principal: Principal) -> Permissions:
    """The principal's permissions now: the rules of its key and of its service account."""
    from .policies import load_rules
    from .versions import session_versions

    async with db.read() as session:
        version = (await session_versions(session)).policy  # before the rules, so never newer than they are
        subjects = (principal.key_id, str(principal.service_account_id))
        rules = await load_rules(session, principal.namespace_id, subjects)
    return Permissions((rule for _, rule in rules), version)
