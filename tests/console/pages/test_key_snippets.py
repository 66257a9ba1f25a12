"""What is offered to paste for a new key lies within what the key covers."""

from datetime import UTC, datetime

import pytest
from coldstream.console.pages.key_snippets import connection_of, covered, environment, programs
from coldstream.console.schemas import KeyView, NewKey
from coldstream.tenants.names import parse_pattern
from coldstream.tenants.roles import Role


def made(role: str, topics: str = "orders.*", groups: str = "billing*") -> NewKey:
    key = KeyView(
        id="abcdefghijkl",
        name="till",
        state="active",
        tenant="acme",
        namespace="shop",
        service_account="till",
        service_account_id="0",
        role=role,
        topic_pattern=topics,
        group_pattern=groups,
        last4="wxyz",
        created_by="ann",
        created_at=datetime.now(UTC),
        expires_at=None,
        last_used_at=None,
        revoked_at=None,
        rotated_from=None,
    )
    return NewKey(
        id=key.id,
        secret="cs_key_secret",
        bootstrap="localhost:9092",
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        key=key,
    )


@pytest.mark.parametrize("pattern", ["orders", "orders.*", "*"])
@pytest.mark.parametrize("there", [(), ("alpha", "orders.v1")])
def test_the_topic_named_is_one_that_the_key_covers(pattern: str, there: tuple[str, ...]) -> None:
    assert parse_pattern(pattern).matches(covered(pattern, there, "my-topic"))


def test_a_topic_that_there_is_comes_first() -> None:
    assert covered("orders.*", ("alpha", "orders.v1"), "my-topic") == "orders.v1"


@pytest.mark.parametrize("role", Role)
def test_programs_do_what_the_role_may(role: Role) -> None:
    connection = connection_of(made(role.value), ["orders.v1"])
    offered = programs(role.value, connection)
    if role is Role.VIEWER_METADATA:
        assert offered == []
    else:
        assert offered[0].client == "kcat"
        assert ("kcat -P" in offered[0].text) == (role in (Role.PRODUCER, Role.DEVELOPER, Role.ADMIN))
        assert all("cs_key_secret" in program.text for program in offered)
    assert ("KAFKA_GROUP_ID" in environment(role.value, connection)) == (role is Role.CONSUMER)
