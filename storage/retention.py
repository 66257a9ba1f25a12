"""Which data may go: from local disk, because the cold tier has it, or for good, because its owner asked for that.

Always true: pure functions; the clock is handed in; what goes is a prefix, never beyond what is durable, so a log never
has a hole. Size counts what a reader could see, once: committed cold segments, and of the local ones only what lies
above them; objects whose upload is not committed do not count (KAFKA-17062 deleted too much by counting them).

The active segment is judged like any other, as in Kafka: once its newest record is past `retention.ms` it goes too, for
which the caller seals it. By size it goes only with `retention.bytes=0`, since it is what the limit is reached with.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from .config import LogConfig


class ActiveSegment(Protocol):
    """The segment that is written to, as `Log.active_segment` gives it."""

    @property
    def base(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def max_timestamp_ms(self) -> int: ...


class LocalSegment(ActiveSegment, Protocol):
    """A sealed, durable segment on local disk, as `Log.sealed_segments` gives it."""

    @property
    def sealed_at_ms(self) -> int: ...


class CommittedSegment(Protocol):
    """A committed cold segment, as the manifest gives it."""

    @property
    def base(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def raw_bytes(self) -> int: ...
    @property
    def max_timestamp_ms(self) -> int: ...
    @property
    def committed_at_ms(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a partition holds in both tiers at one moment, each sorted by base. `active` is None while it is empty."""

    log_start: int
    durable: int
    cold: Sequence[CommittedSegment] = ()
    sealed: Sequence[LocalSegment] = ()
    active: ActiveSegment | None = None


class Part(NamedTuple):
    """A run of offsets that goes as a whole, counted once whichever tiers hold it. `newest_ms` None: of no age yet."""

    base: int
    end: int
    size_bytes: int
    newest_ms: int | None


def parts_of(holding: Holding) -> Iterator[Part]:
    """What a reader could see, oldest first: committed cold segments, and what of the local ones lies above them."""
    above_cold = max((segment.end for segment in holding.cold), default=0)
    parts = [Part(each.base, each.end, each.raw_bytes, newest_cold_ms(each)) for each in holding.cold]
    parts += [
        Part(max(each.base, above_cold), each.end, each.size_bytes, newest_ms(each))
        for each in holding.sealed
        if each.end > above_cold
    ]
    if holding.active is not None:
        active = holding.active
        newest = active.max_timestamp_ms if active.max_timestamp_ms >= 0 else None
        parts.append(Part(active.base, active.end, active.size_bytes, newest))
    return (part for part in parts if part.end > holding.log_start)


def plan_log_start(holding: Holding, config: LogConfig, now_ms: int) -> int:
    """Where the log should start by `retention.ms` and `retention.bytes`; from its present start up to `durable`.

    An answer above the base of the active segment is its end: seal it, then let it go.
    """
    start = holding.log_start
    if not config.deleted_by_age:
        return start
    parts = list(parts_of(holding))
    left_bytes = sum(part.size_bytes for part in parts)
    for part in parts:
        too_old = part.newest_ms is not None and 0 <= config.retention_ms < now_ms - part.newest_ms
        # As in Kafka, a segment goes by size only when what is left without it still reaches the limit.
        too_much = 0 <= config.retention_bytes <= left_bytes - part.size_bytes
        if part.end > holding.durable or not (too_old or too_much):
            break
        left_bytes -= part.size_bytes
        start = part.end
    return start


def plan_local_eviction(holding: Holding, config: LogConfig, now_ms: int) -> int:
    """The offset below which sealed segments should leave local disk, for `Log.drop_local_below`; 0 for none.

    -2 for a local limit means the limit of the whole topic, as in Kafka. The active segment counts for size and never
    goes this way, since it has no cold copy.
    """
    limit_ms = config.retention_ms if config.local_retention_ms == -2 else config.local_retention_ms
    limit_bytes = config.retention_bytes if config.local_retention_bytes == -2 else config.local_retention_bytes
    if not config.tiered:
        return 0
    drop_below = 0
    committed = min(cold_end(holding.cold, holding.log_start), holding.durable)
    left_bytes = sum(segment.size_bytes for segment in holding.sealed)
    if holding.active is not None:
        left_bytes += holding.active.size_bytes
    for segment in holding.sealed:
        if segment.end > committed:
            break
        too_old = limit_ms >= 0 and now_ms - newest_ms(segment) > limit_ms
        too_much = 0 <= limit_bytes <= left_bytes - segment.size_bytes
        if not too_old and not too_much:
            break
        left_bytes -= segment.size_bytes
        drop_below = segment.end
    return drop_below


def cold_end(cold: Sequence[CommittedSegment], start: int) -> int:
    """Where committed segments end that cover everything from `start` on without a gap; `start` if there is none."""
    for segment in cold:
        if segment.base > start:
            break
        start = max(start, segment.end)
    return start


def newest_ms(segment: LocalSegment) -> int:
    """A segment's age is that of its newest record; one without timestamps is as old as its sealing."""
    return segment.max_timestamp_ms if segment.max_timestamp_ms >= 0 else segment.sealed_at_ms


def newest_cold_ms(segment: CommittedSegment) -> int:
    """As `newest_ms`: one without timestamps is as old as its commit."""
    return segment.max_timestamp_ms if segment.max_timestamp_ms >= 0 else segment.committed_at_ms
