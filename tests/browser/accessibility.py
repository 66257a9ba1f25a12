"""What everybody must be able to do with a page: axe's rules of WCAG 2.1 A and AA, the keyboard, a narrow screen."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from playwright.sync_api import Page

TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa")
_TAB = {"type": "rawKeyDown", "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
RULES_OF_COLOUR = ("color-contrast", "link-in-text-block")  # of those tags: all that another theme can change
TABS_MAX = 400

_RUN_AXE = """
(only) => axe.run(document, {runOnly: only, resultTypes: ['violations'], preload: false})
  .then((found) => found.violations.flatMap((rule) => rule.nodes.map((node) =>
    `${rule.id}: ${node.target.join(' ')}: ${node.failureSummary.replace(/\\s+/g, ' ')}`)))
"""
# What Tab should stop at: visible, enabled, and of a group of radio buttons the one that is on, else any.
_STOPS = """
() => {
  const seen = new Set(), stops = [];
  const query = 'a[href], button, input, select, textarea, summary, iframe, [tabindex], [contenteditable="true"]';
  for (const element of document.querySelectorAll(query)) {
    if (element.disabled || element.type === 'hidden' || element.tabIndex < 0 || element.closest('[inert]')) continue;
    if (!element.checkVisibility({visibilityProperty: true})) continue;
    if (element.type === 'radio') {
      const group = `${element.form && element.form.action} ${element.name}`;
      if (seen.has(group)) continue;
      seen.add(group);
    }
    stops.push(element);
  }
  window.__stops = stops;
  return stops.length;
}
"""
# A place before everything else, which also keeps a field from taking the focus for itself meanwhile.
_TO_THE_TOP = """
() => {
  const top = document.createElement('span');
  top.tabIndex = -1;
  document.body.prepend(top);
  top.focus();
}
"""
# Notes each place that takes the focus: where it is in the list above (-1: not in it), and what marks it. Told by the
# page itself, since to ask it after every key takes most of the time of a walk.
_WATCH_FOCUS = """
() => {
  window.__visited = [];
  document.addEventListener('focusin', ({target: element}) => {
    let at = window.__stops.indexOf(element);
    if (at < 0 && element.type === 'radio')
      at = window.__stops.findIndex((stop) => stop.type === 'radio' && stop.name === element.name);
    const style = getComputedStyle(element), box = element.getBoundingClientRect();
    const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
    const name = `${element.tagName.toLowerCase()} ${(element.name || element.textContent || '').trim().slice(0, 40)}`;
    window.__visited.push({at, name, href: element.getAttribute('href') || '',
      marked: outlined || style.boxShadow !== 'none',
      onScreen: box.width > 0 && box.height > 0 && box.bottom + scrollY > 0 && box.right + scrollX > 0});
  });
}
"""
_NAMES = "() => window.__stops.map((e) => `${e.tagName} ${(e.name || e.textContent || '').trim().slice(0, 40)}`)"
_OVERFLOW = """
() => {
  const page = document.scrollingElement, wide = page.clientWidth;
  if (page.scrollWidth <= wide) return [];
  const over = [...document.body.querySelectorAll('*')].filter((element) => {
    if (element.getBoundingClientRect().right <= wide + 1) return false;
    for (let up = element.parentElement; up && up !== document.body; up = up.parentElement)
      if (getComputedStyle(up).overflowX !== 'visible') return false;
    return true;
  });
  return [`the page is ${page.scrollWidth} wide, the screen ${wide}`,
          ...over.slice(0, 5).map((e) =>
            `${e.tagName.toLowerCase()}.${e.className} ${e.textContent.trim().slice(0, 40)}`)];
}
"""


@dataclass(frozen=True, slots=True)
class Stop:
    """One place where Tab stopped."""

    at: int
    name: str
    href: str
    marked: bool
    on_screen: bool


def violations(page: Page) -> list[str]:
    """What axe finds against WCAG 2.1 A and AA in the present theme, one line for each element."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(_axe())
    found: list[str] = page.evaluate(_RUN_AXE, {"type": "tag", "values": list(TAGS)})
    return found


def violations_in_both_themes(page: Page) -> list[str]:
    """As `violations` in the light theme, and colours again in the dark one, as for members who follow the system."""
    found = violations(page)
    page.emulate_media(color_scheme="dark")
    try:
        dark: list[str] = page.evaluate(_RUN_AXE, {"type": "rule", "values": list(RULES_OF_COLOUR)})
    finally:
        page.emulate_media(color_scheme="light")
    return found + [f"in the dark theme, {each}" for each in dark]


def overflow(page: Page) -> list[str]:
    """Why the page scrolls sideways; nothing when it does not. Tables and code may scroll within themselves."""
    found: list[str] = page.evaluate(_OVERFLOW)
    return found


def keyboard_faults(page: Page) -> list[str]:
    """What Tab cannot reach, reaches without showing it, or is caught in; and a first stop that skips nothing."""
    count: int = page.evaluate(_STOPS)
    stops = list(_tabs(page, count))
    faults = [f"focus does not show: {stop.name}" for stop in stops if not stop.marked]
    faults += [f"focus is off the screen: {stop.name}" for stop in stops if not stop.on_screen]
    reached = {stop.at for stop in stops}
    names: list[str] = page.evaluate(_NAMES)
    faults += [f"Tab never reaches: {name}" for at, name in enumerate(names) if at not in reached]
    if not stops or not stops[0].href.startswith("#"):
        faults.append(f"the first stop is no link to the content: {stops[0].name if stops else 'nothing'}")
    return faults


def _tabs(page: Page, count: int) -> Iterator[Stop]:
    """Every stop from the top of the page until the focus leaves it or comes round."""
    page.evaluate(_TO_THE_TOP)
    page.evaluate(_WATCH_FOCUS)
    keys = page.context.new_cdp_session(page)  # one message for each key, where `keyboard.press` sends and awaits two
    for _ in range(min(count + 5, TABS_MAX)):
        keys.send("Input.dispatchKeyEvent", _TAB)
    visited: list[dict[str, Any]] = page.evaluate("() => window.__visited")
    first = None
    for focused in visited:
        if first is not None and focused["at"] == first:
            return
        first = focused["at"] if first is None else first
        yield Stop(focused["at"], focused["name"], focused["href"], focused["marked"], focused["onScreen"])


@cache
def _axe() -> str:
    return resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
