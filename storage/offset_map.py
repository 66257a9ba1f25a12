"""The newest offset of each key of a pass of compaction, in memory that has a limit whatever the number of keys.

Always true: a key is held as sixteen bytes of its BLAKE2b, as Kafka holds an MD5: two keys of one digest are not to be
expected before the sun goes out, and whoever could make them would only lose records of a topic of their own. A slot is
24 bytes, three quarters of the slots are used, and the table doubles until `keys_max` needs no more.
"""

import struct
from array import array
from hashlib import blake2b

KEYS_MAX = 3 * 2**19  # 48 MiB, and 24 MiB more while the table doubles for the last time
DIGEST_BYTES = 16
SLOTS_FIRST = 2**10
_halves = struct.Struct("<QQ").unpack


class OffsetMap:
    __slots__ = ("_high", "_keys_max", "_low", "_mask", "_offsets", "_room", "_used")

    def __init__(self, keys_max: int = KEYS_MAX) -> None:
        self._keys_max = keys_max
        self._used = 0
        self._allocate(SLOTS_FIRST)

    def _allocate(self, slots: int) -> None:
        self._mask = slots - 1
        self._high, self._low = array("Q", [0]) * slots, array("Q", [0]) * slots
        self._offsets = array("q", [0]) * slots  # one more than the offset: 0 is a free slot
        self._room = slots * 3 // 4

    def __len__(self) -> int:
        return self._used

    def put(self, key: bytes, offset: int) -> bool:
        """Note that a record at `offset` has this key. False when the key is new and there is no room for it."""
        high, low = _halves(blake2b(key, digest_size=DIGEST_BYTES).digest())
        at = self._slot(high, low)
        if not self._offsets[at]:
            if self._used >= self._keys_max:
                return False
            if self._used >= self._room:
                self._double()
                at = self._slot(high, low)
            self._used += 1
            self._high[at], self._low[at] = high, low
        self._offsets[at] = max(self._offsets[at], offset + 1)
        return True

    def get(self, key: bytes) -> int:
        """The newest offset noted of a key, -1 for none."""
        return self._offsets[self._slot(*_halves(blake2b(key, digest_size=DIGEST_BYTES).digest()))] - 1

    def _slot(self, high: int, low: int) -> int:
        """Where a digest is, or where it would go."""
        at, mask, offsets, lows, highs = low & self._mask, self._mask, self._offsets, self._low, self._high
        while offsets[at] and (lows[at] != low or highs[at] != high):
            at = (at + 1) & mask
        return at

    def _double(self) -> None:
        highs, lows, offsets = self._high, self._low, self._offsets
        self._allocate(2 * len(offsets))
        for old, offset in enumerate(offsets):
            if offset:
                at = self._slot(highs[old], lows[old])
                self._high[at], self._low[at], self._offsets[at] = highs[old], lows[old], offset
