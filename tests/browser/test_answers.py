"""What a form answers is no page of the route table: a form refused, a secret shown once. Both have to be as good."""

import re
from collections.abc import Callable, Mapping

import pytest
from coldstream.tests.browser.accessibility import keyboard_faults, overflow, violations_in_both_themes
from coldstream.tests.browser.answers import REFUSING, SHOWN_ONCE, refused
from coldstream.tests.browser.visitor import NARROW, WIDE, Screen, Visitor
from coldstream.tests.console.seeded import Seeded


def test_a_refused_form_says_why_to_everybody(visit: Callable[..., Visitor], world: Seeded) -> None:
    visitor = visit("root", NARROW)
    wrong: list[str] = []
    for path in REFUSING:
        refused(visitor, world, path)
        if visitor.page.locator("main .error, main [role=alert]").count() == 0:
            wrong.append(f"{path}: nobody is told what is wrong")
        wrong += [f"{path}: {fault}" for fault in violations_in_both_themes(visitor.page) + overflow(visitor.page)]
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize("made", SHOWN_ONCE)
@pytest.mark.parametrize("screen", [WIDE, NARROW], ids=str)
def test_what_is_shown_once_is_shown_to_everybody_and_kept_by_no_browser(
    visit: Callable[..., Visitor], world: Seeded, made: str, screen: Screen
) -> None:
    visitor = visit("root", screen)
    answers: list[Mapping[str, str]] = []
    visitor.page.on(
        "response", lambda response: answers.append(response.headers) if response.request.method == "POST" else None
    )
    secret = SHOWN_ONCE[made](visitor, world)
    assert re.fullmatch(r"[!-~]{12,}", secret)
    assert answers[-1]["cache-control"] == "no-store"
    assert secret not in visitor.page.url
    assert (violations_in_both_themes(visitor.page), overflow(visitor.page), keyboard_faults(visitor.page)) == (
        [],
        [],
        [],
    )
