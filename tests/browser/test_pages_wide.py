"""Every page of the route table on a wide screen: axe in both themes, and everything reached by keyboard."""

from collections.abc import Callable

import pytest
from coldstream.console.pages.routes import PAGES
from coldstream.tenants.rights import Right
from coldstream.tests.browser.accessibility import keyboard_faults, overflow, violations, violations_in_both_themes
from coldstream.tests.browser.every_page import look_at_every_page
from coldstream.tests.browser.visitor import WIDE, Screen, Visitor
from coldstream.tests.console.seeded import Seeded

OPEN_TO_WATCHERS = tuple(page for page in PAGES if page.needs is Right.NAMESPACE_VIEW)
SIGNED_OUT = ("/sign-in", "/no-such-page")


@pytest.mark.slow
def test_every_page_is_accessible(visit: Callable[..., Visitor], world: Seeded) -> None:
    look_at_every_page(visit("root", WIDE), world, PAGES, violations_in_both_themes, keyboard_faults)


@pytest.mark.slow
def test_who_may_only_look_has_pages_as_good(visit: Callable[..., Visitor], world: Seeded) -> None:
    """What is out of reach is shown as such, and that has to be readable too."""
    look_at_every_page(visit("watcher", WIDE), world, OPEN_TO_WATCHERS, violations)


@pytest.mark.parametrize("width", [390, 1280])
def test_who_is_not_signed_in_has_pages_as_good(visit: Callable[..., Visitor], width: int) -> None:
    visitor = visit(None, Screen(width))
    for path in SIGNED_OUT:
        visitor.open(path, 200 if path == "/sign-in" else 404)
        assert (violations_in_both_themes(visitor.page), overflow(visitor.page)) == ([], []), path
        assert keyboard_faults(visitor.page) == [], path
