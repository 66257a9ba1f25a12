"""What in a page's HTML no page of ours writes: elements and attributes that came out of somebody's text."""

from html.parser import HTMLParser

from coldstream.tests.browser.corpus import MARK, unseen_in

# Elements that run, load or lead elsewhere, and which our pages do without.
FORBIDDEN = frozenset({"iframe", "frame", "object", "embed", "base", "applet", "animate", "set", "audio", "video"})
_ADDRESSES = frozenset({"href", "src", "action", "formaction", "xlink:href", "poster", "data", "srcset"})
_OPENERS = ("javascript:", "data:", "vbscript:", "blob:", "//", "\\")


class _Reader(HTMLParser):
    def __init__(self, nonce: str | None) -> None:
        super().__init__(convert_charrefs=True)
        self.nonce = nonce
        self.faults: list[str] = []
        self._typed = False  # within a text area, which gives back what was typed as it was typed

    def handle_data(self, data: str) -> None:
        if not self._typed:
            self._look(data, "text")

    def handle_comment(self, data: str) -> None:
        if MARK in data:
            self.faults.append("foreign text in a comment")

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._typed = False

    def _look(self, shown: str, where: str) -> None:
        if unseen := unseen_in(shown):
            self.faults.append(f"unseen characters as they are in {where}: {', '.join(unseen)}")

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        where = f"<{tag} {' '.join(given)}>"
        if tag in FORBIDDEN:
            self.faults.append(f"forbidden element {where}")
        if tag in ("script", "style") and "src" not in given and given.get("nonce") != self.nonce:
            self.faults.append(f"inline {where} without this answer's nonce")
        if tag == "meta" and (given.get("http-equiv") or "").lower() == "refresh" and MARK in given:
            self.faults.append(f"foreign refresh {where}")
        for name, value in attributes:
            if name == MARK:
                self.faults.append(f"foreign element {where}")
            if name.startswith(("on", "hx-on", "data-hx-on")):
                self.faults.append(f"handler {name} in {where}")
            if name == "style":
                self.faults.append(f"style attribute in {where}")
            if name in _ADDRESSES and value is not None and _leads_elsewhere(value):
                self.faults.append(f"address {value[:60]!r} in {where}")
            if value is not None and (tag, name) != ("input", "value"):
                self._look(value, f"{name} of {where}")
        self._typed = tag == "textarea"
        if len(given) != len(attributes):
            self.faults.append(f"an attribute given twice in {where}")

    handle_startendtag = handle_starttag


def faults(html: str, nonce: str | None = None) -> list[str]:
    """One line for each thing in the page that is not ours, or that cannot be seen.

    What a field of a form holds may hold anything: the next submit has to send it as it was typed.
    """
    reader = _Reader(nonce)
    reader.feed(html)
    reader.close()
    return reader.faults


def _leads_elsewhere(value: str) -> bool:
    """Browsers drop tabs and line ends inside an address, and blanks before it."""
    plain = "".join(value.split()).lower()
    scheme = plain.partition(":")[0] if ":" in plain.partition("/")[0] else ""
    return plain.startswith(_OPENERS) or scheme != ""
