"""What the console remembers of topics between two looks at the broker: figures, rates, and an hour of history.

Always true: a topic is known by its id, so one that was deleted and made again starts anew; what is no longer in the
catalogue is forgotten with the next look. A topic of three partitions takes about 2 KB while nothing is written to it,
and about 4 KB after an hour of writing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from .figures import (
    NOTHING_KNOWN,
    GroupFigures,
    NamespaceFigures,
    PartitionFigures,
    TopicFigures,
    growth_of_topic,
    total,
)
from .rates import MINUTE_MS, MINUTES, SILENCE, MinuteCounts, per_second


@dataclass(frozen=True, slots=True)
class Activity:
    """Records and bytes that came in: per second between the last two looks (None before there are two), and in each
    of the last 60 minutes. Only the newest `watched_minutes` of those were seen, the others are zero."""

    as_of_ms: int
    watched_minutes: int
    records_per_s: float | None = None
    bytes_per_s: float | None = None
    record_counts: Sequence[float] = field(default_factory=lambda: SILENCE, repr=False)
    byte_counts: Sequence[float] = field(default_factory=lambda: SILENCE, repr=False)

    @property
    def spark(self) -> tuple[float, ...]:
        """Records per second in each of 60 minutes, oldest first."""
        return per_second(self.record_counts, self.as_of_ms)

    @property
    def byte_spark(self) -> tuple[float, ...]:
        """Bytes per second in each of 60 minutes, oldest first."""
        return per_second(self.byte_counts, self.as_of_ms)


@dataclass(frozen=True, slots=True)
class TopicSample:
    """One topic as of one look. Sums are None while a partition's part is unknown."""

    name: str
    figures: TopicFigures
    activity: Activity
    hot_bytes: int | None
    cold_bytes: int | None
    records: int | None
    last_record_at_ms: int | None

    @property
    def partitions(self) -> tuple[PartitionFigures, ...]:
        return self.figures.partitions

    @property
    def records_per_s(self) -> float | None:
        return self.activity.records_per_s

    @property
    def bytes_per_s(self) -> float | None:
        return self.activity.bytes_per_s

    @property
    def spark(self) -> tuple[float, ...]:
        return self.activity.spark

    @property
    def watched_minutes(self) -> int:
        return self.activity.watched_minutes


@dataclass(frozen=True, slots=True)
class NamespaceSample:
    """A namespace's topics, by id, as of one look; `groups` by name.

    With `missing_because` something is not as it should be, in a sentence for the reader: topics are then of the last
    look that came off, at `as_of_ms`, or none when there was none yet (`as_of_ms` 0); likewise groups, which can be
    missing by themselves.
    """

    as_of_ms: int = 0
    topics: Mapping[UUID, TopicSample] = field(default_factory=dict)
    groups: tuple[GroupFigures, ...] = ()
    activity: Activity = field(default_factory=lambda: Activity(0, 0))
    missing_because: str | None = None
    groups_missing_because: str | None = None

    @property
    def hot_bytes(self) -> int | None:
        return total(topic.hot_bytes for topic in self.topics.values())

    @property
    def cold_bytes(self) -> int | None:
        return total(topic.cold_bytes for topic in self.topics.values())

    @property
    def records(self) -> int | None:
        return total(topic.records for topic in self.topics.values())

    @property
    def last_record_at_ms(self) -> int | None:
        known = (topic.last_record_at_ms for topic in self.topics.values())
        return max((at_ms for at_ms in known if at_ms is not None), default=None)

    @property
    def spark(self) -> tuple[float, ...]:
        return self.activity.spark


class ActivityRecord:
    """What came in, look after look."""

    __slots__ = ("_at_ms", "_bytes", "_records", "_since_ms")

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, now_ms: int) -> Activity:
        """With the first look, which has nothing to be compared with."""
        self._since_ms = self._at_ms = now_ms
        self._records, self._bytes = MinuteCounts(), MinuteCounts()
        return Activity(now_ms, 0)

    def add(self, records: int | None, size_bytes: int | None, now_ms: int) -> Activity:
        """What came since the last look. A clock that goes back begins a new history."""
        if now_ms < self._at_ms:
            return self.begin(now_ms)
        span_s = (now_ms - self._at_ms) / 1000
        for counts, amount in ((self._records, records), (self._bytes, size_bytes)):
            counts.add(amount or 0, self._at_ms, now_ms)
        self._at_ms = now_ms
        watched = min(MINUTES, max(0, now_ms // MINUTE_MS - self._since_ms // MINUTE_MS) + 1)
        return Activity(
            now_ms,
            watched,
            None if records is None or span_s <= 0 else records / span_s,
            None if size_bytes is None or span_s <= 0 else size_bytes / span_s,
            self._records.until(now_ms),
            self._bytes.until(now_ms),
        )


class TopicHistory:
    """One topic from the first look at it on."""

    __slots__ = ("_activity", "_baseline", "grown_bytes", "grown_records")

    def __init__(self) -> None:
        self._activity: ActivityRecord | None = None
        self._baseline: TopicFigures | None = None  # what growth is measured from: the last that is known
        self.grown_records: int | None = None  # between the last two looks
        self.grown_bytes: int | None = None

    def look(self, name: str, figures: TopicFigures, now_ms: int) -> TopicSample:
        """Take in what the broker says now."""
        if self._activity is None or self._baseline is None:
            self._activity = ActivityRecord()
            activity = self._activity.begin(now_ms)
        else:
            grown = growth_of_topic(self._baseline, figures)
            self.grown_records, self.grown_bytes = grown.records, grown.size_bytes
            activity = self._activity.add(grown.records, grown.size_bytes, now_ms)
        self._baseline = _last_known(self._baseline, figures)
        return TopicSample(
            name,
            figures,
            activity,
            figures.hot_bytes,
            figures.cold_bytes,
            figures.records,
            figures.last_record_at_ms,
        )


class NamespaceHistory:
    """One namespace: its topics' histories, and its own, which is their sum."""

    def __init__(self) -> None:
        self._topics: dict[UUID, TopicHistory] = {}
        self._activity: ActivityRecord | None = None
        self.sample = NamespaceSample()

    def look(self, topics: Mapping[UUID, str], figures: NamespaceFigures, now_ms: int) -> None:
        """Take in what the broker says of these topics, and forget all others."""
        for gone in self._topics.keys() - topics.keys():
            del self._topics[gone]
        samples: dict[UUID, TopicSample] = {}
        records = size_bytes = 0
        for topic_id, name in topics.items():
            history = self._topics.setdefault(topic_id, TopicHistory())
            samples[topic_id] = history.look(name, figures.topics.get(name, UNKNOWN), now_ms)
            records += history.grown_records or 0
            size_bytes += history.grown_bytes or 0
        if self._activity is None:
            self._activity = ActivityRecord()
            activity = self._activity.begin(now_ms)
        else:
            activity = self._activity.add(records, size_bytes, now_ms)
        complete = all(sample.figures.is_complete for sample in samples.values())
        self.sample = NamespaceSample(
            now_ms,
            samples,
            self.sample.groups if figures.groups is None else figures.groups,
            activity,
            None if complete else "the broker does not answer for every partition yet",
            figures.groups_missing_because,
        )

    def missed(self, because: str) -> None:
        """A look that did not come off: what is known stays, with the reason."""
        kept = self.sample
        self.sample = NamespaceSample(kept.as_of_ms, kept.topics, kept.groups, kept.activity, because, because)

    def known(self, topics: Collection[UUID]) -> NamespaceFigures:
        """What the last look found of these, so that the next need not ask for what cannot have changed. A topic that
        was made again under an old name is not in it."""
        found = {sample.name: sample.figures for at, sample in self.sample.topics.items() if at in topics}
        return NamespaceFigures(found, self.sample.groups)


UNKNOWN = TopicFigures((NOTHING_KNOWN,))


def _last_known(before: TopicFigures | None, now: TopicFigures) -> TopicFigures:
    """What is told now, and for a partition of which nothing is told, what was told last."""
    if before is None or all(partition.end is not None for partition in now.partitions):
        return now
    told, kept = now.partitions, before.partitions
    return TopicFigures(
        tuple(
            told[index] if index < len(told) and (told[index].end is not None or index >= len(kept)) else kept[index]
            for index in range(max(len(told), len(kept)))
        )
    )
