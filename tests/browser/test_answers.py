"""What a form answers is no page of the route table: a form refused, a secret shown once. Both have to be as good."""

import re
from collections.abc import Callable, Mapping

import pytest
from coldstream.tests.browser.accessibility import keyboard_faults, overflow, violations_in_both_themes
from coldstream.tests.browser.visitor import NARROW, WIDE, Screen, Visitor
from coldstream.tests.console.seeded import Seeded
from coldstream.tests.virtual_cluster import fresh

WRONG = "!"  # no name, number, duration, password or confirmation
# Pages with a form that refuses it in every text field, and which form.
REFUSING: Mapping[str, str] = {
    "/n/{tenant}/{namespace}/new-topic": "new-topic",
    "/n/{tenant}/{namespace}/new-key": "new-key",
    "/n/{tenant}/{namespace}/first-record": "first-record",
    "/n/{tenant}/{namespace}/settings": "settings",
    "/n/{tenant}/{namespace}/delete": "delete",
    "/n/{tenant}/{namespace}/topics/{topic}/configuration": "configuration",
    "/n/{tenant}/{namespace}/topics/{topic}/delete": "delete",
    "/n/{tenant}/{namespace}/service-accounts/{account}/delete": "delete",
    "/tenants/new": "new",
    "/tenants/{tenant}/new-namespace": "new-namespace",
    "/tenants/{tenant}/new-member": "new-member",
    "/tenants/{tenant}/delete": "delete",
    "/members/new": "new",
    "/members/{member}/delete": "delete",
    "/profile/password": "password",
    "/profile/tokens": "tokens",
}
_SEND = """
([form, text]) => {
  for (const field of form.elements)
    if (['text', 'search', 'password', 'number', 'textarea'].includes(field.type)) {
      field.type = field.type === 'number' ? 'text' : field.type;
      field.value = text;
    }
  form.noValidate = true;
  HTMLFormElement.prototype.submit.call(form);
}
"""


def test_a_refused_form_says_why_to_everybody(visit: Callable[..., Visitor], world: Seeded) -> None:
    visitor = visit("root", NARROW)
    wrong: list[str] = []
    for path, action in REFUSING.items():
        visitor.open(world.path(path))
        form = visitor.page.locator(f"main form[method=post][action$='/{action}']")
        with visitor.expecting(422), visitor.page.expect_navigation() as answered:
            visitor.page.evaluate(_SEND, [form.element_handle(), WRONG])
        assert answered.value is not None and answered.value.status == 422, path
        if visitor.page.locator("main .error, main [role=alert]").count() == 0:
            wrong.append(f"{path}: nobody is told what is wrong")
        wrong += [f"{path}: {fault}" for fault in violations_in_both_themes(visitor.page) + overflow(visitor.page)]
    assert wrong == [], "\n".join(wrong)


def key_made(visitor: Visitor, world: Seeded) -> str:
    visitor.open(world.path("/n/{tenant}/{namespace}/new-key"))
    visitor.fill("input[name=name]", fresh("key"))
    visitor.click("#f-role-developer")
    for scope in ("topics", "groups"):
        visitor.click(f"input[name={scope}][value=all]")
    visitor.click("button:text-is('Make the key')")
    return visitor.page.inner_text("#key-secret")


def first_record_made(visitor: Visitor, world: Seeded) -> str:
    visitor.open(world.path("/n/{tenant}/{namespace}/first-record"))
    visitor.fill("input[name=topic]", fresh("topic"))
    visitor.submit("input[name=topic]")
    return str(visitor.page.locator("#key-secret").text_content())


def token_made(visitor: Visitor, world: Seeded) -> str:
    visitor.open("/profile/tokens")
    visitor.fill("input[name=name]", fresh("token"))
    visitor.click("button:text-is('Make a token')")
    return visitor.page.inner_text("#token")


def member_made(visitor: Visitor, world: Seeded) -> str:
    visitor.open("/members/new")
    visitor.fill("input[name=name]", fresh("member"))
    visitor.click("button:text-is('Make the member')")
    return visitor.page.inner_text("#member-password")


SHOWN_ONCE = {each.__name__: each for each in (key_made, first_record_made, token_made, member_made)}


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
