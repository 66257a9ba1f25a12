"""Segment files and uploads for the tests of the cold tier."""

import random
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

from coldstream.storage.batch import CRC_COVERS_FROM, HEADER, HEADER_BYTES, LENGTH_STARTS_AT, parse_header
from coldstream.storage.cold_format import AbortedTransaction
from coldstream.storage.cold_worker import Upload
from coldstream.storage.manifest import segment_key
from crc32c import crc32c

START_MS = 1_700_000_000_000


def make_batch(
    base: int, count: int, payload: bytes, *, first_ms: int = START_MS, max_ms: int | None = None, epoch: int = 1
) -> bytes:
    """A batch with a sound header and CRC; what stands for its records are opaque bytes."""
    max_ms = first_ms + count - 1 if max_ms is None else max_ms
    length = HEADER_BYTES - LENGTH_STARTS_AT + len(payload)
    fields = [base, length, epoch, 2, 0, 0, count - 1, first_ms, max_ms, -1, -1, -1, count]
    fields[4] = crc32c((HEADER.pack(*fields) + payload)[CRC_COVERS_FROM:])
    return HEADER.pack(*fields) + payload


def make_batches(
    seed: int, batches: int, *, base: int = 0, payload_bytes: tuple[int, int] = (10, 3000), gaps: bool = False
) -> list[tuple[int, int, bytes]]:
    """[(base, end, bytes)]: half of them compressible, half noise."""
    rng, made = random.Random(seed), []
    for number in range(batches):
        base += rng.randrange(1, 50) if gaps and number and rng.random() < 0.5 else 0
        count, size = rng.randrange(1, 20), rng.randrange(*payload_bytes)
        payload = rng.randbytes(size) if rng.random() < 0.5 else (b"%d coldstream " % base * (size // 8 + 1))[:size]
        made.append((base, base + count, make_batch(base, count, payload, first_ms=START_MS + base * 10)))
        base += count
    return made


def write_log(path: Path, batches: list[tuple[int, int, bytes]]) -> bytes:
    data = b"".join(batch for _, _, batch in batches)
    path.write_bytes(data)
    return data


def make_upload(
    path: Path,
    base: int,
    end: int,
    *,
    topic_id: UUID | None = None,
    gaps_allowed: bool = False,
    log_bytes: int | None = None,
    partition: int = 3,
    object_id: UUID | None = None,
) -> Upload:
    topic_id, object_id = topic_id or UUID(int=7), object_id or uuid4()
    return Upload(
        object_id=object_id,
        key=segment_key("cluster", topic_id, partition, base, end, 2, object_id),
        topic_id=topic_id,
        partition=partition,
        leader_epoch=2,
        base=base,
        end=end,
        path=str(path),
        log_bytes=path.stat().st_size if log_bytes is None else log_bytes,
        gaps_allowed=gaps_allowed,
        epochs=((1, 0), (2, base)),
        producer_snapshot=b"snapshot" * 10,
        aborted=(AbortedTransaction(9, base, end + 5),),
        created_ms=START_MS + 1,
        deadline_ms=30_000,
    )


def sealed_upload(
    directory: Path, seed: int, batches: int, *, base: int = 0, size: tuple[int, int] = (10, 3000)
) -> tuple[Upload, list[tuple[int, int, bytes]]]:
    """A contiguous segment file, and the upload of all of it."""
    made = make_batches(seed, batches, base=base, payload_bytes=size)
    path = directory / f"{base:020d}.log"
    write_log(path, made)
    return make_upload(path, base, made[-1][1]), made


def spans(data: bytes) -> Iterator[tuple[int, int]]:
    """[base, end) of the whole batches in a piece of log. Asserts that nothing else is in it."""
    position = 0
    while position < len(data):
        header = parse_header(data, position)
        yield header.base_offset, header.end_offset
        position += header.size_bytes
    assert position == len(data)


def bases(data: bytes) -> list[int]:
    return [base for base, _ in spans(data)]
