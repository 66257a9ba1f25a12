"""What the coordinator needs from its surroundings: a log that it writes to and a clock that wakes it.

The log. Each internal partition is a sequence of keyed records; the state of a partition is what `loading.fold` makes
of them in order, the last record of a key winning and a record without a value deleting its key.

Snapshots keep that log short. `Coordinator.snapshot(partition)` gives the whole live state as records. The broker
takes P, the end of the last append of that partition whose `done(None)` has been called, calls `snapshot` in the same
step of the loop, writes the records and P to a file, syncs it, renames it into place, and may then drop the log below
P. `replay` yields the newest whole snapshot's records first and then the log from that snapshot's P. Starting the tail
earlier than P is harmless, because replay is idempotent: whatever key the tail touches ends as the tail's last record
of it. Starting later loses records.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol


class Record(NamedTuple):
    """A keyed record of an internal partition. `value` None deletes the key."""

    key: bytes
    value: bytes | None


class GroupLog(Protocol):
    """The internal partitions that groups are kept in."""

    partitions: int

    def append(self, partition: int, records: Sequence[Record], done: Callable[[BaseException | None], None]) -> None:
        """Append all of `records` or none, and call `done` exactly once, on the loop: with None when they are
        durable, else with what failed. Calls come in the order of the appends of a partition; `done` may be called
        before `append` returns. Raising instead of calling `done` is understood as failure. Records are at most
        `GroupLimits.record_bytes_max` each."""

    def replay(self, partition: int) -> Iterator[Record]:
        """Every record of the partition, oldest first (snapshot, then tail). Blocking: called in a thread."""


class Clock(Protocol):
    """Time since the epoch that never jumps back or forward, and calls at a time."""

    def now_ms(self) -> int: ...

    def call_at(self, when_ms: int, call: Callable[[], None]) -> None:
        """Call `call` on the loop at `when_ms` or as soon as possible after it. Never before returning."""


class LoopClock:
    """The clock of a running event loop: wall time as it was at construction, moved on by the monotonic clock.

    So a change of the machine's date expires no session; after a suspend it lags until the next start.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ahead_s = time.time() - loop.time()

    def now_ms(self) -> int:
        return int((self._loop.time() + self._ahead_s) * 1000)

    def call_at(self, when_ms: int, call: Callable[[], None]) -> None:
        self._loop.call_at(when_ms / 1000 - self._ahead_s + 0.001, call)
