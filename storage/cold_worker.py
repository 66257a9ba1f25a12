"""What the broker asks of its cold worker, as values that also travel between processes.

Always true: every request may be repeated, since none leaves anything that is not either named by a manifest row or
recreated on demand; so a worker that died is answered by asking the next one.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from .cold_format import AbortedTransaction
from .manifest import ColdSegment


class ColdWorkerUnavailable(Exception):
    """The cold worker died or is starting. The outcome of what it was doing is unknown; ask again a little later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A sealed segment file to be stored as one object covering [base, end).

    Attributes:
        path: The segment's `.log` file, of which the first `log_bytes` are sealed.
        gaps_allowed: Whether offsets may be missing (a compacted topic).
        aborted: Every aborted transaction that overlaps [base, end), wherever its marker lies.
        epochs: The part of the partition's epoch history that applies to the segment.
        created_ms: The broker's clock, for the footer.
        deadline_ms: How long building and putting may take together: no put goes on after that.
    """

    object_id: UUID
    key: str
    topic_id: UUID
    partition: int
    leader_epoch: int
    base: int
    end: int
    path: str
    log_bytes: int
    gaps_allowed: bool
    epochs: tuple[tuple[int, int], ...]
    producer_snapshot: bytes
    aborted: tuple[AbortedTransaction, ...]
    created_ms: int
    deadline_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """What a verified object turned out to be."""

    size_bytes: int
    tail_bytes: int
    raw_bytes: int
    first_timestamp_ms: int
    max_timestamp_ms: int


@dataclass(frozen=True, slots=True)
class ColdObject:
    """A committed object, as a reader needs to know it."""

    object_id: UUID
    key: str
    size_bytes: int
    tail_bytes: int

    @classmethod
    def of(cls, segment: ColdSegment) -> "ColdObject":
        return cls(segment.object_id, segment.key, segment.size_bytes, segment.tail_bytes)


@dataclass(frozen=True, slots=True)
class ChunkWanted:
    """The chunk that holds `offset`, or else the next one; with a timestamp, the first from there that reaches it.

    `following` is the object after this one, for read-ahead across the border. `file_was_gone` says that the answer to
    the same question named a file that was not there any more.
    """

    object: ColdObject
    offset: int
    timestamp_ms: int | None = None
    following: ColdObject | None = None
    file_was_gone: bool = False


@dataclass(frozen=True, slots=True)
class ChunkFile:
    """A chunk in the cache: a file of `length` bytes of whole batches, whose offsets lie in [base, end).

    The file may be trimmed at any time: who finds it gone asks again.
    """

    path: str
    length: int
    base: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdWorkerStats:
    """Counters since the worker started, and the size of its cache, for metrics."""

    uploaded_objects: int = 0
    uploaded_bytes: int = 0
    downloaded_bytes: int = 0
    chunk_hits: int = 0
    chunk_misses: int = 0
    chunks_read_ahead: int = 0
    cache_bytes: int = 0
    cache_files: int = 0


class ColdWorker(Protocol):
    """Does what would hold up a broker's loop.

    Raises ColdWorkerUnavailable, an ObjectStoreError, CorruptSegment (upload), CorruptObject (chunk).
    """

    async def upload(self, upload: Upload) -> Uploaded:
        """Builds the object, puts it and verifies that the store has it."""
        ...

    async def chunk(self, wanted: ChunkWanted) -> ChunkFile | None:
        """The chunk as a file in the cache; None when the object holds nothing there."""
        ...

    async def delete(self, keys: Collection[str]) -> set[str]:
        """The keys of objects that are confirmed gone."""
        ...

    async def probe(self) -> None:
        """Whether the object store can be written, read and deleted from."""
        ...

    async def stats(self) -> ColdWorkerStats: ...
