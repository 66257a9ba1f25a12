"""The topics of a namespace: found by part of their name, in any order, fifty to a page; all of it in the address.

Always true: no broker is asked, figures are those of the sampler's last look; what is not known comes after what is,
whichever way the list is ordered.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from ...tenants.catalogue import TopicEntry
from ...tenants.rights import Right
from ...tenants.topic_configs import DEFINITIONS, Value, parse_value
from ..samples import NamespaceSample, TopicSample
from ..schemas import time_of, time_of_or_none
from ..scopes import scope_of
from .navigation import NAMESPACE_PATH
from .page import Page, Query, View, Visit
from .paging import Span, paged
from .refusals import why_not

NOT_LOOKED_YET = "the console has not looked at this namespace yet; it does every few seconds"
DEFAULT_ORDER = "name"


class TopicsQuery(Query):
    """`order` is a column, `-` before it turns it round."""

    q: str = ""
    order: str = DEFAULT_ORDER
    page: int = 1


class TopicRow(Struct, kw_only=True):
    """One topic of the list; figures are None where they are not known."""

    name: str
    partitions: int
    hot_bytes: int | None
    cold_bytes: int | None
    records_per_s: float | None
    spark: list[float]
    last_record_at: datetime | None
    retention_ms: int
    retention_bytes: int
    cleanup_policy: str


class TopicsView(View):
    """`topics_total` are in the namespace, `span.total` of them fit the filter, `rows` are those of this page."""

    rows: list[TopicRow]
    topics_total: int
    span: Span
    q: str
    order: str
    as_of: datetime | None
    figures_missing_because: str | None
    manage_refused: str


Topics = Sequence[tuple[TopicEntry, TopicSample | None]]
Key = Callable[[TopicEntry, TopicSample | None, Mapping[str, str]], Any]


def _config(name: str) -> Key:
    return lambda entry, sample, defaults: effective(entry, defaults, name)


def _limit(name: str) -> Key:
    """As `_config`, no limit being more than any."""

    def key(entry: TopicEntry, sample: TopicSample | None, defaults: Mapping[str, str]) -> float:
        value = int(effective(entry, defaults, name))
        return float("inf") if value < 0 else value

    return key


ORDERS: Mapping[str, Key] = {
    "name": lambda entry, sample, defaults: entry.name,
    "partitions": lambda entry, sample, defaults: entry.partitions,
    "hot": lambda entry, sample, defaults: sample and sample.hot_bytes,
    "cold": lambda entry, sample, defaults: sample and sample.cold_bytes,
    "rate": lambda entry, sample, defaults: sample and sample.records_per_s,
    "last": lambda entry, sample, defaults: sample and sample.last_record_at_ms,
    "retention": _limit("retention.ms"),
    "policy": _config("cleanup.policy"),
}


async def show_topics(visit: Visit, query: TopicsQuery) -> TopicsView:
    async with visit.call.database.read() as session:
        entries = await (await scope_of(session, visit.call)).topics()
    namespace = visit.call.namespace
    sample = visit.call.services.sampler.latest(namespace.id) or NamespaceSample(missing_because=NOT_LOOKED_YET)
    order = query.order if query.order.removeprefix("-") in ORDERS else DEFAULT_ORDER
    found = matching(entries, query.q)
    ordered = in_order([(entry, sample.topics.get(entry.id)) for entry in found], order, namespace.defaults)
    shown, span = paged(ordered, query.page, lambda page: _address(visit, query.q, order, page))
    return TopicsView(
        rows=[topic_row(entry, known, namespace.defaults) for entry, known in shown],
        topics_total=len(entries),
        span=span,
        q=query.q,
        order=order,
        as_of=time_of(sample.as_of_ms) if sample.as_of_ms else None,
        figures_missing_because=sample.missing_because,
        manage_refused=why_not(visit, Right.TOPICS_MANAGE),
    )


def matching(entries: Sequence[TopicEntry], part: str) -> list[TopicEntry]:
    """Those whose name holds the text, whatever the case."""
    wanted = part.strip().lower()
    return [entry for entry in entries if wanted in entry.name.lower()]


def in_order(topics: Topics, order: str, defaults: Mapping[str, str]) -> Topics:
    """By the column; equals by name; what is not known last."""
    column, turned = order.removeprefix("-"), order.startswith("-")
    keyed = [(ORDERS[column](entry, sample, defaults), (entry, sample)) for entry, sample in topics]
    known = [(key, topic) for key, topic in keyed if key is not None]
    known.sort(key=lambda pair: pair[1][0].name)
    known.sort(key=lambda pair: pair[0], reverse=turned)
    return [topic for _, topic in known] + [topic for key, topic in keyed if key is None]


def topic_row(entry: TopicEntry, sample: TopicSample | None, defaults: Mapping[str, str]) -> TopicRow:
    return TopicRow(
        name=entry.name,
        partitions=entry.partitions,
        hot_bytes=sample.hot_bytes if sample else None,
        cold_bytes=sample.cold_bytes if sample else None,
        records_per_s=sample.records_per_s if sample else None,
        spark=[round(rate, 3) for rate in sample.spark[-max(sample.watched_minutes, 2) :]] if sample else [],
        last_record_at=time_of_or_none(sample.last_record_at_ms) if sample else None,
        retention_ms=int(effective(entry, defaults, "retention.ms")),
        retention_bytes=int(effective(entry, defaults, "retention.bytes")),
        cleanup_policy=str(effective(entry, defaults, "cleanup.policy")),
    )


def effective(entry: TopicEntry, defaults: Mapping[str, str], name: str) -> Value:
    """One config as it acts: the topic's, else the namespace's, else the platform's."""
    text = entry.configs.get(name, defaults.get(name))
    return DEFINITIONS[name].default if text is None else parse_value(name, text)


def _address(visit: Visit, q: str, order: str, page: int) -> str:
    """What is as it would be anyway is left out."""
    return TOPICS.url(
        **visit.path,
        q=q or None,
        order=None if order == DEFAULT_ORDER else order,
        page=None if page == 1 else page,
    )


TOPICS = Page(
    name="topics",
    path=f"{NAMESPACE_PATH}/topics",
    title="Topics",
    template="pages/topics.html",
    handler=show_topics,
    needs=Right.NAMESPACE_VIEW,
    query=TopicsQuery,
    section="topics",
)
PAGES = (TOPICS,)
