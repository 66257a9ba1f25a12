"""What pages say of a role is what the role allows."""

import pytest
from coldstream.console.pages.key_words import (
    ROLES,
    groups_in_words,
    out_of_reach,
    role_label,
    sentences,
    topics_in_words,
)
from coldstream.tenants.permissions import Permissions
from coldstream.tenants.roles import Role
from coldstream.tenants.rules import Operation, ResourceType


@pytest.mark.parametrize("role", Role)
def test_a_role_is_said_to_do_what_it_may(role: Role) -> None:
    allowed = Permissions.of_role(role)
    said = " ".join(sentences(role.value, "orders", "billing"))

    def may(operation: Operation, kind: ResourceType = ResourceType.TOPIC) -> bool:
        return allowed.allows(operation, kind, "orders")

    assert may(Operation.READ) == any(word in said for word in ("Read records", "and read records", "Write, read"))
    assert may(Operation.WRITE) == ("Write" in said)
    assert may(Operation.CREATE) == may(Operation.ALTER) == may(Operation.DELETE) == ("delete" in said.lower())
    assert may(Operation.READ, ResourceType.GROUP) == ("Join" in said)
    assert ROLES[role].groups == (may(Operation.DESCRIBE, ResourceType.GROUP) and role is not Role.ADMIN)


def test_the_scope_is_said_in_words() -> None:
    said = sentences("consumer", "orders*", "billing")
    assert said == [
        "Read records of every topic whose name begins with “orders”",
        "Join the group “billing” and commit offsets there",
    ]
    assert topics_in_words("producer", "*") == "every topic"
    assert topics_in_words("producer", "orders*") == "orders*"
    assert groups_in_words("producer", "*") == "—"
    assert (topics_in_words("admin", "orders"), groups_in_words("admin", "billing")) == ("every topic", "every group")


def test_what_no_release_of_ours_wrote_is_shown_too() -> None:
    assert sentences("astronaut", "a", "b") == []
    assert (role_label("astronaut"), out_of_reach("astronaut")) == ("astronaut", "")
    assert topics_in_words("astronaut", "<b>*") == "<b>*"
