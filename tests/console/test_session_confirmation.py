"""A session's cookie alone is not enough for what makes credentials or cannot be undone, over the HTTP API either."""

from pathlib import Path

from coldstream.console.app import OPERATIONS
from coldstream.console.pages.routes import ACTIONS
from coldstream.tenants.models import MemberSession
from coldstream.tests.console.browsing import OUR_PAGE, in_seeded_world
from coldstream.tests.console.seeded import Seeded
from coldstream.tests.console.world import World
from sqlalchemy import update

# The same act under another name on a page, or one that a page cuts finer.
OF_FORMS_ONLY = {
    "apply_lossy_topic_configs": "alter_topic",
    "suspend_namespace": "alter_namespace",
    "suspend_tenant": "alter_tenant",
    "give_role": "create_grant",
    "reset_password_of_tenant": "reset_password",
    "disable_member_of_tenant": "alter_member",
    "enable_member_of_tenant": "alter_member",
    "disable_member": "alter_member",
    "enable_member": "alter_member",
    "raise_member": "alter_member",
    "lower_member": "alter_member",
}


def test_what_asks_for_the_password_on_a_page_asks_for_it_over_http() -> None:
    dangerous = {operation.name for operation in OPERATIONS if operation.dangerous}
    forms = {OF_FORMS_ONLY.get(action.name, action.name) for action in ACTIONS if action.dangerous}
    assert forms - dangerous == set()


def test_a_session_whose_password_was_given_long_ago_makes_no_credential_over_http(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        root = seeded.people["root"]
        cookie = {"Cookie": f"coldstream_session={root.cookie}"} | OUR_PAGE
        made = await world.http.post("/api/v1/me/tokens", json={"name": "fresh"}, headers=cookie)
        assert made.status_code == 201
        async with world.database.write() as session:
            await session.execute(update(MemberSession).values(confirmed_at_ms=0))
        for path, body in (("/me/tokens", {"name": "late"}), ("/tenants", {"name": "new"})):
            answer = await world.http.post(f"/api/v1{path}", json=body, headers=cookie)
            if path == "/tenants":
                assert answer.status_code == 201, "what can be undone and opens nothing is not asked for"
            else:
                assert (answer.status_code, answer.json()["error"]["code"]) == (403, "confirm_password")
        by_token = await world.http.post(
            "/api/v1/me/tokens", json={"name": "late"}, headers={"Authorization": f"Bearer {root.token}"}
        )
        assert by_token.status_code == 201

    in_seeded_world(tmp_path, scenario)
