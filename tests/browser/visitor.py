"""A person at a browser: what they do is counted, and whatever the browser holds against a page is kept.

Always true: a visitor who leaves (`leave`) has met no error in the console, no exception, no violation of the content
security policy, no dialog, no request to another host, none that failed, and no status from 400 on that the test did
not announce with `expecting`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, Response

TIMEOUT_MS = 15_000
HEIGHT = 900
# The console says it too, but without the page it came from; securitypolicyviolation has both.
_REPORT_VIOLATIONS = """
document.addEventListener('securitypolicyviolation', (event) =>
  console.error(`policy: ${event.violatedDirective} refused ${event.blockedURI} ${event.sample}`));
"""
_STATUS_MESSAGE = "Failed to load resource: the server responded with a status of "  # `response` tells it better
_ABORTED = "net::ERR_ABORTED"  # an event stream or a download whose page was left


@dataclass(frozen=True, slots=True)
class Screen:
    """How a visitor looks at pages."""

    width: int = 1280
    scripts: bool = True
    dark: bool = False

    def __str__(self) -> str:
        return f"{self.width}{'' if self.scripts else '-without-scripts'}{'-dark' if self.dark else ''}"


WIDE, NARROW = Screen(1280), Screen(390)
WITHOUT_SCRIPTS = Screen(1280, scripts=False)
NARROW_WITHOUT_SCRIPTS = Screen(390, scripts=False)
SCREENS = (WIDE, NARROW_WITHOUT_SCRIPTS)  # of every journey


class Visitor:
    """One browser context and its page. `url` is the console's."""

    def __init__(self, browser: Browser, url: str, screen: Screen = WIDE, cookies: Sequence[Any] = ()) -> None:
        self.screen = screen
        self.url = url
        self.complaints: list[str] = []
        self.interactions: list[str] = []
        self._expected: list[int] = []
        self.context: BrowserContext = browser.new_context(
            base_url=url,
            viewport={"width": screen.width, "height": HEIGHT},
            java_script_enabled=screen.scripts,
            color_scheme="dark" if screen.dark else "light",
            reduced_motion="reduce",
            locale="en-GB",
            timezone_id="UTC",
        )
        self.context.set_default_timeout(TIMEOUT_MS)
        if screen.scripts:
            self.context.add_init_script(_REPORT_VIOLATIONS)
            self.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
        if cookies:
            self.context.add_cookies(list(cookies))
        self.context.on("console", self._console)
        self.context.on("weberror", lambda error: self._complain(f"exception: {error.error}"))
        self.context.on("dialog", lambda dialog: (self._complain(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.context.on("request", self._request)
        self.context.on("requestfailed", self._failed)
        self.context.on("response", self._response)
        self.page: Page = self.context.new_page()

    def open(self, path: str, status: int = 200) -> Page:
        """Goes to an address, which is where a journey begins: not counted."""
        with self.expecting(status):
            answer = self.page.goto(path)
        assert answer is not None and answer.status == status, f"{path}: {answer and answer.status}"
        return self.page

    def click(self, target: str | Locator) -> None:
        self._count("click", target)
        self._found(target).click()

    def fill(self, target: str | Locator, text: str) -> None:
        self._count("fill", target)
        self._found(target).fill(text)

    def choose(self, target: str | Locator, option: str) -> None:
        """An entry of a selection list."""
        self._count("choose", target)
        self._found(target).select_option(option)

    def submit(self, target: str | Locator) -> None:
        """Enter, in a field of the form."""
        self._count("submit", target)
        self._found(target).press("Enter")

    def paste(self, what: str) -> None:
        """Something pasted outside the browser, where the test does it by itself."""
        self._count("paste", what)

    @contextmanager
    def expecting(self, *statuses: int) -> Iterator[None]:
        """Answers with these statuses are what the test is about, within the block."""
        self._expected.extend(statuses)
        try:
            yield
            self.page.evaluate("0")  # events of what was done are in once this came back
        finally:
            for status in statuses:
                self._expected.remove(status)

    def check(self) -> None:
        """Fails with everything the browser held against the pages so far."""
        self.page.evaluate("0")
        complaints, self.complaints = self.complaints, []
        assert complaints == [], "\n".join(complaints)

    def leave(self) -> None:
        """Ends the visit and checks it."""
        try:
            self.check()
        finally:
            self.context.close()

    def _found(self, target: str | Locator) -> Locator:
        return self.page.locator(target) if isinstance(target, str) else target

    def _count(self, kind: str, target: object) -> None:
        self.interactions.append(f"{kind} {target}")

    def _complain(self, what: str) -> None:
        self.complaints.append(f"{self.screen} {self._path()}: {what}")

    def _path(self) -> str:
        return urlsplit(self.page.url).path if hasattr(self, "page") else ""

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert") and not message.text.startswith(_STATUS_MESSAGE):
            self._complain(f"console {message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob", "about") and address.netloc != urlsplit(self.url).netloc:
            self._complain(f"asks another host: {request.url}")

    def _failed(self, request: Request) -> None:
        if request.failure != _ABORTED:
            self._complain(f"request failed: {request.method} {request.url}: {request.failure}")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self._expected:
            self._complain(f"status {response.status}: {response.request.method} {response.url}")
