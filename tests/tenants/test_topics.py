"""Topics: names, limits, configs, deletion, and that a change is whole or absent."""

import pytest
from coldstream.tenants import audit
from coldstream.tenants.catalogue import load_changes, versions
from coldstream.tenants.errors import (
    InvalidConfig,
    InvalidPartitions,
    InvalidTopicName,
    NotFound,
    QuotaExceeded,
    TenancyError,
    TopicExists,
)
from coldstream.tenants.scope import namespace_scope
from coldstream.tenants.tenancy import alter_namespace, create_namespace
from coldstream.tenants.topics import (
    ConfigChange,
    ConfigOperation,
    add_partitions,
    alter_configs,
    create_topic,
    delete_topic,
)

from .world import ACTOR, World, in_world

SET, DELETE, APPEND, SUBTRACT = ConfigOperation


def test_a_created_topic_is_in_the_catalogue_with_its_audit_row(url: str) -> None:
    async def scenario(world: World) -> None:
        before = await versions(world.db)
        async with world.db.write() as session:
            made = await create_topic(session, ACTOR, world.namespace_id, "orders", 3, {"retention.ms": " 5000 "})
        change = await load_changes(world.db, before.catalogue)
        assert change.topics == (made,)
        assert (made.name, made.partitions, made.configs) == ("orders", 3, {"retention.ms": "5000"})
        assert change.version == before.catalogue + 1
        async with world.db.read() as session:
            entry, *_ = await audit.entries(session, namespace_id=world.namespace_id)
        assert (entry.action, entry.object_name, entry.actor_name) == ("topic.create", "orders", "tester")
        assert entry.after == {"partitions": 3, "configs": {"retention.ms": "5000"}, "durability": "local"}

    in_world(url, scenario)


def test_validate_only_says_the_same_and_keeps_nothing(url: str) -> None:
    async def scenario(world: World) -> None:
        before = await versions(world.db)
        async with world.db.write() as session:
            shown = await create_topic(session, ACTOR, world.namespace_id, "orders", 2, {}, validate_only=True)
            assert (shown.name, shown.partitions) == ("orders", 2)
            with pytest.raises(InvalidPartitions):
                await create_topic(session, ACTOR, world.namespace_id, "orders", 0, {}, validate_only=True)
        assert await versions(world.db) == before
        assert (await load_changes(world.db, 0)).topics == ()
        async with world.db.write() as session:
            await create_topic(session, ACTOR, world.namespace_id, "orders", 2, {})
        async with world.db.write() as session:
            changed = await alter_configs(
                session, ACTOR, world.namespace_id, "orders", [ConfigChange("segment.ms", SET, "60000")], True
            )
            assert changed.configs == {"segment.ms": "60000"}
            grown = await add_partitions(session, ACTOR, world.namespace_id, "orders", 5, validate_only=True)
            assert grown.partitions == 5
        ((topic),) = (await load_changes(world.db, 0)).topics
        assert (topic.partitions, topic.configs) == (2, {})

    in_world(url, scenario)


def test_a_refused_topic_leaves_no_trace(url: str) -> None:
    async def scenario(world: World) -> None:
        before = await versions(world.db)
        with pytest.raises(TopicExists):
            async with world.db.write() as session:
                await create_topic(session, ACTOR, world.namespace_id, "one", 1, {})
                await create_topic(session, ACTOR, world.namespace_id, "one", 1, {})
        assert await versions(world.db) == before
        assert (await load_changes(world.db, 0)).topics == ()
        async with world.db.read() as session:
            actions = [entry.action for entry in await audit.entries(session)]
        assert "topic.create" not in actions

    in_world(url, scenario)


BAD_TOPICS: list[tuple[str, int, dict[str, str], type[TenancyError], str]] = [
    ("", 1, {}, InvalidTopicName, "1 to 249"),
    ("x" * 250, 1, {}, InvalidTopicName, "250"),
    (".", 1, {}, InvalidTopicName, "'.'"),
    ("..", 1, {}, InvalidTopicName, "'..'"),
    ("a b", 1, {}, InvalidTopicName, "'a b'"),
    ("naïve", 1, {}, InvalidTopicName, "letters"),
    ("a\n", 1, {}, InvalidTopicName, "letters"),
    ("a\0", 1, {}, InvalidTopicName, "letters"),
    ("__offsets", 1, {}, InvalidTopicName, "reserved"),
    ("t", 0, {}, InvalidPartitions, "1 to 1000"),
    ("t", -2, {}, InvalidPartitions, "1 to 1000"),
    ("t", 1001, {}, InvalidPartitions, "1 to 1000"),
    ("t", 1, {"retention.sm": "1"}, InvalidConfig, "retention.sm"),
    (
        "t",
        1,
        {"cleanup.policy": "compact", "remote.storage.enable": "true"},
        InvalidConfig,
        "remote.storage.enable=false",
    ),
]


def test_bad_requests_are_refused_with_what_was_wrong(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            for name, partitions, configs, error, says in BAD_TOPICS:
                with pytest.raises(error) as refusal:
                    await create_topic(session, ACTOR, world.namespace_id, name, partitions, configs)
                assert says in str(refusal.value)

    in_world(url, scenario)


def test_the_longest_name_and_odd_but_legal_names_work(url: str) -> None:
    async def scenario(world: World) -> None:
        for name in ("x" * 249, "_", "...", "-", "A.b-c", "_x", "0"):
            async with world.db.write() as session:
                await create_topic(session, ACTOR, world.namespace_id, name, -1, {})
        topics = (await load_changes(world.db, 0)).topics
        assert {topic.partitions for topic in topics} == {1}

    in_world(url, scenario)


def test_names_that_collide_in_metrics_are_refused_as_kafka_does(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            await create_topic(session, ACTOR, world.namespace_id, "a.b_c", 1, {})
            for name in ("a_b_c", "a.b.c", "a_b.c"):
                with pytest.raises(InvalidTopicName, match="collides"):
                    await create_topic(session, ACTOR, world.namespace_id, name, 1, {})
            with pytest.raises(TopicExists, match="already exists"):
                await create_topic(session, ACTOR, world.namespace_id, "a.b_c", 1, {})
            await create_topic(session, ACTOR, world.namespace_id, "a-b-c", 1, {})

    in_world(url, scenario)


def test_a_deleted_topics_name_is_free_at_once_and_its_row_waits_for_the_purge(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            first = await create_topic(session, ACTOR, world.namespace_id, "orders", 1, {})
        async with world.db.write() as session:
            gone = await delete_topic(session, ACTOR, world.namespace_id, "orders")
            second = await create_topic(session, ACTOR, world.namespace_id, "orders", 2, {})
        assert gone.deleted and gone.id == first.id != second.id
        listed = {topic.id: topic.deleted for topic in (await load_changes(world.db, 0)).topics}
        assert listed == {first.id: True, second.id: False}
        async with world.db.write() as session:
            with pytest.raises(NotFound):  # a request for the old one does not hit the new one of its name
                await delete_topic(session, ACTOR, world.namespace_id, "orders", topic_id=first.id)
            assert [t.id for t in await (await namespace_scope(session, "acme", "shop")).topics()] == [second.id]

    in_world(url, scenario)


def test_another_namespaces_topic_is_as_unknown_as_none(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            await create_topic(session, ACTOR, world.namespace_id, "theirs", 1, {})
            other = await create_namespace(session, ACTOR, "acme", "other")
            messages = set()
            for name in ("theirs", "nobodys"):
                with pytest.raises(NotFound) as refusal:
                    await delete_topic(session, ACTOR, other.id, name)
                messages.add(str(refusal.value).replace(name, "…"))
            assert len(messages) == 1
            await create_topic(session, ACTOR, other.id, "theirs", 1, {})

    in_world(url, scenario)


def test_limits_of_the_namespace_hold_and_say_so(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            await alter_namespace(session, ACTOR, "acme", "shop", topics_max=2, partitions_max=10)
            await create_topic(session, ACTOR, world.namespace_id, "a", 4, {})
            with pytest.raises(QuotaExceeded, match="4 partitions and may have 10"):
                await create_topic(session, ACTOR, world.namespace_id, "b", 7, {})
            await create_topic(session, ACTOR, world.namespace_id, "b", 1, {})
            with pytest.raises(QuotaExceeded, match="2 topics and may have 2"):
                await create_topic(session, ACTOR, world.namespace_id, "c", 1, {}, validate_only=True)
            with pytest.raises(QuotaExceeded, match="partitions"):
                await add_partitions(session, ACTOR, world.namespace_id, "b", 7)
            await add_partitions(session, ACTOR, world.namespace_id, "b", 6)
            await delete_topic(session, ACTOR, world.namespace_id, "a")
            await create_topic(session, ACTOR, world.namespace_id, "c", 4, {})

    in_world(url, scenario)


def test_partitions_only_grow(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            await create_topic(session, ACTOR, world.namespace_id, "a", 4, {})
            for count in (4, 3, 0):
                with pytest.raises(InvalidPartitions):
                    await add_partitions(session, ACTOR, world.namespace_id, "a", count)
            assert (await add_partitions(session, ACTOR, world.namespace_id, "a", 6)).partitions == 6

    in_world(url, scenario)


def test_configs_change_together_or_not_at_all(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            await create_topic(session, ACTOR, world.namespace_id, "a", 1, {"retention.ms": "5000"})
        good, bad = ConfigChange("segment.ms", SET, "60000"), ConfigChange("segment.bytes", SET, "many")
        with pytest.raises(InvalidConfig, match=r"segment\.bytes=many"):
            async with world.db.write() as session:
                await alter_configs(session, ACTOR, world.namespace_id, "a", [good, bad])
        ((topic),) = (await load_changes(world.db, 0)).topics
        assert topic.configs == {"retention.ms": "5000"}
        async with world.db.write() as session:
            await alter_configs(session, ACTOR, world.namespace_id, "a", [good, ConfigChange("retention.ms", DELETE)])
        ((topic),) = (await load_changes(world.db, 0)).topics
        assert topic.configs == {"segment.ms": "60000"}
        async with world.db.read() as session:
            newest, *_ = await audit.entries(session, namespace_id=world.namespace_id)
        assert (newest.before, newest.after) == (
            {"configs": {"retention.ms": "5000"}},
            {"configs": {"segment.ms": "60000"}},
        )

    in_world(url, scenario)


BAD_CHANGES = [
    ([ConfigChange("retention.ms", SET, "1000"), ConfigChange("retention.ms", DELETE)], "more than once"),
    ([ConfigChange("retention.ms", SET, None)], "a value is needed"),
    ([ConfigChange("retention.ms", APPEND, "1")], "not a list"),
    ([ConfigChange("no.such", DELETE)], "no.such"),
    ([ConfigChange("cleanup.policy", APPEND, "compaction")], "must be delete or compact"),
    (
        [ConfigChange("cleanup.policy", APPEND, "compact"), ConfigChange("remote.storage.enable", SET, "true")],
        "cleanup.policy=compact,delete with remote.storage.enable=true",
    ),
    ([ConfigChange("cleanup.policy", SUBTRACT, "delete")], "must be delete"),
]


def test_bad_alterations_are_refused(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            await create_topic(session, ACTOR, world.namespace_id, "a", 1, {})
            for changes, says in BAD_CHANGES:
                with pytest.raises(InvalidConfig) as refusal:
                    await alter_configs(session, ACTOR, world.namespace_id, "a", changes)
                assert says in str(refusal.value)

    in_world(url, scenario)


def test_a_namespace_takes_no_defaults_that_contradict_what_one_of_its_topics_says(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            await create_topic(session, ACTOR, world.namespace_id, "kept-cold", 1, {"remote.storage.enable": "true"})
            with pytest.raises(InvalidConfig, match=r"topic 'kept-cold': cleanup[.]policy=compact with"):
                await alter_namespace(session, ACTOR, "acme", "shop", defaults={"cleanup.policy": "compact"})

    in_world(url, scenario)
