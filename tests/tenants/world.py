"""A small world for tests: a database with one tenant and namespace, a clock that stands still until it is moved."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from coldstream.tenants.actor import Actor
from coldstream.tenants.database import Database
from coldstream.tenants.tenancy import create_namespace, create_tenant

START_MS = 1_700_000_000_000
ACTOR = Actor.local("tester")


@dataclass
class World:
    db: Database
    clock: list[int] = field(default_factory=lambda: [START_MS])
    namespace_id: UUID = field(init=False)
    tenant_id: UUID = field(init=False)

    @property
    def now_ms(self) -> int:
        return self.clock[0]

    def pass_time(self, ms: int) -> None:
        self.clock[0] += ms


def in_world(url: str, scenario: Callable[[World], Awaitable[None]], *, empty: bool = False) -> None:
    """Runs the scenario on a database that has tenant `acme` with namespace `shop`, unless `empty`."""

    async def run() -> None:
        clock = [START_MS]
        db = Database.open(url, clock=lambda: clock[0])
        world = World(db, clock)
        try:
            if not empty:
                async with db.write() as session:
                    await create_tenant(session, ACTOR, "acme")
                    namespace = await create_namespace(session, ACTOR, "acme", "shop")
                world.namespace_id, world.tenant_id = namespace.id, namespace.tenant_id
            await scenario(world)
        finally:
            await db.dispose()

    asyncio.run(run())
