"""The catalogue by version: what changed, nothing else, and nothing missed."""

import asyncio

import pytest
from coldstream.tenants.actor import Actor
from coldstream.tenants.catalogue import load_changes, versions
from coldstream.tenants.database import Database
from coldstream.tenants.tenancy import (
    alter_namespace,
    create_namespace,
    delete_namespace,
    delete_tenant,
    suspend_tenant,
)
from coldstream.tenants.topics import (
    ConfigChange,
    ConfigOperation,
    add_partitions,
    alter_configs,
    create_topic,
    delete_topic,
)

from .world import ACTOR, World, in_world


async def create(world: World, name: str) -> None:
    async with world.db.write() as session:
        await create_topic(session, ACTOR, world.namespace_id, name, 1, {})


def test_since_a_version_only_what_changed_is_listed(url: str) -> None:
    async def scenario(world: World) -> None:
        for name in ("a", "b", "c"):
            await create(world, name)
        since = (await load_changes(world.db, 0)).version
        nothing = await load_changes(world.db, since)
        assert (nothing.version, nothing.namespaces, nothing.topics, nothing.complete) == (since, (), (), False)
        async with world.db.write() as session:
            await alter_configs(
                session, ACTOR, world.namespace_id, "a", [ConfigChange("segment.ms", ConfigOperation.SET, "9000")]
            )
        async with world.db.write() as session:
            await add_partitions(session, ACTOR, world.namespace_id, "b", 2)
        async with world.db.write() as session:
            await delete_topic(session, ACTOR, world.namespace_id, "c")
        change = await load_changes(world.db, since)
        assert {t.name: (t.partitions, dict(t.configs), t.deleted) for t in change.topics} == {
            "a": (1, {"segment.ms": "9000"}, False),
            "b": (2, {}, False),
            "c": (1, {}, True),
        }
        assert change.namespaces == () and change.version == since + 3

    in_world(url, scenario)


def test_an_alteration_that_changes_nothing_lists_nothing(url: str) -> None:
    async def scenario(world: World) -> None:
        await create(world, "a")
        since = (await versions(world.db)).catalogue
        async with world.db.write() as session:
            await alter_configs(
                session, ACTOR, world.namespace_id, "a", [ConfigChange("segment.ms", ConfigOperation.DELETE)]
            )
        assert (await load_changes(world.db, since)).topics == ()

    in_world(url, scenario)


def test_namespaces_change_with_their_tenant(url: str) -> None:
    async def scenario(world: World) -> None:
        since = (await load_changes(world.db, 0)).version

        async def suspended() -> bool:
            nonlocal since
            change = await load_changes(world.db, since)
            since = change.version
            ((namespace),) = change.namespaces
            assert (namespace.tenant, namespace.name) == ("acme", "shop")
            return namespace.suspended

        for way in (True, False):
            async with world.db.write() as session:
                await suspend_tenant(session, ACTOR, "acme", way)
            assert await suspended() is way
        async with world.db.write() as session:
            await alter_namespace(
                session, ACTOR, "acme", "shop", auto_create_topics=True, defaults={"retention.ms": "60000"}
            )
        ((namespace),) = (await load_changes(world.db, since)).namespaces
        assert namespace.auto_create_topics and namespace.defaults == {"retention.ms": "60000"}

    in_world(url, scenario)


def test_a_cascade_lists_every_topic_as_deleted(url: str) -> None:
    async def scenario(world: World) -> None:
        await create(world, "a")
        await create(world, "b")
        since = (await versions(world.db)).catalogue
        async with world.db.write() as session:
            await delete_tenant(session, ACTOR, "acme", cascade=True)
        change = await load_changes(world.db, since)
        assert [n.deleted for n in change.namespaces] == [True]
        assert {t.name: t.deleted for t in change.topics} == {"a": True, "b": True}

    in_world(url, scenario)


def test_a_reader_that_polls_while_others_write_misses_nothing(url: str) -> None:
    """Versions are handed out in commit order: without the counter's lock a slow writer's rows would be skipped."""

    async def write(db: Database, world: World, writer: int) -> None:
        for number in range(6):
            async with db.write() as session:
                await create_topic(session, Actor.local(), world.namespace_id, f"t-{writer}-{number}", 1, {})
                await asyncio.sleep(0.002 * (writer % 3))

    async def scenario(world: World) -> None:
        other = Database.open(url)
        seen: set[str] = set()
        since = 0
        writers = [asyncio.create_task(write(db, world, i)) for i, db in enumerate((world.db, other) * 2)]
        try:
            while True:
                finished = all(task.done() for task in writers)
                change = await load_changes(world.db, since)
                since = change.version
                seen.update(topic.name for topic in change.topics)
                if finished:
                    break
                await asyncio.sleep(0.001)
            await asyncio.gather(*writers)
        finally:
            await other.dispose()
        assert seen == {f"t-{writer}-{number}" for writer in range(4) for number in range(6)}

    in_world(url, scenario)


@pytest.mark.parametrize("way", ["delete", "create"])
def test_a_namespace_that_comes_or_goes_is_listed(url: str, way: str) -> None:
    async def scenario(world: World) -> None:
        since = (await versions(world.db)).catalogue
        async with world.db.write() as session:
            if way == "delete":
                await delete_namespace(session, ACTOR, "acme", "shop")
            else:
                await create_namespace(session, ACTOR, "acme", "new")
        ((namespace),) = (await load_changes(world.db, since)).namespaces
        assert namespace.deleted is (way == "delete")

    in_world(url, scenario)
