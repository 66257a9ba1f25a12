"""The browser that pages are shown in: a Chromium of the system, driven by Playwright, which never downloads one.

`COLDSTREAM_TEST_CHROMIUM` names it; without, the usual places are looked at.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Tests run as root in containers, where Chromium's sandbox cannot start and /dev/shm is small; there is no screen card.
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")


def chromium_path() -> str | None:
    """Where the browser is, or None."""
    named = os.environ.get("COLDSTREAM_TEST_CHROMIUM")
    if named:
        return named
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def chromium_or_skip() -> str:
    """Where the browser is; skips the test without one, or fails it where everything has to be there."""
    path = chromium_path()
    if path is None:
        missing = "no Chromium here: apt-get install chromium, or name one in COLDSTREAM_TEST_CHROMIUM"
        if os.environ.get("COLDSTREAM_REQUIRE_PARTS") == "1":
            pytest.fail(f"{missing} (COLDSTREAM_REQUIRE_PARTS=1 says that it must be there)")
        pytest.skip(missing)
    return path


@contextmanager
def launched(path: str) -> Iterator[Browser]:
    """A running browser. Playwright's event loop lives in this thread meanwhile: no `asyncio.run` inside the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()
