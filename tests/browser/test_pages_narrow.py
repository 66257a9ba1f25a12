"""Every page of the route table on a screen of 390 pixels, with a broker and without, with scripts and without."""

from collections.abc import Callable

import pytest
from coldstream.console.pages.components import PAGES as COMPONENTS
from coldstream.console.pages.routes import PAGES
from coldstream.tests.browser.accessibility import keyboard_faults, overflow, violations, violations_in_both_themes
from coldstream.tests.browser.every_page import look_at_every_page
from coldstream.tests.browser.visitor import NARROW, NARROW_WITHOUT_SCRIPTS, Visitor
from coldstream.tests.console.seeded import Seeded
from playwright.sync_api import Page

ASKING = {"topics", "topic_overview", "topic_preview", "topic_delete", "home", "first_record_of_topic"}  # the broker


def violations_of_cards(tab: Page) -> list[str]:
    """Axe where a narrow screen changes what a page is made of: its tables, which become cards.

    In the light theme: what the dark one changes does not depend on the width.
    """
    return violations(tab) if tab.locator("main table").count() else []


@pytest.mark.slow
def test_no_page_scrolls_sideways_and_tables_are_accessible_as_cards(
    visit: Callable[..., Visitor], world: Seeded
) -> None:
    look_at_every_page(visit("root", NARROW), world, PAGES, overflow, violations_of_cards)


def test_nothing_scrolls_sideways_without_scripts(visit: Callable[..., Visitor], world: Seeded) -> None:
    look_at_every_page(visit("root", NARROW_WITHOUT_SCRIPTS), world, PAGES, overflow)


def test_a_broker_that_is_away_leaves_pages_as_good(
    visit: Callable[..., Visitor], world: Seeded, brokerless_url: str
) -> None:
    asking = [page for page in PAGES if page.name in ASKING]
    assert len(asking) == len(ASKING)
    look_at_every_page(visit("root", NARROW, brokerless_url), world, asking, violations, overflow)


def test_every_component_is_accessible_in_all_its_states(
    visit: Callable[..., Visitor], world: Seeded, brokerless_url: str
) -> None:
    """On a page that only a console in development mode has."""
    visitor = visit("root", NARROW, brokerless_url)
    look_at_every_page(visitor, world, COMPONENTS, violations_in_both_themes, overflow, keyboard_faults)
