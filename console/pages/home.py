"""A namespace at a glance: what it holds, what comes in, what needs attention."""

from datetime import datetime

from ...tenants import audit, overview
from ...tenants.rights import Right
from .. import attention, schemas
from ..attention import Finding
from ..samples import NamespaceSample
from .navigation import NAMESPACE_PATH
from .page import Page, View, Visit, address
from .refusals import why_not

TOP_TOPICS = 5
RECENT = 5
GROUPS = 5
SETTLED_MS = 86_400_000  # a topic younger than this may well be without a record
SOON_MS = 7 * 86_400_000
UNUSED_MS = 30 * 86_400_000


class TopTopic(View):
    name: str
    records_per_s: float | None
    bytes_per_s: float | None
    spark: list[float]
    last_record_at: datetime | None


class GroupRow(View):
    group: str
    state: str
    members: int | None
    lag: int | None


class Change(View):
    at: datetime
    actor: str
    action: str
    object_kind: str
    object_name: str


class HomeView(View):
    """Figures are of the last look at the broker, at `as_of`; null where it did not tell."""

    tenant: str
    name: str
    suspended: bool
    bootstrap: str
    topics: int
    topics_max: int
    partitions: int
    partitions_max: int
    keys: int
    records: int | None
    hot_bytes: int | None
    cold_bytes: int | None
    records_per_s: float | None
    bytes_per_s: float | None
    spark: list[float]
    groups: list[GroupRow]
    group_count: int | None
    lag: int | None
    findings: list[Finding]
    top: list[TopTopic]
    changes: list[Change] | None
    as_of: datetime | None
    missing_because: str | None
    first_record_refused: str


async def show_home(visit: Visit) -> HomeView:
    namespace = visit.call.namespace
    sample = await _sample(visit)
    async with visit.call.database.read() as session:
        held = await overview.holdings(session, visit.now_ms, namespace_id=namespace.id)
        keys = await overview.keys_to_look_at(
            session,
            namespace.id,
            visit.now_ms,
            expire_before_ms=visit.now_ms + SOON_MS,
            unused_since_ms=visit.now_ms - UNUSED_MS,
        )
        settled = await overview.topics_made_before(session, namespace.id, visit.now_ms - SETTLED_MS)
        changes = None
        if visit.allows(Right.AUDIT_VIEW):
            changes = await audit.entries(session, namespace_id=namespace.id, limit=RECENT)
    holds = held.get(namespace.id, overview.NOTHING)
    known = sample.as_of_ms > 0
    lags = [group.lag for group in sample.groups if group.lag is not None]
    return HomeView(
        tenant=namespace.tenant,
        name=namespace.name,
        suspended=namespace.suspended,
        bootstrap=visit.call.config.bootstrap,
        topics=holds.topics,
        topics_max=namespace.topics_max,
        partitions=holds.partitions,
        partitions_max=namespace.partitions_max,
        keys=holds.keys,
        records=sample.records if known else None,
        hot_bytes=sample.hot_bytes if known else None,
        cold_bytes=sample.cold_bytes if known else None,
        records_per_s=sample.activity.records_per_s,
        bytes_per_s=sample.activity.bytes_per_s,
        spark=[round(rate, 3) for rate in sample.spark[-max(2, sample.activity.watched_minutes) :]],
        groups=_most_behind(sample),
        group_count=len(sample.groups) if known and not sample.groups_missing_because else None,
        lag=sum(lags) if lags or known else None,
        findings=attention.findings(
            attention.Figures(
                base=address(NAMESPACE_PATH, **visit.path),
                now_ms=visit.now_ms,
                namespace=namespace,
                holds=holds,
                sample=sample,
                keys=keys,
                settled=settled,
                manages=visit.allows(Right.TENANT_MANAGE),
            )
        ),
        top=_top(sample),
        changes=None
        if changes is None
        else [
            Change(
                at=schemas.time_of(entry.at_ms),
                actor=entry.actor_name,
                action=entry.action,
                object_kind=entry.object_kind,
                object_name=entry.object_name,
            )
            for entry in changes
        ],
        as_of=schemas.time_of(sample.as_of_ms) if known else None,
        missing_because=sample.missing_because,
        first_record_refused=why_not(visit, Right.TOPICS_MANAGE) or why_not(visit, Right.KEYS_MANAGE),
    )


async def _sample(visit: Visit) -> NamespaceSample:
    """The latest; a namespace that was never looked at is looked at now."""
    sampler = visit.call.services.sampler
    namespace_id = visit.call.namespace.id
    latest = sampler.latest(namespace_id)
    return latest if latest is not None else await sampler.refreshed(namespace_id, 0)


def _most_behind(sample: NamespaceSample) -> list[GroupRow]:
    groups = sorted(sample.groups, key=lambda group: (-(group.lag or 0), group.group))
    return [
        GroupRow(group=group.group, state=group.state, members=group.members, lag=group.lag)
        for group in groups[:GROUPS]
    ]


def _top(sample: NamespaceSample) -> list[TopTopic]:
    """Those that most comes into now, then those that something came into last."""
    written = [topic for topic in sample.topics.values() if topic.bytes_per_s or topic.last_record_at_ms is not None]
    topics = sorted(
        written,
        key=lambda topic: (-(topic.bytes_per_s or 0), -(topic.last_record_at_ms or 0), topic.name),
    )
    return [
        TopTopic(
            name=topic.name,
            records_per_s=topic.records_per_s,
            bytes_per_s=topic.bytes_per_s,
            spark=[round(rate, 3) for rate in topic.spark[-max(2, topic.watched_minutes) :]],
            last_record_at=schemas.time_of_or_none(topic.last_record_at_ms),
        )
        for topic in topics[:TOP_TOPICS]
    ]


HOME = Page(
    name="home",
    path=f"{NAMESPACE_PATH}/home",
    title="{tenant}/{namespace}",
    template="pages/home.html",
    handler=show_home,
    needs=Right.NAMESPACE_VIEW,
    section="home",
)
PAGES = (HOME,)
ACTIONS = ()
