"""Who sees which page and may send which form: the route table times everybody, held against the table of rights."""

from pathlib import Path

import httpx
import pytest
from coldstream.console import preview_routes
from coldstream.console.pages.page import Action, Page
from coldstream.console.pages.routes import ACTIONS, PAGES
from coldstream.tenants.rights import RIGHTS_OF, Right, rights_in_namespace
from coldstream.tests.console.browsing import comparable, fingerprint, in_seeded_world, tab
from coldstream.tests.console.seeded import ABSENT, ROLES, Seeded
from coldstream.tests.console.world import World

OF_A_PLACE = tuple(page for page in PAGES if "{" in page.path and page.needs is not None)
OUTSIDERS = ("nobody", "rival")


def may(who: str, needs: Right | None, path: str) -> bool:
    """Whether the table of rights lets that person in at `acme`, or at `acme/shop`."""
    if needs is None or who == "root":
        return True
    if who in OUTSIDERS or needs is Right.PLATFORM_MANAGE:
        return False
    if who == "local":
        role = ROLES["developer"]
        in_namespace = any(name in path for name in ("{namespace}", "{key_id}", "{job_id}"))
        return needs in rights_in_namespace(role) if in_namespace else needs is Right.TENANT_VIEW
    return needs in RIGHTS_OF[ROLES[who]]


async def opened(world: World, seeded: Seeded, who: str, path: str) -> httpx.Response:
    return await tab(world, seeded, who).get(path)


@pytest.mark.parametrize("who", ["root", *ROLES, "local"])
def test_a_page_is_shown_to_whoever_has_its_right(tmp_path: Path, who: str) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        wrong = []
        for page in PAGES:
            for path in (page.path, page.twin_path):
                answer = await opened(world, seeded, who, seeded.path(path))
                expected = 200 if may(who, page.needs, page.path) else 404
                if answer.status_code != expected:
                    wrong.append(f"{path}: {answer.status_code} instead of {expected}")
        assert wrong == []

    in_seeded_world(tmp_path, scenario)


@pytest.mark.parametrize("who", OUTSIDERS)
def test_what_is_of_others_looks_like_what_is_not_there(tmp_path: Path, who: str) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        wrong = []
        for page in OF_A_PLACE:
            for path in (page.path, page.twin_path):
                real = comparable(await opened(world, seeded, who, seeded.path(path)))
                absent = comparable(await opened(world, seeded, who, seeded.path(path, **ABSENT)))
                if real[0] != 404 or real != absent:
                    wrong.append(f"{path}: {real[0]} and {absent[0]}, bodies {'equal' if real == absent else 'differ'}")
        assert wrong == []

    in_seeded_world(tmp_path, scenario)


def test_a_namespace_that_is_not_granted_is_not_there(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        elsewhere, absent = seeded.about(namespace="empty"), seeded.about(namespace="nothing")
        wrong = []
        for page in PAGES:
            if "{namespace}" in page.path:
                real = comparable(await opened(world, seeded, "local", elsewhere.path(page.path)))
                none = comparable(await opened(world, seeded, "local", absent.path(page.path)))
                if real[0] != 404 or real != none:
                    wrong.append(page.path)
        assert wrong == []

    in_seeded_world(tmp_path, scenario)


@pytest.mark.parametrize("who", ["root", *ROLES, "local", *OUTSIDERS])
def test_a_form_is_carried_out_for_nobody_without_its_right(tmp_path: Path, who: str) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        before, wrong = await fingerprint(world.database), []
        for action in ACTIONS:
            if not may(who, action.needs, action.path):
                answer = await tab(world, seeded, who).post(seeded.path(action.path))
                if answer.status_code != 404:
                    wrong.append(f"{action.path}: {answer.status_code}")
        assert wrong == []
        assert await fingerprint(world.database) == before

    in_seeded_world(tmp_path, scenario)


@pytest.mark.parametrize("who", OUTSIDERS)
def test_a_form_about_others_answers_as_if_nothing_were_there(tmp_path: Path, who: str) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        wrong = []
        for action in ACTIONS:
            if "{" in action.path and action.needs is not None:
                real = comparable(await tab(world, seeded, who).post(seeded.path(action.path)))
                absent = comparable(await tab(world, seeded, who).post(seeded.path(action.path, **ABSENT)))
                if real[0] != 404 or real != absent:
                    wrong.append(f"{action.path}: {real[0]} and {absent[0]}")
        assert wrong == []

    in_seeded_world(tmp_path, scenario)


def test_things_of_another_tenant_are_not_found_under_ones_own_name(tmp_path: Path) -> None:
    """The rival's own tenant and namespace in the path, and a key, account or topic of the other one behind it."""

    async def scenario(world: World, seeded: Seeded) -> None:
        mixed = seeded.about(tenant="rival", account="only-ours")
        wrong = []
        for page in PAGES:
            if "{tenant}" in page.path and "{key_id}" in page.path:
                answer = await opened(world, seeded, "rival", mixed.path(page.path))
                if answer.status_code != 404:
                    wrong.append(f"{page.path}: {answer.status_code}")
        assert wrong == []

    in_seeded_world(tmp_path, scenario)


def test_who_is_not_signed_in_is_led_to_the_sign_in_by_every_page(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        wrong = []
        for page in PAGES:
            answer = await world.http.get(seeded.path(page.path))
            if answer.status_code != 303 or not answer.headers["location"].startswith("/sign-in"):
                wrong.append(f"{page.path}: {answer.status_code}")
            twin = await world.http.get(seeded.path(page.twin_path))
            if twin.status_code != 401:
                wrong.append(f"{page.twin_path}: {twin.status_code}")
        assert wrong == []

    in_seeded_world(tmp_path, scenario)


def test_looking_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview_routes, "WAIT_S", 0.05)  # for a broker that is not there

    async def scenario(world: World, seeded: Seeded) -> None:
        before = await fingerprint(world.database)
        for page in PAGES:
            await opened(world, seeded, "root", seeded.address(page))
            await opened(world, seeded, "root", seeded.path(page.path) + "?_method=DELETE&confirm=yes")
            await tab(world, seeded, "root").get(seeded.path(page.path), **{"X-HTTP-Method-Override": "POST"})
        assert await fingerprint(world.database) == before

    in_seeded_world(tmp_path, scenario)


def test_every_page_and_form_can_be_seeded() -> None:
    """So that a page with a new kind of path parameter is not left out of the tests above."""
    known = set(ABSENT)
    named = {name for route in (*PAGES, *ACTIONS) for name in _parameters(route)}
    assert named <= known


def _parameters(route: Page | Action) -> set[str]:
    return {part[1:-1] for part in route.path.split("/") if part.startswith("{")}
