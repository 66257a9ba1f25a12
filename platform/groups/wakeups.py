"""One timer for all groups: whoever wants to be woken earliest has it.

Heartbeats move a group's deadlines later all the time; they cost nothing here, since a group that is woken early only
looks at its members and names its next deadline. A wake-up that was superseded by an earlier one is skipped.
"""

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from itertools import count

from .registry import Entry
from .roster import NEVER_MS
from .seams import Clock


class Wakeups:
    def __init__(self, clock: Clock, wake: Callable[[Entry], None]) -> None:
        self._clock = clock
        self._wake = wake
        self._sleepers: list[tuple[int, int, Entry]] = []
        self._order = count()
        self._armed_ms = NEVER_MS

    def at(self, when_ms: int, entry: Entry) -> None:
        """Wake `entry` at `when_ms`, unless it is going to be woken earlier anyway."""
        if when_ms >= entry.wake_ms:
            return
        entry.wake_ms = when_ms
        heappush(self._sleepers, (when_ms, next(self._order), entry))
        self._arm()

    def _arm(self) -> None:
        if self._sleepers and self._sleepers[0][0] < self._armed_ms:
            self._armed_ms = self._sleepers[0][0]
            self._clock.call_at(self._armed_ms, partial(self._fire, self._armed_ms))

    def _fire(self, armed_ms: int) -> None:
        if armed_ms != self._armed_ms:
            return  # an earlier timer took over, and armed the next
        self._armed_ms = NEVER_MS
        now_ms = self._clock.now_ms()
        due = []
        while self._sleepers and self._sleepers[0][0] <= now_ms:
            when_ms, _, entry = heappop(self._sleepers)
            if entry.wake_ms == when_ms:
                entry.wake_ms = NEVER_MS
                due.append(entry)
        for entry in due:
            self._wake(entry)
        self._arm()
