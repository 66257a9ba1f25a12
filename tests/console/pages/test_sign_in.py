"""Signing in and out: what is told, what is slowed, and that a session's id is always new."""

from pathlib import Path

import httpx
import pytest
from coldstream.tenants.actor import Actor
from coldstream.tenants.members import create_member, disable_member, reset_password
from coldstream.tenants.passwords import generate_password
from coldstream.tests.console.browsing import FORM, OUR_PAGE
from coldstream.tests.console.world import World, in_world

PASSWORD = "a password of the test"


async def sign_in(
    world: World, name: str = "admin", password: str = PASSWORD, cookie: str = "", **fields: str
) -> httpx.Response:
    world.http.cookies.clear()
    headers = {**OUR_PAGE, "Content-Type": FORM} | ({"Cookie": cookie} if cookie else {})
    return await world.http.post("/sign-in", data={"name": name, "password": password, **fields}, headers=headers)


def cookies_of(answer: httpx.Response) -> dict[str, str]:
    return dict(answer.cookies.items())


def test_a_page_leads_to_the_sign_in_and_the_sign_in_back_to_the_page(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        answer = await world.http.get("/profile/tokens?x=1")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fprofile%2Ftokens%3Fx%3D1")
        form = await world.http.get(answer.headers["location"])
        assert 'name="next" value="/profile/tokens?x=1"' in form.text
        back = await sign_in(world, next="/profile/tokens?x=1")
        assert (back.status_code, back.headers["location"]) == (303, "/profile/tokens?x=1")

    in_world(tmp_path, scenario)


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:1", "evil", "/ x"]
)
def test_the_sign_in_leads_to_no_other_host(tmp_path: Path, wanted: str) -> None:
    async def scenario(world: World) -> None:
        assert (await sign_in(world, next=wanted)).headers["location"] == "/"

    in_world(tmp_path, scenario)


def test_whatever_is_wrong_the_words_are_the_same(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        async with world.database.write() as session:
            await create_member(session, Actor.system(), "gone", PASSWORD)
            await create_member(session, Actor.system(), "tokens-only", None)
            await disable_member(session, Actor.system(), "gone")
        told = set()
        for name, password in (("admin", "wrong wrong"), ("nobody", PASSWORD), ("gone", PASSWORD), ("tokens-only", "")):
            answer = await sign_in(world, name, password)
            told.add((answer.status_code, "The name or the password is not right." in answer.text))
            assert "set-cookie" not in answer.headers
            assert password not in answer.text or not password
        assert told == {(422, True)}

    in_world(tmp_path, scenario)


def test_guessing_is_slowed_but_not_for_a_browser_that_signed_in_before(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        known = cookies_of(await sign_in(world))["coldstream_device"]
        for _ in range(8):
            refused = await sign_in(world, password="wrong wrong")
        assert refused.status_code == 429
        assert "Too many attempts" in refused.text
        assert (await sign_in(world)).status_code == 429, "whoever guesses waits, also with the right password"
        again = await sign_in(world, cookie=f"coldstream_device={known}")
        assert again.status_code == 303
        forged = await sign_in(world, cookie=f"coldstream_device={known[:-1]}{'0' if known[-1] != '0' else '1'}")
        assert forged.status_code == 429

    in_world(tmp_path, scenario)


def test_every_sign_in_has_a_new_session_and_ends_the_one_the_browser_had(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        first = cookies_of(await sign_in(world))["coldstream_session"]
        second = cookies_of(await sign_in(world, cookie=f"coldstream_session={first}"))["coldstream_session"]
        planted = cookies_of(await sign_in(world, cookie="coldstream_session=chosen-by-somebody-else"))
        assert len({first, second, planted["coldstream_session"], "chosen-by-somebody-else"}) == 4
        world.http.cookies.clear()
        assert (await world.http.get("/profile", headers={"Cookie": f"coldstream_session={first}"})).status_code == 303
        assert (await world.http.get("/profile", headers={"Cookie": f"coldstream_session={second}"})).status_code == 200

    in_world(tmp_path, scenario)


def test_signing_out_ends_the_session_on_the_server(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        cookie = {"Cookie": f"coldstream_session={cookies_of(await sign_in(world))['coldstream_session']}"}
        world.http.cookies.clear()
        from_elsewhere = await world.http.post("/sign-out", headers=cookie | {"Sec-Fetch-Site": "cross-site"})
        assert from_elsewhere.status_code == 403
        assert (await world.http.get("/profile", headers=cookie)).status_code == 200
        out = await world.http.post("/sign-out", headers=cookie | OUR_PAGE)
        assert out.headers["location"] == "/sign-in?notice=signed-out"
        assert (await world.http.get("/profile", headers=cookie)).status_code == 303
        api = await world.http.get("/api/v1/me", headers=cookie)
        assert api.status_code == 401

    in_world(tmp_path, scenario)


def test_another_site_cannot_sign_a_browser_in(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        fields = {"name": "admin", "password": PASSWORD}
        for headers in ({}, {"Origin": "null"}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "same-site"}):
            answer = await world.http.post("/sign-in", data=fields, headers=headers)
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers

    in_world(tmp_path, scenario)


def test_behind_https_cookies_are_for_https_and_this_host_only(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        set_cookies = (await sign_in(world)).headers.get_list("set-cookie")
        assert len(set_cookies) == 2
        for line in set_cookies:
            assert line.startswith("__Host-coldstream_")
            assert "Secure" in line and "HttpOnly" in line and "SameSite=lax" in line and "Domain" not in line

    in_world(tmp_path, scenario, public_url="https://streams.example.com")


def test_a_temporary_password_has_to_be_changed_first(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        given = await generate_password()
        async with world.database.write() as session:
            await create_member(session, Actor.system(), "ada", PASSWORD)
            await reset_password(session, Actor.system(), "ada", given)
        cookie = {
            "Cookie": f"coldstream_session={cookies_of(await sign_in(world, 'ada', given.text))['coldstream_session']}"
        }
        world.http.cookies.clear()
        for path in ("/profile", "/profile/tokens"):
            assert (await world.http.get(path, headers=cookie)).headers["location"] == "/profile/password"
        fields = {"new_password": "my own password", "new_password_again": "my own password"}
        other = await world.http.post("/profile/tokens", data={"name": "x"}, headers=cookie | OUR_PAGE)
        assert other.headers["location"] == "/profile/password"
        changed = await world.http.post("/profile/password", data=fields, headers=cookie | OUR_PAGE)
        assert changed.headers["location"] == "/profile?notice=password-changed"
        renewed = {"Cookie": f"coldstream_session={changed.cookies['coldstream_session']}"}
        world.http.cookies.clear()
        assert (await world.http.get("/profile", headers=renewed)).status_code == 200
        assert (await world.http.get("/profile", headers=cookie)).status_code == 303, "the old id is worth nothing now"

    in_world(tmp_path, scenario)
