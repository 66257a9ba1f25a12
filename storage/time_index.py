"""The sparse time index of one segment: Kafka's `.timeindex` file, held as two arrays.

Always true: entry (timestamp, offset) says that the largest timestamp up to and including the batch that ends with
`offset` (relative to the base) is `timestamp`, and that this batch holds it; both rise strictly. The last entry of a
sealed segment names its largest timestamp.
"""

import struct
from array import array
from bisect import bisect_left

ENTRY = struct.Struct(">qi")
ENTRY_BYTES = ENTRY.size


class TimeIndex:
    __slots__ = ("offsets", "timestamps")

    def __init__(self, timestamps: "array[int] | None" = None, offsets: "array[int] | None" = None) -> None:
        self.timestamps: array[int] = array("q") if timestamps is None else timestamps
        self.offsets: array[int] = array("i") if offsets is None else offsets

    def __len__(self) -> int:
        return len(self.timestamps)

    def append_if_later(self, timestamp_ms: int, relative_offset: int) -> None:
        """Kafka's maybeAppend: an entry that would not rise is left out."""
        timestamps, offsets = self.timestamps, self.offsets
        if timestamp_ms >= 0 and (not timestamps or (timestamp_ms > timestamps[-1] and relative_offset > offsets[-1])):
            offsets.append(relative_offset)  # first: a reading thread looks into `timestamps` first
            timestamps.append(timestamp_ms)

    def offset_before(self, timestamp_ms: int) -> int:
        """A relative offset such that no batch ending before it holds a timestamp of at least `timestamp_ms`."""
        at = bisect_left(self.timestamps, timestamp_ms)
        return self.offsets[at - 1] if at else 0

    def truncate(self, entries: int) -> None:
        del self.timestamps[entries:]
        del self.offsets[entries:]

    def encode(self) -> bytes:
        """The bytes of the `.timeindex` file."""
        raw = bytearray(ENTRY_BYTES * len(self.timestamps))
        for at, (timestamp_ms, offset) in enumerate(zip(self.timestamps, self.offsets, strict=True)):
            ENTRY.pack_into(raw, at * ENTRY_BYTES, timestamp_ms, offset)
        return bytes(raw)


def decode_time_index(raw: bytes) -> TimeIndex | None:
    """The index in a file's bytes, or None when it is damaged: cut inside an entry, or not rising."""
    if len(raw) % ENTRY_BYTES:
        return None
    timestamps, offsets = array("q"), array("i")
    for timestamp_ms, offset in ENTRY.iter_unpack(raw):
        if timestamp_ms < 0 or offset < 0 or (timestamps and (timestamp_ms <= timestamps[-1] or offset <= offsets[-1])):
            return None
        timestamps.append(timestamp_ms)
        offsets.append(offset)
    return TimeIndex(timestamps, offsets)
