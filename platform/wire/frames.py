"""Frames: a signed 32-bit size, then that many bytes.

Nothing here allocates for a frame before its size was found acceptable. What is acceptable depends on who asks: a
stranger may send what a sign-in needs, a known client one produce request's worth, and every other API a size at
which decoding stays cheap (an array of small elements costs some twenty times its bytes once it is Python objects).
"""

import struct

from .api import ApiKey
from .errors import Malformed

SIZE = struct.Struct(">i")
SIZE_BYTES = SIZE.size
FRAME_BYTES_MAX = 100 * 2**20  # Kafka's socket.request.max.bytes
STRANGER_FRAME_BYTES_MAX = 512 * 2**10  # Kafka's sasl.server.max.receive.size
CONTROL_FRAME_BYTES_MAX = (
    8 * 2**20
)  # everything but Produce; SyncGroup of thousands of members is the largest honest one
API_KEY_END = SIZE_BYTES + 2  # with this many bytes of a frame at hand its API is known


def check_frame_size(size: int, frame_bytes_max: int) -> int:
    """The size itself when a frame of it may follow; otherwise Malformed. Zero is not a frame: every request has a
    header."""
    if not 0 < size <= frame_bytes_max:
        raise Malformed("frame size", 0, f"{describe_size(size)}; frames are 1 to {frame_bytes_max} bytes")
    return size


def describe_size(size: int) -> str:
    """The size, and what it probably means when it is really the first bytes of another protocol."""
    first = size & 0xFFFFFFFF
    if first >> 16 in (0x1603, 0x1503):
        return f"{size} bytes (a TLS handshake: this listener speaks plaintext)"
    if first.to_bytes(4, "big") in (b"GET ", b"POST", b"PUT ", b"HEAD", b"OPTI", b"DELE", b"PRI "):
        return f"{size} bytes (an HTTP request: this is a Kafka listener)"
    return f"{size} bytes"


def frame_bytes_limit(api_key: int, *, authenticated: bool, frame_bytes_max: int = FRAME_BYTES_MAX) -> int:
    """The largest frame (without its size field) to accept for this API on a connection in this state."""
    if not authenticated:
        return min(STRANGER_FRAME_BYTES_MAX, frame_bytes_max)
    return frame_bytes_max if api_key == ApiKey.PRODUCE else min(CONTROL_FRAME_BYTES_MAX, frame_bytes_max)


class FrameSplitter:
    """Bytes in, whole frames (without size) out, wherever the bytes were cut.

    For clients and tests: it copies. The broker's connection finds frames in its receive buffer itself.
    """

    def __init__(self, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._frame_bytes_max = frame_bytes_max
        self._buffer = bytearray()
        self._wanted_bytes = -1  # size of the frame at the front, or -1 while its size is not known

    def feed(self, data: bytes | bytearray | memoryview) -> list[bytes]:
        """Take `data` in; the frames it completed. Raises Malformed on a size out of bounds, after which it is done."""
        self._buffer += data
        buffer, pos, frames = self._buffer, 0, []
        while True:
            if self._wanted_bytes < 0:
                if len(buffer) - pos < SIZE_BYTES:
                    break
                (size,) = SIZE.unpack_from(buffer, pos)
                self._wanted_bytes = check_frame_size(size, self._frame_bytes_max)
                pos += SIZE_BYTES
            stop = pos + self._wanted_bytes
            if len(buffer) < stop:
                break
            frames.append(bytes(memoryview(buffer)[pos:stop]))
            pos, self._wanted_bytes = stop, -1
        del buffer[:pos]
        return frames
