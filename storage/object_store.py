"""Where cold segments live: named, immutable objects. A directory and S3 stand behind this one protocol.

Always true: a key is written at most once, so nothing here depends on what overwriting does. A failed put is *unknown*:
the object may exist, whole, now or a little later; it never exists in part. No rule rests on listing order, conditional
puts or unusual keys, because stores differ in all three. Every call ends within a deadline.
"""

import re
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

KEY_CHARACTERS_MAX = 900  # S3 ends at 1,024 bytes, and a prefix from the store's URL comes on top
KEY_PART_CHARACTERS_MAX = 200  # file systems end at 255, and the directory store adds a suffix while writing
CALL_DEADLINE_S = 30.0  # of everything but bodies, retries included
SLOWEST_BODY_BYTES_PER_S = 2**20  # a range may take as long as this on top
_KEY_PART = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9._=-]*")


class ObjectStoreError(Exception):
    """Base of what a store raises. The message names the store and says what to do."""


class ObjectMissing(ObjectStoreError):
    """There is no object of that key."""


class ObjectTruncated(ObjectStoreError):
    """The object ends before the range that was asked for."""


class ObjectStoreUnavailable(ObjectStoreError):
    """No answer, or a temporary refusal. What was asked may have happened; asking again is harmless."""


class ObjectStoreDenied(ObjectStoreError):
    """Credentials, permissions or the bucket itself are wrong: retrying does not help until someone changes that."""


class DigestMismatch(ObjectStoreError):
    """The bytes that arrived are not those of the MD5 given; nothing was stored."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a store says about an object without sending it."""

    size_bytes: int
    md5: bytes | None  # None where the store keeps none that is one (multipart, encryption)


class ObjectStore(Protocol):
    async def put_file(self, key: str, path: Path, *, md5: bytes, deadline_s: float) -> None:
        """Stores the file's bytes, which the store checks against `md5`.

        Raises DigestMismatch, ObjectStoreDenied, ObjectStoreUnavailable (unknown outcome, or `deadline_s` passed).
        """
        ...

    async def put_bytes(self, key: str, data: bytes, *, deadline_s: float = CALL_DEADLINE_S) -> None:
        """Stores a small object, checked on arrival like a file. Raises as `put_file`."""
        ...

    async def get_range(self, key: str, start: int, end: int) -> bytes:
        """Exactly the bytes [start, end). Raises ObjectMissing, ObjectTruncated."""
        ...

    async def head(self, key: str) -> ObjectInfo | None:
        """None when there is no such object."""
        ...

    async def delete(self, keys: Collection[str]) -> set[str]:
        """Deletes objects, and answers those keys that are now confirmed gone, whether or not they existed before."""
        ...

    def list(self, prefix: str) -> AsyncIterator[tuple[str, int]]:
        """Every object whose key begins with `prefix`, with its size, in no particular order."""
        ...

    async def probe(self) -> None:
        """Writes, reads and deletes a small object, so that a wrong bucket or credential shows at start.

        Raises ObjectStoreDenied or ObjectStoreUnavailable.
        """
        ...

    async def close(self) -> None: ...


def checked_key(key: str) -> str:
    """The key itself, if every store can hold it: parts of `A-Za-z0-9._=-` that do not begin with a dot, joined by `/`.

    So no key can climb out of a directory, and none meets another after a store has normalised it. Raises ValueError.
    """
    parts = key.split("/")
    if len(key) > KEY_CHARACTERS_MAX:
        raise ValueError(f"object key of {len(key)} characters: at most {KEY_CHARACTERS_MAX} are allowed")
    if not all(len(part) <= KEY_PART_CHARACTERS_MAX and _KEY_PART.fullmatch(part) for part in parts):
        raise ValueError(f"not an object key: {key[:200]!r}")
    return key


def checked_range(start: int, end: int) -> int:
    """The length of [start, end). Raises ValueError for a range that is empty or backwards: nobody means that."""
    if not 0 <= start < end:
        raise ValueError(f"not a range of bytes: [{start}, {end})")
    return end - start


def body_deadline_s(size_bytes: int) -> float:
    """How long a body of this size may take before the call counts as failed."""
    return CALL_DEADLINE_S + size_bytes / SLOWEST_BODY_BYTES_PER_S
