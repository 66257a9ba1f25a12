"""The audit log by tenant, namespace, object and actor."""

import asyncio
from pathlib import Path

import pytest
from coldstream.tenants import audit
from coldstream.tenants.actor import Actor
from coldstream.tenants.database import Database
from coldstream.tenants.tenancy import create_namespace, create_tenant
from coldstream.tenants.topics import create_topic, delete_topic
from coldstream.tests.postgres_server import fresh_database
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from .world import ACTOR, World, in_world

ANN = Actor.local("ann")


async def shown(session: AsyncSession, **given: object) -> list[str]:
    return [f"{each.action} {each.object_name}" for each in await audit.entries(session, **given)]  # type: ignore[arg-type]


def test_entries_are_those_that_match_all_that_is_given(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            other = await create_tenant(session, ANN, "other")
            await create_namespace(session, ANN, "other", "shop")
            topic = await create_topic(session, ACTOR, world.namespace_id, "orders", 1, {})
            await create_topic(session, ANN, world.namespace_id, "bills", 1, {})
            await delete_topic(session, ANN, world.namespace_id, "orders")
        async with world.db.read() as session:
            assert await shown(session, tenant_id=other.id) == ["namespace.create other/shop", "tenant.create other"]
            assert await shown(session, tenant_id=world.tenant_id, limit=3) == [
                *("topic.delete orders", "topic.create bills", "topic.create orders"),
            ]
            assert await shown(session, object_kind="topic", object_id=str(topic.id)) == [
                *("topic.delete orders", "topic.create orders"),
            ]
            assert await shown(session, object_kind="namespace", object_id=str(topic.id)) == []
            assert await shown(session, actor_id=ANN.id, namespace_id=world.namespace_id) == [
                *("topic.delete orders", "topic.create bills"),
            ]
            assert await shown(session, actor_id=ANN.id, tenant_id=other.id, object_kind="tenant") == [
                "tenant.create other"
            ]
            (newest, *_) = await audit.entries(session, actor_id=ANN.id, limit=1)
            assert await shown(session, actor_id=ANN.id, before_seq=newest.seq, limit=1) == ["topic.create bills"]
            assert await shown(session, actor_id="nobody") == await shown(session, object_id="a\x00b") == []

    in_world(url, scenario)


@pytest.mark.parametrize("column", ["tenant_id", "namespace_id", "object_id", "actor_id"])
def test_a_listing_needs_no_sorting_however_long_the_log(tmp_path: Path, column: str) -> None:
    """An index holds each filter in the order of the log."""
    url = fresh_database("sqlite", tmp_path)

    async def plan() -> str:
        db = Database.open(url)
        query = f"EXPLAIN QUERY PLAN SELECT * FROM audit WHERE {column} = 'x' AND seq < 9 ORDER BY seq DESC LIMIT 100"
        async with db.read() as session:
            steps = [row[-1] for row in await session.execute(text(query))]
        await db.dispose()
        return " ".join(steps)

    shown_plan = asyncio.run(plan())
    assert "USING INDEX ix_audit_" in shown_plan and "TEMP B-TREE" not in shown_plan
