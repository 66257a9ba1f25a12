"""What a broker says of topics and groups, as plain values.

Always true: None means that the broker did not say; a sum with an unknown part is None, for half a sum would be a wrong
answer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

PartitionName = tuple[str, int]  # topic and index


@dataclass(frozen=True, slots=True)
class PartitionFigures:
    """Offsets of one partition, its bytes per tier, and the timestamp of its newest record.

    `newest_ms` was looked up when the partition ended at `newest_end`; where the broker could not tell it, it is what
    was found before that, or None. It outlives the record.
    """

    log_start: int | None
    local_start: int | None
    end: int | None
    hot_bytes: int | None
    cold_bytes: int | None
    newest_ms: int | None = None
    newest_end: int | None = None

    @property
    def records(self) -> int | None:
        """Offsets from the log start to the end: the records, and where compaction took some, an upper bound."""
        return None if self.end is None or self.log_start is None else max(0, self.end - self.log_start)

    @property
    def is_complete(self) -> bool:
        return None not in (self.log_start, self.local_start, self.end, self.hot_bytes, self.cold_bytes)


NOTHING_KNOWN = PartitionFigures(None, None, None, None, None)


@dataclass(frozen=True, slots=True)
class TopicFigures:
    """A topic's partitions, by index."""

    partitions: tuple[PartitionFigures, ...]

    @property
    def hot_bytes(self) -> int | None:
        return total(partition.hot_bytes for partition in self.partitions)

    @property
    def cold_bytes(self) -> int | None:
        return total(partition.cold_bytes for partition in self.partitions)

    @property
    def records(self) -> int | None:
        return total(partition.records for partition in self.partitions)

    @property
    def last_record_at_ms(self) -> int | None:
        """The newest timestamp that is known of any partition."""
        return max((newest for each in self.partitions if (newest := each.newest_ms) is not None), default=None)

    @property
    def is_complete(self) -> bool:
        return all(partition.is_complete for partition in self.partitions)


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """A consumer group. `members` is None where the broker did not say, `lag` where it cannot be known.

    `topics` has the lag in each topic with committed offsets, `partitions` how many partitions those offsets are of.
    """

    group: str
    state: str
    members: int | None
    lag: int | None
    topics: Mapping[str, int | None] = field(default_factory=dict)
    partitions: int = 0


@dataclass(frozen=True, slots=True)
class NamespaceFigures:
    """All topics that were asked for, by name, and the groups; `groups` is None where they could not be asked for.

    `cost_s` is about how much of a core console and broker together spent on it.
    """

    topics: Mapping[str, TopicFigures]
    groups: tuple[GroupFigures, ...] | None = None
    groups_missing_because: str | None = None
    cost_s: float = 0.0


def total(parts: Iterable[int | None]) -> int | None:
    """The sum, or None when a part is unknown."""
    found = 0
    for part in parts:
        if part is None:
            return None
        found += part
    return found


def group_figures(
    group: str,
    state: str,
    members: int | None,
    committed: Mapping[PartitionName, int] | None,
    ends: Mapping[PartitionName, int],
) -> GroupFigures:
    """Lag is what lies between the committed offset and the end, of every partition with a commit.

    Without any commit it is unknown: where such a group will begin is decided by its clients.
    """
    if not committed:
        return GroupFigures(group, state, members, None)
    lags: dict[str, list[int | None]] = {}
    for (topic, index), offset in committed.items():
        end = ends.get((topic, index))
        lags.setdefault(topic, []).append(None if end is None else max(0, end - offset))
    topics = {topic: total(parts) for topic, parts in sorted(lags.items())}
    return GroupFigures(group, state, members, total(topics.values()), topics, len(committed))


@dataclass(frozen=True, slots=True)
class Growth:
    """What came into a topic between two looks; None where it cannot be told."""

    records: int | None
    size_bytes: int | None


def growth_of_topic(before: TopicFigures, after: TopicFigures) -> Growth:
    """A partition that the topic did not have before counts from its beginning."""
    parts = [
        growth_of_partition(before.partitions[index] if index < len(before.partitions) else EMPTY, now)
        for index, now in enumerate(after.partitions)
    ]
    return Growth(total(part.records for part in parts), total(part.size_bytes for part in parts))


def growth_of_partition(before: PartitionFigures, after: PartitionFigures) -> Growth:
    """Never negative, whatever retention, eviction, compaction or a truncation took in between.

    Bytes are the growth of the local log where nothing was taken from its front; else they are estimated: new records
    times the mean size of those that are there.
    """
    if before is after:
        return NOTHING_GREW
    if before.end is None or after.end is None:
        return Growth(None, None)
    records = max(0, after.end - before.end)
    if before.hot_bytes is None or after.hot_bytes is None or after.local_start is None:
        return Growth(records, None)
    grown = after.hot_bytes - before.hot_bytes
    if grown >= 0 and before.local_start == after.local_start and (grown or not records):
        return Growth(records, grown)
    local_records = after.end - after.local_start
    return Growth(records, after.hot_bytes * records // local_records if local_records > 0 else max(0, grown))


NOTHING_GREW = Growth(0, 0)
EMPTY = PartitionFigures(0, 0, 0, 0, 0)
