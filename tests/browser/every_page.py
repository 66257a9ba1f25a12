"""One walk over the route table: every page opened once, all that is wrong with any of them told at the end."""

from collections.abc import Callable, Sequence

from coldstream.console.pages.page import Page
from coldstream.tests.browser.visitor import Visitor
from coldstream.tests.console.seeded import Seeded
from playwright.sync_api import Page as Tab

Look = Callable[[Tab], list[str]]


def look_at_every_page(visitor: Visitor, world: Seeded, pages: Sequence[Page], *looks: Look) -> None:
    """Fails with every fault of every page."""
    wrong: list[str] = []
    for page in pages:
        answer = visitor.page.goto(world.address(page))
        if answer is None or answer.status != 200:
            wrong.append(f"{page.path}: status {answer and answer.status}")
        wrong += [f"{page.path}: {fault}" for look in looks for fault in look(visitor.page)]
    assert wrong == [], "\n".join(wrong)
    visitor.check()
