"""Two tenants with the same names for everything: what one does leaves the other as it was."""

import pytest
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.errors import ErrorCode
from coldstream.tests.raw_kafka import ConnectionEnded, plain_token
from coldstream.tests.virtual_cluster import produce
from confluent_kafka.admin import AdminClient

from .world import SHARED_GROUP, SHARED_TOPIC, World, assert_untouched, commit, committed, join, signed_in, values


def test_records_of_a_topic_of_the_same_name_stay_apart(world: World) -> None:
    before = values(world.victim, SHARED_TOPIC)
    produce(world.attacker.confluent(), SHARED_TOPIC, [b"mine"] * 3)
    assert values(world.victim, SHARED_TOPIC) == before
    assert values(world.attacker, SHARED_TOPIC)[-3:] == [b"mine"] * 3


def test_commits_of_a_group_of_the_same_name_stay_apart(world: World) -> None:
    before = committed(world, "victim_key", SHARED_GROUP, SHARED_TOPIC)
    with signed_in(world) as client:
        commit(client, SHARED_GROUP, SHARED_TOPIC, 5)
    assert committed(world, "full_key", SHARED_GROUP, SHARED_TOPIC) == 5
    assert committed(world, "victim_key", SHARED_GROUP, SHARED_TOPIC) == before


def test_a_static_member_of_the_same_name_fences_nobody_elses(world: World) -> None:
    with signed_in(world) as client:
        join(client, world.foreign.group, world.foreign.instance_id)
    heartbeat = {"group_id": world.foreign.group, "generation_id": 1, "member_id": world.foreign.member_id}
    with signed_in(world, "victim_key") as client:
        fields = {**heartbeat, "group_instance_id": world.foreign.instance_id}
        assert client.ask(ApiKey.HEARTBEAT, 4, fields).error_code == ErrorCode.NONE


def test_lists_show_the_own_namespace_only(world: World) -> None:
    with signed_in(world, "victim_key") as client:
        join(client, "only-the-victim-has-it", "somebody")
    seen = AdminClient(world.attacker.confluent()).list_topics(timeout=10)
    assert world.foreign.topic not in seen.topics
    assert {world.own.topic, SHARED_TOPIC} <= set(seen.topics)
    assert seen.cluster_id == world.attacker.cluster_id != world.victim.cluster_id
    with signed_in(world) as client:
        groups = {group.group_id for group in client.ask(ApiKey.LIST_GROUPS, 4).groups}
    assert {world.own.group, SHARED_GROUP} <= groups
    assert "only-the-victim-has-it" not in groups


def test_deleting_a_topic_leaves_the_namesake(world: World) -> None:
    name = world.attacker.topic("shortlived")
    world.victim.topic("shortlived")
    produce(world.victim.confluent(), name, [b"stays"])
    admin = AdminClient(world.attacker.confluent())
    admin.delete_topics([name])[name].result(10)
    assert values(world.victim, name) == [b"stays"]


def test_a_connection_cannot_become_another_tenant(world: World) -> None:
    with signed_in(world) as client:
        client.ask(ApiKey.SASL_HANDSHAKE, 1, {"mechanism": "PLAIN"})
        token = plain_token(world.victim_key.id, world.victim_key.secret)
        answer = client.ask(ApiKey.SASL_AUTHENTICATE, 2, {"auth_bytes": token})
        assert answer.error_code == ErrorCode.SASL_AUTHENTICATION_FAILED
        with pytest.raises(ConnectionEnded):
            client.exchange(ApiKey.METADATA, 9, {"topics": None})


def test_a_narrow_key_is_told_the_same_of_names_that_exist_and_names_that_do_not(world: World) -> None:
    with signed_in(world, "narrow_key") as client:
        asked = [{"name": name} for name in (world.own.topic, world.nobody.topic, world.foreign.topic)]
        topics = client.ask(ApiKey.METADATA, 9, {"topics": asked}).topics
        assert {topic.error_code for topic in topics} == {ErrorCode.TOPIC_AUTHORIZATION_FAILED}
        listed = client.ask(ApiKey.METADATA, 9, {"topics": None}).topics
        assert [topic.name for topic in listed] == [SHARED_TOPIC]


def test_the_victim_is_as_it_was(world: World) -> None:
    """Last in this file: after all that the others did."""
    assert_untouched(world)
