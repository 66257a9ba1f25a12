"""Kafka's checkpoint files: a version line, a count line, one line per entry.

Always true: a file is replaced by renaming a whole new one over it, so a reader after kill -9 finds the old or the new;
after a power loss it may find an empty or torn one, which reads as None, never as something else: the count must agree.
"""

import os
from collections.abc import Sequence

from .disk import Buffer, Disk

VERSION = "0"
TEMPORARY_SUFFIX = ".tmp"


def encode_entries(entries: Sequence[Sequence[object]]) -> bytes:
    lines = [VERSION, str(len(entries)), *(" ".join(map(str, entry)) for entry in entries)]
    return ("\n".join(lines) + "\n").encode()


def decode_entries(raw: bytes, fields: int) -> list[list[str]] | None:
    """The entries, each of exactly so many fields; None for anything that is not a whole checkpoint."""
    lines = raw.decode("utf-8", "replace").split("\n")
    if len(lines) < 3 or lines[0] != VERSION or lines[-1] != "" or not lines[1].isascii() or not lines[1].isdigit():
        return None
    entries = [line.split(" ") for line in lines[2:-1]]
    if len(entries) != int(lines[1]) or any(len(entry) != fields for entry in entries):
        return None
    return entries


def read_file(disk: Disk, path: str) -> bytes | None:
    """A whole small file, or None when there is none."""
    try:
        fd = disk.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return disk.pread(fd, disk.fstat_size(fd), 0)
    finally:
        disk.close(fd)


def replace_file(disk: Disk, path: str, content: Buffer) -> None:
    """Write a file whole and synced under another name, then rename it. The name becomes durable with its directory."""
    temporary = path + TEMPORARY_SUFFIX
    fd = disk.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC)
    try:
        at, view = 0, memoryview(content)
        while at < len(view):
            at += disk.pwrite(fd, view[at:], at)
        disk.fdatasync(fd)
    finally:
        disk.close(fd)
    disk.rename(temporary, path)
