"""Committed offsets of one group, by topic id and partition.

Always true: what can be read here is durable. A commit is announced (`begin`) when it goes to the log and becomes
visible (`finish`) when the log says that it is durable; the log finishes changes in the order in which it took them,
so the last commit wins (D4 in docs/durability.md; Kafka keeps pending commits aside in the same way).
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from .limits import utf8_bytes

OFFSET_BYTES = 160  # what one committed offset costs beside metadata and group id, roughly, in memory and on disk


class Committed(NamedTuple):
    offset: int
    leader_epoch: int
    metadata: str
    committed_at_ms: int
    expires_at_ms: int = -1  # only when the client named a retention (OffsetCommit v2 to v4)


class TopicPartition(NamedTuple):
    topic_id: UUID
    partition: int


class Change(NamedTuple):
    """`committed` None: the offset is forgotten."""

    where: TopicPartition
    committed: Committed | None


class Offsets:
    def __init__(self, group_id_bytes: int) -> None:
        """`group_id_bytes` is the length of the group's id, which every offset's record repeats."""
        self._each_bytes = OFFSET_BYTES + group_id_bytes
        self._topics: dict[UUID, dict[int, Committed]] = {}
        self._in_flight: dict[TopicPartition, int] = {}
        self.count = 0
        self.size_bytes = 0

    @property
    def in_flight(self) -> bool:
        return bool(self._in_flight)

    def get(self, where: TopicPartition) -> Committed | None:
        partitions = self._topics.get(where.topic_id)
        return partitions.get(where.partition) if partitions is not None else None

    def __iter__(self) -> Iterator[tuple[TopicPartition, Committed]]:
        for topic_id, partitions in self._topics.items():
            for partition, committed in partitions.items():
                yield TopicPartition(topic_id, partition), committed

    def topic_ids(self) -> Collection[UUID]:
        return self._topics.keys()

    def growth_bytes(self, changes: Sequence[Change]) -> int:
        """How much larger the group would be at most, were these durable."""
        return sum(self._cost_bytes(change.committed) - self._cost_bytes(self.get(change.where)) for change in changes)

    def begin(self, changes: Sequence[Change]) -> None:
        for where, _ in changes:
            self._in_flight[where] = self._in_flight.get(where, 0) + 1

    def finish(self, changes: Sequence[Change], *, durable: bool) -> None:
        """These are durable now, or never will be."""
        for change in changes:
            left = self._in_flight[change.where] - 1
            if left:
                self._in_flight[change.where] = left
            else:
                del self._in_flight[change.where]
        if durable:
            self.apply(changes)

    def apply(self, changes: Sequence[Change]) -> None:
        for where, committed in changes:
            partitions = self._topics.get(where.topic_id)
            if partitions is None:
                if committed is None:
                    continue
                partitions = self._topics[where.topic_id] = {}
            before = partitions.pop(where.partition, None)
            if committed is not None:
                partitions[where.partition] = committed
            elif not partitions:
                del self._topics[where.topic_id]
            self.count += (committed is not None) - (before is not None)
            self.size_bytes += self._cost_bytes(committed) - self._cost_bytes(before)

    def forgetting(self, topic_ids: Collection[UUID] | None = None) -> list[Change]:
        """What forgets every offset (of these topics), those on their way to the log included."""
        if topic_ids is None:
            known = [where for where, _ in self]
        else:
            known = [
                TopicPartition(topic_id, partition)
                for topic_id in topic_ids
                for partition in self._topics.get(topic_id, ())
            ]
        coming = [where for where in self._in_flight if topic_ids is None or where.topic_id in topic_ids]
        return [Change(where, None) for where in dict.fromkeys([*known, *coming])]

    def expired(self, *, empty_since_ms: int, retention_ms: int, now_ms: int) -> list[Change]:
        """What to forget of a group that has had no members since `empty_since_ms` (0: it never had any).

        Counted from the later of that and the commit, so that an administrator's reset of a long idle group stays; by
        the client's own retention where it named one (KIP-211 kept that for old clients). An offset with a newer
        commit on its way stays.
        """
        return [
            Change(where, None)
            for where, committed in self
            if where not in self._in_flight and self._expires_at_ms(committed, empty_since_ms, retention_ms) <= now_ms
        ]

    def _cost_bytes(self, committed: Committed | None) -> int:
        return self._each_bytes + utf8_bytes(committed.metadata) if committed is not None else 0

    @staticmethod
    def _expires_at_ms(committed: Committed, empty_since_ms: int, retention_ms: int) -> int:
        if committed.expires_at_ms >= 0:
            return committed.expires_at_ms
        return max(committed.committed_at_ms, empty_since_ms) + retention_ms
