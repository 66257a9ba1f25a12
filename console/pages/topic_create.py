"""A new topic: its form, what is typed into it checked by the service that makes topics, and the making.

Always true: what is chosen as it is by default anyway is not kept with the topic, so that it follows the default; the
page for a name (`?name=`) says what is wrong with that name, which is how forms.js checks it while it is typed.
"""

from collections.abc import Mapping

from ...tenants import topics
from ...tenants.errors import AlreadyExists, InvalidConfig, InvalidPartitions, InvalidTopicName, TenancyError
from ...tenants.rights import Right
from ...tenants.topic_configs import DAY_MS, HOUR_MS
from .. import schemas, topic_routes
from .expiry import Choice
from .navigation import NAMESPACE_PATH
from .page import Action, Fields, Page, Query, Redirect, Refused, View, Visit, address
from .refusals import at_field, sentence, why_not
from .topic_config_texts import blamed, canonical_of, default_of, is_default, shown

RETENTIONS_MS = (HOUR_MS, DAY_MS, 7 * DAY_MS, 30 * DAY_MS, 365 * DAY_MS, -1)
CUSTOM = "custom"
# Where a refusal of a config is shown.
_FIELDS = {
    "cleanup.policy": "cleanup_policy",
    "local.retention.ms": "local_retention",
    "retention.bytes": "retention_bytes",
    "retention.ms": "retention",
    "remote.storage.enable": "cleanup_policy",
}


class NewTopicQuery(Query):
    name: str = ""


class NewTopicView(View):
    """`problem`: what is wrong with the name asked for. What is chosen at first are this namespace's defaults."""

    name: str
    problem: str
    partitions_max: int
    retentions: list[Choice]
    retention: str
    size_limit: str
    policy: str
    tiering: bool
    local_retention: str
    manage_refused: str


async def show_new_topic(visit: Visit, query: NewTopicQuery) -> NewTopicView:
    namespace = visit.call.namespace
    defaults = namespace.defaults
    retention = default_of("retention.ms", defaults)
    presets = dict.fromkeys([*RETENTIONS_MS, int(retention)])
    return NewTopicView(
        name=query.name,
        problem=await name_problem(visit, query.name) if query.name else "",
        partitions_max=namespace.partitions_per_topic_max,
        retentions=[
            Choice(str(ms), shown("retention.ms", str(ms)) + (" (default)" if str(ms) == retention else ""))
            for ms in presets
        ],
        retention=retention,
        size_limit=shown("retention.bytes", default_of("retention.bytes", defaults)),
        policy=default_of("cleanup.policy", defaults),
        tiering=default_of("remote.storage.enable", defaults) == "true",
        local_retention=shown("local.retention.ms", default_of("local.retention.ms", defaults)),
        manage_refused=why_not(visit, Right.TOPICS_MANAGE),
    )


async def name_problem(visit: Visit, name: str) -> str:
    """What the service that makes topics says of the name; empty when a topic can be called so."""
    async with visit.call.database.read() as session:
        try:
            await topics.create_topic(session, visit.call.actor, visit.call.namespace.id, name.strip(), -1, {}, True)
        except TenancyError as refused:
            return sentence(str(refused))
    return ""


async def create_topic(visit: Visit, fields: Fields) -> Redirect:
    namespace = visit.call.namespace
    name = fields.required("name", "Give the topic a name.")
    partitions = fields.integer("partitions", "The number of partitions", 1, namespace.partitions_per_topic_max)
    body = schemas.CreateTopic(name=name, partitions=partitions, configs=chosen_configs(fields, namespace.defaults))
    try:
        with at_field("name", InvalidTopicName, AlreadyExists), at_field("partitions", InvalidPartitions):
            await topic_routes.create_topic(visit.call, body)
    except InvalidConfig as refused:
        raise Refused({_FIELDS.get(blamed(str(refused), _FIELDS) or "", ""): sentence(str(refused))}) from None
    to = address(f"{NAMESPACE_PATH}/topics/{{topic}}/overview", **{**visit.path, "topic": name})
    return Redirect(to, "topic-created")


def chosen_configs(fields: Fields, defaults: Mapping[str, str]) -> dict[str, str]:
    """The form's choices that differ from the defaults. Raises Refused for what cannot be read."""
    retention = fields.text("retention", default_of("retention.ms", defaults))
    if retention == CUSTOM:
        retention = fields.required("retention_custom", "Say how long, such as 30d or 12h.")
    policy = fields.text("cleanup_policy", default_of("cleanup.policy", defaults))
    tiering = fields.switch("tiering") and "compact" not in policy  # what is compacted stays on the broker's disk
    chosen = {
        "cleanup.policy": policy,
        "remote.storage.enable": "true" if tiering else "false",
        "retention.ms": retention,
        "retention.bytes": fields.text("retention_bytes"),
        "local.retention.ms": fields.text("local_retention") if tiering else "",
    }
    configs = {name: text for name, text in chosen.items() if text and not is_default(name, text, defaults)}
    for name, text in configs.items():
        try:
            configs[name] = canonical_of(name, text)
        except InvalidConfig as refused:
            custom = name == "retention.ms" and fields.text("retention") == CUSTOM
            raise Refused({"retention_custom" if custom else _FIELDS[name]: sentence(str(refused))}) from None
    return configs


NEW_TOPIC = Page(
    name="new_topic",
    path=f"{NAMESPACE_PATH}/new-topic",
    title="New topic",
    template="pages/topic_create.html",
    handler=show_new_topic,
    needs=Right.NAMESPACE_VIEW,
    query=NewTopicQuery,
    section="topics",
)
PAGES = (NEW_TOPIC,)
ACTIONS = (
    Action(
        name="create_topic",
        path=f"{NAMESPACE_PATH}/new-topic",
        page=NEW_TOPIC,
        handler=create_topic,
        needs=Right.TOPICS_MANAGE,
    ),
)
