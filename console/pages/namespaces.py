"""The namespaces of a tenant, and the making of one."""

from datetime import datetime
from uuid import UUID

from ...tenants import overview
from ...tenants.errors import AlreadyExists, InvalidName
from ...tenants.models import PARTITIONS_MAX, PARTITIONS_PER_TOPIC_MAX, TOPICS_MAX
from ...tenants.rights import Right
from .. import schemas, tenant_routes
from .navigation import NAMESPACE_PATH
from .page import Action, Fields, Page, Query, Redirect, View, Visit, address
from .paging import Span, paged
from .refusals import at_field, why_not

LIMITS = {
    "topics_max": "The number of topics",
    "partitions_max": "The number of partitions",
    "partitions_per_topic_max": "The number of partitions of one topic",
}


class NamespacesQuery(Query):
    q: str = ""
    page: int = 1


class NamespaceRow(View):
    """Bytes are of the last look at the broker; null where that did not tell."""

    name: str
    suspended: bool
    topics: int
    topics_max: int
    partitions: int
    keys: int
    hot_bytes: int | None
    cold_bytes: int | None
    records_per_s: float | None


class NamespacesView(View):
    tenant: str
    q: str
    namespaces: list[NamespaceRow]
    span: Span
    is_empty: bool
    create_refused: str
    as_of: datetime | None
    missing_because: str | None


class NewNamespaceView(View):
    """Limits are offered to whoever may set them."""

    tenant: str
    may_limit: bool
    topics_max: int = TOPICS_MAX
    partitions_max: int = PARTITIONS_MAX
    partitions_per_topic_max: int = PARTITIONS_PER_TOPIC_MAX


async def show_namespaces(visit: Visit, query: NamespacesQuery) -> NamespacesView:
    tenant = visit.path["tenant"]
    seen = (await tenant_routes.list_namespaces(visit.call, schemas.NamespaceFilter(tenant=tenant))).namespaces
    sought = query.q.strip().lower()
    found = [namespace for namespace in seen if sought in namespace.name]
    shown, span = paged(found, query.page, lambda page: NAMESPACES.url(tenant=tenant, q=sought or None, page=page))
    async with visit.call.database.read() as session:
        held = await overview.holdings(session, visit.now_ms, tenant_id=visit.call.place.tenant_id)
    sampler = visit.call.services.sampler
    samples = {namespace.id: sampler.latest(UUID(namespace.id)) for namespace in shown}
    looks = [sample.as_of_ms for sample in samples.values() if sample is not None and sample.as_of_ms]
    rows = []
    for namespace in shown:
        holds, sample = held.get(UUID(namespace.id), overview.NOTHING), samples[namespace.id]
        rows.append(
            NamespaceRow(
                name=namespace.name,
                suspended=namespace.suspended,
                topics=holds.topics,
                topics_max=namespace.topics_max,
                partitions=holds.partitions,
                keys=holds.keys,
                hot_bytes=sample.hot_bytes if sample and sample.as_of_ms else None,
                cold_bytes=sample.cold_bytes if sample and sample.as_of_ms else None,
                records_per_s=sample.activity.records_per_s if sample else None,
            )
        )
    return NamespacesView(
        tenant=tenant,
        q=sought,
        namespaces=rows,
        span=span,
        is_empty=not seen,
        create_refused=why_not(visit, Right.TENANT_MANAGE),
        as_of=schemas.time_of(min(looks)) if looks else None,
        missing_because=next(
            (
                sample.missing_because
                for namespace in shown
                if not namespace.suspended and (sample := samples[namespace.id]) and sample.missing_because
            ),
            None,
        ),
    )


async def show_new_namespace(visit: Visit) -> NewNamespaceView:
    return NewNamespaceView(tenant=visit.path["tenant"], may_limit=visit.member.platform_admin)


async def create_namespace(visit: Visit, fields: Fields) -> Redirect:
    name = fields.required("name", "Give the namespace a name.")
    limits = limits_of(visit, fields)
    body = schemas.CreateNamespace(
        name=name,
        auto_create_topics=fields.switch("auto_create_topics"),
        topics_max=limits.get("topics_max"),
        partitions_max=limits.get("partitions_max"),
        partitions_per_topic_max=limits.get("partitions_per_topic_max"),
    )
    with at_field("name", InvalidName, AlreadyExists):
        await tenant_routes.create_namespace(visit.call, body)
    home = address(f"{NAMESPACE_PATH}/home", tenant=visit.path["tenant"], namespace=name)
    return Redirect(home, "namespace-created")


def limits_of(visit: Visit, fields: Fields) -> dict[str, int]:
    """What a form says of limits, for who may set them. Raises Refused."""
    if not visit.member.platform_admin:
        return {}
    return {
        name: fields.integer(name, what, 1 if name == "partitions_per_topic_max" else 0, schemas.INT32_MAX)
        for name, what in LIMITS.items()
        if name in fields.given
    }


NAMESPACES = Page(
    name="namespaces",
    path="/tenants/{tenant}/namespaces",
    title="Namespaces of {tenant}",
    template="pages/namespaces.html",
    handler=show_namespaces,
    needs=Right.TENANT_VIEW,
    query=NamespacesQuery,
    section="namespaces",
)
NEW = Page(
    name="new_namespace",
    path="/tenants/{tenant}/new-namespace",
    title="New namespace in {tenant}",
    template="pages/new_namespace.html",
    handler=show_new_namespace,
    needs=Right.TENANT_MANAGE,
    section="namespaces",
)
PAGES = (NAMESPACES, NEW)
ACTIONS = (
    Action(
        name="create_namespace",
        path=NEW.path,
        page=NEW,
        handler=create_namespace,
        needs=Right.TENANT_MANAGE,
    ),
)
