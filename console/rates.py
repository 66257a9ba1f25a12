"""An hour of something that is counted, in minutes: arithmetic, with the clock handed in.

Always true: 60 counts at most, of 4 bytes each, and none at all while nothing happened; what happened between two looks
is spread evenly over the time between them, so that a look that comes late makes no peak.
"""

from array import array
from collections.abc import Sequence

MINUTES = 60
MINUTE_MS = 60_000
SILENCE: Sequence[float] = array("f", bytes(4 * MINUTES))


class MinuteCounts:
    """How much of something there was in each of the last 60 minutes, the running one included."""

    __slots__ = ("_counts", "_minute", "_newest")

    def __init__(self) -> None:
        self._counts: array[float] | None = None  # the slot of a minute is its number modulo 60
        self._minute = 0  # whose slot is the last
        self._newest = 0  # the last one with a count

    def add(self, amount: float, from_ms: int, to_ms: int) -> None:
        """Count `amount`, which came somewhen after `from_ms` and until `to_ms`."""
        if amount <= 0:
            return
        first, last = from_ms // MINUTE_MS, to_ms // MINUTE_MS
        counts = self._turned_to(last)
        self._newest = last
        span_ms = to_ms - from_ms
        if span_ms <= 0 or first == last:
            counts[last % MINUTES] += amount
            return
        for minute in range(max(first, last - MINUTES + 1), last + 1):
            shared_ms = min(to_ms, (minute + 1) * MINUTE_MS) - max(from_ms, minute * MINUTE_MS)
            counts[minute % MINUTES] += amount * shared_ms / span_ms

    def until(self, now_ms: int) -> Sequence[float]:
        """The counts of 60 minutes, oldest first; the last is the one that `now_ms` is in."""
        minute = now_ms // MINUTE_MS
        if self._counts is None or minute - self._newest >= MINUTES:
            self._counts = None
            return SILENCE
        counts = self._turned_to(minute)
        after = minute % MINUTES + 1
        return counts[after:] + counts[:after]

    def _turned_to(self, minute: int) -> "array[float]":
        """The slots, those of the minutes since the newest emptied."""
        if self._counts is None or minute - self._minute >= MINUTES:
            self._counts = array("f", SILENCE)
            self._minute = minute
        for passed in range(self._minute + 1, minute + 1):
            self._counts[passed % MINUTES] = 0.0
        self._minute = max(self._minute, minute)
        return self._counts


def per_second(counts: Sequence[float], now_ms: int) -> tuple[float, ...]:
    """Rates of each minute; of the running one, by the part of it that has passed."""
    passed_s = max(1.0, now_ms % MINUTE_MS / 1000)
    return (*(count / 60 for count in counts[:-1]), counts[-1] / passed_s)
