"""Coming in and going out, with and without scripts, wide and narrow."""

from collections.abc import Callable

import pytest
from coldstream.tests.browser.visitor import SCREENS, WIDE, Screen, Visitor
from coldstream.tests.console.seeded import PASSWORD, Seeded


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_a_member_comes_in_is_led_on_and_goes_out(visit: Callable[..., Visitor], world: Seeded, screen: Screen) -> None:
    visitor = visit(None, screen)
    visitor.open("/profile")
    assert visitor.page.url.endswith("/sign-in?next=%2Fprofile")
    visitor.fill("input[name=name]", world.people["developer"].name)
    visitor.fill("input[name=password]", PASSWORD)
    visitor.submit("input[name=password]")
    visitor.page.wait_for_url("**/profile")
    assert world.people["developer"].name in visitor.page.inner_text("main h1")
    visitor.click("text=Sign out")
    visitor.page.wait_for_url("**/sign-in?notice=signed-out")
    assert "You are signed out." in visitor.page.inner_text("main")
    visitor.page.go_back()
    visitor.page.wait_for_url("**/sign-in*")
    assert world.people["developer"].name not in visitor.page.content(), "the page was kept by the browser"


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "without"])
def test_a_wrong_password_is_told_at_the_field(visit: Callable[..., Visitor], world: Seeded, scripts: bool) -> None:
    visitor = visit(None, Screen(390, scripts=scripts))
    visitor.open("/sign-in")
    visitor.fill("input[name=name]", world.people["developer"].name)
    visitor.fill("input[name=password]", "not the password")
    with visitor.expecting(422):
        visitor.submit("input[name=password]")
        visitor.page.wait_for_selector("input[name=password][aria-invalid=true]")
    assert visitor.page.input_value("input[name=name]") == world.people["developer"].name
    assert visitor.page.input_value("input[name=password]") == ""


def test_a_preference_changes_the_theme_of_every_page(visit: Callable[..., Visitor]) -> None:
    visitor = visit("watcher", WIDE)
    visitor.open("/profile")
    light = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
    visitor.click("text=Dark")
    visitor.click("main button:has-text('Save')")
    visitor.page.wait_for_url("**/profile?notice=saved")
    assert visitor.page.evaluate("getComputedStyle(document.body).backgroundColor") != light
