"""Permissions: what the roles allow, and that the compiled answer is casbin's on whatever policies there are."""

from uuid import UUID

import pytest
from coldstream.tenants.catalogue import versions
from coldstream.tenants.errors import InvalidArgument, InvalidPattern
from coldstream.tenants.key_service import create_key
from coldstream.tenants.keys import Principal, authenticate_key
from coldstream.tenants.models import AccessRule, Effect, PatternType
from coldstream.tenants.names import Pattern, parse_pattern
from coldstream.tenants.permissions import (
    CLUSTER_NAME,
    MEMO_ENTRIES_MAX,
    Operation,
    Permissions,
    ResourceType,
    compile_permissions,
)
from coldstream.tenants.policies import load_enforcer, make_enforcer
from coldstream.tenants.roles import Role, parse_role, rules_of
from coldstream.tenants.rules import Rule
from coldstream.tenants.tenancy import create_namespace
from coldstream.tenants.versions import Counter, bump
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .world import ACTOR, World, in_world

Op, R = Operation, ResourceType
NAMESPACE = UUID(int=1)
KEY, ACCOUNT = "KeyKeyKeyKey", "11111111-2222-3333-4444-555555555555"


def granted(role: Role) -> set[tuple[str, str]]:
    """(resource type, operation) that the role has on some name."""
    permissions = Permissions.of_role(role)
    names = {R.TOPIC: "t", R.GROUP: "g", R.CLUSTER: CLUSTER_NAME, R.TRANSACTIONAL_ID: "x"}
    return {(r.value, o.value) for r in R for o in Op if permissions.allows(o, r, names[r])}


@pytest.mark.parametrize(
    ("role", "topic", "group", "cluster", "transactional_id"),
    [
        (Role.PRODUCER, "WRITE DESCRIBE", "", "IDEMPOTENT_WRITE", ""),
        (Role.CONSUMER, "READ DESCRIBE", "READ DESCRIBE", "", ""),
        (
            Role.DEVELOPER,
            "READ WRITE CREATE DELETE ALTER DESCRIBE ALTER_CONFIGS DESCRIBE_CONFIGS",
            "READ DESCRIBE DELETE",
            "IDEMPOTENT_WRITE DESCRIBE",
            "",
        ),
        (Role.VIEWER_METADATA, "DESCRIBE DESCRIBE_CONFIGS", "DESCRIBE", "DESCRIBE DESCRIBE_CONFIGS", ""),
        (Role.VIEWER_DATA, "READ DESCRIBE DESCRIBE_CONFIGS", "DESCRIBE", "DESCRIBE DESCRIBE_CONFIGS", ""),
        (Role.ADMIN, " ".join(Op), " ".join(Op), " ".join(Op), " ".join(Op)),
    ],
)
def test_a_role_allows_exactly_this(role: Role, topic: str, group: str, cluster: str, transactional_id: str) -> None:
    expected = zip(R, (topic, group, cluster, transactional_id), strict=True)
    assert granted(role) == {(r.value, o) for r, operations in expected for o in operations.split()}


def test_patterns_narrow_a_role() -> None:
    permissions = Permissions(rules_of(Role.CONSUMER, "orders*", "billing"))
    assert permissions.allows(Op.READ, R.TOPIC, "orders")
    assert permissions.allows(Op.READ, R.TOPIC, "orders.eu")
    assert not permissions.allows(Op.READ, R.TOPIC, "order")
    assert permissions.allows(Op.READ, R.GROUP, "billing")
    assert not permissions.allows(Op.READ, R.GROUP, "billing2")
    assert not permissions.allows(Op.WRITE, R.TOPIC, "orders")


def test_operations_imply_what_kafka_says_they_do() -> None:
    for operation in (Op.READ, Op.WRITE, Op.DELETE, Op.ALTER):
        assert Permissions([rule(operation)]).allows(Op.DESCRIBE, R.TOPIC, "t")
    assert Permissions([rule(Op.ALTER_CONFIGS)]).allows(Op.DESCRIBE_CONFIGS, R.TOPIC, "t")
    for operation in (Op.CREATE, Op.ALTER_CONFIGS, Op.DESCRIBE_CONFIGS, Op.IDEMPOTENT_WRITE):
        assert not Permissions([rule(operation)]).allows(Op.DESCRIBE, R.TOPIC, "t")
    assert not Permissions([rule(Op.DESCRIBE)]).allows(Op.READ, R.TOPIC, "t")


def test_deny_wins_and_implies_nothing() -> None:
    denied = Permissions([rule(Op.READ), rule(Op.READ, "t", Effect.DENY)])
    assert not denied.allows(Op.READ, R.TOPIC, "t")
    assert denied.allows(Op.DESCRIBE, R.TOPIC, "t")
    assert denied.allows(Op.READ, R.TOPIC, "u")
    hidden = Permissions([rule(Op.READ), rule(Op.DESCRIBE, "t", Effect.DENY)])
    assert hidden.allows(Op.READ, R.TOPIC, "t")
    assert not hidden.allows(Op.DESCRIBE, R.TOPIC, "t")


@pytest.mark.parametrize(
    ("rules", "answer"),
    [
        ([], False),
        ([("WRITE", "t", "allow")], True),
        ([("READ", "t", "allow")], False),
        ([("WRITE", "t", "allow"), ("WRITE", "t", "deny")], False),
        ([("WRITE", "t", "allow"), ("WRITE", "*", "deny")], False),
        ([("WRITE", "orders*", "allow"), ("WRITE", "ord*", "deny")], False),
        ([("WRITE", "orders*", "allow"), ("WRITE", "orders", "deny")], True),
        ([("WRITE", "orders*", "allow"), ("WRITE", "orders.eu*", "deny")], True),
        ([("WRITE", "orders", "allow"), ("WRITE", "ord*", "deny")], False),
        ([("WRITE", "*", "allow"), ("WRITE", "a*", "deny")], True),
    ],
)
def test_allowed_any_is_whether_some_name_is_left(rules: list[tuple[str, str, str]], answer: bool) -> None:
    """KIP-679: a producer that may write to any topic may ask for a producer id."""
    permissions = Permissions([rule(Op(operation), name, Effect(effect)) for operation, name, effect in rules])
    assert permissions.allowed_any(Op.WRITE, R.TOPIC) is answer


def test_a_role_is_good_for_its_whole_namespace() -> None:
    everything, viewer = Permissions.everything(), Permissions.of_role(Role.VIEWER_DATA)
    assert all(everything.allows(o, r, "any name; at ALL\n") for o in Op for r in R if r is not R.CLUSTER)
    assert all(everything.allows(o, R.CLUSTER, CLUSTER_NAME) for o in Op)
    assert viewer.allows(Op.READ, R.TOPIC, "t") and viewer.allows(Op.DESCRIBE, R.GROUP, "g")
    assert not viewer.allows(Op.READ, R.GROUP, "g") and not viewer.allowed_any(Op.WRITE, R.TOPIC)


def test_memory_is_bounded_whatever_a_client_asks() -> None:
    permissions = Permissions(rules_of(Role.CONSUMER, "orders*", "g"))
    for number in range(3 * MEMO_ENTRIES_MAX):
        permissions.allows(Op.READ, R.TOPIC, f"orders{number}")
        permissions.allows(Op.READ, R.TOPIC, f"other{number}")
    assert len(permissions._memo) <= MEMO_ENTRIES_MAX
    permissions.allows(Op.READ, R.GROUP, "g" * 10_000)
    assert all(len(name) < 10_000 for _, _, name in permissions._memo)
    assert permissions.allows(Op.READ, R.TOPIC, "orders1") and not permissions.allows(Op.READ, R.TOPIC, "other1")


@pytest.mark.parametrize(
    "text", ["", "**", "a*b", "*a", "a?", "a,b", "a'b", 'a"b', "a\n", "a b", "[a]", "a|b", "x" * 250, "é"]
)
def test_patterns_with_other_characters_are_refused(text: str) -> None:
    with pytest.raises(InvalidPattern):
        parse_pattern(text)


@pytest.mark.parametrize("text", ["a", "a*", "*", "orders.eu-1_x*", "app:group/1@host"])
def test_a_pattern_reads_back_as_it_was_written(text: str) -> None:
    assert str(parse_pattern(text)) == text


def test_an_unknown_role_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidArgument, match="producer, consumer, developer"):
        parse_role("root")


# A small alphabet, so that names, prefixes and rules meet often.
names = st.text("ab.", max_size=3)
patterns = st.builds(Pattern, st.sampled_from(PatternType), names)
rule_lines = st.builds(
    Rule, st.sampled_from([R.TOPIC, R.GROUP]), patterns, st.sampled_from(Op), st.sampled_from(Effect)
)
policies = st.lists(st.tuples(st.sampled_from([KEY, ACCOUNT, "SomebodyElse"]), rule_lines), max_size=12)
questions = st.lists(
    st.tuples(st.sampled_from(Op), st.sampled_from([R.TOPIC, R.GROUP]), names), min_size=1, max_size=12
)


@settings(max_examples=150, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(policies, questions)
def test_compiled_permissions_answer_as_casbin_does(
    policy: list[tuple[str, Rule]], asked: list[tuple[Operation, ResourceType, str]]
) -> None:
    enforcer = make_enforcer(NAMESPACE, policy, [(KEY, ACCOUNT), ("SomebodyElse", "another account")])
    compiled = Permissions(rule for subject, rule in policy if subject in (KEY, ACCOUNT))
    for operation, resource_type, name in asked * 2:  # the second time from the memo
        by_casbin = enforcer.enforce(KEY, str(NAMESPACE), resource_type.value, name, operation.value)
        assert compiled.allows(operation, resource_type, name) is by_casbin
        assert compiled.allowed_any(operation, resource_type) or not by_casbin
        assert not enforcer.enforce(KEY, str(UUID(int=2)), resource_type.value, name, operation.value)


def test_permissions_of_a_key_are_its_own_and_its_service_accounts(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            mine = await create_key(session, ACTOR, world.namespace_id, "app", "producer", topic_pattern="orders*")
            other = await create_key(session, ACTOR, world.namespace_id, "app", "consumer", topic_pattern="other")
            account = str(mine.key.service_account_id)
            lines = [
                (account, R.TOPIC, PatternType.LITERAL, "shared", Op.READ, Effect.ALLOW),
                (account, R.TOPIC, PatternType.PREFIX, "orders.secret", Op.WRITE, Effect.DENY),
                (other.id, R.TOPIC, PatternType.LITERAL, "shared", Op.READ, Effect.DENY),
            ]
            for subject, resource_type, pattern_type, pattern, operation, effect in lines:
                session.add(
                    AccessRule(
                        namespace_id=world.namespace_id,
                        subject=subject,
                        resource_type=resource_type,
                        pattern_type=pattern_type,
                        pattern=pattern,
                        operation=operation,
                        effect=effect,
                        created_at_ms=0,
                    )
                )
            await bump(session, Counter.POLICY)
        principals: list[Principal] = [
            await authenticate_key(world.db, key.id, key.secret, world.now_ms) for key in (mine, other)
        ]
        async with world.db.read() as session:
            enforcer = await load_enforcer(session, world.namespace_id)
        questions = [
            (Op.WRITE, "orders.eu"),
            (Op.WRITE, "orders.secret.1"),
            (Op.DESCRIBE, "orders.secret.1"),
            (Op.READ, "shared"),
            (Op.READ, "other"),
            (Op.WRITE, "other"),
        ]
        answers = []
        for principal in principals:
            permissions = await compile_permissions(world.db, principal)
            assert permissions.policy_version == (await versions(world.db)).policy
            compiled = [permissions.allows(o, R.TOPIC, name) for o, name in questions]
            domain = str(principal.namespace_id)
            assert compiled == [
                enforcer.enforce(principal.key_id, domain, "TOPIC", name, o.value) for o, name in questions
            ]
            answers.append(compiled)
        assert answers == [[True, False, True, True, False, False], [False, False, False, False, True, False]]

    in_world(url, scenario)


def test_rules_of_one_namespace_say_nothing_in_another(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            other = await create_namespace(session, ACTOR, "acme", "other")
            admin = await create_key(session, ACTOR, other.id, "app", "admin")
            viewer = await create_key(session, ACTOR, world.namespace_id, "app", "viewer-metadata")
            # The same subject named in another namespace: a forged or stale row must not leak through the domain.
            session.add(
                AccessRule(
                    namespace_id=other.id,
                    subject=viewer.id,
                    resource_type=R.TOPIC,
                    pattern_type=PatternType.PREFIX,
                    pattern="",
                    operation=Op.WRITE,
                    effect=Effect.ALLOW,
                    created_at_ms=0,
                )
            )
        principal = await authenticate_key(world.db, viewer.id, viewer.secret, world.now_ms)
        permissions = await compile_permissions(world.db, principal)
        assert not permissions.allows(Op.WRITE, R.TOPIC, "t")
        boss = await authenticate_key(world.db, admin.id, admin.secret, world.now_ms)
        assert (await compile_permissions(world.db, boss)).allows(Op.WRITE, R.TOPIC, "t")

    in_world(url, scenario)


def rule(operation: Operation, name: str = "*", effect: Effect = Effect.ALLOW) -> Rule:
    return Rule(R.TOPIC, parse_pattern(name), operation, effect)
