"""Every page of the route table: axe in both themes, the keyboard, and a screen of 390 pixels."""

from collections.abc import Callable

import pytest
from coldstream.console.pages.components import PAGES as COMPONENTS
from coldstream.console.pages.routes import PAGES
from coldstream.tests.browser.accessibility import keyboard_faults, overflow, violations
from coldstream.tests.browser.visitor import NARROW, NARROW_WITHOUT_SCRIPTS, WIDE, Screen, Visitor
from coldstream.tests.console.seeded import Seeded

SIGNED_OUT = ("/sign-in", "/no-such-page")


def every_page(visitor: Visitor, world: Seeded, faults_of: Callable[[Visitor], list[str]]) -> None:
    """Opens each page and fails with all that is wrong with any."""
    wrong: list[str] = []
    for page in PAGES:
        visitor.open(world.path(page.path))
        wrong += [f"{page.path}: {fault}" for fault in faults_of(visitor)]
    assert wrong == [], "\n".join(wrong)
    visitor.check()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(visit: Callable[..., Visitor], world: Seeded, dark: bool) -> None:
    every_page(visit("root", Screen(1280, dark=dark)), world, lambda visitor: violations(visitor.page))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_on_a_narrow_screen(visit: Callable[..., Visitor], world: Seeded, dark: bool) -> None:
    """And the page does not scroll sideways."""

    def faults(visitor: Visitor) -> list[str]:
        return violations(visitor.page) + overflow(visitor.page)

    every_page(visit("root", Screen(390, dark=dark)), world, faults)


def test_nothing_scrolls_sideways_without_scripts(visit: Callable[..., Visitor], world: Seeded) -> None:
    every_page(visit("root", NARROW_WITHOUT_SCRIPTS), world, lambda visitor: overflow(visitor.page))


def test_everything_can_be_reached_by_keyboard(visit: Callable[..., Visitor], world: Seeded) -> None:
    every_page(visit("root", WIDE), world, lambda visitor: keyboard_faults(visitor.page))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_broker_that_is_away_leaves_pages_as_good(
    visit: Callable[..., Visitor], world: Seeded, brokerless_url: str, dark: bool
) -> None:
    """With every component in all its states, which only a console in development mode shows."""
    visitor = visit("root", Screen(390, dark=dark), brokerless_url)
    for page in COMPONENTS:
        visitor.open(page.path)
        assert (violations(visitor.page), overflow(visitor.page), keyboard_faults(visitor.page)) == ([], [], [])
    every_page(visitor, world, lambda visitor: violations(visitor.page) + overflow(visitor.page))


@pytest.mark.parametrize("who", ["watcher", "auditor"])
def test_who_may_do_little_has_pages_as_good(visit: Callable[..., Visitor], world: Seeded, who: str) -> None:
    """What is out of reach is shown as such, and that has to be readable too."""
    visitor = visit(who, NARROW)
    wrong: list[str] = []
    for page in PAGES:
        with visitor.expecting(404):
            answer = visitor.page.goto(world.path(page.path))
        assert answer is not None
        wrong += [f"{page.path}: {fault}" for fault in violations(visitor.page) + overflow(visitor.page)]
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_who_is_not_signed_in_has_pages_as_good(visit: Callable[..., Visitor], width: int, dark: bool) -> None:
    visitor = visit(None, Screen(width, dark=dark))
    for path in SIGNED_OUT:
        visitor.open(path, 200 if path == "/sign-in" else 404)
        assert (violations(visitor.page), overflow(visitor.page)) == ([], []), path
        assert keyboard_faults(visitor.page) == [], path
