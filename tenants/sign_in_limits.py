"""How long a sign-in has to wait after failed ones: arithmetic, with the clock handed in.

Always true: only failures of the same origin delay a sign-in, so nobody can lock a member out from elsewhere; memory
is bounded, and what is forgotten for room was not used for longest. An origin is a browser that the member has signed
in from before, else a network address. What a member has proven to know does not count as a guess.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, replace
from math import ceil
from typing import Generic, TypeVar

FREE_FAILURES = 5  # of one name from one origin; each further one doubles the wait
WAIT_MIN_MS, WAIT_MAX_MS = 1_000, 60_000
FORGET_MS = 15 * 60_000  # without another failure
ORIGIN_BURST, ORIGIN_EVERY_MS = 40, 10_000  # of one origin, over all names: an office may sit behind one address
NAMES_MAX, ORIGINS_MAX = 20_000, 10_000
_KEY_LENGTH_MAX = 100  # no member's name is longer


class SignInLimits:
    """Of one process; others count for themselves."""

    def __init__(self) -> None:
        self._failures: _Recent[tuple[str, str], _Failures] = _Recent(NAMES_MAX)
        self._guesses: _Recent[str, _Bucket] = _Recent(ORIGINS_MAX)

    def wait_ms(self, name: str, origin: str, now_ms: int) -> int:
        """How long until this may be tried; 0: now."""
        failures, bucket = self._failures.get(_key(name, origin)), self._guesses.get(_cut(origin))
        return max(
            failures.wait_ms(now_ms) if failures is not None else 0, bucket.wait_ms(now_ms) if bucket is not None else 0
        )

    def attempt(self, name: str, origin: str, now_ms: int) -> int:
        """As `wait_ms`, and if that is 0, counts a failure already; say later whether it was one.

        So a thousand guesses at once are not all let in because none has failed yet.
        """
        wait_ms = self.wait_ms(name, origin, now_ms)
        if wait_ms == 0:
            self._count(name, origin, now_ms, undecided=1)
        return wait_ms

    def failed(self, name: str, origin: str, now_ms: int) -> None:
        """Of an attempt, or of a try that was not announced by one."""
        failures = self._failures.get(_key(name, origin))
        if failures is not None and failures.undecided:
            self._failures.put(_key(name, origin), replace(failures, undecided=failures.undecided - 1))
        else:
            self._count(name, origin, now_ms)

    def succeeded(self, name: str, origin: str) -> None:
        """Forgets the failures of that name from there, and what the attempt was charged to the origin.

        Not the origin's others: an attacker with a name of their own would sign in between guesses at another's.
        """
        failures = self._failures.drop(_key(name, origin))
        bucket = self._guesses.get(_cut(origin))
        if bucket is not None and failures is not None and failures.undecided:
            self._guesses.put(_cut(origin), bucket.refunded())

    def _count(self, name: str, origin: str, now_ms: int, undecided: int = 0) -> None:
        failures = self._failures.get(_key(name, origin))
        if failures is None or now_ms - failures.last_at_ms >= FORGET_MS:
            failures = _Failures(0, now_ms)
        more = _Failures(failures.count + 1, max(now_ms, failures.last_at_ms), failures.undecided + undecided)
        self._failures.put(_key(name, origin), more)
        bucket = self._guesses.get(_cut(origin)) or _Bucket(0.0, now_ms)
        self._guesses.put(_cut(origin), bucket.charged(now_ms))


def origin_of(address: str) -> str:
    """The origin that a network address is: an IPv6 host has a whole /64 to send from."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:_KEY_LENGTH_MAX]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


@dataclass(frozen=True, slots=True)
class _Failures:
    """Of one name from one origin; `undecided` of them were only announced yet."""

    count: int
    last_at_ms: int
    undecided: int = 0

    def wait_ms(self, now_ms: int) -> int:
        if self.count <= FREE_FAILURES or now_ms - self.last_at_ms >= FORGET_MS:
            return 0
        doublings = min(self.count - FREE_FAILURES - 1, 16)
        return max(0, self.last_at_ms + min(WAIT_MIN_MS << doublings, WAIT_MAX_MS) - now_ms)


@dataclass(frozen=True, slots=True)
class _Bucket:
    """Failures that have not been lived down yet, as of a time."""

    level: float
    at_ms: int

    def wait_ms(self, now_ms: int) -> int:
        excess = self._level_at(now_ms) - (ORIGIN_BURST - 1)
        return max(0, ceil(excess * ORIGIN_EVERY_MS))

    def charged(self, now_ms: int) -> "_Bucket":
        return _Bucket(self._level_at(now_ms) + 1, max(now_ms, self.at_ms))

    def refunded(self) -> "_Bucket":
        return _Bucket(max(0.0, self.level - 1), self.at_ms)

    def _level_at(self, now_ms: int) -> float:
        return max(0.0, self.level - max(0, now_ms - self.at_ms) / ORIGIN_EVERY_MS)


K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Recent(Generic[K, V]):
    """At most `max_entries`; the one used least recently goes first."""

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._entries: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    def drop(self, key: K) -> V | None:
        return self._entries.pop(key, None)


def _key(name: str, origin: str) -> tuple[str, str]:
    return name[:_KEY_LENGTH_MAX], origin[:_KEY_LENGTH_MAX]


def _cut(origin: str) -> str:
    return origin[:_KEY_LENGTH_MAX]
