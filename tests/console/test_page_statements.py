"""What a page costs the database does not grow with what is in the namespace: statements are counted, not times."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coldstream.console.pages.routes import PAGES
from coldstream.tenants.actor import Actor
from coldstream.tenants.database import Database
from coldstream.tenants.key_service import create_key
from coldstream.tenants.members import create_member
from coldstream.tenants.scope import namespace_scope
from coldstream.tenants.topics import create_topic
from coldstream.tests.console.browsing import in_seeded_world, tab
from coldstream.tests.console.seeded import NAMESPACE, TENANT, Seeded
from coldstream.tests.console.world import World
from sqlalchemy import event

MORE = 40
STATEMENTS_MAX = 25  # of any page: each is a round trip where the database is a PostgreSQL


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that ran within the block."""
    ran: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        ran.append(statement)

    engine = database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield ran
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def statements(world: World, seeded: Seeded) -> dict[str, list[str]]:
    """Of each page at its second look: the first one learns who its visitor is, which is kept while it is true."""
    ran_by: dict[str, list[str]] = {}
    for page in PAGES:
        await tab(world, seeded, "root").get(seeded.path(page.path))
        with counted(world.database) as ran:
            answer = await tab(world, seeded, "root").get(seeded.path(page.path))
        assert answer.status_code == 200, page.path
        ran_by[page.path] = ran
    return ran_by


async def fill(world: World) -> None:
    actor = Actor.system("test")
    async with world.database.write() as session:
        namespace_id = (await namespace_scope(session, TENANT, NAMESPACE)).id
        for number in range(MORE):
            await create_topic(session, actor, namespace_id, f"topic-{number}", 2, {"retention.ms": "86400000"})
            await create_key(session, actor, namespace_id, f"key-{number}", "producer")
            await create_member(session, actor, f"member-{number}", None)


def test_no_page_asks_the_database_more_often_when_there_is_more_to_show(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        few = await statements(world, seeded)
        await fill(world)
        many = await statements(world, seeded)
        grown = [
            f"{path}: {len(few[path])} statements, then {len(many[path])}"
            for path in few
            if len(many[path]) > len(few[path])
        ]
        assert grown == []
        assert [f"{path}: {len(ran)} statements" for path, ran in many.items() if len(ran) > STATEMENTS_MAX] == []

    in_seeded_world(tmp_path, scenario)
