"""The vocabulary of access: operations, resources, rules, and which operation implies which.

Names and implications are Kafka's (AclAuthorizer): READ, WRITE, DELETE and ALTER allow DESCRIBE too, ALTER_CONFIGS
allows DESCRIBE_CONFIGS. Implication holds for allowing only: to deny READ does not deny DESCRIBE.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from .models import Effect
from .names import Pattern


class Operation(StrEnum):
    READ = "READ"
    WRITE = "WRITE"
    CREATE = "CREATE"
    DELETE = "DELETE"
    ALTER = "ALTER"
    DESCRIBE = "DESCRIBE"
    ALTER_CONFIGS = "ALTER_CONFIGS"
    DESCRIBE_CONFIGS = "DESCRIBE_CONFIGS"
    IDEMPOTENT_WRITE = "IDEMPOTENT_WRITE"


class ResourceType(StrEnum):
    TOPIC = "TOPIC"
    GROUP = "GROUP"
    CLUSTER = "CLUSTER"
    TRANSACTIONAL_ID = "TRANSACTIONAL_ID"


CLUSTER_NAME = "kafka-cluster"  # the one name a CLUSTER resource has on the wire
IMPLIED_BY: Mapping[Operation, frozenset[Operation]] = {
    Operation.DESCRIBE: frozenset({Operation.READ, Operation.WRITE, Operation.DELETE, Operation.ALTER}),
    Operation.DESCRIBE_CONFIGS: frozenset({Operation.ALTER_CONFIGS}),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One casbin policy line of a namespace, without its subject."""

    resource_type: ResourceType
    pattern: Pattern
    operation: Operation
    effect: Effect = Effect.ALLOW


def speaks_to(rule: Operation, effect: Effect, asked: Operation) -> bool:
    """Whether a rule on one operation has a say on another."""
    return rule == asked or (effect == Effect.ALLOW and rule in IMPLIED_BY.get(asked, ()))
