"""Tenants, namespaces and service accounts: names, limits, deletion, and nothing of others to see."""

import base64

import pytest
from coldstream.tenants import audit
from coldstream.tenants.errors import AlreadyExists, InvalidArgument, InvalidConfig, InvalidName, NotEmpty, NotFound
from coldstream.tenants.key_service import create_key
from coldstream.tenants.models import Namespace, Topic
from coldstream.tenants.policies import load_rules
from coldstream.tenants.scope import namespace_scope, namespace_scope_by_id
from coldstream.tenants.tenancy import (
    alter_namespace,
    create_namespace,
    create_service_account,
    create_tenant,
    delete_namespace,
    delete_service_account,
    delete_tenant,
    get_tenant,
    list_namespaces,
    list_tenants,
    new_cluster_id,
    suspend_tenant,
)
from coldstream.tenants.topics import create_topic
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from .world import ACTOR, World, in_world


def test_tenants_and_namespaces_are_listed_by_name(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            await create_tenant(session, ACTOR, "zoo")
            await create_tenant(session, ACTOR, "a-b")
            await create_namespace(session, ACTOR, "a-b", "shop")
            await create_namespace(session, ACTOR, "acme", "dev")
        async with world.db.read() as session:
            assert [tenant.name for tenant in await list_tenants(session)] == ["a-b", "acme", "zoo"]
            every = [f"{n.tenant}/{n.name}" for n in await list_namespaces(session)]
            assert every == ["a-b/shop", "acme/dev", "acme/shop"]
            assert [n.name for n in await list_namespaces(session, "acme")] == ["dev", "shop"]
            assert (await get_tenant(session, "acme")).id == world.tenant_id
            assert (await namespace_scope(session, "acme", "shop")).entry.id == world.namespace_id
            for missing in (get_tenant(session, "nobody"), list_namespaces(session, "nobody")):
                with pytest.raises(NotFound):
                    await missing
            for path in (("acme", "nope"), ("zoo", "shop"), ("nobody", "shop")):
                with pytest.raises(NotFound, match="/".join(path)):
                    await namespace_scope(session, *path)

    in_world(url, scenario)


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "a.b", "a/b", "a b", "x" * 64, "é", "a\n", "*"])
def test_names_that_are_no_labels_are_refused(name: str, tmp_path: object) -> None:
    from coldstream.tenants.names import check_label

    with pytest.raises(InvalidName, match="1 to 63"):
        check_label("tenant", name)


def test_a_live_name_is_unique_and_free_after_deletion(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            with pytest.raises(AlreadyExists):
                await create_tenant(session, ACTOR, "acme")
            with pytest.raises(AlreadyExists):
                await create_namespace(session, ACTOR, "acme", "shop")
            await delete_tenant(session, ACTOR, "acme")
        async with world.db.write() as session:
            again = await create_tenant(session, ACTOR, "acme")
            namespace = await create_namespace(session, ACTOR, "acme", "shop")
        assert again.id != world.tenant_id and namespace.id != world.namespace_id

    in_world(url, scenario)


def test_the_database_itself_refuses_two_live_rows_of_one_name(url: str) -> None:
    async def scenario(world: World) -> None:
        def topic(deleted_at_ms: int | None) -> Topic:
            return Topic(
                namespace_id=world.namespace_id,
                name="t",
                partitions=1,
                version=1,
                created_at_ms=0,
                deleted_at_ms=deleted_at_ms,
            )

        async with world.db.write() as session:
            session.add_all([topic(1), topic(2), topic(None)])
        with pytest.raises(IntegrityError):
            async with world.db.write() as session:
                session.add(topic(None))

    in_world(url, scenario)


def test_the_database_itself_refuses_orphans_and_unknown_states(url: str) -> None:
    async def scenario(world: World) -> None:
        for statement in (
            "UPDATE namespaces SET tenant_id = '00000000000000000000000000000001'",
            "UPDATE namespaces SET topics_max = -1",
            "INSERT INTO versions VALUES (2, 0, 0, 0, 0, 0)",
        ):
            with pytest.raises(IntegrityError):
                async with world.db.write() as session:
                    await session.execute(text(statement))
        with pytest.raises(IntegrityError):
            async with world.db.write() as session:
                session.add(
                    Topic(
                        namespace_id=world.namespace_id,
                        name="t",
                        partitions=1,
                        durability="maybe",
                        version=1,
                        created_at_ms=0,
                    )
                )

    in_world(url, scenario)


def test_what_has_live_topics_is_deleted_only_by_a_cascade(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            await create_topic(session, ACTOR, world.namespace_id, "a", 1, {})
        for attempt in (
            lambda s: delete_namespace(s, ACTOR, "acme", "shop"),
            lambda s: delete_tenant(s, ACTOR, "acme"),
        ):
            with pytest.raises(NotEmpty, match="1 topics"):
                async with world.db.write() as session:
                    await attempt(session)
        async with world.db.read() as session:
            assert [t.name for t in await (await namespace_scope(session, "acme", "shop")).topics()] == ["a"]
        async with world.db.write() as session:
            await create_key(session, ACTOR, world.namespace_id, "k", "admin")
            await delete_namespace(session, ACTOR, "acme", "shop", cascade=True)
            assert await load_rules(session, world.namespace_id) == []
            with pytest.raises(NotFound):
                await namespace_scope_by_id(session, world.namespace_id)
            actions = [entry.action for entry in await audit.entries(session, namespace_id=world.namespace_id)]
        assert actions[:2] == ["namespace.delete", "topic.delete"]

    in_world(url, scenario)


def test_a_namespace_alters_only_what_is_given(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            first = await alter_namespace(session, ACTOR, "acme", "shop", topics_max=5)
            second = await alter_namespace(session, ACTOR, "acme", "shop", auto_create_topics=True)
            assert (first.topics_max, first.auto_create_topics) == (5, False)
            assert (second.topics_max, second.auto_create_topics) == (5, True)
            with pytest.raises(InvalidConfig):
                await alter_namespace(session, ACTOR, "acme", "shop", defaults={"nope": "1"})
        with pytest.raises(InvalidArgument):
            async with world.db.write() as session:
                await alter_namespace(session, ACTOR, "acme", "shop", partitions_per_topic_max=0)
        async with world.db.read() as session:
            newest, *_ = await audit.entries(session, namespace_id=world.namespace_id)
            assert newest.before is not None and newest.after is not None
            changed = {name for name in newest.after if newest.before[name] != newest.after[name]}
        assert changed == {"auto_create_topics"}

    in_world(url, scenario)


def test_service_accounts_come_and_go_with_their_grants(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            scope = await namespace_scope(session, "acme", "shop")
            account = await create_service_account(session, ACTOR, scope, "etl")
            with pytest.raises(AlreadyExists):
                await create_service_account(session, ACTOR, scope, "etl")
            await create_key(session, ACTOR, scope.id, "k", "admin", service_account="etl")
            assert [a.name for a in await scope.service_accounts()] == ["etl"]
            await delete_service_account(session, ACTOR, scope, "etl")
            assert await scope.service_accounts() == []
            with pytest.raises(NotFound):
                await delete_service_account(session, ACTOR, scope, "etl")
            again = await create_service_account(session, ACTOR, scope, "etl")
        assert again.id != account.id

    in_world(url, scenario)


def test_suspending_and_resuming_is_shown(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            assert (await suspend_tenant(session, ACTOR, "acme")).suspended
            assert (await namespace_scope(session, "acme", "shop")).entry.suspended
            assert not (await suspend_tenant(session, ACTOR, "acme", False)).suspended
            assert not (await namespace_scope(session, "acme", "shop")).entry.suspended

    in_world(url, scenario)


def test_a_cluster_id_is_a_random_uuid_as_kafka_writes_it() -> None:
    ids = {new_cluster_id() for _ in range(300)}
    assert len(ids) == 300
    assert all(len(each) == 22 and len(base64.urlsafe_b64decode(each + "==")) == 16 for each in ids)
    assert not any(each.startswith("-") for each in ids)


def test_the_audit_log_pages_backwards_within_a_namespace(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            other = await create_namespace(session, ACTOR, "acme", "other")
            for name in ("a", "b", "c"):
                await create_topic(session, ACTOR, world.namespace_id, name, 1, {})
            await create_topic(session, ACTOR, other.id, "theirs", 1, {})
        async with world.db.read() as session:
            first = await audit.entries(session, namespace_id=world.namespace_id, limit=2)
            rest = await audit.entries(session, namespace_id=world.namespace_id, before_seq=first[-1].seq)
            everything = await audit.entries(session)
        assert [entry.object_name for entry in (*first, *rest)] == ["c", "b", "a", "acme/shop"]
        assert len(everything) == len(first) + len(rest) + 3

    in_world(url, scenario)


def test_every_table_row_survives_its_own_model(url: str) -> None:
    """Nothing is left to defaults that only one of the databases would fill in."""

    async def scenario(world: World) -> None:
        async with world.db.read() as session:
            row = await session.get_one(Namespace, world.namespace_id)
        assert (row.auto_create_topics, row.defaults, row.suspended_at_ms) == (False, {}, None)

    in_world(url, scenario)
