"""The roles a key or a service account can be given, each a table of what it allows on which resources.

Roles are kept as names with patterns and expanded when policies are loaded, so that a role that learns something in a
later release learns it for the keys that exist.
"""

from collections.abc import Mapping
from enum import StrEnum

from .errors import InvalidArgument
from .models import PatternType
from .names import Pattern, parse_pattern
from .rules import CLUSTER_NAME, Operation, ResourceType, Rule


class Role(StrEnum):
    PRODUCER = "producer"
    CONSUMER = "consumer"
    DEVELOPER = "developer"
    VIEWER_METADATA = "viewer-metadata"
    VIEWER_DATA = "viewer-data"
    ADMIN = "admin"


Allowed = Mapping[ResourceType, frozenset[Operation]]
_O, _R = Operation, ResourceType

PRODUCER: Allowed = {
    _R.TOPIC: frozenset({_O.WRITE, _O.DESCRIBE}),
    _R.CLUSTER: frozenset({_O.IDEMPOTENT_WRITE}),
}
CONSUMER: Allowed = {
    _R.TOPIC: frozenset({_O.READ, _O.DESCRIBE}),
    _R.GROUP: frozenset({_O.READ, _O.DESCRIBE}),
}
VIEWER_METADATA: Allowed = {
    _R.TOPIC: frozenset({_O.DESCRIBE, _O.DESCRIBE_CONFIGS}),
    _R.GROUP: frozenset({_O.DESCRIBE}),
    _R.CLUSTER: frozenset({_O.DESCRIBE, _O.DESCRIBE_CONFIGS}),
}
VIEWER_DATA: Allowed = {  # reads records; without READ on groups it cannot join one or move its offsets
    **VIEWER_METADATA,
    _R.TOPIC: VIEWER_METADATA[_R.TOPIC] | {_O.READ},
}
DEVELOPER: Allowed = {
    _R.TOPIC: frozenset(_O) - {_O.IDEMPOTENT_WRITE},
    _R.GROUP: frozenset({_O.READ, _O.DESCRIBE, _O.DELETE}),
    _R.CLUSTER: frozenset({_O.IDEMPOTENT_WRITE, _O.DESCRIBE}),
}
ADMIN: Allowed = {resource_type: frozenset(_O) for resource_type in _R}

ALLOWED: Mapping[Role, Allowed] = {
    Role.PRODUCER: PRODUCER,
    Role.CONSUMER: CONSUMER,
    Role.DEVELOPER: DEVELOPER,
    Role.VIEWER_METADATA: VIEWER_METADATA,
    Role.VIEWER_DATA: VIEWER_DATA,
    Role.ADMIN: ADMIN,
}
_EVERY = Pattern(PatternType.PREFIX, "")
_CLUSTER = Pattern(PatternType.LITERAL, CLUSTER_NAME)


def parse_role(name: str) -> Role:
    """Raises InvalidArgument."""
    try:
        return Role(name)
    except ValueError:
        raise InvalidArgument(f"no role {name[:40]!r}: choose one of {', '.join(Role)}") from None


def rules_of(role: Role, topic_pattern: str = "*", group_pattern: str = "*") -> list[Rule]:
    """What the role allows on the topics and groups of the patterns. Raises InvalidPattern.

    Admin of a namespace is not narrowed by patterns: who may change every key may change every topic.
    """
    if role is Role.ADMIN:
        topic_pattern = group_pattern = "*"
    patterns = {
        ResourceType.TOPIC: parse_pattern(topic_pattern),
        ResourceType.GROUP: parse_pattern(group_pattern),
        ResourceType.CLUSTER: _CLUSTER,
        ResourceType.TRANSACTIONAL_ID: _EVERY,
    }
    return [
        Rule(resource_type, patterns[resource_type], operation)
        for resource_type, operations in ALLOWED[role].items()
        for operation in sorted(operations)
    ]
