"""The manifest: which cold objects exist, whose they are and how far each has come.

Always true: an object is named by a row before its first byte is sent, until the store confirmed that the object is
gone; so no crash can leave an object that nobody will delete. Keys are never used twice. COMMITTED rows of a partition
do not overlap. `storage` knows the manifest only as the `Manifest` protocol; the database behind it, and its clock,
belong to whoever implements it. The states and their order are those of the lifecycle below.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class SegmentState(StrEnum):
    """Where a cold object stands. A row that is gone has no state: it does not exist."""

    PREPARED = "prepared"
    COMMITTED = "committed"
    MARKED = "marked"


NEXT: Mapping[SegmentState, frozenset[SegmentState]] = {
    SegmentState.PREPARED: frozenset({SegmentState.COMMITTED, SegmentState.MARKED}),  # an upload, or its time ran out
    SegmentState.COMMITTED: frozenset({SegmentState.MARKED}),  # retention, replacement, the topic was deleted
    SegmentState.MARKED: frozenset(),  # only forgetting is left, and only once the store confirmed the deletion
}
FORGETTABLE = frozenset({SegmentState.MARKED})


def may_become(now: SegmentState, to: SegmentState) -> bool:
    """Whether a row may move between these states. Staying put is no move: each method says what it does then."""
    return to in NEXT[now]


class ManifestError(Exception):
    """The manifest refused, and nothing was changed."""


class Fenced(ManifestError):
    """The caller no longer leads the partition (its leader epoch is not the row's), or the topic is gone."""


class PrepareExpired(ManifestError):
    """The row is no longer PREPARED, or its time to live has passed: the object is garbage and will be collected."""


class RangeTaken(ManifestError):
    """A COMMITTED row of the partition already covers some of these offsets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdSegment:
    """One row: offsets [base, end) of a partition, and the object that holds them.

    Sizes and timestamps are zero until the row is committed, and stay as committed afterwards. Timestamps are -1 when
    no record has one: `committed_at_ms`, by the clock of whoever noted it, then says how old the segment is.
    """

    object_id: UUID
    topic_id: UUID
    partition: int
    base: int
    end: int
    leader_epoch: int
    key: str
    size_bytes: int = 0
    tail_bytes: int = 0
    raw_bytes: int = 0
    first_timestamp_ms: int = 0
    max_timestamp_ms: int = 0
    committed_at_ms: int = field(default=0, compare=False)
    state: SegmentState = SegmentState.PREPARED

    @property
    def was_committed(self) -> bool:
        """Whether readers may ever have been sent to this object. (No object is empty: the footer alone has a size.)"""
        return self.size_bytes > 0


def segment_key(
    cluster_id: str, topic_id: UUID, partition: int, base: int, end: int, leader_epoch: int, object_id: UUID
) -> str:
    """The key of a segment object: ids only, since names change hands, and fresh with every attempt."""
    return f"v1/{cluster_id}/{topic_id}/{partition}/{base:020d}-{end:020d}-{leader_epoch}-{object_id.hex}.seg"


class Manifest(Protocol):
    """What offload, retention and collection ask of the metadata database.

    Times are the database's own. Any exception other than a `ManifestError` means that the outcome is unknown: the
    change may have been made. After such a `commit`, ask `state_of` before deciding anything.
    """

    async def prepare(
        self, topic_id: UUID, partition: int, leader_epoch: int, base: int, end: int, ttl_ms: int
    ) -> ColdSegment:
        """A new PREPARED row with a fresh object id and key (`segment_key`), expiring after `ttl_ms`. Raises Fenced."""
        ...

    async def commit(self, segment: ColdSegment) -> None:
        """PREPARED -> COMMITTED, storing the sizes and timestamps that `segment` now has.

        One transaction that locks the partition row until it ends, requires `segment.leader_epoch` to be the row's, the
        row PREPARED and unexpired, and no COMMITTED row that overlaps. Committing what is already COMMITTED succeeds.
        Raises Fenced, PrepareExpired, RangeTaken.
        """
        ...

    async def state_of(self, object_id: UUID) -> SegmentState | None:
        """The row's state; None when there is no such row."""
        ...

    async def committed(self, topic_id: UUID, partition: int) -> list[ColdSegment]:
        """The partition's COMMITTED rows, ascending by base."""
        ...

    async def advance_log_start(self, topic_id: UUID, partition: int, leader_epoch: int, offset: int) -> int:
        """Moves the partition's log start up to `offset`, never down; answers where it is now. Raises Fenced."""
        ...

    async def mark(self, segments: Sequence[ColdSegment], *, leader_epoch: int) -> None:
        """COMMITTED -> MARKED for rows of one or more partitions that the caller leads in `leader_epoch`.

        Locks each partition row first, in (topic id, partition) order. Rows already MARKED or gone are left as they
        are. Raises Fenced, and then marks nothing.
        """
        ...

    async def mark_topic(self, topic_id: UUID) -> int:
        """Marks every PREPARED and COMMITTED row of a deleted topic; answers how many rows that was.

        From then on `prepare` and `commit` for the topic raise Fenced, so that nothing appears behind its back.
        """
        ...

    async def expire_prepared(self) -> int:
        """PREPARED rows past their time to live -> MARKED; answers how many."""
        ...

    async def marked(self, limit: int, older_than_ms: int) -> list[ColdSegment]:
        """Up to `limit` rows that have been MARKED for at least `older_than_ms`, longest marked first."""
        ...

    async def forget(self, object_ids: Collection[UUID]) -> None:
        """Deletes those of the rows that are MARKED. Only for objects that the store confirmed gone."""
        ...
