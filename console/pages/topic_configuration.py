"""A topic's configuration: what holds and why, and the form that changes it by way of the preview; more partitions.

Always true: this form changes no config by itself; it leads to the preview of what it asks for.
"""

from ...tenants import topics
from ...tenants.errors import InvalidConfig, InvalidPartitions, QuotaExceeded
from ...tenants.rights import Right
from ...tenants.topics import ConfigChange, ConfigOperation
from .. import schemas, topic_routes
from ..scopes import scope_of
from .page import Action, Fields, Page, Redirect, Refused, View, Visit, address
from .refusals import at_field, sentence, why_not
from .topic_config_form import ConfigGroup, asked, groups
from .topic_config_texts import blamed
from .topic_overview import OVERVIEW, TOPIC_PATH

UNSET = "unset"


class ConfigurationView(View):
    name: str
    partitions: int
    partitions_max: int
    groups: list[ConfigGroup]
    manage_refused: str
    grow_refused: str


async def show_configuration(visit: Visit) -> ConfigurationView:
    namespace = visit.call.namespace
    async with visit.call.database.read() as session:
        entry = await (await scope_of(session, visit.call)).topic(visit.path["topic"])
    refused = why_not(visit, Right.TOPICS_MANAGE)
    full = entry.partitions >= namespace.partitions_per_topic_max
    return ConfigurationView(
        name=entry.name,
        partitions=entry.partitions,
        partitions_max=namespace.partitions_per_topic_max,
        groups=groups(entry.configs, namespace.defaults),
        manage_refused=refused,
        grow_refused=refused or ("A topic of this namespace can have no more." if full else ""),
    )


async def ask_for_configs(visit: Visit, fields: Fields) -> Redirect:
    """Leads to the preview of what was asked for, if it can be."""
    async with visit.call.database.read() as session:
        scope = await scope_of(session, visit.call)
        entry = await scope.topic(visit.path["topic"])
    configs, unset = asked(fields, entry.configs)
    if not configs and not unset:
        return Redirect(CONFIGURATION.url(**visit.path), "nothing-changed")
    changes = [ConfigChange(name, ConfigOperation.SET, text) for name, text in configs.items()]
    changes += [ConfigChange(name, ConfigOperation.DELETE) for name in unset]
    try:
        topics.altered(entry.configs, changes, scope.entry.defaults)
    except InvalidConfig as refused:
        message = str(refused)
        raise Refused({blamed(message, [*configs, *unset]) or "": sentence(message)}) from None
    return Redirect(address(f"{TOPIC_PATH}/preview", **visit.path, **configs, unset=",".join(unset) or None))


async def add_partitions(visit: Visit, fields: Fields) -> Redirect:
    most = visit.call.namespace.partitions_per_topic_max
    partitions = fields.integer("partitions", "The number of partitions", 1, most)
    if not fields.switch("understood"):
        raise Refused({"partitions": "Say that you know what this does to keys."})
    async with visit.call.database.read() as session:
        entry = await (await scope_of(session, visit.call)).topic(visit.path["topic"])
    if partitions <= entry.partitions:
        raise Refused({"partitions": f"The topic has {entry.partitions} already; their number can only grow."})
    with at_field("partitions", InvalidPartitions, QuotaExceeded):
        await topic_routes.alter_topic(visit.call, schemas.AlterTopic(partitions=partitions))
    return Redirect(OVERVIEW.url(**visit.path), "partitions-added")


CONFIGURATION = Page(
    name="topic_configuration",
    path=f"{TOPIC_PATH}/configuration",
    title="Configuration of {topic}",
    template="pages/topic_configuration.html",
    handler=show_configuration,
    needs=Right.NAMESPACE_VIEW,
    section="topics",
)
PAGES = (CONFIGURATION,)
ACTIONS = (
    Action(
        name="ask_for_topic_configs",
        path=f"{TOPIC_PATH}/configuration",
        page=CONFIGURATION,
        handler=ask_for_configs,
        needs=Right.TOPICS_MANAGE,
    ),
    Action(
        name="add_partitions",
        path=f"{TOPIC_PATH}/partitions",
        page=CONFIGURATION,
        handler=add_partitions,
        needs=Right.TOPICS_MANAGE,
    ),
)
