"""One topic: its figures, a picture of each partition's log, and the work that can be begun on it.

Always true: offsets and bytes are the broker's, asked for now; rates and times are the sampler's last. A broker that
does not answer leaves the page with what the catalogue knows, and with the reason.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from ...tenants.jobs import JobEntry, list_jobs
from ...tenants.rights import Right
from ...tenants.topic_configs import parse_value
from .. import schemas, topic_routes
from ..figures import total
from ..platform_routes import job_view
from ..samples import TopicSample
from ..schemas import time_of, time_of_or_none
from .log_picture import LogPicture, Scale, pictures
from .navigation import NAMESPACE_PATH
from .page import Action, Fields, Page, Query, Redirect, View, Visit
from .paging import Span, paged
from .refusals import why_not

TOPIC_PATH = f"{NAMESPACE_PATH}/topics/{{topic}}"
PARTITION_ROWS = 20
JOBS_SHOWN = 5
JOBS_LOOKED_AT = 100
SHOWN_KINDS = ("offload", "compact")


class OverviewQuery(Query):
    """`scale`: whether the pictures are drawn by offsets or by bytes."""

    scale: Literal["offsets", "bytes"] = "offsets"
    page: int = 1


class TopicOverview(View):
    """`logs` are the partitions of this page, `pictures` theirs; totals are over all. None: not known now."""

    name: str
    id: str
    created_at: datetime
    partitions: int
    records: int | None
    hot_bytes: int | None
    cold_bytes: int | None
    records_per_s: float | None
    bytes_per_s: float | None
    spark: list[float]
    last_record_at: datetime | None
    retention_ms: int
    retention_bytes: int
    cleanup_policy: str
    tiering: bool
    scale: Scale
    logs: list[schemas.PartitionView]
    newest: list[datetime | None]
    pictures: list[LogPicture]
    span: Span
    jobs: list[schemas.JobView]
    as_of: datetime
    figures_missing_because: str | None
    manage_refused: str
    offload_refused: str
    compact_refused: str


async def show_overview(visit: Visit, query: OverviewQuery) -> TopicOverview:
    detail = await topic_routes.show_topic(visit.call)
    async with visit.call.database.read() as session:
        jobs = await list_jobs(session, visit.call.namespace.id, limit=JOBS_LOOKED_AT)
    sample = sample_of(visit, detail.id)
    scale = query.scale
    logs, span = paged(detail.partitions, query.page, lambda page: _address(visit, scale, page), PARTITION_ROWS)
    tiering = detail.effective_configs["remote.storage.enable"] == "true"
    policy = detail.effective_configs["cleanup.policy"]
    refused = why_not(visit, Right.TOPICS_MANAGE)
    return TopicOverview(
        name=detail.name,
        id=detail.id,
        created_at=detail.created_at,
        partitions=len(detail.partitions),
        records=records_of(detail.partitions),
        hot_bytes=detail.hot_bytes,
        cold_bytes=detail.cold_bytes,
        records_per_s=sample.records_per_s if sample else None,
        bytes_per_s=sample.bytes_per_s if sample else None,
        spark=[round(rate, 3) for rate in sample.spark[-max(sample.watched_minutes, 2) :]] if sample else [],
        last_record_at=time_of_or_none(sample.last_record_at_ms) if sample else None,
        retention_ms=int(parse_value("retention.ms", detail.effective_configs["retention.ms"])),
        retention_bytes=int(parse_value("retention.bytes", detail.effective_configs["retention.bytes"])),
        cleanup_policy=policy,
        tiering=tiering,
        scale=scale,
        logs=list(logs),
        newest=[_newest(sample, log.partition) for log in logs],
        pictures=pictures(logs, scale),
        span=span,
        jobs=[job_view(job) for job in jobs_of(jobs, detail.id)[:JOBS_SHOWN]],
        as_of=time_of(visit.now_ms),
        figures_missing_because=detail.figures_missing_because,
        manage_refused=refused,
        offload_refused=refused or ("" if tiering else "Tiering is off for this topic."),
        compact_refused=refused or ("" if "compact" in policy else "The cleanup policy is delete."),
    )


def sample_of(visit: Visit, topic_id: str) -> TopicSample | None:
    """What the sampler saw of the topic last."""
    sample = visit.call.services.sampler.latest(visit.call.namespace.id)
    return None if sample is None else sample.topics.get(UUID(topic_id))


def records_of(partitions: Sequence[schemas.PartitionView]) -> int | None:
    """Offsets between log start and end: where compaction took records, an upper bound."""
    return total(
        None if each.end is None or each.log_start is None else each.end - each.log_start for each in partitions
    )


def jobs_of(jobs: Sequence[JobEntry], topic_id: str) -> list[JobEntry]:
    """Those that somebody began for this topic, in the order given."""
    return [job for job in jobs if job.kind in SHOWN_KINDS and job.payload.get("topic_id") == topic_id]


async def offload_now(visit: Visit, fields: Fields) -> Redirect:
    await topic_routes.offload_topic(visit.call, schemas.Offload(drop_local=fields.switch("drop_local")))
    return Redirect(OVERVIEW.url(**visit.path), "job-started")


async def compact_now(visit: Visit, fields: Fields) -> Redirect:
    await topic_routes.compact_topic(visit.call)
    return Redirect(OVERVIEW.url(**visit.path), "job-started")


def _newest(sample: TopicSample | None, partition: int) -> datetime | None:
    if sample is None or partition >= len(sample.partitions):
        return None
    return time_of_or_none(sample.partitions[partition].newest_ms)


def _address(visit: Visit, scale: Scale, page: int) -> str:
    return OVERVIEW.url(**visit.path, scale=None if scale == "offsets" else scale, page=None if page == 1 else page)


OVERVIEW = Page(
    name="topic_overview",
    path=f"{TOPIC_PATH}/overview",
    title="{topic}",
    template="pages/topic_overview.html",
    handler=show_overview,
    needs=Right.NAMESPACE_VIEW,
    query=OverviewQuery,
    section="topics",
)
PAGES = (OVERVIEW,)
ACTIONS = (
    Action(
        name="offload_topic_now",
        path=f"{TOPIC_PATH}/offload",
        page=OVERVIEW,
        handler=offload_now,
        needs=Right.TOPICS_MANAGE,
    ),
    Action(
        name="compact_topic_now",
        path=f"{TOPIC_PATH}/compact",
        page=OVERVIEW,
        handler=compact_now,
        needs=Right.TOPICS_MANAGE,
    ),
)
