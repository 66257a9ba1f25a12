"""Pages that no address leads to: what a form answers. Forms that are refused, secrets that are shown once."""

from collections.abc import Callable, Mapping

from coldstream.tests.browser.visitor import Visitor
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


def refused(visitor: Visitor, world: Seeded, path: str) -> None:
    """Leads to the page's form as it is shown again, every text field having been wrong."""
    visitor.open(world.path(path))
    form = visitor.page.locator(f"main form[method=post][action$='/{REFUSING[path]}']")
    with visitor.expecting(422), visitor.page.expect_navigation() as answered:
        visitor.page.evaluate(_SEND, [form.element_handle(), WRONG])
    assert answered.value is not None and answered.value.status == 422, path


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


# Each leads to a page with a secret, and answers the secret.
SHOWN_ONCE: Mapping[str, Callable[[Visitor, Seeded], str]] = {
    each.__name__: each for each in (key_made, first_record_made, token_made, member_made)
}
