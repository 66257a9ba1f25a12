"""`make screenshots`: every page wide and narrow, light and dark, full, empty and failing, on one sheet to look at.

    python -m coldstream.tests.browser.pictures [--only TEXT] [--to build/screenshots]

Full: a namespace with something of everything. Empty: one with nothing, for the pages that can be looked at then.
Failing: a console that cannot reach its broker, on the same database. And what forms answer: refused, or with a secret.
Pictures are not committed.
"""

import argparse
import html
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from coldstream.console.pages.components import PAGES as COMPONENT_PAGES
from coldstream.console.pages.page import Page
from coldstream.console.pages.routes import PAGES
from coldstream.tests.browser.answers import REFUSING, SHOWN_ONCE, refused
from coldstream.tests.browser.brokerless import brokerless
from coldstream.tests.browser.chromium import chromium_path, launched
from coldstream.tests.browser.inhabited import inhabit
from coldstream.tests.browser.visitor import Screen, Visitor
from coldstream.tests.console.seeded import Seeded
from coldstream.tests.platform_process import PlatformProcess
from playwright.sync_api import Browser

SCREENS: Mapping[str, Screen] = {
    "wide, light": Screen(1280),
    "wide, dark": Screen(1280, dark=True),
    "narrow, light": Screen(390),
    "narrow, dark": Screen(390, dark=True),
}
_EMPTY = re.compile(r"{(?!tenant}|namespace})")  # a path that names more than where it is
_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 1rem; background: #777; color: #fff }
h2 { font-size: 1rem; margin: 2rem 0 .5rem }
div { display: flex; gap: .5rem; align-items: flex-start; overflow-x: auto }
figure { margin: 0 } figcaption { font-size: .75rem } img { display: block; background: #fff }
img.wide { width: 560px } img.narrow { width: 195px }
"""


@dataclass(frozen=True, slots=True)
class Sight:
    """A page in a state, and where it is."""

    page: str
    state: str
    url: str
    who: str | None
    way: Callable[[Visitor], object] | None = None  # for what no address leads to


def sights(world: Seeded, url: str, brokerless_url: str, only: str) -> Iterator[Sight]:
    """Everything to look at, page by page."""
    yield Sight("sign-in", "full", f"{url}/sign-in", None)
    yield Sight("nothing here", "full", f"{url}/no-such-page", "root")
    pages: Sequence[Page] = (*PAGES, *COMPONENT_PAGES)
    for page in pages:
        if only not in page.path:
            continue
        path = world.address(page)
        yield Sight(page.path, "full", url + path, "root")
        if "{namespace}" in page.path and not _EMPTY.search(page.path):
            yield Sight(page.path, "empty", url + world.about(namespace="empty").address(page), "root")
        if "{namespace}" in page.path:
            yield Sight(page.path, "failing", brokerless_url + path, "root")
            yield Sight(page.path, "as who may only look", url + path, "watcher")


def leads_to(world: Seeded, url: str, only: str) -> Iterator[Sight]:
    """What forms answer: found at no address, so somebody has to fill them in."""
    for path in REFUSING:
        if only in path:
            yield Sight(path, "refused", url, "root", partial(refused, world=world, path=path))
    for name, made in SHOWN_ONCE.items():
        if only in name:
            yield Sight(name.replace("_", " "), "shown once", url, "root", partial(made, world=world))


def take(browser: Browser, world: Seeded, found: Sequence[Sight], folder: Path) -> list[str]:
    """A picture of each sight on each screen; rows of the sheet."""
    rows: dict[tuple[str, str], list[str]] = {}
    for name, screen in SCREENS.items():
        for number, sight in enumerate(found):
            host = "/".join(sight.url.split("/")[:3])
            person = [] if sight.who is None else [_cookie(host, world, sight.who)]
            visitor = Visitor(browser, host, screen, person)
            if sight.way is None:
                visitor.page.goto(sight.url)
            else:
                sight.way(visitor)
            file = f"{number:03}-{screen}.png"
            visitor.page.screenshot(path=folder / file, full_page=True, animations="disabled")
            complaints = "; ".join(visitor.complaints)
            visitor.context.close()
            caption = html.escape(f"{name} {complaints}")
            kind = "narrow" if screen.width < 1000 else "wide"
            figure = f'<figure><a href="{file}"><img class={kind} loading=lazy src="{file}"></a>'
            figure += f"<figcaption>{caption}</figcaption></figure>"
            rows.setdefault((sight.page, sight.state), []).append(figure)
        print(f"{name}: {len(found)} pictures", file=sys.stderr)
    return [
        f"<h2>{html.escape(page)} · {html.escape(state)}</h2><div>{''.join(figures)}</div>"
        for (page, state), figures in rows.items()
    ]


def _cookie(host: str, world: Seeded, who: str) -> dict[str, str]:
    return {"name": "coldstream_session", "value": world.people[who].cookie, "url": host}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="pages with this text in their path")
    parser.add_argument("--to", type=Path, default=Path("build/screenshots"))
    arguments = parser.parse_args()
    chromium = chromium_path()
    if chromium is None:
        print("no Chromium here: apt-get install chromium, or name one in COLDSTREAM_TEST_CHROMIUM", file=sys.stderr)
        return 1
    folder: Path = arguments.to
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    with tempfile.TemporaryDirectory(prefix="coldstream-pictures-") as temporary:
        settings = {"offload_interval_ms": 200, "console_development": True}
        with PlatformProcess.started(Path(temporary), **settings) as platform:
            world = inhabit(platform)
            with brokerless(platform) as elsewhere, launched(chromium) as browser:
                found = list(sights(world, platform.url, elsewhere, arguments.only))
                found += leads_to(world, platform.url, arguments.only)
                rows = take(browser, world, found, folder)
    sheet = folder / "index.html"
    title = "Coldstream, every page"
    sheet.write_text(f"<!doctype html><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>{''.join(rows)}")
    print(f"{len(found) * len(SCREENS)} pictures: {sheet}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
