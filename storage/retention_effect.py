"""What a configuration would let go of a partition now, in numbers, before anybody lets go of anything.

Always true: it is worked out by the functions that retention itself acts on, so what is foretold is what happens to the
same holding at the same time; nothing is changed.
"""

from dataclasses import dataclass, replace

from .config import LogConfig
from .retention import Holding, parts_of, plan_local_eviction, plan_log_start


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionEffect:
    """Records are counted by their offsets: of a compacted log that is more than are still there.

    Attributes:
        segments_gone: Runs of offsets that go for good; one that both tiers hold counts once.
        bytes_gone_hot: Size of the files that go for good.
        bytes_gone_cold: Size of the objects that go for good.
        local_bytes_evicted: Size of the files that leave local disk and can still be read from the object store.
    """

    log_start_before: int
    log_start_after: int
    records_gone: int
    segments_gone: int
    bytes_gone_hot: int
    bytes_gone_cold: int
    local_bytes_evicted: int


def retention_effect(holding: Holding, config: LogConfig, now_ms: int) -> RetentionEffect:
    """The effect of one pass with this configuration at this time."""
    before, after = holding.log_start, plan_log_start(holding, config, now_ms)
    going = [part for part in parts_of(holding) if part.end <= after]
    left = without_what_is_below(holding, after)
    evicted_below = plan_local_eviction(left, config, now_ms)
    return RetentionEffect(
        log_start_before=before,
        log_start_after=after,
        records_gone=sum(part.end - max(part.base, before) for part in going),
        segments_gone=len(going),
        bytes_gone_hot=hot_bytes(holding) - hot_bytes(left),
        bytes_gone_cold=cold_bytes(holding) - cold_bytes(left),
        local_bytes_evicted=sum(segment.size_bytes for segment in left.sealed if segment.end <= evicted_below),
    )


def without_what_is_below(holding: Holding, log_start: int) -> Holding:
    """The holding once the log start has moved up to there; the same one if it stays where it is."""
    if log_start <= holding.log_start:
        return holding
    active = holding.active
    return replace(
        holding,
        log_start=log_start,
        cold=tuple(segment for segment in holding.cold if segment.end > log_start),
        sealed=tuple(segment for segment in holding.sealed if segment.end > log_start),
        active=active if active is not None and active.end > log_start else None,
    )


def hot_bytes(holding: Holding) -> int:
    active_bytes = holding.active.size_bytes if holding.active is not None else 0
    return active_bytes + sum(segment.size_bytes for segment in holding.sealed)


def cold_bytes(holding: Holding) -> int:
    return sum(segment.size_bytes for segment in holding.cold)
