"""Snapshot files of internal partitions: `<partition>-<end:020d>.snapshot`, record batches in Kafka's format.

Always true: a file under its final name is whole and synced; every batch carries its own CRC. A file that fails its
check is passed over and reported, and the next older one is used.
"""

import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ...storage import records as batches
from ...storage.batch import iterate_headers
from ...storage.disk import Disk
from ...storage.errors import LogError
from ..groups.seams import Record

log = logging.getLogger("coldstream.groups")

BATCH_BYTES_MAX = 4 * 2**20
SUFFIX = ".snapshot"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a partition up to offset `end`."""

    end: int
    data: bytes

    def records(self) -> Iterator[Record]:
        """The records, all of them keyed. Raises LogError where a batch is damaged."""
        for position, header in iterate_headers(self.data):
            for record in batches.decode_records(self.data[position : position + 12 + header.length]):
                if record.key is not None:
                    yield Record(record.key, record.value)


def newest_snapshot(disk: Disk, folder: Path, partition: int) -> Snapshot | None:
    """The newest whole snapshot of a partition, or none. Blocking."""
    prefix = f"{partition}-"
    names = sorted((n for n in disk.listdir(str(folder)) if n.startswith(prefix) and n.endswith(SUFFIX)), reverse=True)
    for name in names:
        path = folder / name
        snapshot = Snapshot(int(name[len(prefix) : -len(SUFFIX)]), read_file(disk, path))
        try:
            for _ in snapshot.records():
                pass
        except LogError as error:
            log.error("snapshot is damaged, trying an older one", extra={"path": str(path), "error": str(error)})
            continue
        return snapshot
    return None


def write_snapshot(disk: Disk, folder: Path, partition: int, end: int, records: Iterable[Record]) -> None:
    """Write, sync, rename, and only then drop older ones. Blocking."""
    final = folder / f"{partition}-{end:020d}{SUFFIX}"
    partial = final.with_suffix(".partial")
    fd = disk.open(str(partial), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        for batch in batched(records):
            written = 0
            while written < len(batch):
                written += disk.writev(fd, [memoryview(batch)[written:]])
        disk.fdatasync(fd)
    finally:
        disk.close(fd)
    disk.rename(str(partial), str(final))
    disk.sync_directory(str(folder))
    for name in disk.listdir(str(folder)):
        if name.startswith(f"{partition}-") and name != final.name:
            disk.unlink(str(folder / name))


def batched(records: Iterable[Record]) -> Iterator[bytes]:
    """Record batches of bounded size that together hold all records."""
    some: list[batches.Record] = []
    size_bytes = 0
    for offset, record in enumerate(records):
        some.append(batches.Record(offset, 0, record.key, record.value, ()))
        size_bytes += len(record.key) + len(record.value or b"")
        if size_bytes >= BATCH_BYTES_MAX:
            yield batches.build_batch(some, base_offset=some[0].offset)
            some, size_bytes = [], 0
    if some:
        yield batches.build_batch(some, base_offset=some[0].offset)


def read_file(disk: Disk, path: Path) -> bytes:
    """A whole file."""
    fd = disk.open(str(path), os.O_RDONLY)
    try:
        parts: list[bytes] = []
        offset = 0
        while part := disk.pread(fd, 2**20, offset):
            parts.append(part)
            offset += len(part)
        return b"".join(parts)
    finally:
        disk.close(fd)
