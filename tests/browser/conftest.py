"""A browser for each file of tests: while one runs, its event loop holds the thread, and other files need that."""

from collections.abc import Callable, Iterator

import pytest
from coldstream.tests.browser.brokerless import brokerless
from coldstream.tests.browser.chromium import chromium_or_skip, launched
from coldstream.tests.browser.visitor import WIDE, Screen, Visitor
from coldstream.tests.console.seeded import Seeded
from coldstream.tests.platform_process import PlatformProcess
from playwright.sync_api import Browser

Visits = Callable[..., Visitor]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched(chromium_or_skip()) as running:
        yield running


@pytest.fixture(scope="session")
def world(platform: PlatformProcess) -> Seeded:
    """A tenant with something of everything, on the platform that the worker shares: what a test spoils, it makes."""
    chromium_or_skip()
    from coldstream.tests.browser.inhabited import inhabit

    return inhabit(platform)


@pytest.fixture(scope="module")
def brokerless_url(platform: PlatformProcess) -> Iterator[str]:
    """A console on the same database whose broker is away."""
    with brokerless(platform) as url:
        yield url


@pytest.fixture
def visit(browser: Browser, platform: PlatformProcess, world: Seeded) -> Iterator[Visits]:
    """Somebody at a browser, signed in unless `who` is None. At the end everybody has to leave without a complaint."""
    visitors: list[Visitor] = []

    def start(who: str | None, screen: Screen = WIDE, url: str = "") -> Visitor:
        cookies = [] if who is None else [session_cookie(url or platform.url, world, who)]
        visitors.append(Visitor(browser, url or platform.url, screen, cookies))
        return visitors[-1]

    yield start
    for visitor in visitors:
        visitor.leave()


def session_cookie(url: str, world: Seeded, who: str) -> dict[str, str]:
    return {"name": "coldstream_session", "value": world.people[who].cookie, "url": url}
