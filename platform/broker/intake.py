"""Bytes from a socket become whole frames, without a socket in sight.

Always true: at most one frame of a connection is being gathered; its buffer is allocated only after its length was
checked; everything else is parsed in place, in the one receive buffer that all connections share.
"""

import mmap
import struct

from ..wire.frames import describe_size

SIZE_PREFIX = struct.Struct(">i")
SIZE_PREFIX_BYTES = SIZE_PREFIX.size
RECEIVE_BUFFER_BYTES = 256 * 1024
SPILL_ZEROED_BYTES_MAX = 2**20 + 64 * 1024  # above, memory that costs nothing until bytes arrive
SPILL_POOL_BUFFER_BYTES_MAX = 4 * 2**20
SPILL_POOL_BUFFERS_MAX = 8


class FrameRefused(Exception):
    """A length prefix that no Kafka client of ours would send; the message says what the peer probably speaks."""


SpillBuffer = bytearray | mmap.mmap


class SpillPool:
    """Buffers for frames that arrive in several reads, kept for reuse: a fresh megabyte costs its page faults.

    A client may announce a large frame and never send it: a large buffer is an anonymous mapping, of which only the
    pages that were written to are memory (a bytearray would be filled with zeros at once).
    """

    def __init__(self) -> None:
        self._free: list[SpillBuffer] = []

    def take(self, size_bytes: int) -> SpillBuffer:
        for at, buffer in enumerate(self._free):
            if len(buffer) >= size_bytes:
                return self._free.pop(at)
        return bytearray(size_bytes) if size_bytes <= SPILL_ZEROED_BYTES_MAX else mmap.mmap(-1, size_bytes)

    def give_back(self, buffer: SpillBuffer) -> None:
        if len(buffer) <= SPILL_POOL_BUFFER_BYTES_MAX and len(self._free) < SPILL_POOL_BUFFERS_MAX:
            self._free.append(buffer)


class ReceiveBuffer:
    """The one buffer that every transport of this process reads into; its bytes last until the callback returns."""

    def __init__(self, size_bytes: int = RECEIVE_BUFFER_BYTES) -> None:
        self.data = bytearray(size_bytes)
        self.view = memoryview(self.data)
        self.spills = SpillPool()


class FrameIntake:
    """Frames of one connection. Per read: `received`, then `next_frame` while wanted, then `settle`.

    After `next_frame` answered true, the frame is `view[start:end]`, valid until `settle`.
    """

    __slots__ = (
        "_filled",
        "_held",
        "_position",
        "_receive",
        "_spill",
        "_spill_filled",
        "_spill_view",
        "end",
        "frame_bytes_max",
        "start",
        "view",
    )

    def __init__(self, receive: ReceiveBuffer, frame_bytes_max: int) -> None:
        self._receive = receive
        self.frame_bytes_max = frame_bytes_max
        self._spill: SpillBuffer | None = None  # one frame in the making, its size prefix included
        self._spill_view = receive.view[:0]
        self._spill_filled = 0
        self._held: bytearray | None = None  # bytes that wait: frames whose turn has not come, or a cut size prefix
        self.view = receive.view
        self._position = 0
        self._filled = 0
        self.start = 0
        self.end = 0

    @property
    def held_bytes(self) -> int:
        """Bytes received and not yet looked at."""
        return len(self._held) if self._held is not None else 0

    def buffer(self) -> memoryview:
        """Where the next bytes from the socket belong."""
        if self._spill is not None:
            return self._spill_view[self._spill_filled :]
        return self._receive.view

    def received(self, size_bytes: int) -> None:
        """Take note of new bytes in what `buffer` gave; zero bytes looks again at what was held."""
        self._position = 0
        if self._spill is not None:
            self._spill_filled += size_bytes
            self.view, self._filled = self._spill_view, self._spill_filled
        elif self._held is not None:
            self._held += self._receive.view[:size_bytes]
            self.view, self._filled = memoryview(self._held), len(self._held)
        else:
            self.view, self._filled = self._receive.view, size_bytes

    def next_frame(self) -> bool:
        """Whether there is another whole frame. Raises FrameRefused for a length no client would send."""
        left_bytes = self._filled - self._position
        if left_bytes < SIZE_PREFIX_BYTES:
            return False
        (size_bytes,) = SIZE_PREFIX.unpack_from(self.view, self._position)
        if not 0 < size_bytes <= self.frame_bytes_max:
            raise FrameRefused(
                f"a frame of {describe_size(size_bytes)}; here they are 1 to {self.frame_bytes_max} bytes"
            )
        if left_bytes < SIZE_PREFIX_BYTES + size_bytes:
            return False
        self.start = self._position + SIZE_PREFIX_BYTES
        self.end = self._position = self.start + size_bytes
        return True

    def settle(self) -> None:
        """Keep what was not taken; afterwards nothing refers to the shared buffer."""
        rest = self.view[self._position : self._filled]
        if self._spill is not None:
            if self._position == 0 and self._filled < len(self._spill_view):
                return  # still in the making
            held = bytearray(rest) if rest else None
            self.drop_spill()
            self._held = held
        elif not rest:
            self._held = None
        elif self._is_partial_frame(rest):
            self._begin_spill(rest)
            self._held = None
        elif self._position or self._held is None:
            self._held = bytearray(rest)
        self.view = self._receive.view  # a view of `_held` would forbid it to grow

    def drop_spill(self) -> None:
        """Give the gathering buffer back, as when the connection ends."""
        if self._spill is not None:
            self._spill_view.release()
            self._receive.spills.give_back(self._spill)
            self._spill = None

    def _is_partial_frame(self, rest: memoryview) -> bool:
        if len(rest) < SIZE_PREFIX_BYTES:
            return False
        (size_bytes,) = SIZE_PREFIX.unpack_from(rest, 0)
        return bool(len(rest) - SIZE_PREFIX_BYTES < size_bytes <= self.frame_bytes_max)

    def _begin_spill(self, rest: memoryview) -> None:
        (size_bytes,) = SIZE_PREFIX.unpack_from(rest, 0)
        self._spill = self._receive.spills.take(SIZE_PREFIX_BYTES + size_bytes)
        self._spill_view = memoryview(self._spill)[: SIZE_PREFIX_BYTES + size_bytes]
        self._spill_view[: len(rest)] = rest
        self._spill_filled = len(rest)
