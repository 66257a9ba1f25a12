"""What all pages and forms have in common."""

import asyncio
import re
from pathlib import Path

import msgspec
from coldstream.console.pages.dispatch import read_query
from coldstream.console.pages.page import Query, address
from coldstream.console.pages.routes import PAGES
from coldstream.console.pages.static_files import static_files
from coldstream.tenants.models import MemberSession
from coldstream.tests.console.browsing import OUR_PAGE, Tab, in_seeded_world, tab
from coldstream.tests.console.pages.test_sign_in import PASSWORD, sign_in
from coldstream.tests.console.seeded import Seeded
from coldstream.tests.console.world import World, in_world
from sqlalchemy import update


class Example(Query):
    page: int = 1
    order: str = "name"


def test_what_cannot_be_read_in_an_address_is_as_if_it_were_not_there() -> None:
    assert read_query(Example, {"page": "2", "order": "-bytes"}) == Example(page=2, order="-bytes")
    assert read_query(Example, {"page": "two", "order": "", "more": "x"}) == Example(page=1, order="")


def test_addresses_quote_what_they_hold() -> None:
    assert address("/n/{tenant}/x", tenant="a/b?", q="1 & 2", none=None) == "/n/a%2Fb%3F/x?q=1+%26+2"


def test_every_page_ends_in_a_fixed_word_so_that_its_twin_is_unmistakable() -> None:
    assert [page.path for page in PAGES if page.path.rpartition("/")[2].startswith("{")] == []


def test_no_page_is_cached_and_none_lets_anything_in_from_elsewhere(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        browser = tab(world, seeded, "root")
        first, second = [await browser.get("/profile") for _ in range(2)]
        for answer in (first, second, await browser.get("/no-such-page", Accept="text/html")):
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
            nonce = re.search(r"'nonce-([^']+)'", policy)
            assert nonce is not None
            tags = re.findall(r"<(?:script|link rel=\"stylesheet\")[^>]*>", answer.text)
            assert tags and all(f'nonce="{nonce[1]}"' in tag for tag in tags)
            assert "style=" not in answer.text and "onclick" not in answer.text
        assert first.headers["content-security-policy"] != second.headers["content-security-policy"]

    in_seeded_world(tmp_path, scenario)


def test_static_files_are_kept_for_ever_under_an_address_that_changes_with_them(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        for file in static_files().values():
            answer = await world.http.get(file.address)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
        assert (await world.http.get("/static/coldstream.000000000000.css")).status_code == 404
        assert (await world.http.get("/static/..%2fapp.py")).status_code == 404

    in_seeded_world(tmp_path, scenario)


def test_a_dangerous_form_asks_for_the_password_again_and_gives_the_session_a_new_id(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        browser = Tab(world, (await sign_in(world)).cookies["coldstream_session"])
        world.http.cookies.clear()
        async with world.database.write() as session:
            await session.execute(update(MemberSession).values(confirmed_at_ms=0))
        assert "Your password, once more" in (await browser.get("/profile/tokens")).text
        for password in ("", "wrong wrong"):
            fields = {"name": "laptop", "expiry": "7", "password": password}
            refused = await browser.post("/profile/tokens", fields)
            assert refused.status_code == 422
            assert 'value="laptop"' in refused.text, "what was typed is still there"
            assert "wrong wrong" not in refused.text
        made = await browser.post("/profile/tokens", fields | {"password": PASSWORD})
        assert made.status_code == 200 and "cs_token_" in made.text
        fresh = made.cookies["coldstream_session"]
        world.http.cookies.clear()
        assert (await browser.get("/profile")).status_code == 303, "the old id is worth nothing now"
        names = msgspec.json.decode((await Tab(world, fresh).get("/profile/tokens.json")).content)["tokens"]
        assert [token["name"] for token in names] == ["laptop", "local"]

    in_world(tmp_path, scenario)


def test_a_form_sent_twice_at_once_is_carried_out_once_and_signs_nobody_out(tmp_path: Path) -> None:
    """Both prove the password with the same session id, of which only one can become the next id."""

    async def scenario(world: World) -> None:
        browser = Tab(world, (await sign_in(world)).cookies["coldstream_session"])
        world.http.cookies.clear()
        async with world.database.write() as session:
            await session.execute(update(MemberSession).values(confirmed_at_ms=0))
        fields = {"name": "laptop", "expiry": "7", "password": PASSWORD}
        answers = await asyncio.gather(*(browser.post("/profile/tokens", fields) for _ in range(3)))
        made, *late = sorted(answers, key=lambda answer: answer.status_code)
        assert [made.status_code, *(answer.headers.get("location") for answer in late)] == [200, "/sign-in", "/sign-in"]
        assert all("set-cookie" not in answer.headers for answer in late), "the id that the first one got stays"
        world.http.cookies.clear()
        shown = (await Tab(world, made.cookies["coldstream_session"]).get("/profile/tokens.json")).json()
        assert len(shown["tokens"]) == 2

    in_world(tmp_path, scenario)


def test_a_secret_is_in_the_answer_that_made_it_and_in_no_other(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        browser = tab(world, seeded, "root")
        made = await browser.post("/profile/tokens", {"name": "laptop", "expiry": "never"})
        secret = re.search(r"cs_token_\w+", made.text)
        assert secret is not None and made.headers["cache-control"] == "no-store"
        for path in ("/profile/tokens", "/profile/tokens.json", "/profile"):
            assert secret[0] not in (await browser.get(path)).text
        api = await world.http.get("/api/v1/me", headers={"Authorization": f"Bearer {secret[0]}"})
        assert api.status_code == 200

    in_seeded_world(tmp_path, scenario)


def test_a_twin_is_for_tokens_too_and_a_form_is_for_browsers_only(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        bearer = {"Authorization": f"Bearer {world.token}"}
        assert (await world.http.get("/profile.json", headers=bearer)).status_code == 200
        assert (await world.http.get("/profile.json")).status_code == 401
        answer = await world.http.post("/profile/tokens", data={"name": "x"}, headers=bearer | OUR_PAGE)
        assert answer.status_code == 403

    in_seeded_world(tmp_path, scenario)
