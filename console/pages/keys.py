"""The keys of a namespace: found, ordered and paged by the address; one key, what it may do, its rotation and its end.

Always true: no secret is in a view but in the one that answers the POST which made it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from ...tenants.database import session_now_ms
from ...tenants.key_service import show_key as key_entry
from ...tenants.rights import Right
from ...tenants.roles import Role
from .. import key_routes, schemas
from ..schemas import KeyView
from ..scopes import scope_of
from .expiry import EXPIRY_CHOICES, Choice, expires_at
from .key_snippets import WRITERS, Program, connection_of, environment, programs
from .key_words import groups_in_words, out_of_reach, role_label, sentences, topics_in_words
from .navigation import NAMESPACE_PATH
from .page import Action, Fields, Page, Query, Redirect, Refused, Shown, View, Visit
from .paging import Span, paged
from .refusals import why_not

STATES = ("active", "expired", "revoked", "all")
SOON = timedelta(days=7)
OVERLAPS = (
    Choice("0", "It ends now: connections with the old key are closed"),
    Choice("3600000", "1 hour"),
    Choice("86400000", "24 hours"),
    Choice("259200000", "3 days"),
    Choice("604800000", "7 days"),
)
OVERLAP_DEFAULT = "86400000"
ADMIN_ONLY = "Only administrators of the tenant make keys with this role."


class KeyRow(Struct, kw_only=True):
    """A key as lists show it. `ends_soon`: within a week."""

    key: KeyView
    role: str
    topics: str
    groups: str
    ends_soon: bool


class KeysQuery(Query):
    filter: str = ""
    state: str = "active"
    order: str = "-created"
    page: int = 1


class KeysView(View):
    rows: list[KeyRow]
    counts: dict[str, int]
    span: Span
    filter: str
    state: str
    order: str
    manage_refused: str


class KeyDetailView(View):
    """`successor`: the key that rotating this one made. `may`, `may_not`: in words."""

    key: KeyView
    role: str
    may: list[str]
    may_not: str
    successor: str | None
    ends_soon: bool
    manage_refused: str
    rotate_refused: str


class RotateView(View):
    key: KeyView
    overlaps: list[Choice]
    overlap: str
    expiries: list[Choice]
    refused: str


class RevokeView(View):
    key: KeyView
    used_lately: bool


class ShownKeyView(View):
    """A key with its secret, as the answer to the POST that made it. `old`: the key that it takes over from."""

    created: schemas.NewKey
    may: list[str]
    old: KeyView | None
    environment: str
    programs: list[Program]
    writes: bool


ORDERS: Mapping[str, Callable[[KeyView], Any]] = {
    "name": lambda key: key.name.lower(),
    "account": lambda key: key.service_account.lower(),
    "role": lambda key: key.role,
    "created": lambda key: key.created_at,
    "used": lambda key: key.last_used_at,
    "expires": lambda key: key.expires_at,
}


async def show_keys(visit: Visit, query: KeysQuery) -> KeysView:
    keys = (await key_routes.list_keys(visit.call)).keys
    state = query.state if query.state in STATES else "active"
    order = query.order if query.order.removeprefix("-") in ORDERS else "-created"
    sought = query.filter.strip().lower()
    found = [key for key in keys if state in ("all", key.state) and _matches(key, sought)]
    shown, span = paged(in_order(found, order), query.page, lambda page: _address(visit, query, state, order, page))
    return KeysView(
        rows=key_rows(shown, visit),
        counts={each: sum(each in ("all", key.state) for key in keys) for each in STATES},
        span=span,
        filter=query.filter.strip(),
        state=state,
        order=order,
        manage_refused=why_not(visit, Right.KEYS_MANAGE),
    )


def _matches(key: KeyView, sought: str) -> bool:
    if not sought:
        return True
    places = (key.name, key.service_account, key.id, key.role, key.topic_pattern, key.created_by)
    return any(sought in text.lower() for text in places)


def _address(visit: Visit, query: KeysQuery, state: str, order: str, page: int) -> str:
    given = {"filter": query.filter.strip(), "state": state, "order": order, "page": page}
    plain = {"filter": "", "state": "active", "order": "-created", "page": 1}
    kept = {name: value for name, value in given.items() if value != plain[name]}
    return KEYS.url(**place_of(visit), **kept)


def in_order(keys: Sequence[KeyView], order: str) -> list[KeyView]:
    """By the column, `-` before it turning it round; what has no such time comes last, equals by name."""
    key_of, turned = ORDERS[order.removeprefix("-")], order.startswith("-")
    by_name = sorted(keys, key=lambda key: (key.name.lower(), key.id))
    known = sorted((key for key in by_name if key_of(key) is not None), key=key_of, reverse=turned)
    return known + [key for key in by_name if key_of(key) is None]


def key_rows(keys: Sequence[KeyView], visit: Visit) -> list[KeyRow]:
    now = schemas.time_of(visit.now_ms)
    return [
        KeyRow(
            key=key,
            role=role_label(key.role),
            topics=topics_in_words(key.role, key.topic_pattern),
            groups=groups_in_words(key.role, key.group_pattern),
            ends_soon=ends_soon(key, now),
        )
        for key in keys
    ]


def ends_soon(key: KeyView, now: datetime) -> bool:
    return key.state == "active" and key.expires_at is not None and key.expires_at - now < SOON


def place_of(visit: Visit) -> dict[str, str]:
    """The namespace's part of an address."""
    return {"tenant": visit.call.namespace.tenant, "namespace": visit.call.namespace.name}


async def show_key(visit: Visit) -> KeyDetailView:
    key = await _key(visit)
    keys = (await key_routes.list_keys(visit.call)).keys
    refused = why_not(visit, Right.KEYS_MANAGE)
    return KeyDetailView(
        key=key,
        role=role_label(key.role),
        may=sentences(key.role, key.topic_pattern, key.group_pattern),
        may_not=out_of_reach(key.role),
        successor=next((each.id for each in keys if each.rotated_from == key.id), None),
        ends_soon=ends_soon(key, schemas.time_of(visit.now_ms)),
        manage_refused=refused,
        rotate_refused=refused or _rotate_refused(visit, key),
    )


def _rotate_refused(visit: Visit, key: KeyView) -> str:
    if key.state != "active":
        return f"This key is {key.state}: make a new one instead."
    return ADMIN_ONLY if key.role == Role.ADMIN and not visit.allows(Right.TENANT_MANAGE) else ""


async def _key(visit: Visit) -> KeyView:
    """The key that the path names, if it is of the namespace that it names. Raises NotFound."""
    namespace = visit.call.namespace
    async with visit.call.database.read() as session:
        entry = await key_entry(session, namespace.id, visit.path["key_id"])
        now_ms = await session_now_ms(session)
    return key_routes.key_view(entry, namespace, now_ms)


async def show_rotate(visit: Visit) -> RotateView:
    key = await _key(visit)
    return RotateView(
        key=key,
        overlaps=list(OVERLAPS),
        overlap=OVERLAP_DEFAULT,
        expiries=EXPIRY_CHOICES,
        refused=why_not(visit, Right.KEYS_MANAGE) or _rotate_refused(visit, key),
    )


async def rotate(visit: Visit, fields: Fields) -> Shown:
    overlap = fields.text("overlap", OVERLAP_DEFAULT)
    if overlap not in {choice.value for choice in OVERLAPS}:
        raise Refused({"overlap": "Choose one of the times."})
    body = schemas.RotateKey(overlap_ms=int(overlap), expires_at=expires_at(fields, visit.now_ms))
    created = await key_routes.rotate_key(visit.call, body)
    return await shown_once(visit, created, await _key(visit))


async def show_revoke(visit: Visit) -> RevokeView:
    key = await _key(visit)
    lately = key.last_used_at is not None and schemas.time_of(visit.now_ms) - key.last_used_at < SOON
    return RevokeView(key=key, used_lately=lately)


async def revoke(visit: Visit, fields: Fields) -> Redirect:
    await key_routes.revoke_key(visit.call)
    return Redirect(KEY.url(**place_of(visit), key_id=visit.path["key_id"]), "key-revoked")


async def shown_once(visit: Visit, created: schemas.NewKey, old: KeyView | None = None) -> Shown:
    """The page with the secret: the answer to the POST, and found at no address."""
    async with visit.call.database.read() as session:
        topics = await (await scope_of(session, visit.call)).topics()
    key = created.key
    connection = connection_of(created, [topic.name for topic in topics])
    view = ShownKeyView(
        created=created,
        may=sentences(key.role, key.topic_pattern, key.group_pattern),
        old=old,
        environment=environment(key.role, connection),
        programs=programs(key.role, connection),
        writes=key.role in WRITERS,
    )
    return Shown("pages/key_shown.html", view, f"Key {key.name}")


KEYS = Page(
    name="keys",
    path=f"{NAMESPACE_PATH}/keys",
    title="API keys",
    template="pages/keys.html",
    handler=show_keys,
    needs=Right.NAMESPACE_VIEW,
    query=KeysQuery,
    section="keys",
)
KEY = Page(
    name="key",
    path=f"{NAMESPACE_PATH}/keys/{{key_id}}/detail",
    title="Key {key_id}",
    template="pages/key.html",
    handler=show_key,
    needs=Right.NAMESPACE_VIEW,
    section="keys",
)
ROTATE = Page(
    name="rotate_key",
    path=f"{NAMESPACE_PATH}/keys/{{key_id}}/rotate",
    title="Rotate key {key_id}",
    template="pages/rotate_key.html",
    handler=show_rotate,
    needs=Right.KEYS_MANAGE,
    section="keys",
)
REVOKE = Page(
    name="revoke_key",
    path=f"{NAMESPACE_PATH}/keys/{{key_id}}/revoke",
    title="Revoke key {key_id}",
    template="pages/revoke_key.html",
    handler=show_revoke,
    needs=Right.KEYS_MANAGE,
    section="keys",
)
PAGES = (KEYS, KEY, ROTATE, REVOKE)
ACTIONS = (
    Action(name="rotate_key", path=ROTATE.path, page=ROTATE, handler=rotate, needs=Right.KEYS_MANAGE, dangerous=True),
    Action(name="revoke_key", path=REVOKE.path, page=REVOKE, handler=revoke, needs=Right.KEYS_MANAGE, dangerous=True),
)
