"""Whatever text clients chose, wherever it comes from, pages show it as text: the rows, the address, what was typed."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from coldstream.console.pages.routes import PAGES
from coldstream.tenants.schema import Base
from coldstream.tests.browser.corpus import MARKUP, UNSEEN, everything, polyglot
from coldstream.tests.browser.foreign import faults
from coldstream.tests.console.browsing import forms_of, in_seeded_world, nonce_of, tab
from coldstream.tests.console.hostile_rows import CLOSED, OPEN, make_hostile
from coldstream.tests.console.seeded import Seeded
from coldstream.tests.console.world import World
from sqlalchemy import String

ALONE_MAX = 6  # a form of more fields than that tells what is wrong with each at once


def found_in(answer: httpx.Response, what: str) -> Iterator[str]:
    """What is wrong with an answer, whatever its status."""
    if answer.status_code >= 500:
        yield f"{what}: status {answer.status_code}"
    kind = answer.headers.get("content-type", "")
    if kind.startswith("text/html"):
        yield from (f"{what}: {fault}" for fault in faults(answer.text, nonce_of(answer)))
        if nonce_of(answer) is None:
            yield f"{what}: no policy with a nonce"
    elif answer.content and kind != "application/json":
        yield f"{what}: content type {kind!r}"
    if answer.headers.get("x-content-type-options") != "nosniff":
        yield f"{what}: browsers may guess its type"


def test_every_column_of_text_is_either_tried_or_known_to_be_closed() -> None:
    missing = [
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, String)
        and table.name in {*OPEN, *CLOSED}
        and column.name not in (*OPEN.get(table.name, ()), *CLOSED.get(table.name, ()))
    ]
    assert missing == []


@pytest.mark.parametrize("who", ["root", "owner"])
def test_what_is_stored_is_shown_as_text(tmp_path: Path, who: str) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        await make_hostile(world.database)
        wrong: list[str] = []
        for page in PAGES:
            for path in (page.path, page.twin_path):
                answer = await tab(world, seeded, who).get(seeded.path(path))
                wrong += found_in(answer, path)
        assert wrong == []

    in_seeded_world(tmp_path, scenario)


def test_what_an_address_asks_is_shown_as_text(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        wrong: list[str] = []
        root = tab(world, seeded, "root")
        for page in PAGES:
            names = ["notice", "next"]
            if page.query is not None:
                names += [each.encode_name for each in _fields(page.query)]
            for number, name in enumerate(names):
                for asked in (polyglot(number), "-1", "9" * 30, "\x00"):
                    answer = await root.get(f"{seeded.path(page.path)}?{name}={quote(asked)}")
                    wrong += found_in(answer, f"{page.path}?{name}")
        assert wrong == []

    in_seeded_world(tmp_path, scenario)


def test_each_text_of_the_corpus_is_harmless_in_queries(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        wrong: list[str] = []
        root = tab(world, seeded, "root")
        asking = [page for page in PAGES if page.query is not None]
        for turn, page in enumerate(asking):
            for asked in everything()[turn % 3 :: 3]:
                query = "&".join(f"{each.encode_name}={quote(asked)}" for each in _fields(page.query))
                answer = await root.get(f"{seeded.path(page.path)}?{query}")
                wrong += found_in(answer, f"{page.path} asked {asked[:30]!r}")
        assert wrong == []

    in_seeded_world(tmp_path, scenario)


@pytest.mark.parametrize("who", ["root", None])
def test_what_a_path_says_is_shown_as_text(tmp_path: Path, who: str | None) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        wrong: list[str] = []
        for asked in everything():
            segment = quote(asked, safe="")
            for path in (f"/{segment}", f"/n/acme/{segment}/home", f"/n/acme/shop/topics/{segment}/overview"):
                answer = await (tab(world, seeded, who).get(path) if who else world.http.get(path))
                wrong += found_in(answer, f"{path[:50]} as {who}")
        answer = await world.http.get(f"/sign-in?next={quote(polyglot())}&notice={quote(polyglot())}")
        wrong += found_in(answer, "/sign-in")
        assert wrong == []

    in_seeded_world(tmp_path, scenario)


def test_what_was_typed_into_any_form_comes_back_as_text(tmp_path: Path) -> None:
    """Every form of every page, all fields at once, and each alone, so that the others can be accepted."""

    async def scenario(world: World, seeded: Seeded) -> None:
        wrong: list[str] = []
        root = tab(world, seeded, "root")
        tried = 0
        for page in PAGES:
            shown = await root.get(seeded.path(page.path))
            for form in forms_of(shown.text):
                if form.method != "post" or form.action == "/sign-out":
                    continue
                alone = list(form.fields) if len(form.fields) <= ALONE_MAX else []
                for number, name in enumerate([None, *alone]):
                    text = polyglot(number)
                    given = {
                        field: [text] if name in (None, field) else values for field, values in form.fields.items()
                    }
                    answer = await root.post(form.action, given)
                    wrong += found_in(answer, f"{form.action}: {name or 'everything'}")
                    tried += 1
        assert wrong == []
        assert tried > len(PAGES), "forms were found"

    in_seeded_world(tmp_path, scenario)


@pytest.mark.parametrize("name", [*MARKUP, *UNSEEN])
def test_what_was_typed_at_the_sign_in_comes_back_as_text(tmp_path: Path, name: str) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        text = {**MARKUP, **UNSEEN}[name]
        headers = {"Origin": "http://console", "User-Agent": "x", "Cookie": "coldstream_session=<b>"}
        answer = await world.http.post("/sign-in", data={"name": text, "password": text, "next": text}, headers=headers)
        assert list(found_in(answer, "/sign-in")) == []
        assert text not in answer.headers.get("location", "")

    in_seeded_world(tmp_path, scenario)


def _fields(query: type) -> tuple[object, ...]:
    import msgspec

    return msgspec.structs.fields(query)
