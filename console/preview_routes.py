"""A topic's changes over HTTP before they are made, and after: the preview of one, and the history of all.

Always true: a preview changes nothing and leaves no audit row; what it says of data comes from the broker that holds
it, by way of a job, or is missing and says why.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from ..tenants import audit, topics
from ..tenants.catalogue import TopicEntry
from ..tenants.config_changes import config_differences, effective_texts
from ..tenants.errors import NotFound
from ..tenants.jobs import PREVIEW, JobEntry, enqueue, get_job, withdraw
from ..tenants.models import JobState
from ..tenants.rights import Right
from . import schemas
from .operations import Call, Operation
from .places import Full
from .platform_routes import audit_view
from .preview_schemas import (
    BrokerEffect,
    ConfigChangeView,
    EffectTotals,
    HistoryPage,
    PartitionEffect,
    TopicPreview,
)
from .schemas import time_of
from .scopes import scope_of
from .topic_routes import TOPIC, config_changes

WAIT_S = 5.0
POLL_FIRST_S, POLL_MAX_S = 0.03, 0.25


class EffectUnknown(Exception):
    """The broker did not say what would happen; `reason` is for the reader."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def preview_topic(call: Call, body: schemas.AlterTopic) -> TopicPreview:
    async with call.database.read() as session:
        scope = await scope_of(session, call)
        before = await scope.topic(call.path["topic"])
        namespace_id, defaults = scope.id, scope.entry.defaults
        changes = config_changes(body)
        after = await topics.alter_configs(session, call.actor, namespace_id, before.name, changes, validate_only=True)
        count = before.partitions if body.partitions is None else body.partitions
        if count != before.partitions:
            await topics.add_partitions(session, call.actor, namespace_id, before.name, count, validate_only=True)
    preview = TopicPreview(
        changes=[
            ConfigChangeView(
                name=each.name,
                before=each.before,
                after=each.after,
                source_before=each.source_before.value,
                source=each.source.value,
            )
            for each in config_differences(before.configs, after.configs, defaults)
        ],
        partition_count_before=before.partitions,
        partition_count_after=count,
        partitions=[],
    )
    try:
        with call.services.previews.one_for(call.member.id):
            effect = await _effect(call, before, effective_texts(after.configs, defaults))
    except Full:
        crowded = "the broker is busy with other previews: look again in a few seconds"
        return msgspec.structs.replace(preview, missing_because=crowded)
    except EffectUnknown as unknown:
        return msgspec.structs.replace(preview, missing_because=unknown.reason)
    return msgspec.structs.replace(
        preview,
        partitions=effect.partitions,
        totals=totals_of(effect.partitions),
        compaction=effect.compaction,
        as_of=time_of(effect.as_of_ms),
    )


async def _effect(call: Call, topic: TopicEntry, configs: Mapping[str, str]) -> BrokerEffect:
    """What the topic's broker says. Raises EffectUnknown."""
    if not await call.services.broker.accepts():
        raise EffectUnknown("the broker cannot be reached")
    async with call.database.write() as session:
        payload: dict[str, Any] = {"topic_id": str(topic.id), "configs": dict(configs)}
        job = await enqueue(session, call.actor, PREVIEW, payload, namespace_id=call.namespace.id)
    ended = await _ended(call, job.id)
    if ended is None:
        async with call.database.write() as session:
            await withdraw(session, job.id)
        raise EffectUnknown(f"the broker did not answer within {WAIT_S:.0f} s")
    if ended.state is not JobState.DONE:
        raise EffectUnknown(ended.error or "the broker could not say")
    try:
        return msgspec.convert(ended.progress, BrokerEffect)
    except msgspec.ValidationError:
        raise EffectUnknown("the broker is of another release and answers in its own words") from None


async def _ended(call: Call, job_id: UUID) -> JobEntry | None:
    """The job once it has ended; None if it takes too long, or is there no more."""
    loop = asyncio.get_running_loop()
    deadline_s, pause_s = loop.time() + WAIT_S, POLL_FIRST_S
    while loop.time() < deadline_s:
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 1.5, POLL_MAX_S)
        try:
            async with call.database.read() as session:
                job = await get_job(session, job_id)
        except NotFound:
            return None
        if job.ended:
            return job
    return None


def totals_of(partitions: Sequence[PartitionEffect]) -> EffectTotals:
    return EffectTotals(
        partitions_changed=sum(
            each.log_start_after != each.log_start_before or each.local_bytes_evicted > 0 for each in partitions
        ),
        records_gone=sum(each.records_gone for each in partitions),
        segments_gone=sum(each.segments_gone for each in partitions),
        bytes_gone_hot=sum(each.bytes_gone_hot for each in partitions),
        bytes_gone_cold=sum(each.bytes_gone_cold for each in partitions),
        local_bytes_evicted=sum(each.local_bytes_evicted for each in partitions),
    )


async def topic_history(call: Call, query: HistoryPage) -> schemas.AuditList:
    async with call.database.read() as session:
        topic = await (await scope_of(session, call)).topic(call.path["topic"])
        rows = await audit.entries(
            session,
            namespace_id=call.namespace.id,
            object_kind="topic",
            object_id=str(topic.id),
            limit=query.limit,
            before_seq=None if query.before is UNSET else query.before,
        )
    return schemas.AuditList(entries=[audit_view(row) for row in rows])


OPERATIONS = (
    Operation(
        name="preview_topic",
        method="POST",
        path=f"{TOPIC}/preview",
        summary="What a change of the topic would change, and which data would go; changes nothing",
        handler=preview_topic,
        needs=Right.TOPICS_MANAGE,
        body=schemas.AlterTopic,
        answer=TopicPreview,
        errors=(403,),
    ),
    Operation(
        name="topic_history",
        method="GET",
        path=f"{TOPIC}/history",
        summary="Who made and changed the topic, with its configs before and after, newest first",
        handler=topic_history,
        needs=Right.NAMESPACE_VIEW,
        query=HistoryPage,
        answer=schemas.AuditList,
    ),
)
