"""Tenants: the list of those one has to do with, and for platform administrators all that is done to one."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from ...tenants import overview
from ...tenants.errors import AlreadyExists, InvalidName
from ...tenants.rights import Right
from .. import schemas, tenant_routes
from .page import Action, Fields, Page, Query, Redirect, Refused, View, Visit
from .paging import Span, paged
from .refusals import at_field, why_not


class TenantQuery(Query):
    q: str = ""
    page: int = 1


class TenantRow(View):
    """The counts are of the namespaces that the member sees."""

    name: str
    suspended: bool
    created_at: datetime
    namespaces: int
    topics: int
    keys: int


class TenantsView(View):
    q: str
    tenants: list[TenantRow]
    span: Span
    is_empty: bool
    create_refused: str


class NewTenantView(View):
    pass


class TenantView(View):
    """A tenant, and what goes with it when it is deleted."""

    name: str
    id: str
    suspended: bool
    created_at: datetime
    namespaces: list[str]
    topics: int
    partitions: int
    keys: int


async def show_tenants(visit: Visit, query: TenantQuery) -> TenantsView:
    tenants = (await tenant_routes.list_tenants(visit.call)).tenants
    sought = query.q.strip().lower()
    found = [tenant for tenant in tenants if sought in tenant.name]
    shown, span = paged(found, query.page, lambda page: TENANTS.url(q=sought or None, page=page))
    return TenantsView(
        q=sought,
        tenants=await _rows(visit, shown),
        span=span,
        is_empty=not tenants,
        create_refused=why_not(visit, Right.PLATFORM_MANAGE),
    )


async def _rows(visit: Visit, tenants: Sequence[schemas.TenantView]) -> list[TenantRow]:
    seen = (await tenant_routes.list_namespaces(visit.call, schemas.NamespaceFilter())).namespaces
    async with visit.call.database.read() as session:
        held = await overview.holdings(session, visit.now_ms)
    of_tenant: dict[str, list[overview.Holdings]] = {}
    for namespace in seen:
        of_tenant.setdefault(namespace.tenant, []).append(held.get(UUID(namespace.id), overview.NOTHING))
    return [
        TenantRow(
            name=tenant.name,
            suspended=tenant.suspended,
            created_at=tenant.created_at,
            namespaces=len(parts),
            topics=sum(part.topics for part in parts),
            keys=sum(part.keys for part in parts),
        )
        for tenant in tenants
        for parts in [of_tenant.get(tenant.name, [])]
    ]


async def show_new_tenant(visit: Visit) -> NewTenantView:
    return NewTenantView()


async def create_tenant(visit: Visit, fields: Fields) -> Redirect:
    name = fields.required("name", "Give the tenant a name.")
    with at_field("name", InvalidName, AlreadyExists):
        await tenant_routes.create_tenant(visit.call, schemas.CreateTenant(name=name))
    return Redirect(f"/tenants/{name}/namespaces", "tenant-created")


async def show_tenant(visit: Visit) -> TenantView:
    tenant = await tenant_routes.show_tenant(visit.call)
    below = await tenant_routes.list_namespaces(visit.call, schemas.NamespaceFilter(tenant=tenant.name))
    async with visit.call.database.read() as session:
        held = (await overview.holdings(session, visit.now_ms, tenant_id=UUID(tenant.id))).values()
    return TenantView(
        name=tenant.name,
        id=tenant.id,
        suspended=tenant.suspended,
        created_at=tenant.created_at,
        namespaces=[namespace.name for namespace in below.namespaces],
        topics=sum(part.topics for part in held),
        partitions=sum(part.partitions for part in held),
        keys=sum(part.keys for part in held),
    )


async def suspend_tenant(visit: Visit, fields: Fields) -> Redirect:
    await tenant_routes.alter_tenant(visit.call, schemas.AlterTenant(suspended=True))
    return Redirect(SETTINGS.url(**visit.path), "tenant-suspended")


async def resume_tenant(visit: Visit, fields: Fields) -> Redirect:
    await tenant_routes.alter_tenant(visit.call, schemas.AlterTenant(suspended=False))
    return Redirect(SETTINGS.url(**visit.path), "tenant-resumed")


async def delete_tenant(visit: Visit, fields: Fields) -> Redirect:
    if fields.text("confirm") != visit.path["tenant"]:
        raise Refused({"confirm": "That is not the tenant's name. Nothing was deleted."})
    await tenant_routes.delete_tenant(visit.call, schemas.DeleteParent(cascade="true"))
    return Redirect(TENANTS.url(), "tenant-deleted")


TENANTS = Page(
    name="tenants",
    path="/tenants",
    title="Tenants",
    template="pages/tenants.html",
    handler=show_tenants,
    needs=None,
    query=TenantQuery,
    section="tenants",
)
NEW = Page(
    name="new_tenant",
    path="/tenants/new",
    title="New tenant",
    template="pages/new_tenant.html",
    handler=show_new_tenant,
    needs=Right.PLATFORM_MANAGE,
    section="tenants",
)
SETTINGS = Page(
    name="tenant_settings",
    path="/tenants/{tenant}/settings",
    title="Settings of {tenant}",
    template="pages/tenant_settings.html",
    handler=show_tenant,
    needs=Right.PLATFORM_MANAGE,
    section="settings",
)
DELETE = Page(
    name="delete_tenant",
    path="/tenants/{tenant}/delete",
    title="Delete {tenant}",
    template="pages/delete_tenant.html",
    handler=show_tenant,
    needs=Right.PLATFORM_MANAGE,
    section="settings",
)
PAGES = (TENANTS, NEW, SETTINGS, DELETE)
ACTIONS = (
    Action(
        name="create_tenant",
        path=NEW.path,
        page=NEW,
        handler=create_tenant,
        needs=Right.PLATFORM_MANAGE,
    ),
    Action(
        name="suspend_tenant",
        path="/tenants/{tenant}/suspend",
        page=SETTINGS,
        handler=suspend_tenant,
        needs=Right.PLATFORM_MANAGE,
        dangerous=True,
    ),
    Action(
        name="resume_tenant",
        path="/tenants/{tenant}/resume",
        page=SETTINGS,
        handler=resume_tenant,
        needs=Right.PLATFORM_MANAGE,
    ),
    Action(
        name="delete_tenant",
        path=DELETE.path,
        page=DELETE,
        handler=delete_tenant,
        needs=Right.PLATFORM_MANAGE,
        dangerous=True,
    ),
)
