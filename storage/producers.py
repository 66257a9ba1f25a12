"""What a log remembers of idempotent producers (KIP-98), and Kafka's `.snapshot` file of it.

Always true: an entry describes the last batches of one producer in one epoch, five at most, newest last; entries are
immutable tuples, so a copy of the dictionary is a snapshot and putting an old entry back undoes an append.

As Kafka does it: a producer without an entry may start at any sequence (its entry may have expired, or its records
may have been deleted); a new epoch must start at 0; a batch equal in first and last sequence to one of the last five
is a duplicate; anything else must follow the last sequence. Unlike Kafka, entries expire by when a batch was appended
and not by its timestamp (a producer of old records would be forgotten while it writes), and the snapshot holds all five
batches, as entries with the same producer id, oldest first: Kafka's reader keeps the last of them, which is what it
would have written itself, and a retry of the others is still known after a restart.
"""

import struct
from collections.abc import Mapping
from typing import NamedTuple

from crc32c import crc32c

from .batch import BatchHeader, last_sequence
from .errors import InvalidProducerEpoch, OutOfOrderSequence

BATCHES_KEPT = 5  # what a producer may have in flight (max.in.flight.requests.per.connection)
EXPIRATION_MS = 86_400_000  # producer.id.expiration.ms
ENTRIES_MAX = 10_000  # about 5 MB; beyond it those that wrote longest ago are forgotten
EXPIRE_EVERY_MS = 600_000  # producer.id.expiration.check.interval.ms

SNAPSHOT_HEAD = struct.Struct(">hIi")  # version, CRC-32C of what follows it, count
SNAPSHOT_ENTRY = struct.Struct(">qhiqiqiq")
SNAPSHOT_VERSION = 1
SNAPSHOT_CRC_COVERS_FROM = 6


class RecentBatch(NamedTuple):
    """Sequences [first, last] were appended as offsets [base_offset, last_offset], both ends included."""

    first_sequence: int
    last_sequence: int
    base_offset: int
    last_offset: int


Entry = tuple[int, int, int, tuple[RecentBatch, ...]]  # epoch, last sequence, appended at (ms), last batches
Entries = Mapping[int, Entry]
_new_batch = tuple.__new__


class Producers:
    """The producers of one log. Not thread-safe: it belongs to the log's thread."""

    __slots__ = ("_entries", "_expired_at_ms", "_undo")

    def __init__(self, entries: Entries | None = None) -> None:
        self._entries: dict[int, Entry] = dict(entries or {})
        self._undo: list[tuple[int, Entry | None]] = []
        self._expired_at_ms = 0

    def __len__(self) -> int:
        return len(self._entries)

    def original(self, producer_id: int, epoch: int, first_sequence: int, last_offset_delta: int) -> RecentBatch | None:
        """The batch that this one repeats, or None when it is the next one.

        Raises InvalidProducerEpoch, OutOfOrderSequence.
        """
        entry = self._entries.get(producer_id)
        if entry is None:
            return None
        known_epoch, known_last, _, recent = entry
        if epoch == known_epoch:
            if first_sequence == (known_last + 1) & 0x7FFFFFFF:
                # In sequence. (It cannot also be a duplicate: five batches do not span the 2^31 sequences.)
                return None
            last = last_sequence(first_sequence, last_offset_delta)
            for batch in reversed(recent):
                if batch.first_sequence == first_sequence and batch.last_sequence == last:
                    return batch
            raise OutOfOrderSequence(
                f"producer {producer_id} epoch {epoch} sent sequence {first_sequence} where "
                f"{(known_last + 1) & 0x7FFFFFFF} was due"
            )
        if epoch < known_epoch:
            raise InvalidProducerEpoch(
                f"producer {producer_id} sent epoch {epoch}, but epoch {known_epoch} has written already"
            )
        if first_sequence != 0:
            raise OutOfOrderSequence(
                f"producer {producer_id} began its epoch {epoch} with sequence {first_sequence} instead of 0"
            )
        return None

    def appended(
        self, producer_id: int, epoch: int, first_sequence: int, base_offset: int, last_offset: int, now_ms: int
    ) -> None:
        """Remember a batch that is about to be written. `keep` or `undo` must follow."""
        entries = self._entries
        before = entries.get(producer_id)
        self._undo.append((producer_id, before))
        last = (first_sequence + last_offset - base_offset) & 0x7FFFFFFF
        batch = _new_batch(RecentBatch, (first_sequence, last, base_offset, last_offset))
        if before is not None and before[0] == epoch:
            recent = before[3]
            kept = recent[1:] if len(recent) == BATCHES_KEPT else recent
            entries[producer_id] = (epoch, last, now_ms, (*kept, batch))
        else:
            entries[producer_id] = (epoch, last, now_ms, (batch,))

    def replay(self, header: BatchHeader, now_ms: int) -> None:
        """Remember a batch found in the log, without judging it. Control batches carry no sequence."""
        if header.producer_id >= 0 and not header.is_control:
            self.appended(
                header.producer_id,
                header.producer_epoch,
                header.base_sequence,
                header.base_offset,
                header.last_offset,
                now_ms,
            )
            self._undo.clear()

    def keep(self) -> None:
        """What was appended since the last call was written."""
        self._undo.clear()
        if len(self._entries) > ENTRIES_MAX:
            self._forget_the_oldest()

    def undo(self) -> None:
        """What was appended since the last `keep` was not written after all."""
        for producer_id, before in reversed(self._undo):
            if before is None:
                self._entries.pop(producer_id, None)
            else:
                self._entries[producer_id] = before
        self._undo.clear()

    def expire(self, now_ms: int) -> None:
        """Forget producers that wrote nothing for a day. Looks at most every ten minutes."""
        if now_ms - self._expired_at_ms < EXPIRE_EVERY_MS or self._undo:
            return
        self._expired_at_ms = now_ms
        oldest_ms = now_ms - EXPIRATION_MS
        if any(entry[2] <= oldest_ms for entry in self._entries.values()):
            self._entries = {key: entry for key, entry in self._entries.items() if entry[2] > oldest_ms}

    def entries(self) -> Entries:
        """A copy that later appends do not change."""
        return dict(self._entries)

    def _forget_the_oldest(self) -> None:
        """A tenth at once, so that the sort is paid for by a thousand appends."""
        by_age = sorted(self._entries, key=lambda producer_id: self._entries[producer_id][2])
        for producer_id in by_age[: len(by_age) - ENTRIES_MAX * 9 // 10]:
            del self._entries[producer_id]


def encode_snapshot(entries: Entries) -> bytes:
    """The bytes of a `.snapshot` file."""
    body = bytearray()
    count = 0
    for producer_id, (epoch, _, appended_at_ms, recent) in entries.items():
        for batch in recent:
            delta = batch.last_offset - batch.base_offset
            body += SNAPSHOT_ENTRY.pack(
                producer_id, epoch, batch.last_sequence, batch.last_offset, delta, appended_at_ms, -1, -1
            )
            count += 1
    head = bytearray(SNAPSHOT_HEAD.pack(SNAPSHOT_VERSION, 0, count))
    crc = crc32c(body, crc32c(head[SNAPSHOT_CRC_COVERS_FROM:]))
    return SNAPSHOT_HEAD.pack(SNAPSHOT_VERSION, crc, count) + bytes(body)


def decode_snapshot(raw: bytes, now_ms: int) -> dict[int, Entry] | None:
    """The entries of a `.snapshot` file, Kafka's included, without those that expired; None when it is damaged."""
    if len(raw) < SNAPSHOT_HEAD.size:
        return None
    version, crc, count = SNAPSHOT_HEAD.unpack_from(raw)
    if version != SNAPSHOT_VERSION or crc32c(memoryview(raw)[SNAPSHOT_CRC_COVERS_FROM:]) != crc:
        return None
    if len(raw) != SNAPSHOT_HEAD.size + count * SNAPSHOT_ENTRY.size:
        return None
    entries: dict[int, Entry] = {}
    body = memoryview(raw)[SNAPSHOT_HEAD.size :]
    for producer_id, epoch, last, last_offset, delta, appended_at_ms, _, _ in SNAPSHOT_ENTRY.iter_unpack(body):
        if appended_at_ms <= now_ms - EXPIRATION_MS:
            continue
        before = entries.get(producer_id)
        batch = RecentBatch((last - delta) & 0x7FFFFFFF, last, last_offset - delta, last_offset)
        recent = (*before[3], batch) if before is not None and before[0] == epoch else (batch,)
        entries[producer_id] = (epoch, last, appended_at_ms, recent[-BATCHES_KEPT:])
    return entries
