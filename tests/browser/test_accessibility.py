"""The checks find the faults that they are for: without this, a page with them would pass."""

import pytest
from coldstream.tests.browser.accessibility import keyboard_faults, overflow, violations_in_both_themes
from playwright.sync_api import Browser, Page

GOOD = """<!doctype html><html lang=en><title>t</title><style>:focus { outline: 2px solid red }</style>
<a href='#main'>Skip</a><main id=main tabindex=-1><h1>Title</h1><label>Name <input name=name></label>
<label><input type=radio name=r value=1> one</label> <label><input type=radio name=r value=2> two</label>
<button>Go</button> <button disabled>Not now</button></main>"""


@pytest.fixture
def page(browser: Browser) -> Page:
    return browser.new_context(viewport={"width": 390, "height": 800}).new_page()


def test_a_good_page_has_no_fault(page: Page) -> None:
    page.set_content(GOOD)
    assert (violations_in_both_themes(page), keyboard_faults(page), overflow(page)) == ([], [], [])


@pytest.mark.parametrize(
    ("html", "rule"),
    [
        ("<img src=x>", "image-alt"),
        ("<p style='color: #999; background: #fff'>pale", "color-contrast"),
        ("<input name=nameless>", "label"),
    ],
)
def test_axe_finds(page: Page, html: str, rule: str) -> None:
    page.set_content(GOOD + html)
    assert {found.removeprefix("in the dark theme, ").split(":")[0] for found in violations_in_both_themes(page)} == {
        rule
    }


def test_axe_finds_what_is_wrong_in_the_dark_alone(page: Page) -> None:
    style = (
        "<style>@media (prefers-color-scheme: dark) { body { background: #111 } button { background: #eee } }</style>"
    )
    page.set_content(GOOD + style)
    found = violations_in_both_themes(page)
    assert found and all(each.startswith("in the dark theme, color-contrast") for each in found), found


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ("<button style='outline: none'>Unseen</button>", "focus does not show: button Unseen"),
        ("<a href=/x style='position: absolute; left: -99px; width: 9px'>Away</a>", "focus is off the screen: a Away"),
        ("<a href=/x onfocus='document.querySelector(`input`).focus()'>Thrown</a>", "Tab never reaches: A Thrown"),
    ],
)
def test_the_keyboard_finds(page: Page, html: str, fault: str) -> None:
    page.set_content(GOOD + html)
    assert fault in keyboard_faults(page)


def test_a_page_without_a_skip_link_is_found(page: Page) -> None:
    page.set_content(GOOD.replace("#main", "/elsewhere"))
    assert keyboard_faults(page) == ["the first stop is no link to the content: a Skip"]


def test_a_page_wider_than_the_screen_is_found(page: Page) -> None:
    page.set_content(GOOD + "<div style='overflow-x: auto'><p style='width: 900px'>scrolls within itself</div>")
    assert overflow(page) == []
    page.set_content(GOOD + "<p class=long style='width: 900px'>sticks out")
    assert "p.long sticks out" in overflow(page)[1]
