"""What another site's page can make a signed-in browser send: every form and every unsafe operation refuses it."""

from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from coldstream.console.app import OPERATIONS
from coldstream.console.pages.routes import ACTIONS
from coldstream.tests.console.browsing import FORM, ORIGIN, OUR_PAGE, fingerprint, in_seeded_world, tab
from coldstream.tests.console.seeded import Seeded
from coldstream.tests.console.world import World

ELSEWHERE: Mapping[str, Mapping[str, str]] = {
    "another site": {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    "a sister host": {"Origin": "http://other.console", "Sec-Fetch-Site": "same-site"},
    "an opaque origin": {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    "an old browser": {"Origin": "https://evil.example"},
    "an old browser with an opaque origin": {"Origin": "null"},
    "another port": {"Origin": f"{ORIGIN}:8081"},
    "nothing said": {},
    "a lie in Origin alone": {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"},
    "a host that begins like ours": {"Origin": f"{ORIGIN}.evil.example"},
    "ours before an at sign": {"Origin": f"{ORIGIN}@evil.example"},
    "an unknown word": {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin, cross-site"},
}
UNSAFE = tuple(operation for operation in OPERATIONS if operation.method not in ("GET", "HEAD"))
OVERRIDES = {"X-HTTP-Method-Override": "DELETE", "X-HTTP-Method": "DELETE", "X-Method-Override": "PATCH"}


async def send(world: World, seeded: Seeded, method: str, path: str, headers: Mapping[str, str]) -> httpx.Response:
    """As the administrator's browser would, whatever page made it."""
    cookies = {"Cookie": f"coldstream_session={seeded.people['root'].cookie}"}
    return await world.http.request(method, path, headers={**cookies, **headers}, content=b"{}")


@pytest.mark.parametrize("whence", ELSEWHERE)
def test_no_form_is_carried_out_for_another_site(tmp_path: Path, whence: str) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        before, wrong = await fingerprint(world.database), []
        for action in ACTIONS:
            answer = await tab(world, seeded, "root").post(seeded.path(action.path), headers=ELSEWHERE[whence])
            if answer.status_code != 403:
                wrong.append(f"{action.path}: {answer.status_code}")
        out = await tab(world, seeded, "root").post("/sign-out", headers=ELSEWHERE[whence])
        assert out.status_code == 403
        assert wrong == []
        assert await fingerprint(world.database) == before
        assert (await tab(world, seeded, "root").get("/profile/sessions.json")).status_code in (200, 404)

    in_seeded_world(tmp_path, scenario)


@pytest.mark.parametrize("whence", ELSEWHERE)
def test_no_operation_of_the_api_rests_on_a_cookie_that_another_site_sent(tmp_path: Path, whence: str) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        before, wrong = await fingerprint(world.database), []
        for operation in UNSAFE:
            for kind in ("application/json", "text/plain", FORM, "multipart/form-data; boundary=x"):
                headers = {**ELSEWHERE[whence], "Content-Type": kind}
                answer = await send(world, seeded, operation.method, seeded.path(operation.path), headers)
                if answer.status_code != 403:
                    wrong.append(f"{operation.method} {operation.path} as {kind}: {answer.status_code}")
        assert wrong == []
        assert await fingerprint(world.database) == before

    in_seeded_world(tmp_path, scenario)


def test_an_access_token_beside_a_cookie_excuses_nothing(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        before = await fingerprint(world.database)
        token = {"Authorization": f"Bearer {seeded.people['root'].token}", "Content-Type": "application/json"}
        for headers in ELSEWHERE.values():
            answer = await send(world, seeded, "DELETE", "/api/v1/tenants/rival?cascade=true", {**headers, **token})
            assert answer.status_code == 403, headers
        assert await fingerprint(world.database) == before
        alone = await world.http.request(
            "DELETE", "/api/v1/tenants/rival?cascade=true", headers={**ELSEWHERE["another site"], **token}
        )
        assert alone.status_code == 204, "a token is nothing that a browser adds by itself"

    in_seeded_world(tmp_path, scenario)


def test_no_header_or_field_makes_one_method_of_another(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        before = await fingerprint(world.database)
        for operation in OPERATIONS:
            if operation.method == "GET":
                for name, method in OVERRIDES.items():
                    path = f"{seeded.path(operation.path)}?_method={method}"
                    await send(world, seeded, "GET", path, {name: method, **OUR_PAGE})
        assert await fingerprint(world.database) == before

    in_seeded_world(tmp_path, scenario)


@pytest.mark.parametrize("whence", ELSEWHERE)
def test_nobody_is_signed_in_by_another_site(tmp_path: Path, whence: str) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        before = await fingerprint(world.database)
        given = {"name": "admin", "password": "a password of the test"}
        answer = await world.http.post("/sign-in", data=given, headers=dict(ELSEWHERE[whence]))
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
        assert await fingerprint(world.database) == before
        own = await world.http.post("/sign-in", data=given, headers=OUR_PAGE)
        assert own.status_code == 303
        assert "coldstream_session=" in own.headers["set-cookie"]

    in_seeded_world(tmp_path, scenario)


def test_a_planted_session_is_not_taken_over_by_signing_in(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        planted = seeded.people["nobody"].cookie
        headers = {**OUR_PAGE, "Cookie": f"coldstream_session={planted}"}
        given = {"name": "admin", "password": "a password of the test"}
        answer = await world.http.post("/sign-in", data=given, headers=headers)
        assert answer.status_code == 303
        assert planted not in answer.headers["set-cookie"]
        shown = await tab(world, seeded, "nobody").get("/profile/sessions.json")
        assert shown.status_code == 401, "the id that was there before the sign-in opens nothing any more"

    in_seeded_world(tmp_path, scenario)


def test_cookies_are_kept_from_scripts_and_other_sites(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        given = {"name": "admin", "password": "a password of the test"}
        answer = await world.http.post("/sign-in", data=given, headers=OUR_PAGE)
        for cookie in answer.headers.get_list("set-cookie"):
            attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
            assert {"httponly", "path=/"} <= attributes, cookie
            assert attributes & {"samesite=lax", "samesite=strict"}, cookie
            assert not any(part.startswith("domain") for part in attributes), cookie

    in_seeded_world(tmp_path, scenario)
