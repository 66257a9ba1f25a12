"""What a page is: a path, a right, a function that makes its view, a template that shows it. And what its forms do.

Always true: a page's `.json` twin is exactly the view that its template was given; a page is shown, and a form carried
out, only for a member with the right at the place its path names; a view holds no secret unless it is `Shown` as the
answer to the POST that made the secret.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from msgspec import Struct

from ...tenants.member_entry import MemberEntry
from ...tenants.preferences import Preferences
from ...tenants.rights import Right
from ..operations import Call


class View(Struct, kw_only=True):
    """Base of everything a page shows."""


class Query(Struct, kw_only=True, forbid_unknown_fields=False):
    """Base of what an address may ask of a page: filter, order, page. All of it is in the URL.

    A page never fails for what its query says: each field that cannot be read falls back to its default.
    """


@dataclass(frozen=True, slots=True)
class Visit:
    """One look at a page, or one form posted, by a member who may do that there."""

    call: Call
    now_ms: int
    given: Mapping[str, str] = field(default_factory=dict)  # the query as it stands in the address
    twin: str | None = None  # where the same is found as JSON; a form's answer has none

    @property
    def member(self) -> MemberEntry:
        return self.call.member

    @property
    def preferences(self) -> Preferences:
        return self.call.member.preferences

    @property
    def path(self) -> Mapping[str, str]:
        return self.call.path

    def allows(self, right: Right) -> bool:
        """Whether the member may do that at this page's place."""
        return self.call.allows(right)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`title` may name path parameters (`{topic}`); `section` is the entry of the navigation that it belongs to."""

    name: str
    path: str
    title: str
    template: str
    handler: Callable[..., Awaitable[View]]
    needs: Right | None
    query: type[Query] | None = None
    section: str = ""

    def url(self, **parameters: Any) -> str:
        """The page's address: path parameters filled in, what is left as its query."""
        return address(self.path, **parameters)

    @property
    def twin_path(self) -> str:
        return f"{self.path}.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A form's POST. `page` is shown again, with what was typed, when it is refused.

    `dangerous`: asks for the password again when that was not given for CONFIRMED_MS (tenants/sessions.py).
    `renews_session`: what it does proves the password, and gives the session a new id.
    """

    name: str
    path: str
    page: Page
    handler: Callable[[Visit, "Fields"], Awaitable["Redirect | Shown"]]
    needs: Right | None
    dangerous: bool = False
    renews_session: bool = False

    def url(self, **parameters: Any) -> str:
        return address(self.path, **parameters)


@dataclass(frozen=True, slots=True)
class Redirect:
    """303 to a page of ours, where `notice` (a key of NOTICES) is said once."""

    to: str
    notice: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A page as the answer to the POST itself: what is shown once, and by no other request."""

    template: str
    view: View
    title: str


class Refused(Exception):
    """What a form asks for cannot be: a message per field; under "" what concerns no single one."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(errors.values()))
        self.errors = dict(errors)


@dataclass(frozen=True, slots=True)
class FormState:
    """What a form shows: nothing typed yet, or what was typed and why it was refused."""

    typed: Mapping[str, list[str]] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)

    def value(self, name: str, default: Any = "") -> Any:
        """What was typed, else the default."""
        return self.typed[name][0] if name in self.typed else default

    def chosen(self, name: str, value: str, default: bool = False) -> bool:
        """Whether a check box or radio button of that value is on."""
        return value in self.typed.get(name, ()) if self.typed else default

    def error(self, name: str) -> str | None:
        return self.errors.get(name)


class Fields:
    """What a form sent, read by name. Every reader strips the text; passwords are read as they are by `secret`."""

    def __init__(self, given: Mapping[str, list[str]]) -> None:
        self.given = given

    def text(self, name: str, default: str = "") -> str:
        return self.given.get(name, [default])[0].strip()

    def secret(self, name: str) -> str:
        return self.given.get(name, [""])[0]

    def switch(self, name: str) -> bool:
        """A check box: browsers send it only when it is on."""
        return name in self.given

    def required(self, name: str, what: str) -> str:
        """Raises Refused, `what` being the sentence that says what is missing."""
        if not (text := self.text(name)):
            raise Refused({name: what})
        return text

    def integer(self, name: str, what: str, least: int, most: int) -> int:
        """A whole number. Raises Refused with "`what` is a whole number from … to …"."""
        text = self.text(name)
        if not (text.isascii() and text.isdigit() and len(text) <= 19 and least <= int(text) <= most):
            raise Refused({name: f"{what} is a whole number from {least} to {most}"})
        return int(text)


def address(path: str, **parameters: Any) -> str:
    """A path with its parameters filled in and quoted; what the path does not name becomes the query, if not None."""
    query = {}
    for name, value in parameters.items():
        slot = f"{{{name}}}"
        if slot in path:
            path = path.replace(slot, quote(str(value), safe=""))
        elif value is not None:
            query[name] = str(value)
    assert "{" not in path, path
    return f"{path}?{urlencode(query)}" if query else path
