"""How much memory the answers take that clients have asked for and do not read.

Always true: a fetch may be as large as it asks for while little is unread; the more there is, the smaller answers get,
down to what lets every consumer go on. So a thousand connections that read nothing do not hold a thousand full answers.
"""

from collections.abc import Callable
from typing import Protocol

UNREAD_BYTES_MAX = 512 * 2**20
ANSWER_BYTES_MIN = 256 * 1024
LOOKED_AT_EVERY_S = 0.05


class Reader(Protocol):
    """A connection."""

    @property
    def unread_bytes(self) -> int: ...


class UnreadAnswers:
    """One per broker. Knows the connections that do not read as fast as they ask."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._readers: set[Reader] = set()
        self._room_bytes = UNREAD_BYTES_MAX
        self._looked_at_s = float("-inf")

    def paused(self, reader: Reader) -> None:
        """Its answers pile up."""
        self._readers.add(reader)

    def resumed(self, reader: Reader) -> None:
        """It reads again, or has gone."""
        self._readers.discard(reader)

    def room_bytes(self) -> int:
        """How large the next answer may be."""
        if not self._readers:
            return UNREAD_BYTES_MAX
        now_s = self._clock_s()
        if now_s - self._looked_at_s >= LOOKED_AT_EVERY_S:
            self._looked_at_s = now_s
            self._room_bytes = UNREAD_BYTES_MAX - sum(reader.unread_bytes for reader in self._readers)
        return max(self._room_bytes, ANSWER_BYTES_MIN)

    def took(self, size_bytes: int) -> None:
        """An answer of this size was made since the last look."""
        self._room_bytes -= size_bytes
