"""What namespaces hold, counted in one statement for each kind of thing."""

from coldstream.tenants import key_service, overview, tenancy, topics
from coldstream.tenants.overview import Holdings
from coldstream.tests.tenants.world import ACTOR, World, in_world

DAY_MS = 86_400_000


def test_live_topics_and_working_keys_are_counted_by_namespace(url: str) -> None:
    async def scenario(world: World) -> None:
        shop = world.namespace_id
        async with world.db.write() as session:
            other = await tenancy.create_namespace(session, ACTOR, "acme", "other")
            await tenancy.create_tenant(session, ACTOR, "rival")
            foreign = await tenancy.create_namespace(session, ACTOR, "rival", "shop")
            await topics.create_topic(session, ACTOR, shop, "orders", 3, {})
            await topics.create_topic(session, ACTOR, shop, "gone", 5, {})
            await topics.delete_topic(session, ACTOR, shop, "gone")
            await topics.create_topic(session, ACTOR, foreign.id, "orders", 1, {})
            await key_service.create_key(session, ACTOR, shop, "works", "producer")
            await key_service.create_key(session, ACTOR, shop, "ends", "producer", expires_at_ms=world.now_ms + 1)
            revoked = await key_service.create_key(session, ACTOR, shop, "revoked", "producer")
            await key_service.revoke_key(session, ACTOR, shop, revoked.id)
            await key_service.create_key(session, ACTOR, other.id, "only", "producer")
        world.pass_time(1)
        async with world.db.read() as session:
            everywhere = await overview.holdings(session, world.now_ms)
            assert everywhere[shop] == Holdings(1, 3, 1)
            assert everywhere[other.id] == Holdings(0, 0, 1)
            assert everywhere[foreign.id] == Holdings(1, 1, 0)
            assert await overview.holdings(session, world.now_ms, namespace_id=shop) == {shop: Holdings(1, 3, 1)}
            of_tenant = await overview.holdings(session, world.now_ms, tenant_id=world.tenant_id)
            assert set(of_tenant) == {shop, other.id}
        assert sum(everywhere.values(), overview.NOTHING) == Holdings(2, 4, 2)

    in_world(url, scenario)


def test_keys_to_look_at_expire_soon_or_are_idle(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            for name, ends_ms in (("soon", 3 * DAY_MS), ("later", 90 * DAY_MS), ("never", None)):
                expires_at_ms = None if ends_ms is None else world.now_ms + ends_ms
                await key_service.create_key(
                    session, ACTOR, world.namespace_id, name, "producer", expires_at_ms=expires_at_ms
                )

        async def names() -> list[str]:
            async with world.db.read() as session:
                found = await overview.keys_to_look_at(
                    session,
                    world.namespace_id,
                    world.now_ms,
                    expire_before_ms=world.now_ms + 7 * DAY_MS,
                    unused_since_ms=world.now_ms - 30 * DAY_MS,
                )
            return [key.name for key in found]

        assert await names() == ["soon"]
        world.pass_time(31 * DAY_MS)
        assert await names() == ["later", "never"]

    in_world(url, scenario)


def test_topics_are_told_by_age(url: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.write() as session:
            old = await topics.create_topic(session, ACTOR, world.namespace_id, "old", 1, {})
        world.pass_time(DAY_MS)
        async with world.db.write() as session:
            await topics.create_topic(session, ACTOR, world.namespace_id, "new", 1, {})
        async with world.db.read() as session:
            assert await overview.topics_made_before(session, world.namespace_id, world.now_ms) == {old.id}
            assert await overview.topic_names(session, world.namespace_id, 9) == ["new", "old"]
            assert await overview.topic_names(session, world.namespace_id, 1) == ["new"]

    in_world(url, scenario)
