"""Service accounts: who owns the keys of a namespace, which of them are in use, and what goes when one is deleted."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from ...tenants.errors import NotFound
from ...tenants.rights import Right
from .. import key_routes, tenant_routes
from ..schemas import KeyView, ServiceAccountView, time_of
from .keys import SOON, KeyRow, in_order, key_rows, place_of
from .navigation import NAMESPACE_PATH
from .page import Action, Fields, Page, Query, Redirect, Refused, View, Visit
from .paging import Span, paged
from .refusals import why_not


class AccountRow(Struct, kw_only=True):
    """A service account; `last_used_at` is the latest use of any of its keys."""

    name: str
    created_at: datetime
    keys: int
    working_keys: int
    last_used_at: datetime | None


class AccountsQuery(Query):
    filter: str = ""
    page: int = 1


class AccountsView(View):
    rows: list[AccountRow]
    span: Span
    filter: str
    total: int
    manage_refused: str


class AccountView(View):
    account: AccountRow
    keys: list[KeyRow]
    manage_refused: str


class DeleteAccountView(View):
    """`used_lately`: keys that still work and were used in the last seven days."""

    account: AccountRow
    used_lately: list[KeyRow]


async def show_accounts(visit: Visit, query: AccountsQuery) -> AccountsView:
    accounts = (await tenant_routes.list_service_accounts(visit.call)).service_accounts
    keys = (await key_routes.list_keys(visit.call)).keys
    sought = query.filter.strip()
    found = [account for account in accounts if sought.lower() in account.name.lower()]
    shown, span = paged(
        found, query.page, lambda page: ACCOUNTS.url(**place_of(visit), filter=sought or None, page=page)
    )
    by_account: dict[str, list[KeyView]] = {}
    for key in keys:
        by_account.setdefault(key.service_account_id, []).append(key)
    return AccountsView(
        rows=[account_row(account, by_account.get(account.id, ())) for account in shown],
        span=span,
        filter=sought,
        total=len(accounts),
        manage_refused=why_not(visit, Right.KEYS_MANAGE),
    )


def account_row(account: ServiceAccountView, keys: Sequence[KeyView]) -> AccountRow:
    return AccountRow(
        name=account.name,
        created_at=account.created_at,
        keys=len(keys),
        working_keys=sum(key.state == "active" for key in keys),
        last_used_at=max((key.last_used_at for key in keys if key.last_used_at is not None), default=None),
    )


async def show_account(visit: Visit) -> AccountView:
    account, keys = await _account(visit)
    return AccountView(
        account=account_row(account, keys),
        keys=key_rows(in_order(keys, "-created"), visit),
        manage_refused=why_not(visit, Right.KEYS_MANAGE),
    )


async def show_delete_account(visit: Visit) -> DeleteAccountView:
    account, keys = await _account(visit)
    since = time_of(visit.now_ms) - SOON
    lately = [
        key for key in keys if key.state == "active" and key.last_used_at is not None and key.last_used_at > since
    ]
    return DeleteAccountView(account=account_row(account, keys), used_lately=key_rows(in_order(lately, "-used"), visit))


async def delete_account(visit: Visit, fields: Fields) -> Redirect:
    if fields.text("confirm") != visit.path["account"]:
        raise Refused({"confirm": "That is not its name. Nothing was deleted."})
    await tenant_routes.delete_service_account(visit.call)
    return Redirect(ACCOUNTS.url(**place_of(visit)), "account-deleted")


async def _account(visit: Visit) -> tuple[ServiceAccountView, list[KeyView]]:
    """The account that the path names, and its keys. Raises NotFound."""
    name = visit.path["account"]
    accounts = (await tenant_routes.list_service_accounts(visit.call)).service_accounts
    for account in accounts:
        if account.name == name:
            keys = (await key_routes.list_keys(visit.call)).keys
            return account, [key for key in keys if key.service_account_id == account.id]
    raise NotFound(f"no service account {name!r}")


ACCOUNTS = Page(
    name="service_accounts",
    path=f"{NAMESPACE_PATH}/service-accounts",
    title="Service accounts",
    template="pages/service_accounts.html",
    handler=show_accounts,
    needs=Right.NAMESPACE_VIEW,
    query=AccountsQuery,
    section="accounts",
)
ACCOUNT = Page(
    name="service_account",
    path=f"{NAMESPACE_PATH}/service-accounts/{{account}}/detail",
    title="Service account {account}",
    template="pages/service_account.html",
    handler=show_account,
    needs=Right.NAMESPACE_VIEW,
    section="accounts",
)
DELETE_ACCOUNT = Page(
    name="delete_service_account",
    path=f"{NAMESPACE_PATH}/service-accounts/{{account}}/delete",
    title="Delete service account {account}",
    template="pages/delete_service_account.html",
    handler=show_delete_account,
    needs=Right.KEYS_MANAGE,
    section="accounts",
)
PAGES = (ACCOUNTS, ACCOUNT, DELETE_ACCOUNT)
ACTIONS = (
    Action(
        name="delete_service_account",
        path=DELETE_ACCOUNT.path,
        page=DELETE_ACCOUNT,
        handler=delete_account,
        needs=Right.KEYS_MANAGE,
        dangerous=True,
    ),
)
