"""The disk that can lose power: what it may lose, and what it never loses."""

import errno
import os
import random
from pathlib import Path

import pytest

from .lossy_disk import LossyDisk

APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND


@pytest.fixture
def disk(tmp_path: Path) -> LossyDisk:
    return LossyDisk(str(tmp_path))


def outcomes(tmp_path: Path, prepare, tries: int = 60) -> set[bytes | None]:
    """What is left of `file` after power losses with as many seeds."""
    found: set[bytes | None] = set()
    for seed in range(tries):
        root = tmp_path / str(seed)
        root.mkdir()
        disk = LossyDisk(str(root))
        prepare(disk, str(root))
        disk.crash(random.Random(seed))
        path = root / "file"
        found.add(path.read_bytes() if path.exists() else None)
    return found


def test_what_is_synced_with_its_name_survives(tmp_path: Path) -> None:
    def prepare(disk: LossyDisk, root: str) -> None:
        fd = disk.open(f"{root}/file", APPEND)
        disk.writev(fd, [b"syn", b"ced"])
        disk.fdatasync(fd)
        disk.sync_directory(root)

    assert outcomes(tmp_path, prepare) == {b"synced"}


def test_a_synced_file_without_a_synced_name_may_be_gone(tmp_path: Path) -> None:
    def prepare(disk: LossyDisk, root: str) -> None:
        fd = disk.open(f"{root}/file", APPEND)
        disk.writev(fd, [b"synced"])
        disk.fdatasync(fd)

    assert outcomes(tmp_path, prepare) == {b"synced", None}


def test_unsynced_writes_may_survive_be_torn_lost_or_leave_holes(tmp_path: Path) -> None:
    def prepare(disk: LossyDisk, root: str) -> None:
        fd = disk.open(f"{root}/file", APPEND)
        disk.writev(fd, [b"aa"])
        disk.fdatasync(fd)
        disk.sync_directory(root)
        disk.writev(fd, [b"bb"])
        disk.writev(fd, [b"cc"])

    found = outcomes(tmp_path, prepare, 200)
    assert {b"aa", b"aabb", b"aabbcc", b"aab", b"aa\0\0cc"} <= found
    assert all(left is not None and left.startswith(b"aa") for left in found)


def test_syncfs_covers_files_and_names(tmp_path: Path) -> None:
    def prepare(disk: LossyDisk, root: str) -> None:
        disk.mkdir(f"{root}/sub")
        fd = disk.open(f"{root}/file", APPEND)
        disk.writev(fd, [b"x"])
        held = disk.open(root, os.O_RDONLY | os.O_DIRECTORY)
        disk.syncfs(held)

    assert outcomes(tmp_path, prepare) == {b"x"}


def test_a_rename_is_old_or_new_never_neither(tmp_path: Path) -> None:
    def prepare(disk: LossyDisk, root: str) -> None:
        for name, content in (("file", b"old"), ("new", b"new")):
            fd = disk.open(f"{root}/{name}", APPEND)
            disk.writev(fd, [content])
            disk.fdatasync(fd)
        disk.sync_directory(root)
        disk.rename(f"{root}/new", f"{root}/file")

    assert outcomes(tmp_path, prepare) == {b"old", b"new"}


def test_an_unlink_may_be_undone(tmp_path: Path) -> None:
    def prepare(disk: LossyDisk, root: str) -> None:
        fd = disk.open(f"{root}/file", APPEND)
        disk.writev(fd, [b"x"])
        disk.fdatasync(fd)
        disk.sync_directory(root)
        disk.unlink(f"{root}/file")

    assert outcomes(tmp_path, prepare) == {b"x", None}


def test_writes_under_a_failed_sync_are_readable_and_never_durable(tmp_path: Path) -> None:
    def prepare(disk: LossyDisk, root: str) -> None:
        fd = disk.open(f"{root}/file", APPEND)
        disk.writev(fd, [b"gone"])
        disk.sync_directory(root)
        disk.fail("fdatasync", errno.EIO)
        with pytest.raises(OSError, match="Input/output"):
            disk.fdatasync(fd)
        disk.writev(fd, [b"kept"])
        disk.fdatasync(fd)
        assert disk.pread(fd, 100, 0) == b"gonekept"

    assert outcomes(tmp_path, prepare) == {b"\0\0\0\0kept"}


def test_a_kill_keeps_the_page_cache(disk: LossyDisk, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    fd = disk.open(str(tmp_path / "file"), APPEND)
    disk.writev(fd, [b"x"])
    disk.kill()
    assert (tmp_path / "file").read_bytes() == b"x"
    assert len(os.listdir("/proc/self/fd")) == before
    assert disk.unsynced_bytes(str(tmp_path / "file")) == 1
    disk.crash(random.Random(0))


def test_faults_are_short_writes_then_errors(disk: LossyDisk, tmp_path: Path) -> None:
    fd = disk.open(str(tmp_path / "file"), APPEND)
    disk.fail("writev", errno.ENOSPC, after=1, bytes_written=2)
    assert disk.writev(fd, [b"abc"]) == 3
    assert disk.writev(fd, [b"def"]) == 2
    with pytest.raises(OSError, match="No space"):
        disk.writev(fd, [b"f"])
    assert disk.writev(fd, [b"f"]) == 1
    disk.ftruncate(fd, 4)
    assert disk.pread(fd, 10, 0) == b"abcd"
    disk.close(fd)


def test_what_was_there_before_is_durable(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_bytes(b"old")
    disk = LossyDisk(str(tmp_path))
    disk.crash(random.Random(1))
    assert (tmp_path / "sub" / "file").read_bytes() == b"old"
