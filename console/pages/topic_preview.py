"""What a change of a topic's configuration would change, and which data would go; and its applying.

The address holds the change: each config with its new value, and `unset` with those that return to their default. So a
preview can be sent to somebody, and the form that applies it applies what was shown.

Always true: nothing is changed by looking; a change that may let records go asks for the password, whatever the preview
could find out; a topic that was changed since it was looked at is not changed by what was decided then.
"""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from ...tenants import topics
from ...tenants.catalogue import TopicEntry
from ...tenants.config_changes import config_differences
from ...tenants.errors import InvalidConfig
from ...tenants.rights import Right
from ...tenants.topic_configs import DEFINITIONS
from .. import preview_routes, schemas, topic_routes
from ..preview_schemas import PartitionEffect, TopicPreview
from ..scopes import scope_of
from .page import Action, Fields, Page, Redirect, Refused, View, Visit, address
from .refusals import sentence, why_not
from .topic_config_texts import shown
from .topic_configuration import CONFIGURATION, UNSET
from .topic_overview import TOPIC_PATH

PARTITIONS_SHOWN = 50


class Difference(Struct, kw_only=True):
    """A line of the diff, for reading."""

    name: str
    before: str
    source_before: str
    after: str
    source: str


class PreviewView(View):
    """`lossy`: records may go, so that applying asks for the password. `changes` is empty when nothing was asked for.

    `affected` are the partitions that lose anything, at most PARTITIONS_SHOWN of them. `seen` tells the topic's state
    that the diff starts from.
    """

    name: str
    changes: list[Difference]
    effect: TopicPreview | None
    affected: list[PartitionEffect]
    lossy: bool
    seen: str
    apply: str
    problem: str
    manage_refused: str


async def show_preview(visit: Visit) -> PreviewView:
    body, entry = change_of(visit.given), await _topic(visit)
    defaults = visit.call.namespace.defaults
    refused = why_not(visit, Right.TOPICS_MANAGE)
    try:
        after = altered(entry, body, defaults)
        effect = await preview_routes.preview_topic(visit.call, body) if _asks(body) and not refused else None
        problem = ""
    except InvalidConfig as error:
        after, effect, problem = dict(entry.configs), None, sentence(str(error))
    changes = [
        Difference(
            name=each.name,
            before=shown(each.name, each.before),
            source_before=each.source_before.value,
            after=shown(each.name, each.after),
            source=each.source.value,
        )
        for each in config_differences(entry.configs, after, defaults)
    ]
    lossy = lets_go(entry.configs, after, defaults)
    path = LOSSY_PATH if lossy else f"{TOPIC_PATH}/preview"
    return PreviewView(
        name=entry.name,
        changes=changes,
        effect=effect,
        affected=affected(effect.partitions)[:PARTITIONS_SHOWN] if effect else [],
        lossy=lossy,
        seen=state_of(entry.configs),
        apply=address(path, **visit.path, **body.configs, unset=",".join(body.unset) or None),
        problem=problem,
        manage_refused=refused,
    )


def change_of(given: Mapping[str, str]) -> schemas.AlterTopic:
    """The change that an address holds; what is no config of ours is no part of it."""
    configs = {name: text for name, text in given.items() if name in DEFINITIONS}
    unset = [name for name in given.get(UNSET, "").split(",") if name in DEFINITIONS and name not in configs]
    return schemas.AlterTopic(configs=configs, unset=unset)


def altered(entry: TopicEntry, body: schemas.AlterTopic, defaults: Mapping[str, str]) -> dict[str, str]:
    """The overrides after the change. Raises InvalidConfig."""
    return topics.altered(entry.configs, topic_routes.config_changes(body), defaults)


def lets_go(before: Mapping[str, str], after: Mapping[str, str], defaults: Mapping[str, str]) -> bool:
    """Whether the change may let records go that would have stayed, now or later."""
    changed = {each.name: each for each in config_differences(before, after, defaults)}
    policy = changed.get("cleanup.policy")
    if policy is not None and set(policy.after.split(",")) - set(policy.before.split(",")):
        return True
    limits = [changed[name] for name in ("retention.ms", "retention.bytes") if name in changed]
    return any(int(limit.after) >= 0 and not 0 <= int(limit.before) <= int(limit.after) for limit in limits)


def state_of(configs: Mapping[str, str]) -> str:
    """A short word for the overrides, another one for others."""
    return hashlib.sha256(msgspec.json.encode(sorted(configs.items()))).hexdigest()[:16]


def affected(partitions: Sequence[PartitionEffect]) -> list[PartitionEffect]:
    """Those that lose anything, on disk or altogether."""
    return [each for each in partitions if each.records_gone or each.segments_gone or each.local_bytes_evicted]


async def apply_change(visit: Visit, fields: Fields) -> Redirect:
    return await _apply(visit, fields, lossy=False)


async def apply_lossy_change(visit: Visit, fields: Fields) -> Redirect:
    return await _apply(visit, fields, lossy=True)


async def _apply(visit: Visit, fields: Fields, *, lossy: bool) -> Redirect:
    body, entry = change_of(visit.given), await _topic(visit)
    if fields.text("seen") != state_of(entry.configs):
        raise Refused({"": "The topic was changed meanwhile. What you see now is the difference to how it is now."})
    after = altered(entry, body, visit.call.namespace.defaults)
    if not lossy and lets_go(entry.configs, after, visit.call.namespace.defaults):
        raise Refused({"": "This change may let records go. Look at what would go, and apply it again."})
    if after == entry.configs:
        return Redirect(CONFIGURATION.url(**visit.path), "nothing-changed")
    await topic_routes.alter_topic(visit.call, body)
    return Redirect(CONFIGURATION.url(**visit.path), "config-applied")


async def _topic(visit: Visit) -> TopicEntry:
    async with visit.call.database.read() as session:
        return await (await scope_of(session, visit.call)).topic(visit.path["topic"])


def _asks(body: schemas.AlterTopic) -> bool:
    return bool(body.configs or body.unset)


LOSSY_PATH = f"{TOPIC_PATH}/preview/records-may-go"
PREVIEW = Page(
    name="topic_preview",
    path=f"{TOPIC_PATH}/preview",
    title="A change of {topic}",
    template="pages/topic_preview.html",
    handler=show_preview,
    needs=Right.NAMESPACE_VIEW,
    section="topics",
)
PAGES = (PREVIEW,)
ACTIONS = (
    Action(
        name="apply_topic_configs",
        path=f"{TOPIC_PATH}/preview",
        page=PREVIEW,
        handler=apply_change,
        needs=Right.TOPICS_MANAGE,
    ),
    Action(
        name="apply_lossy_topic_configs",
        path=LOSSY_PATH,
        page=PREVIEW,
        handler=apply_lossy_change,
        needs=Right.TOPICS_MANAGE,
        dangerous=True,
    ),
)
