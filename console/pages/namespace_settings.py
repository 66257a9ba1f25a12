"""Settings of a namespace: what its topics have by default, its limits, its suspension and its end.

Always true: a default that a form leaves empty is the platform's; limits are changed by platform administrators alone.
"""

from datetime import datetime

from msgspec import Struct

from ...tenants import overview, tenancy, topic_configs
from ...tenants.errors import InvalidConfig
from ...tenants.rights import Right
from .. import schemas, tenant_routes
from .namespaces import limits_of
from .page import Action, Fields, Page, Redirect, Refused, View, Visit
from .refusals import sentence

CONFIG = "config."
MAIN = (
    "retention.ms",
    "retention.bytes",
    "local.retention.ms",
    "local.retention.bytes",
    "max.message.bytes",
    "message.timestamp.type",
)


class DefaultView(Struct, kw_only=True):
    """One topic config: what the namespace says (empty: nothing), and what the platform says, as people spell it."""

    name: str
    value: str
    platform: str
    choices: list[str]
    about: str
    main: bool


class SettingsView(View):
    tenant: str
    name: str
    id: str
    cluster_id: str
    bootstrap: str
    created_at: datetime
    suspended: bool
    tenant_suspended: bool
    auto_create_topics: bool
    defaults: list[DefaultView]
    topics_max: int
    partitions_max: int
    partitions_per_topic_max: int
    limits_refused: str


class DeletionView(View):
    """What goes with the namespace."""

    tenant: str
    name: str
    topics: int
    partitions: int
    keys: int
    hot_bytes: int | None
    cold_bytes: int | None


async def show_settings(visit: Visit) -> SettingsView:
    namespace = tenant_routes.namespace_view(visit.call.namespace, visit.call.config)
    async with visit.call.database.read() as session:
        owner = await tenancy.get_tenant(session, namespace.tenant)
    return SettingsView(
        tenant=namespace.tenant,
        name=namespace.name,
        id=namespace.id,
        cluster_id=namespace.cluster_id,
        bootstrap=namespace.bootstrap,
        created_at=namespace.created_at,
        suspended=namespace.suspended,
        tenant_suspended=owner.suspended,
        auto_create_topics=namespace.auto_create_topics,
        defaults=[_default(name, namespace.defaults) for name in _offered()],
        topics_max=namespace.topics_max,
        partitions_max=namespace.partitions_max,
        partitions_per_topic_max=namespace.partitions_per_topic_max,
        limits_refused="" if visit.member.platform_admin else "A platform administrator changes these.",
    )


def _offered() -> list[str]:
    """Configs that can differ at all, those that people look for first."""
    rest = [name for name, known in topic_configs.DEFINITIONS.items() if name not in MAIN and _can_differ(known)]
    return [*MAIN, *rest]


def _can_differ(known: topic_configs.ConfigDefinition) -> bool:
    if known.type is topic_configs.ConfigType.BOOLEAN:
        return not known.refused and not known.doc.startswith("Accepted")
    if known.choices:
        return len(known.choices) > 1
    return known.least < known.most and not known.doc.startswith("Accepted")


def _default(name: str, defaults: dict[str, str]) -> DefaultView:
    known = topic_configs.DEFINITIONS[name]
    is_switch = known.type is topic_configs.ConfigType.BOOLEAN
    return DefaultView(
        name=name,
        value=topic_configs.spell_human(name, defaults[name]) if name in defaults else "",
        platform=_spelled(name, topic_configs.to_text(known.default)),
        choices=["true", "false"] if is_switch else list(known.choices),
        about=known.doc,
        main=name in MAIN,
    )


def _spelled(name: str, text: str) -> str:
    return "no limit" if text == str(topic_configs.LONG_MAX) else topic_configs.spell_human(name, text)


async def save_settings(visit: Visit, fields: Fields) -> Redirect:
    before = visit.call.namespace
    limits = _limits(visit, fields)
    kept = {name: text for name, text in before.defaults.items() if name not in _offered()}
    body = schemas.AlterNamespace(
        auto_create_topics=fields.switch("auto_create_topics"),
        defaults=kept | _defaults(fields),
        topics_max=limits.get("topics_max"),
        partitions_max=limits.get("partitions_max"),
        partitions_per_topic_max=limits.get("partitions_per_topic_max"),
    )
    changed = (body.auto_create_topics, body.defaults) != (before.auto_create_topics, dict(before.defaults))
    if not changed and not limits:
        return Redirect(SETTINGS.url(**visit.path), "nothing-changed")
    await tenant_routes.alter_namespace(visit.call, body)
    return Redirect(SETTINGS.url(**visit.path), "saved")


def _defaults(fields: Fields) -> dict[str, str]:
    """What was typed, as it is stored. Raises Refused, with a message at every field that is wrong."""
    given, errors = {}, {}
    for name in _offered():
        if text := fields.text(f"{CONFIG}{name}"):
            try:
                given[name] = topic_configs.canonical(name, topic_configs.parse_human(name, text))
            except InvalidConfig as error:
                errors[f"{CONFIG}{name}"] = sentence(str(error))
    if errors:
        raise Refused(errors)
    try:
        return topic_configs.validate(given)
    except InvalidConfig as error:  # two that contradict: the message begins with the one to lower
        name = str(error).partition("=")[0]
        raise Refused({f"{CONFIG}{name}" if name in given else "": sentence(str(error))}) from None


def _limits(visit: Visit, fields: Fields) -> dict[str, int]:
    """Those that differ. Raises Refused."""
    before = visit.call.namespace
    return {name: number for name, number in limits_of(visit, fields).items() if number != getattr(before, name)}


async def suspend_namespace(visit: Visit, fields: Fields) -> Redirect:
    await tenant_routes.alter_namespace(visit.call, schemas.AlterNamespace(suspended=True))
    return Redirect(SETTINGS.url(**visit.path), "namespace-suspended")


async def resume_namespace(visit: Visit, fields: Fields) -> Redirect:
    await tenant_routes.alter_namespace(visit.call, schemas.AlterNamespace(suspended=False))
    return Redirect(SETTINGS.url(**visit.path), "namespace-resumed")


async def show_deletion(visit: Visit) -> DeletionView:
    namespace = visit.call.namespace
    async with visit.call.database.read() as session:
        held = await overview.holdings(session, visit.now_ms, namespace_id=namespace.id)
    holds = held.get(namespace.id, overview.NOTHING)
    sample = visit.call.services.sampler.latest(namespace.id)
    return DeletionView(
        tenant=namespace.tenant,
        name=namespace.name,
        topics=holds.topics,
        partitions=holds.partitions,
        keys=holds.keys,
        hot_bytes=sample.hot_bytes if sample and sample.as_of_ms else None,
        cold_bytes=sample.cold_bytes if sample and sample.as_of_ms else None,
    )


async def delete_namespace(visit: Visit, fields: Fields) -> Redirect:
    if fields.text("confirm") != visit.path["namespace"]:
        raise Refused({"confirm": "That is not the namespace's name. Nothing was deleted."})
    await tenant_routes.delete_namespace(visit.call, schemas.DeleteParent(cascade="true"))
    return Redirect(f"/tenants/{visit.path['tenant']}/namespaces", "namespace-deleted")


SETTINGS = Page(
    name="namespace_settings",
    path="/n/{tenant}/{namespace}/settings",
    title="Settings of {tenant}/{namespace}",
    template="pages/namespace_settings.html",
    handler=show_settings,
    needs=Right.TENANT_MANAGE,
    section="settings",
)
DELETE = Page(
    name="delete_namespace",
    path="/n/{tenant}/{namespace}/delete",
    title="Delete {tenant}/{namespace}",
    template="pages/delete_namespace.html",
    handler=show_deletion,
    needs=Right.TENANT_MANAGE,
    section="settings",
)
PAGES = (SETTINGS, DELETE)
ACTIONS = (
    Action(
        name="save_namespace",
        path=SETTINGS.path,
        page=SETTINGS,
        handler=save_settings,
        needs=Right.TENANT_MANAGE,
    ),
    Action(
        name="suspend_namespace",
        path="/n/{tenant}/{namespace}/suspend",
        page=SETTINGS,
        handler=suspend_namespace,
        needs=Right.TENANT_MANAGE,
        dangerous=True,
    ),
    Action(
        name="resume_namespace",
        path="/n/{tenant}/{namespace}/resume",
        page=SETTINGS,
        handler=resume_namespace,
        needs=Right.TENANT_MANAGE,
    ),
    Action(
        name="delete_namespace",
        path=DELETE.path,
        page=DELETE,
        handler=delete_namespace,
        needs=Right.TENANT_MANAGE,
        dangerous=True,
    ),
)
