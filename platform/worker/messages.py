"""How broker and cold worker talk: frames of a 4-byte length and a msgpack message, over an inherited socket pair.

Always true: no frame is larger than MESSAGE_BYTES_MAX, which is checked before anything is allocated; each request has
one reply of the same id, in any order. The first request is `configure`. An error crosses as the name of its class and
its text, and is raised on the other side as that class.
"""

import asyncio
from collections.abc import Mapping

import msgspec

from ...storage.cleaning import Clean, Cleaned, CompactionFailed
from ...storage.cold_format import CorruptObject
from ...storage.cold_worker import ChunkFile, ChunkWanted, ColdWorkerStats, ColdWorkerUnavailable, Upload, Uploaded
from ...storage.cold_writer import CorruptSegment
from ...storage.object_store import (
    DigestMismatch,
    ObjectMissing,
    ObjectStoreDenied,
    ObjectStoreUnavailable,
    ObjectTruncated,
)
from ...storage.store_url import InvalidStoreUrl

MESSAGE_BYTES_MAX = 64 * 2**20  # a producer snapshot of a million producers
LENGTH_BYTES = 4


class Configure(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is started for. Credentials are not in it: they come from the environment."""

    store_url: str
    directory: str
    cache_bytes_max: int
    cache_files_max: int
    log_level: str = "info"


class Request(msgspec.Struct, frozen=True):
    id: int
    op: str
    body: msgspec.Raw


class Reply(msgspec.Struct, frozen=True):
    """`error` is empty when `body` is the result."""

    id: int
    body: msgspec.Raw
    error: str = ""
    message: str = ""


#: What each request carries and what answers it.
OPS: Mapping[str, tuple[object, object]] = {
    "configure": (Configure, None),
    "upload": (Upload, Uploaded),
    "chunk": (ChunkWanted, ChunkFile | None),
    "clean": (Clean, Cleaned),
    "delete": (list[str], set[str]),
    "probe": (None, None),
    "stats": (None, ColdWorkerStats),
}

ERRORS: Mapping[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (
        ColdWorkerUnavailable,
        CompactionFailed,
        CorruptObject,
        CorruptSegment,
        DigestMismatch,
        InvalidStoreUrl,
        ObjectMissing,
        ObjectStoreDenied,
        ObjectStoreUnavailable,
        ObjectTruncated,
    )
}


class MessageTooLong(Exception):
    """A message above MESSAGE_BYTES_MAX: refused by the sender, the end of the connection for a receiver."""


def to_error(error: Exception) -> tuple[str, str]:
    """(class, text) as they cross. What has no class of its own here is retriable, and the log has its traceback."""
    name = next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in ERRORS), None)
    return (name, str(error)) if name else ("ColdWorkerUnavailable", f"{type(error).__name__}: {error}")


def from_error(reply: Reply) -> Exception:
    return ERRORS.get(reply.error, ColdWorkerUnavailable)(reply.message)


def frame(message: Request | Reply) -> bytes:
    """Raises MessageTooLong."""
    payload = msgspec.msgpack.encode(message)
    if len(payload) > MESSAGE_BYTES_MAX:
        raise MessageTooLong(f"a message of {len(payload)} bytes: at most {MESSAGE_BYTES_MAX} are allowed")
    return len(payload).to_bytes(LENGTH_BYTES, "big") + payload


async def read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """The next message; None where the other side has ended. Raises MessageTooLong."""
    try:
        length = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
        if length > MESSAGE_BYTES_MAX:
            raise MessageTooLong(f"a message of {length} bytes: at most {MESSAGE_BYTES_MAX} are allowed")
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
