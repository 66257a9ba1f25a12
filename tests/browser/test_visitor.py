"""The harness sees what it has to see: without this, a page that breaks the rules would pass."""

import time

import pytest
from coldstream.tests.browser.visitor import WIDE, WITHOUT_SCRIPTS, Screen, Visitor
from playwright.sync_api import Browser, Route

URL = "http://127.0.0.1:9"  # nothing listens: every answer is the test's own
POLICY = "default-src 'none'; script-src 'nonce-good'; style-src 'nonce-good'; connect-src 'self'; form-action 'self'"


def visitor_of(browser: Browser, html: str, screen: Screen = WIDE, status: int = 200) -> Visitor:
    """Somebody who has opened a page with this body, under a strict policy."""

    def serve(route: Route) -> None:
        headers = {"Content-Type": "text/html", "Content-Security-Policy": POLICY}
        known = {f"{URL}/": status, f"{URL}/refuses": 422, f"{URL}/other": 200}
        answer = known.get(route.request.url, 404)
        route.fulfill(status=answer, headers=headers, body=f"<!doctype html><title>t</title>{html}")

    visitor = Visitor(browser, URL, screen)
    visitor.context.route("**/*", serve)
    visitor.open("/", status)
    visitor.page.wait_for_load_state()
    return visitor


def await_complaint(visitor: Visitor, words: str) -> None:
    until_s = time.monotonic() + 5
    while not any(words in kept for kept in visitor.complaints):
        assert time.monotonic() < until_s, visitor.complaints
        visitor.page.evaluate("0")  # lets events in


def test_a_good_page_raises_nothing(browser: Browser) -> None:
    visitor = visitor_of(browser, "<p>hello<script nonce=good>document.title = 'x'</script>")
    assert visitor.page.title() == "x"
    visitor.leave()


@pytest.mark.parametrize(
    ("html", "complaint"),
    [
        ("<script nonce=good>console.error('oh')</script>", "console error: oh"),
        ("<script nonce=good>throw new Error('oh')</script>", "exception: oh"),
        ("<script nonce=good>alert('oh')</script>", "dialog: oh"),
        ("<script>1</script>", "policy: script-src-elem refused inline"),
        ("<p onclick='1'>", "policy: script-src-attr refused inline"),
        ("<p style='color: red'>", "policy: style-src-attr refused inline"),
        ("<img src='/picture.png'>", "policy: img-src refused"),
        ("<script nonce=good>fetch('/nothing')</script>", "status 404: GET"),
        ("<a href='/refuses'>go</a>", "status 422: GET"),
    ],
)
def test_what_a_browser_holds_against_a_page_is_kept(browser: Browser, html: str, complaint: str) -> None:
    visitor = visitor_of(browser, html)
    if "<a " in html:
        visitor.click("a")
    await_complaint(visitor, complaint)
    with pytest.raises(AssertionError, match=complaint.split(":")[0]):
        visitor.leave()


def test_violations_are_seen_without_scripts_too(browser: Browser) -> None:
    visitor = visitor_of(browser, "<p style='color: red'>", WITHOUT_SCRIPTS)
    await_complaint(visitor, "Content Security Policy")
    visitor.context.close()


def test_another_host_is_told_even_where_the_policy_stops_it(browser: Browser) -> None:
    visitor = visitor_of(browser, "<a href='https://elsewhere.example/'>go</a>")
    visitor.click("a")
    await_complaint(visitor, "asks another host")
    visitor.context.close()


def test_an_announced_refusal_is_none(browser: Browser) -> None:
    visitor = visitor_of(browser, "<a href='/refuses'>go</a>")
    with visitor.expecting(422):
        visitor.click("a")
        visitor.page.wait_for_url("**/refuses")
    visitor.leave()


def test_what_a_person_does_is_counted(browser: Browser) -> None:
    form = (
        "<form action='/other' method=post><input name=a><select name=b><option>x<option>y</select><button>go</button>"
    )
    visitor = visitor_of(browser, form)
    visitor.fill("input", "text")
    visitor.choose("select", "y")
    visitor.paste("a snippet, in a terminal")
    visitor.submit("input")
    visitor.page.wait_for_url("**/other")
    visitor.click("button")
    assert len(visitor.interactions) == 5
    visitor.leave()
