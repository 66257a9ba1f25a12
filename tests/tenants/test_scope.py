"""A namespace's scope: what nothing can be called is not found, in the words for what is not there."""

import pytest
from coldstream.tenants.errors import NotFound
from coldstream.tenants.scope import namespace_scope
from coldstream.tenants.tenancy import get_tenant
from coldstream.tenants.topics import delete_topic

from .world import ACTOR, World, in_world

# PostgreSQL refuses to compare with the first two, SQLite does not.
NOBODYS = ("\0", "orders\0", "\u202eorders", "", "x" * 300)


@pytest.mark.parametrize("name", NOBODYS)
def test_what_nothing_can_be_called_is_not_there(url: str, name: str) -> None:
    async def scenario(world: World) -> None:
        async with world.db.read() as session:
            scope = await namespace_scope(session, "acme", "shop")
            for missing in (
                scope.topic(name),
                namespace_scope(session, "acme", name),
                namespace_scope(session, name, "shop"),
                get_tenant(session, name),
            ):
                with pytest.raises(NotFound):
                    await missing
        with pytest.raises(NotFound):
            async with world.db.write() as session:
                await delete_topic(session, ACTOR, scope.id, name)

    in_world(url, scenario)
