"""What needs somebody's attention in a namespace, from figures alone: no clock, no broker, no database.

Always true: a finding says what is the matter, why that matters, what to do, and where; what is not known is no finding
of its own, but for a broker that cannot be asked; the most pressing come first.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote
from uuid import UUID

from msgspec import Struct

from ..tenants.catalogue import NamespaceEntry
from ..tenants.overview import Holdings, KeyUse
from .figures import GroupFigures
from .samples import NamespaceSample, TopicSample

DAY_MS = 86_400_000
NAMED = 3  # things that one finding names; the others are counted
LIMIT_SHARE = 0.8
BEHIND_MINUTES = 10  # a group that is this far behind is not a group that is about to catch up
BEHIND_RECORDS = 100
NOBODY = ("Empty", "Dead")

Urgency = Literal["now", "soon", "sometime"]
_ORDER: tuple[Urgency, ...] = ("now", "soon", "sometime")


class Finding(Struct, kw_only=True):
    """`to` is where it is dealt with, `link` what that is called; both empty where nothing can be done here."""

    urgency: Urgency
    what: str
    why: str
    remedy: str
    to: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """`keys` soon expire or are not used; `settled` are topics that are old enough to have had a record."""

    base: str
    now_ms: int
    namespace: NamespaceEntry
    holds: Holdings
    sample: NamespaceSample
    keys: Sequence[KeyUse]
    settled: frozenset[UUID]
    manages: bool


def findings(figures: Figures) -> list[Finding]:
    """All there is to say, the most pressing first."""
    found = [
        *_suspended(figures),
        *_unreachable(figures),
        *_groups(figures),
        *_keys_that_expire(figures),
        *_limits(figures),
        *_idle_keys(figures),
        *_empty_topics(figures),
    ]
    return sorted(found, key=lambda finding: _ORDER.index(finding.urgency))


def _suspended(figures: Figures) -> Iterator[Finding]:
    if figures.namespace.suspended:
        yield Finding(
            urgency="now",
            what="The namespace is suspended",
            why="No key works, so nothing is produced or consumed. Nothing is lost.",
            remedy="Resume it, or its tenant, when the reason is gone.",
            **_link(figures, "settings", "Settings", figures.manages),
        )


def _unreachable(figures: Figures) -> Iterator[Finding]:
    sample = figures.sample
    if sample.missing_because and not figures.namespace.suspended:
        yield Finding(
            urgency="now" if not sample.as_of_ms or _age_ms(figures) > 60_000 else "soon",
            what="Figures of the broker are missing",
            why=f"{_sentence(sample.missing_because)} What is shown may be old or incomplete.",
            remedy="Producers and consumers may be affected too. If this stays, ask whoever runs the platform.",
        )


def _age_ms(figures: Figures) -> int:
    return figures.now_ms - figures.sample.as_of_ms


def _groups(figures: Figures) -> Iterator[Finding]:
    topics = {topic.name: topic for topic in figures.sample.topics.values()}
    behind = [(minutes, group) for group in figures.sample.groups if (minutes := minutes_behind(group, topics))]
    gone = [group for _, group in behind if group.state in NOBODY]
    slow = [(minutes, group) for minutes, group in behind if group.state not in NOBODY]
    if slow:
        most = max(minutes for minutes, _ in slow)
        span = "an hour or more" if most >= 60 else f"{most} minutes"
        names = _names(group.group for _, group in slow)
        yield Finding(
            urgency="now",
            what=f"{_counted(len(slow), 'consumer group')} {'is' if len(slow) == 1 else 'are'} behind: {names}",
            why=f"The records that wait are those of the last {span}: more comes in than is read.",
            remedy="Add consumers, as far as there are partitions for them, or look at what slows them.",
            **_link(figures, "topics", "Topics"),
        )
    if gone:
        lag = sum(group.lag or 0 for group in gone)
        yield Finding(
            urgency="soon",
            what=f"{_counted(len(gone), 'consumer group')} without a consumer: {_names(group.group for group in gone)}",
            why=f"{lag:,} records wait, and nobody reads them. Retention takes them one day, read or not.",
            remedy="Start the consumers again. A group that is no longer needed can be deleted by any Kafka client.",
            **_link(figures, "topics", "Topics"),
        )


def minutes_behind(group: GroupFigures, topics: "dict[str, TopicSample]") -> int:
    """How far back in time the records lie that a group has still to read, if that is far: else 0. 60 is "or more".

    Judged by what came into each topic minute by minute, as far back as it was watched.
    """
    return max((_behind_in(topics.get(name), lag) for name, lag in group.topics.items() if lag is not None), default=0)


def _behind_in(topic: TopicSample | None, lag: int) -> int:
    if topic is None or lag < BEHIND_RECORDS:
        return 0
    waiting = float(lag)
    for minutes, count in enumerate(reversed(topic.activity.record_counts[-topic.watched_minutes :]), start=1):
        waiting -= count
        if waiting <= 0:
            return minutes if minutes >= BEHIND_MINUTES else 0
    return topic.watched_minutes if topic.watched_minutes >= BEHIND_MINUTES else 0


def _keys_that_expire(figures: Figures) -> Iterator[Finding]:
    keys = sorted(
        (
            key
            for key in figures.keys
            if key.expires_at_ms is not None and key.expires_at_ms <= figures.now_ms + 7 * DAY_MS
        ),
        key=lambda key: key.expires_at_ms or 0,
    )
    if keys:
        first_ms = (keys[0].expires_at_ms or 0) - figures.now_ms
        yield Finding(
            urgency="now" if first_ms < DAY_MS else "soon",
            what=f"{_counted(len(keys), 'key')} {'expires' if len(keys) == 1 else 'expire'} within 7 days: "
            f"{_names(key.name for key in keys)}",
            why=f"The first stops in {_span(first_ms)}, and whatever still uses it is cut off.",
            remedy="Rotate: the new key works at once, and the old one goes on until it expires.",
            **_link(figures, "keys", "API keys"),
        )


def _idle_keys(figures: Figures) -> Iterator[Finding]:
    keys = [key for key in figures.keys if (key.last_used_at_ms or key.created_at_ms) < figures.now_ms - 30 * DAY_MS]
    if keys:
        yield Finding(
            urgency="sometime",
            what=f"{_counted(len(keys), 'key')} not used for 30 days: {_names(key.name for key in keys)}",
            why="A key that nobody needs is a key that somebody may find.",
            remedy="Revoke those that nobody misses.",
            **_link(figures, "keys", "API keys"),
        )


def _limits(figures: Figures) -> Iterator[Finding]:
    namespace, holds = figures.namespace, figures.holds
    for what, used, most in (
        ("topics", holds.topics, namespace.topics_max),
        ("partitions", holds.partitions, namespace.partitions_max),
    ):
        if most and used >= LIMIT_SHARE * most:
            full = used >= most
            yield Finding(
                urgency="now" if full else "soon",
                what=f"{used:,} of {most:,} {what} {'are used: none is left' if full else 'are used'}",
                why=f"At {most:,} {what} the namespace refuses to make more.",
                remedy="Delete what is not needed, or ask a platform administrator for a higher limit.",
                **_link(figures, "settings", "Settings", figures.manages),
            )


def _empty_topics(figures: Figures) -> Iterator[Finding]:
    names = sorted(
        topic.name
        for topic_id, topic in figures.sample.topics.items()
        if topic_id in figures.settled and all(partition.end == 0 for partition in topic.partitions)
    )
    if names:
        one = len(names) == 1
        yield Finding(
            urgency="sometime",
            what=f"{_counted(len(names), 'topic')} without a record ever: {_names(names)}",
            why=f"{'It has' if one else 'They have'} been there for a day or longer, and nothing was written.",
            remedy="See whether the producer writes to another name, or delete what nobody needs.",
            **(
                _link(figures, f"topics/{quote(names[0], safe='')}/overview", "The topic")
                if one
                else _link(figures, "topics", "Topics")
            ),
        )


def _link(figures: Figures, path: str, label: str, allowed: bool = True) -> dict[str, str]:
    return {"to": f"{figures.base}/{path}", "link": label} if allowed else {}


def _names(names: Iterable[str]) -> str:
    all_ = list(names)
    more = len(all_) - NAMED
    return ", ".join(all_[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _span(ms: int) -> str:
    hours = max(0, ms) // 3_600_000
    return "less than an hour" if hours < 1 else f"{hours} h" if hours < 48 else f"{hours // 24} days"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
