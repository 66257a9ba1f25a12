"""A browser for each file of tests: while one runs, its event loop holds the thread, and other files need that."""

from collections.abc import Callable, Iterator

import pytest
from coldstream.tests.browser.chromium import chromium_or_skip, launched
from coldstream.tests.browser.visitor import Visitor
from playwright.sync_api import Browser

Visits = Callable[..., Visitor]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched(chromium_or_skip()) as running:
        yield running
