"""What cannot be undone, and what makes a credential, asks for the password after ten minutes: every such form."""

from pathlib import Path

import pytest
from coldstream.console.app import OPERATIONS
from coldstream.console.pages.routes import ACTIONS
from coldstream.tenants.actor import Actor
from coldstream.tenants.members import create_member
from coldstream.tenants.sessions import CONFIRMED_MS, open_session
from coldstream.tests.console.browsing import OUR_PAGE, Tab, fingerprint, in_seeded_world, tab
from coldstream.tests.console.seeded import PASSWORD, Seeded
from coldstream.tests.console.world import World
from sqlalchemy import text

DANGEROUS = tuple(action for action in ACTIONS if action.dangerous)
# These change what is there in a way that can be taken back, or ask for what only their member knows.
HARMLESS = frozenset(
    {
        "add_partitions",
        "apply_topic_configs",
        "ask_for_topic_configs",
        "change_password",  # asks for the old one
        "compact_topic_now",  # what compaction takes was asked about when it was switched on
        "create_namespace",
        "create_tenant",
        "create_topic",
        "end_session",
        "offload_topic_now",
        "resume_namespace",
        "resume_tenant",
        "revoke_token",  # one's own, perhaps in a hurry
        "save_namespace",
        "save_profile",
        "take_role",
    }
)


async def long_after(world: World) -> None:
    """Every session proved its password more than ten minutes ago."""
    async with world.database.write() as session:
        given = {"ms": CONFIRMED_MS + 1000}
        await session.execute(text("UPDATE sessions SET confirmed_at_ms = confirmed_at_ms - :ms"), given)


def test_every_form_is_either_known_to_be_harmless_or_asks() -> None:
    assert {action.name for action in ACTIONS if not action.dangerous} - HARMLESS == set()


@pytest.mark.parametrize(
    "given", [{}, {"password": ""}, {"password": "not the password"}], ids=["none", "empty", "wrong"]
)
def test_nothing_dangerous_is_done_without_the_password(tmp_path: Path, given: dict[str, str]) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        await long_after(world)
        before, wrong = await fingerprint(world.database), []
        for action in DANGEROUS:
            answer = await tab(world, seeded, "root").post(seeded.path(action.path), given)
            if answer.status_code != 422 or "set-cookie" in answer.headers:
                wrong.append(f"{action.path}: {answer.status_code}")
        assert wrong == []
        assert await fingerprint(world.database) == before

    in_seeded_world(tmp_path, scenario)


def test_nothing_dangerous_is_done_over_http_for_a_session_that_proved_nothing_lately(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        await long_after(world)
        cookie = {"Cookie": f"coldstream_session={seeded.people['root'].cookie}", "Content-Type": "application/json"}
        before, wrong = await fingerprint(world.database), []
        for operation in OPERATIONS:
            if operation.dangerous:
                path = seeded.path(operation.path)
                headers = {**OUR_PAGE, **cookie}
                answer = await world.http.request(operation.method, path, headers=headers, content=b"{}")
                if answer.status_code != 403:
                    wrong.append(f"{operation.method} {operation.path}: {answer.status_code}")
        assert wrong == []
        assert await fingerprint(world.database) == before

    in_seeded_world(tmp_path, scenario)


def test_the_right_password_is_asked_for_once_and_renews_the_session(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        async with world.database.write() as session:
            member = await create_member(session, Actor.system(), "careful", PASSWORD, platform_admin=True)
            opened = await open_session(session, member, address="", user_agent="")
        await long_after(world)
        old = Tab(world, opened.cookie)
        path = seeded.path("/tenants/{tenant}/suspend")
        done = await old.post(path, {"password": PASSWORD, "confirm": seeded.things["tenant"]})
        assert done.status_code == 303, done.text
        cookie = done.headers["set-cookie"].partition("=")[2].partition(";")[0]
        assert cookie != opened.cookie
        assert (await old.get("/profile.json")).status_code == 401, "the old id opens nothing"
        new = Tab(world, cookie)
        assert (await new.post(seeded.path("/tenants/{tenant}/resume"))).status_code == 303
        again = await new.post(path, {"confirm": seeded.things["tenant"]})
        assert again.status_code == 303, "not asked again so soon"

    in_seeded_world(tmp_path, scenario)
