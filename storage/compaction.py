"""What a pass of compaction over one log covers, and when one is due.

Always true: pure; only sealed segments are covered, durable and checkpointed, wholly at or above the cold end; the
newest offset of each key is looked for in [dirty_from, dirty_to), and every covered segment below `dirty_to` is
rewritten, oldest first. A tombstone may go only when the log has nothing older than what is covered, since the value
that it hides could be there.
"""

from collections.abc import Sequence
from typing import NamedTuple

from .config import LogConfig
from .readable_log import SealedSegment
from .retention import newest_ms

DIRTY_BYTES_MAX, DIRTY_SEGMENTS_MAX = 4 * 2**30, 1_000  # of one pass: what is above is the next one's


class CompactionPlan(NamedTuple):
    """The segments of one pass. `targets` are all that may be rewritten, `dirty` those of them that are not clean."""

    targets: tuple[SealedSegment, ...]
    dirty: tuple[SealedSegment, ...]
    dirty_from: int
    dirty_to: int
    tombstones_may_go: bool

    @property
    def dirty_bytes(self) -> int:
        return sum(segment.size_bytes for segment in self.dirty)

    @property
    def dirty_ratio(self) -> float:
        """Which part of what may be rewritten is not clean, from 0 to 1."""
        total = sum(segment.size_bytes for segment in self.targets)
        return self.dirty_bytes / total if total else 0.0


def plan_compaction(
    sealed: Sequence[SealedSegment],
    config: LogConfig,
    now_ms: int,
    *,
    clean_below: int,
    checkpointed: int,
    log_start: int,
    cold_end: int,
) -> CompactionPlan:
    """What one pass would cover.

    Args:
        sealed: The durable sealed segments; those that end above `checkpointed` wait.
        clean_below: What an earlier pass has covered. Of the rest, `min.compaction.lag.ms` lets the young ones wait.
        cold_end: Where the last cold segment ends: what begins below is not covered.
    """
    found: list[SealedSegment] = []
    dirty: list[SealedSegment] = []
    dirty_bytes = 0
    for segment in sealed:
        if segment.base < cold_end or segment.end <= log_start:
            found.clear()  # never a hole in what is covered
            dirty.clear()
            dirty_bytes = 0
            continue
        is_dirty = segment.end > clean_below
        young = config.min_compaction_lag_ms > 0 and now_ms - newest_ms(segment) < config.min_compaction_lag_ms
        full = dirty and (dirty_bytes + segment.size_bytes > DIRTY_BYTES_MAX or len(dirty) == DIRTY_SEGMENTS_MAX)
        if segment.end > checkpointed or (is_dirty and (young or full)):
            break
        found.append(segment)
        if is_dirty:
            dirty.append(segment)
            dirty_bytes += segment.size_bytes
    if not found:
        return CompactionPlan((), (), clean_below, clean_below, False)
    dirty_to = found[-1].end
    dirty_from = min(max(clean_below, found[0].base), dirty_to)
    return CompactionPlan(tuple(found), tuple(dirty), dirty_from, dirty_to, found[0].base <= log_start)


def is_due(plan: CompactionPlan, config: LogConfig, now_ms: int) -> bool:
    """Whether a pass is worth it by `min.cleanable.dirty.ratio`, or owed by `max.compaction.lag.ms`."""
    if not plan.dirty:
        return False
    if plan.dirty_ratio >= config.min_cleanable_dirty_ratio:
        return True
    oldest = plan.dirty[0]
    since_ms = oldest.first_timestamp_ms if oldest.first_timestamp_ms >= 0 else oldest.sealed_at_ms
    return now_ms - since_ms >= config.max_compaction_lag_ms
