"""The form for a new key.

Always true: which topics and which groups a key covers is chosen by who makes it, and stands for nothing before that.
"""

from collections.abc import Callable
from typing import TypeVar, get_args

from msgspec import Struct

from ...tenants.errors import InvalidName, InvalidPattern
from ...tenants.names import check_title, parse_pattern
from ...tenants.rights import Right
from ...tenants.roles import Role
from .. import key_routes, schemas, tenant_routes
from ..scopes import scope_of
from .expiry import EXPIRY_CHOICES, Choice, expires_at
from .key_words import EVERYTHING, ROLES
from .keys import ADMIN_ONLY, shown_once
from .navigation import NAMESPACE_PATH
from .page import Action, Fields, Page, Query, Refused, Shown, View, Visit
from .refusals import at_field

SUGGESTIONS_MAX = 300
T = TypeVar("T")


class RoleChoice(Struct, kw_only=True):
    """A role on the form; `refused` says why the member cannot give it."""

    value: str
    label: str
    about: str
    refused: str


class NewKeyQuery(Query):
    """`account`: whose key it is to be."""

    account: str = ""


class NewKeyView(View):
    roles: list[RoleChoice]
    expiries: list[Choice]
    account: str
    accounts: list[str]
    topics: list[str]


async def show_new_key(visit: Visit, query: NewKeyQuery) -> NewKeyView:
    accounts = (await tenant_routes.list_service_accounts(visit.call)).service_accounts
    async with visit.call.database.read() as session:
        topics = await (await scope_of(session, visit.call)).topics()
    return NewKeyView(
        roles=[
            RoleChoice(
                value=role.value,
                label=words.label,
                about=words.about,
                refused=ADMIN_ONLY if role is Role.ADMIN and not visit.allows(Right.TENANT_MANAGE) else "",
            )
            for role, words in ROLES.items()
        ],
        expiries=EXPIRY_CHOICES,
        account=query.account,
        accounts=[account.name for account in accounts[:SUGGESTIONS_MAX]],
        topics=[topic.name for topic in topics[:SUGGESTIONS_MAX]],
    )


async def create_key(visit: Visit, fields: Fields) -> Shown:
    body = read_key(fields, visit.now_ms)
    return await shown_once(visit, await key_routes.create_key(visit.call, body))


def read_key(fields: Fields, now_ms: int) -> schemas.CreateKey:
    """What the form asks for. Raises Refused with everything that is wrong at once."""
    wrong: dict[str, str] = {}

    def tried(read: Callable[[], T], instead: T) -> T:
        try:
            return read()
        except Refused as refused:
            wrong.update(refused.errors)
            return instead

    name = tried(lambda: _title(fields, "name", "key"), "")
    role = tried(lambda: _role(fields), Role.PRODUCER)
    words = ROLES[role]
    topics = tried(lambda: _pattern(fields, "topics", "topic"), "") if words.topics else EVERYTHING
    groups = tried(lambda: _pattern(fields, "groups", "group"), "") if words.groups else EVERYTHING
    account = tried(lambda: _title(fields, "service_account", "service account", optional=True), "")
    expires = tried(lambda: expires_at(fields, now_ms), None)
    if wrong:
        raise Refused(wrong)
    return schemas.CreateKey(
        name=name,
        role=role.value,
        topic_pattern=topics,
        group_pattern=groups,
        service_account=account or None,
        expires_at=expires,
    )


def _title(fields: Fields, field: str, what: str, *, optional: bool = False) -> str:
    text = fields.text(field)
    if optional and not text:
        return ""
    if not text:
        raise Refused({field: f"Give the {what} a name, so that you know later what uses it."})
    with at_field(field, InvalidName):
        return check_title(what, text)


def _role(fields: Fields) -> Role:
    chosen = fields.text("role")
    if chosen not in get_args(schemas.RoleName):
        raise Refused({"role": "Choose what the key may do."})
    return Role(chosen)


def _pattern(fields: Fields, scope: str, what: str) -> str:
    """The pattern chosen: one name, the beginning of names, or every name."""
    chosen, text = fields.text(scope), fields.text(what)
    if chosen == "all":
        return EVERYTHING
    if chosen == "prefix":
        if not text.removesuffix("*"):
            raise Refused({what: f"Say how the {what}s’ names begin."})
        text = f"{text.removesuffix('*')}*"
    elif chosen == "one":
        if not text:
            raise Refused({what: f"Say which {what}."})
        if "*" in text:
            raise Refused({what: f"A {what}’s name has no star. For several, choose “{what}s that begin with”."})
    else:
        raise Refused({scope: f"Choose which {what}s. Nothing is covered before you do."})
    with at_field(what, InvalidPattern):
        parse_pattern(text)
    return text


NEW_KEY = Page(
    name="new_key",
    path=f"{NAMESPACE_PATH}/new-key",
    title="New API key",
    template="pages/new_key.html",
    handler=show_new_key,
    needs=Right.KEYS_MANAGE,
    query=NewKeyQuery,
    section="keys",
)
PAGES = (NEW_KEY,)
ACTIONS = (
    Action(
        name="create_key",
        path=NEW_KEY.path,
        page=NEW_KEY,
        handler=create_key,
        needs=Right.KEYS_MANAGE,
        dangerous=True,
    ),
)
