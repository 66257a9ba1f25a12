"""What is asked of whoever rewrites a segment, and what is answered: values that also travel between processes.

Always true: a request may be repeated, also by another process than the one before: what is written lies beside the
segment, under names that the next request, or recovery, replaces or removes.
"""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

CLEANED_SUFFIX = ".cleaned"


class CompactionFailed(Exception):
    """A segment could not be rewritten; the log is as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFile:
    """The first `size_bytes` of a `.log` file, which hold [base, end)."""

    path: str
    base: int
    end: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Clean:
    """Rewrite one segment, beside itself.

    Attributes:
        pass_id: The same for all segments of a pass, whose map of keys is then made once.
        dirty: Where the map is made from, oldest first: offsets [dirty_from, dirty_to) of these.
        write: Whether to write `<base>.log.cleaned` and its indexes, or only to count.
        tombstones_may_go: Those whose delete horizon has passed.
        is_last: No other request of this pass follows: the map may be forgotten.
        kept_ends: Last offsets of batches to be kept even without records: the last batch of each producer.
    """

    pass_id: UUID
    dirty: tuple[SegmentFile, ...]
    dirty_from: int
    dirty_to: int
    target: SegmentFile
    write: bool
    now_ms: int
    delete_retention_ms: int
    tombstones_may_go: bool
    kept_ends: tuple[int, ...]
    index_interval_bytes: int
    keys_max: int
    is_last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What a rewritten segment is like.

    Attributes:
        map_end: Where the map ended: at `dirty_to`, or earlier where it was full.
        changed: Whether anything was left out or stamped; else no file was written.
        unreadable: Batches whose records cannot be decoded. They are kept as they are.
    """

    map_end: int
    changed: bool
    records_before: int
    records: int
    bytes_before: int
    size_bytes: int
    unreadable: int
    first_timestamp_ms: int
    max_timestamp_ms: int
    max_timestamp_offset: int


class SegmentCleaner(Protocol):
    """Rewrites segments, elsewhere than on the loop. May be asked the same again."""

    async def clean(self, request: Clean) -> Cleaned:
        """Raises CompactionFailed, ColdWorkerUnavailable."""
        ...
