import os
from pathlib import Path

import pytest
from coldstream.storage.disk import NOWAIT, Disk, OsDisk


def test_the_real_disk_does_what_its_names_say(tmp_path: Path) -> None:
    disk: Disk = OsDisk()
    folder, path = str(tmp_path / "sub"), str(tmp_path / "sub" / "file")
    disk.mkdir(folder)
    fd = disk.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    assert disk.writev(fd, [b"one ", bytearray(b"two "), memoryview(b"three")]) == 13
    disk.fdatasync(fd)
    disk.syncfs(fd)
    disk.sync_directory(folder)
    assert disk.fstat_size(fd) == disk.stat(path).st_size == 13
    buffer = bytearray(7)
    assert (disk.preadv(fd, (buffer,), 0, NOWAIT), bytes(buffer)) == (7, b"one two")
    disk.ftruncate(fd, 3)
    assert disk.pread(fd, 100, 0) == b"one"
    disk.close(fd)
    disk.rename(path, path + "2")
    assert disk.listdir(folder) == ["file2"] and not disk.exists(path)
    disk.unlink(path + "2")
    disk.rmdir(folder)
    assert disk.free_bytes(str(tmp_path)) > 0


def test_a_failing_syncfs_says_so() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        OsDisk().syncfs(10**6)
