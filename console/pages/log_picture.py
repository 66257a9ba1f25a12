"""The picture of a partition's log: where its cold and its hot range lie, to scale. Pure geometry, no markup.

Always true: widths are percentages of the picture, so that text keeps its size however narrow the picture gets; all
partitions of one look have the same scale; labels never lie over each other or over a bar.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from ..schemas import PartitionView
from .formats import count, size

Scale = Literal["offsets", "bytes"]
LEAST_PERCENT = 0.8  # what there is can be seen, however little of the whole it is
BESIDE_PERCENT = 60.0  # a bar that ends before this leaves room for its end's label beside it
GAP_PERCENT = 1.0


class Bar(Struct, frozen=True):
    """From `x` to `x + width`."""

    tier: Literal["cold", "hot"]
    x: float
    width: float


class Label(Struct, frozen=True):
    """Text at `x`; `line` 0 is above the bar, 1 beside it, 2 below."""

    text: str
    x: float
    anchor: Literal["start", "end"]
    line: int


class LogPicture(Struct, frozen=True):
    """`boundary` is where the hot range begins, None where there are not two ranges; `says` is all of it in words."""

    partition: int
    bars: list[Bar]
    boundary: float | None
    labels: list[Label]
    says: str


def pictures(logs: Sequence[PartitionView], scale: Scale) -> list[LogPicture]:
    """One for each partition, all to the scale of the longest."""
    longest = max((sum(extents(log, scale) or (0, 0)) for log in logs), default=0)
    return [picture(log, scale, longest) for log in logs]


def picture(log: PartitionView, scale: Scale, longest: int) -> LogPicture:
    """`longest` is what fills the whole width."""
    found = extents(log, scale)
    if found is None:
        unknown = Label("not known now", 0.0, "start", 2)
        return LogPicture(log.partition, [], None, [unknown], f"Partition {log.partition}: not known now")
    cold, hot = (_width(extent, longest) for extent in found)
    bars = [bar for bar in (Bar("cold", 0.0, cold), Bar("hot", cold, hot)) if bar.width]
    boundary = cold if cold and hot else None
    return LogPicture(log.partition, bars, boundary, _labels(log, cold + hot, boundary), _in_words(log))


def extents(log: PartitionView, scale: Scale) -> tuple[int, int] | None:
    """How much of it is cold, and how much hot; None where that is not known.

    By offsets a record counts once, hot where the broker's disk has it. By bytes what is in both tiers counts in both.
    """
    if scale == "bytes":
        return None if log.cold_bytes is None or log.hot_bytes is None else (log.cold_bytes, log.hot_bytes)
    if log.log_start is None or log.end is None:
        return None
    local_start = min(max(log.log_start if log.local_start is None else log.local_start, log.log_start), log.end)
    return local_start - log.log_start, log.end - local_start


def _width(extent: int, longest: int) -> float:
    if extent <= 0 or longest <= 0:
        return 0.0
    # Room is kept for a sliver of the other range, so that two never need more than the whole.
    return round(LEAST_PERCENT + (100 - 2 * LEAST_PERCENT) * extent / longest, 2)


def _labels(log: PartitionView, end: float, boundary: float | None) -> list[Label]:
    if log.log_start is None or log.end is None:
        return [Label("offsets not known now", 0.0, "start", 2)]
    if log.log_start == log.end:
        return [Label(f"empty, the next offset is {count(log.end)}", 0.0, "start", 2)]
    labels = [Label(f"log start {count(log.log_start)}", 0.0, "start", 2)]
    if boundary is not None and log.local_start is not None:
        text = f"local start {count(log.local_start)}"
        labels.append(Label(text, boundary, "start", 0) if boundary < 50 else Label(text, boundary, "end", 0))
    last = f"end {count(log.end)}"
    beside = end < BESIDE_PERCENT
    labels.append(Label(last, round(end + GAP_PERCENT, 2), "start", 1) if beside else Label(last, end, "end", 2))
    return labels


def _in_words(log: PartitionView) -> str:
    name = f"Partition {log.partition}"
    if log.log_start is None or log.end is None:
        return f"{name}: {size(log.cold_bytes)} cold, {size(log.hot_bytes)} hot, offsets not known now"
    if log.log_start == log.end:
        return f"{name}: empty, the next offset is {count(log.end)}"
    cold, hot = extents(log, "offsets") or (0, 0)
    parts = []
    if cold:
        parts.append(f"{count(log.log_start)} to {count(log.log_start + cold)} cold")
    if hot:
        parts.append(f"{count(log.log_start + cold)} to {count(log.end)} hot")
    return f"{name}: offsets {' and '.join(parts)}; {size(log.cold_bytes)} cold, {size(log.hot_bytes)} hot"
