"""Forgetting old offsets and groups that nobody uses.

Every so often all groups are looked at, a slice at a time so that other work gets its turn. A group without members
loses the offsets whose retention has passed (KIP-211), and goes when none is left.
"""

from collections.abc import Callable, Sequence
from functools import partial

from .limits import GroupLimits
from .offsets import Change
from .registry import Entry, Registry
from .seams import Clock

SLICE = 500  # groups looked at before other work gets its turn

Then = Callable[[bool], None]


class Expiry:
    """`write` stores changes of an entry's offsets, `delete` a whole entry; both then say whether they are durable."""

    def __init__(
        self,
        registry: Registry,
        clock: Clock,
        limits: GroupLimits,
        write: Callable[[Entry, Sequence[Change], Then], None],
        delete: Callable[[Entry, Then], None],
    ) -> None:
        self.offsets_expired = 0
        self._registry = registry
        self._clock = clock
        self._limits = limits
        self._write = write
        self._delete = delete
        self._stopped = False

    def start(self) -> None:
        self._clock.call_at(self._clock.now_ms() + self._limits.expiry_check_ms, self._begin)

    def stop(self) -> None:
        self._stopped = True

    def _begin(self) -> None:
        if not self._stopped:
            self._look_at(list(self._registry.entries()))

    def _look_at(self, entries: list[Entry]) -> None:
        if self._stopped:
            return
        now_ms = self._clock.now_ms()
        for entry in entries[:SLICE]:
            if self._registry.holds(entry) and entry.group.deserted and not entry.deleting:
                self._expire(entry, now_ms)
        if rest := entries[SLICE:]:
            self._clock.call_at(now_ms, partial(self._look_at, rest))
        else:
            self.start()

    def _expire(self, entry: Entry, now_ms: int) -> None:
        expired = entry.offsets.expired(
            empty_since_ms=entry.group.state_since_ms,
            retention_ms=self._limits.offsets_retention_ms,
            now_ms=now_ms,
        )
        if not entry.offsets.in_flight and len(expired) == entry.offsets.count:
            self._delete(entry, partial(self._count, len(expired)))
        elif expired:
            self._write(entry, expired, partial(self._count, len(expired)))

    def _count(self, expired: int, durable: bool) -> None:
        if durable:
            self.offsets_expired += expired
