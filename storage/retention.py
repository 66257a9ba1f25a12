"""Which data may go: from local disk, because the cold tier has it, or for good, because its owner asked for that.

Always true: pure functions; the clock is handed in; what goes is a prefix, never beyond what is durable, so a log never
has a hole. Size counts what a reader could see, once: committed cold segments, and of the local ones only what lies
above them; objects whose upload is not committed do not count (KAFKA-17062 deleted too much by counting them).
"""

from collections.abc import Sequence
from typing import Protocol

from .config import LogConfig


class LocalSegment(Protocol):
    """A sealed, durable segment on local disk, as `Log.sealed_segments` gives it."""

    @property
    def base(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def max_timestamp_ms(self) -> int: ...
    @property
    def sealed_at_ms(self) -> int: ...


class CommittedSegment(Protocol):
    """A committed cold segment, as the manifest gives it."""

    @property
    def base(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def raw_bytes(self) -> int: ...
    @property
    def max_timestamp_ms(self) -> int: ...


def plan_local_eviction(
    sealed: Sequence[LocalSegment], cold_end: int, config: LogConfig, now_ms: int, durable: int, active_bytes: int = 0
) -> int:
    """The offset below which sealed segments should leave local disk, for `Log.drop_local_below`; 0 for none.

    `cold_end` is where the committed cold segments end without a gap. -2 for a local limit means the limit of the
    whole topic, as in Kafka. The active segment counts for size and never goes.
    """
    limit_ms = config.retention_ms if config.local_retention_ms == -2 else config.local_retention_ms
    limit_bytes = config.retention_bytes if config.local_retention_bytes == -2 else config.local_retention_bytes
    if not config.tiered:
        return 0
    drop_below = 0
    left_bytes = active_bytes + sum(segment.size_bytes for segment in sealed)
    for segment in sealed:
        if segment.end > min(cold_end, durable):
            break
        too_old = limit_ms >= 0 and now_ms - newest_ms(segment) > limit_ms
        too_much = 0 <= limit_bytes <= left_bytes - segment.size_bytes
        if not too_old and not too_much:
            break
        left_bytes -= segment.size_bytes
        drop_below = segment.end
    return drop_below


def plan_log_start(
    cold: Sequence[CommittedSegment],
    sealed: Sequence[LocalSegment],
    config: LogConfig,
    now_ms: int,
    *,
    log_start: int,
    durable: int,
    active_bytes: int = 0,
) -> int:
    """Where the log should start by `retention.ms` and `retention.bytes`; at least `log_start`, at most `durable`.

    `cold` is sorted by base. The active segment counts for size and never goes.
    """
    if not config.deleted_by_age:
        return log_start
    cold_end = max((segment.end for segment in cold), default=0)
    parts = [(segment.end, segment.raw_bytes, segment.max_timestamp_ms) for segment in cold]
    parts += [(segment.end, segment.size_bytes, newest_ms(segment)) for segment in sealed if segment.end > cold_end]
    parts = [part for part in parts if part[0] > log_start]
    left_bytes = active_bytes + sum(size for _, size, _ in parts)
    start = log_start
    for end, size, newest in parts:
        too_old = config.retention_ms >= 0 and now_ms - newest > config.retention_ms
        # As in Kafka, a segment goes by size only when what is left without it still reaches the limit.
        too_much = 0 <= config.retention_bytes <= left_bytes - size
        if end > durable or not (too_old or too_much):
            break
        left_bytes -= size
        start = end
    return start


def newest_ms(segment: LocalSegment) -> int:
    """A segment's age is that of its newest record; one without timestamps is as old as its sealing."""
    return segment.max_timestamp_ms if segment.max_timestamp_ms >= 0 else segment.sealed_at_ms
