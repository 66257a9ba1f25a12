"""Tenants, namespaces and the service accounts of a namespace, over HTTP."""

from msgspec import UNSET

from ..tenants import tenancy, topic_configs
from ..tenants.catalogue import NamespaceEntry
from ..tenants.rights import Right
from . import schemas
from .config import ConsoleConfig
from .failures import Failure
from .operations import Call, Operation
from .schemas import time_of
from .scopes import scope_of

NAMESPACE = "/api/v1/namespaces/{tenant}/{namespace}"


def tenant_view(entry: tenancy.TenantEntry) -> schemas.TenantView:
    return schemas.TenantView(
        id=str(entry.id), name=entry.name, suspended=entry.suspended, created_at=time_of(entry.created_at_ms)
    )


def namespace_view(entry: NamespaceEntry, config: ConsoleConfig) -> schemas.NamespaceView:
    return schemas.NamespaceView(
        id=str(entry.id),
        tenant=entry.tenant,
        name=entry.name,
        cluster_id=entry.cluster_id,
        bootstrap=config.bootstrap,
        auto_create_topics=entry.auto_create_topics,
        suspended=entry.suspended,
        defaults=dict(entry.defaults),
        topics_max=entry.topics_max,
        partitions_max=entry.partitions_max,
        partitions_per_topic_max=entry.partitions_per_topic_max,
        created_at=time_of(entry.created_at_ms),
    )


def spelled_out(configs: dict[str, str]) -> dict[str, str]:
    """People's spellings (`30d`, `128MiB`) as Kafka's. Raises InvalidConfig."""
    return {name: topic_configs.parse_human(name, text) for name, text in configs.items()}


async def list_tenants(call: Call) -> schemas.TenantList:
    """Those that the caller has anything to do with."""
    async with call.database.read() as session:
        entries = await tenancy.list_tenants(session)
    return schemas.TenantList(tenants=[tenant_view(entry) for entry in entries if call.access.sees_tenant(entry.id)])


async def create_tenant(call: Call, body: schemas.CreateTenant) -> schemas.TenantView:
    async with call.database.write() as session:
        return tenant_view(await tenancy.create_tenant(session, call.actor, body.name))


async def show_tenant(call: Call) -> schemas.TenantView:
    async with call.database.read() as session:
        return tenant_view(await tenancy.get_tenant(session, call.path["tenant"]))


async def alter_tenant(call: Call, body: schemas.AlterTenant) -> schemas.TenantView:
    async with call.database.write() as session:
        return tenant_view(
            await tenancy.suspend_tenant(session, call.actor, call.path["tenant"], suspended=body.suspended)
        )


async def delete_tenant(call: Call, query: schemas.DeleteParent) -> None:
    async with call.database.write() as session:
        await tenancy.delete_tenant(session, call.actor, call.path["tenant"], cascade=query.cascade == "true")


async def list_namespaces(call: Call, query: schemas.NamespaceFilter) -> schemas.NamespaceList:
    """Those that the caller may look at."""
    async with call.database.read() as session:
        entries = await tenancy.list_namespaces(session)
        if query.tenant is not UNSET:
            tenant_id = (await tenancy.get_tenant(session, query.tenant)).id
            call.require(Right.TENANT_VIEW, tenant_id)
            entries = [entry for entry in entries if entry.tenant_id == tenant_id]
    seen = [entry for entry in entries if call.access.sees_namespace(entry.tenant_id, entry.id)]
    return schemas.NamespaceList(namespaces=[namespace_view(entry, call.config) for entry in seen])


def _limits_given(call: Call, body: schemas.CreateNamespace | schemas.AlterNamespace) -> dict[str, int]:
    """The limits that the body sets. Raises Failure for whom they are set for: nobody lifts their own."""
    names = ("topics_max", "partitions_max", "partitions_per_topic_max")
    given = {name: number for name in names if (number := getattr(body, name)) is not None}
    if given and not call.access.allows(Right.PLATFORM_MANAGE):
        raise Failure(
            403,
            "not_allowed",
            f"{', '.join(given)}: the platform's administrators set the limits of a namespace",
            "leave them out, or ask a platform administrator for more",
        )
    return given


async def create_namespace(call: Call, body: schemas.CreateNamespace) -> schemas.NamespaceView:
    defaults, limits = spelled_out(body.defaults), _limits_given(call, body)
    async with call.database.write() as session:
        entry = await tenancy.create_namespace(
            session,
            call.actor,
            call.path["tenant"],
            body.name,
            auto_create_topics=body.auto_create_topics,
            defaults=defaults,
            **limits,
        )
    return namespace_view(entry, call.config)


async def show_namespace(call: Call) -> schemas.NamespaceView:
    async with call.database.read() as session:
        return namespace_view((await scope_of(session, call)).entry, call.config)


async def alter_namespace(call: Call, body: schemas.AlterNamespace) -> schemas.NamespaceView:
    defaults = None if body.defaults is None else spelled_out(body.defaults)
    limits = _limits_given(call, body)
    async with call.database.write() as session:
        entry = (await scope_of(session, call)).entry
        entry = await tenancy.alter_namespace(
            session,
            call.actor,
            entry.tenant,
            entry.name,
            auto_create_topics=body.auto_create_topics,
            suspended=body.suspended,
            defaults=defaults,
            **limits,
        )
    return namespace_view(entry, call.config)


async def delete_namespace(call: Call, query: schemas.DeleteParent) -> None:
    async with call.database.write() as session:
        entry = (await scope_of(session, call)).entry
        await tenancy.delete_namespace(session, call.actor, entry.tenant, entry.name, cascade=query.cascade == "true")


async def list_service_accounts(call: Call) -> schemas.ServiceAccountList:
    async with call.database.read() as session:
        accounts = await (await scope_of(session, call)).service_accounts()
    return schemas.ServiceAccountList(
        service_accounts=[
            schemas.ServiceAccountView(id=str(row.id), name=row.name, created_at=time_of(row.created_at_ms))
            for row in accounts
        ]
    )


async def delete_service_account(call: Call) -> None:
    async with call.database.write() as session:
        scope = await scope_of(session, call)
        await tenancy.delete_service_account(session, call.actor, scope, call.path["account"])


OPERATIONS = (
    Operation(
        name="list_tenants",
        method="GET",
        path="/api/v1/tenants",
        summary="Every tenant",
        handler=list_tenants,
        needs=None,
        answer=schemas.TenantList,
    ),
    Operation(
        name="create_tenant",
        method="POST",
        path="/api/v1/tenants",
        summary="Make a tenant",
        handler=create_tenant,
        needs=Right.PLATFORM_MANAGE,
        body=schemas.CreateTenant,
        answer=schemas.TenantView,
        status=201,
        errors=(409,),
    ),
    Operation(
        name="show_tenant",
        method="GET",
        path="/api/v1/tenants/{tenant}",
        summary="One tenant",
        handler=show_tenant,
        needs=Right.TENANT_VIEW,
        answer=schemas.TenantView,
    ),
    Operation(
        name="alter_tenant",
        method="PATCH",
        path="/api/v1/tenants/{tenant}",
        summary="Suspend a tenant or let it work again: while suspended none of its keys works, and nothing is lost",
        handler=alter_tenant,
        needs=Right.PLATFORM_MANAGE,
        dangerous=True,
        body=schemas.AlterTenant,
        answer=schemas.TenantView,
    ),
    Operation(
        name="delete_tenant",
        method="DELETE",
        path="/api/v1/tenants/{tenant}",
        summary="Delete a tenant with its namespaces and keys; its topics only with `cascade`",
        handler=delete_tenant,
        needs=Right.PLATFORM_MANAGE,
        dangerous=True,
        query=schemas.DeleteParent,
        answer=None,
        status=204,
        errors=(409,),
    ),
    Operation(
        name="list_namespaces",
        method="GET",
        path="/api/v1/namespaces",
        summary="Every namespace, or those of one tenant",
        handler=list_namespaces,
        needs=None,
        query=schemas.NamespaceFilter,
        answer=schemas.NamespaceList,
        errors=(404,),
    ),
    Operation(
        name="create_namespace",
        method="POST",
        path="/api/v1/namespaces/{tenant}",
        summary="Make a namespace: a virtual Kafka cluster of the tenant",
        handler=create_namespace,
        needs=Right.TENANT_MANAGE,
        body=schemas.CreateNamespace,
        answer=schemas.NamespaceView,
        status=201,
        errors=(409,),
    ),
    Operation(
        name="show_namespace",
        method="GET",
        path=NAMESPACE,
        summary="One namespace",
        handler=show_namespace,
        needs=Right.NAMESPACE_VIEW,
        answer=schemas.NamespaceView,
    ),
    Operation(
        name="alter_namespace",
        method="PATCH",
        path=NAMESPACE,
        summary="Change a namespace's settings, limits or topic defaults",
        handler=alter_namespace,
        needs=Right.TENANT_MANAGE,
        dangerous=True,
        body=schemas.AlterNamespace,
        answer=schemas.NamespaceView,
    ),
    Operation(
        name="delete_namespace",
        method="DELETE",
        path=NAMESPACE,
        summary="Delete a namespace with its service accounts and keys; its topics only with `cascade`",
        handler=delete_namespace,
        needs=Right.TENANT_MANAGE,
        dangerous=True,
        query=schemas.DeleteParent,
        answer=None,
        status=204,
        errors=(409,),
    ),
    Operation(
        name="list_service_accounts",
        method="GET",
        path=f"{NAMESPACE}/service-accounts",
        summary="Who owns the namespace's keys",
        handler=list_service_accounts,
        needs=Right.NAMESPACE_VIEW,
        answer=schemas.ServiceAccountList,
    ),
    Operation(
        name="delete_service_account",
        method="DELETE",
        path=f"{NAMESPACE}/service-accounts/{{account}}",
        summary="Delete a service account; its keys are revoked, their live connections closed",
        handler=delete_service_account,
        needs=Right.KEYS_MANAGE,
        dangerous=True,
        answer=None,
        status=204,
    ),
)
