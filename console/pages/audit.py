"""Who changed what, newest first: in a namespace, or in a tenant with all its namespaces.

Always true: an entry is shown as it was written; what it names may be gone by now.
"""

from collections.abc import Mapping
from datetime import datetime

from msgspec import UNSET, Struct, UnsetType

from ...tenants.rights import Right
from .. import platform_routes, schemas, tenant_routes
from .audit_diff import Change, changes
from .navigation import NAMESPACE_PATH, TENANT_PATH
from .page import Page, Query, View, Visit, address

ROWS = 50
KINDS: Mapping[str, str] = {
    "topic": "Topics",
    "key": "Keys",
    "service_account": "Service accounts",
    "job": "Jobs",
    "namespace": "Namespaces",
    "member": "Members and roles",
    "tenant": "The tenant",
}
OF_A_TENANT = ("member", "tenant")


class AuditQuery(Query):
    """`kind` and `object` (an id) say what was changed, `actor` by whom; `before` continues after that entry."""

    kind: str = ""
    object: str = ""
    actor: str = ""
    before: int | None = None


class AuditRow(Struct, kw_only=True):
    """`namespace`: where it was, if that is not what the page is about; empty where it concerned no namespace."""

    seq: int
    at: datetime
    actor_kind: str
    actor: str
    action: str
    object_kind: str
    object_id: str
    object_name: str
    namespace: str
    changes: list[Change]
    of_actor: str
    of_object: str


class AuditView(View):
    """`kinds`: (value, label) pairs to choose from. `newest`, `older`: where those entries are, if there are any."""

    rows: list[AuditRow]
    kind: str
    object: str
    actor: str
    object_name: str
    kinds: list[tuple[str, str]]
    filtered: bool
    everything: str
    every_object: str
    newest: str | None
    older: str | None
    of_tenant: bool


async def show_audit(visit: Visit, query: AuditQuery) -> AuditView:
    namespace = visit.call.place.namespace
    tenant = visit.path["tenant"]
    kind = query.kind if query.kind in KINDS else ""
    given = {"kind": kind, "object": query.object.strip()[:100], "actor": query.actor.strip()[:100]}
    found = await _entries(visit, tenant, None if namespace is None else namespace.name, given, query.before)
    shown = found[:ROWS]
    names = {} if namespace is not None else await _namespace_names(visit, tenant)
    time_zone = visit.preferences.time_zone

    def there(**others: str | int | None) -> str:
        chosen = {**given, **others}
        page = TENANT_AUDIT if namespace is None else NAMESPACE_AUDIT
        return address(page.path, **visit.path, **{name: value for name, value in chosen.items() if value})

    rows = [
        AuditRow(
            seq=entry.seq,
            at=entry.at,
            actor_kind=entry.actor_kind,
            actor=entry.actor,
            action=entry.action,
            object_kind=entry.object_kind,
            object_id=entry.object_id,
            object_name=entry.object_name,
            namespace=names.get(entry.namespace_id, "deleted namespace") if names and entry.namespace_id else "",
            changes=changes(entry.before, entry.after, time_zone),
            of_actor=there(actor=entry.actor[:100]),
            of_object=there(object=entry.object_id[:100], kind=None),
        )
        for entry in shown
    ]
    return AuditView(
        rows=rows,
        **given,
        object_name=next((row.object_name for row in rows if row.object_id == given["object"]), ""),
        kinds=[(value, label) for value, label in KINDS.items() if namespace is None or value not in OF_A_TENANT],
        filtered=any(given.values()),
        everything=there(kind=None, object=None, actor=None),
        every_object=there(object=None),
        newest=there() if query.before is not None else None,
        older=there(before=shown[-1].seq) if len(found) > ROWS else None,
        of_tenant=namespace is None,
    )


async def _entries(
    visit: Visit, tenant: str, namespace: str | None, given: Mapping[str, str], before: int | None
) -> list[schemas.AuditView]:
    """One more than a page, so that it is known whether there are older ones."""

    def asked(text: str) -> str | UnsetType:
        return text or UNSET

    query = schemas.AuditFilter(
        tenant=tenant,
        namespace=UNSET if namespace is None else namespace,
        object_kind=asked(given["kind"]),
        object_id=asked(given["object"]),
        actor=asked(given["actor"]),
        limit=ROWS + 1,
        before=UNSET if before is None or not 0 <= before < 2**63 else before,
    )
    return (await platform_routes.list_audit(visit.call, query)).entries


async def _namespace_names(visit: Visit, tenant: str) -> dict[str | None, str]:
    found = await tenant_routes.list_namespaces(visit.call, schemas.NamespaceFilter(tenant=tenant))
    return {namespace.id: namespace.name for namespace in found.namespaces}


NAMESPACE_AUDIT = Page(
    name="namespace_audit",
    path=f"{NAMESPACE_PATH}/audit",
    title="Audit of {tenant}/{namespace}",
    template="pages/audit.html",
    handler=show_audit,
    needs=Right.AUDIT_VIEW,
    query=AuditQuery,
    section="audit",
)
TENANT_AUDIT = Page(
    name="tenant_audit",
    path=f"{TENANT_PATH}/audit",
    title="Audit of {tenant}",
    template="pages/audit.html",
    handler=show_audit,
    needs=Right.AUDIT_VIEW,
    query=AuditQuery,
    section="audit",
)
PAGES = (NAMESPACE_AUDIT, TENANT_AUDIT)
