"""The sparse offset index of one segment: Kafka's `.index` file, held as two arrays.

Always true: entry (offset, position) says that a batch starts at `position` and ends with `offset`, relative to the
segment's base; both rise strictly. A lookup therefore gives a batch start at or before the one wanted, and a missing
entry costs a longer scan, never a wrong answer.
"""

import sys
from array import array
from bisect import bisect_right

ENTRY_BYTES = 8
ENTRIES_MAX = 10 * 2**20 // ENTRY_BYTES  # Kafka's segment.index.bytes
RELATIVE_OFFSET_MAX = 2**31 - 1


class OffsetIndex:
    __slots__ = ("offsets", "positions")

    def __init__(self, offsets: "array[int] | None" = None, positions: "array[int] | None" = None) -> None:
        self.offsets: array[int] = array("i") if offsets is None else offsets
        self.positions: array[int] = array("i") if positions is None else positions

    def __len__(self) -> int:
        return len(self.offsets)

    def append(self, relative_offset: int, position: int) -> None:
        """Note that the batch at `position` ends with `relative_offset`."""
        self.positions.append(position)  # first: a reading thread looks into `offsets` first
        self.offsets.append(relative_offset)

    def position_before(self, relative_offset: int) -> int:
        """Where to start scanning for the batch that holds this offset."""
        at = bisect_right(self.offsets, relative_offset)
        return self.positions[at - 1] if at else 0

    def boundary_at_or_before(self, position: int) -> int:
        """The last known batch start that is not beyond `position`; 0 when none is known."""
        at = bisect_right(self.positions, position)
        return self.positions[at - 1] if at else 0

    def truncate(self, entries: int) -> None:
        del self.offsets[entries:]
        del self.positions[entries:]

    def encode(self) -> bytes:
        """The bytes of the `.index` file: big-endian pairs."""
        pairs = array("i", bytes(ENTRY_BYTES * len(self.offsets)))
        pairs[0::2], pairs[1::2] = self.offsets, self.positions
        if sys.byteorder == "little":
            pairs.byteswap()
        return pairs.tobytes()


def decode_offset_index(raw: bytes, log_bytes: int) -> OffsetIndex | None:
    """The index in a file's bytes, or None when it is damaged: cut inside an entry, not rising, beyond the log."""
    if len(raw) % ENTRY_BYTES:
        return None
    pairs = array("i", raw)
    if sys.byteorder == "little":
        pairs.byteswap()
    offsets, positions = pairs[0::2], pairs[1::2]
    if not _rises(offsets) or not _rises(positions) or (positions and positions[-1] >= log_bytes):
        return None
    return OffsetIndex(offsets, positions)


def _rises(values: "array[int]") -> bool:
    return not values or (values[0] >= 0 and all(map(int.__lt__, values, memoryview(values)[1:])))
