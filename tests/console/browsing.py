"""A browser without a screen: asks for pages, sends forms as our own pages would, reads HTML."""

import re
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import urlencode

import httpx
from coldstream.tenants.database import Database
from coldstream.tests.console.seeded import Seeded, seed
from coldstream.tests.console.world import World, running, template
from sqlalchemy import text

ORIGIN = "http://console"  # of the World's http client
OUR_PAGE = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
FORM = "application/x-www-form-urlencoded"
# Written by looking: when somebody was last here, and that a broker was asked something (the question itself is gone).
_NOTED = {("sessions", "last_seen_at_ms"), ("access_tokens", "last_used_at_ms"), ("versions", "jobs")}
_NONCE = re.compile(r"'nonce-([A-Za-z0-9_-]+)'")


@dataclass(slots=True)
class Form:
    """One form of a page: where it goes, and what its fields hold before anybody types."""

    action: str
    method: str
    fields: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tab:
    """One person's browser."""

    world: World
    cookie: str | None

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.world.http.get(path, headers=self._cookies() | headers)

    async def post(
        self, path: str, fields: Mapping[str, Any] | None = None, *, headers: Mapping[str, str] = OUR_PAGE
    ) -> httpx.Response:
        """As a page of the console does, unless other headers are given."""
        content = urlencode(dict(fields or {}), doseq=True, errors="surrogateescape")
        sent = {"Content-Type": FORM, **self._cookies(), **headers}
        return await self.world.http.post(path, content=content, headers=sent)

    def _cookies(self) -> dict[str, str]:
        return {} if self.cookie is None else {"Cookie": f"coldstream_session={self.cookie}"}


@cache
def seeded_template() -> tuple[Path, str, Seeded]:
    """A database as `seed` leaves it, made once; its file, its administrator's token, and what is in it."""
    import asyncio

    path = Path(mkdtemp(prefix="coldstream-seeded-")) / "coldstream.db"
    shutil.copy(template()[0], path)

    async def fill() -> Seeded:
        database = Database.open(f"sqlite:///{path}")
        try:
            return await seed(database)
        finally:
            await database.dispose()

    return path, template()[1], asyncio.run(fill())


def remove_seeded_template() -> None:
    if seeded_template.cache_info().currsize:
        shutil.rmtree(seeded_template()[0].parent, ignore_errors=True)
        seeded_template.cache_clear()


def in_seeded_world(directory: Path, scenario: Callable[[World, Seeded], Awaitable[None]], **settings: Any) -> None:
    """Runs a scenario on a console whose database has somebody of every kind in it."""
    import asyncio

    path, token, seeded = seeded_template()

    async def run() -> None:
        async with running(directory, (path, token), **settings) as world:
            await scenario(world, seeded)

    asyncio.run(run())


def tab(world: World, seeded: Seeded, who: str) -> Tab:
    """Somebody's browser, signed in."""
    return Tab(world, seeded.people[who].cookie)


def nonce_of(answer: httpx.Response) -> str | None:
    found = _NONCE.search(answer.headers.get("content-security-policy", ""))
    return found[1] if found else None


def comparable(answer: httpx.Response) -> tuple[int, str]:
    """Status and body without what is new in every answer: its id and its nonce."""
    body = answer.text
    for fresh in (answer.headers.get("x-request-id"), nonce_of(answer)):
        if fresh:
            body = body.replace(fresh, "*")
    return answer.status_code, body


async def fingerprint(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, without what looking at pages notes by itself."""
    async with database.read() as session:
        tables = await session.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"))
        rows: dict[str, list[tuple[Any, ...]]] = {}
        for table in tables.all():
            found = await session.execute(text(f'SELECT * FROM "{table}"'))
            kept = [at for at, name in enumerate(found.keys()) if (table, name) not in _NOTED]
            rows[table] = sorted((tuple(row[at] for at in kept) for row in found), key=repr)
    return rows


def forms_of(html: str) -> list[Form]:
    """The page's forms, in order."""
    reader = _Forms()
    reader.feed(html)
    reader.close()
    return reader.forms


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self._open: Form | None = None
        self._select: str | None = None
        self._text_area: str | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "form":
            self._open = Form(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._open)
        if self._open is None:
            return
        name = given.get("name", "")
        if tag == "select":
            self._select = name
            self._open.fields.setdefault(name, [])
        elif tag == "textarea":
            self._text_area = name
            self._open.fields[name] = [""]
        elif (
            tag == "option"
            and self._select is not None
            and ("selected" in given or not self._open.fields[self._select])
        ):
            self._open.fields[self._select] = [given.get("value", "")]
        elif tag == "input" and name and given.get("type") not in ("submit", "button", "reset", "image"):
            optional = given.get("type") in ("checkbox", "radio") and "checked" not in given
            values = self._open.fields.setdefault(name, [])
            if not optional:
                values.append(given.get("value", ""))

    handle_startendtag = handle_starttag

    def handle_data(self, data: str) -> None:
        if self._open is not None and self._text_area is not None:
            self._open.fields[self._text_area] = [self._open.fields[self._text_area][0] + data]

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._text_area = None
