"""Disks that are full, fail, or fail to clean up after themselves."""

import errno
from pathlib import Path

import pytest
from coldstream.storage.errors import DiskFull, LogError, StorageFailed, WriteFailed
from coldstream.storage.violations import violations

from ..faults.lossy_disk import LossyDisk
from .local_log import NOW_MS, Place, batch_of, values_of


@pytest.fixture
def disk(tmp_path: Path) -> LossyDisk:
    return LossyDisk(str(tmp_path))


@pytest.fixture
def place(tmp_path: Path, disk: LossyDisk) -> Place:
    return Place(tmp_path, disk)


@pytest.mark.parametrize("written", [0, 1, 60])
@pytest.mark.parametrize("config", [{}, {"segment_bytes": 150}])
def test_a_full_disk_leaves_the_log_as_it_was(
    place: Place, disk: LossyDisk, written: int, config: dict[str, int]
) -> None:
    log = place.open(index_interval_bytes=50, **config)
    producer = {"producer_id": 3, "producer_epoch": 0}
    log.append(batch_of(b"kept", base_sequence=0, **producer), NOW_MS)
    place.commit(log)
    before = (log.end, log.hot_bytes, log.epoch_history(), [s.base for s in log.segments], place.names())
    for i in range(5):
        log.append(batch_of(b"lost %d" % i, base_sequence=1 + i, **producer), NOW_MS)
    disk.fail("writev", errno.ENOSPC, after=2 if config else 0, bytes_written=written)
    with pytest.raises(DiskFull, match="No space left"):
        log.flush()
    assert (log.end, log.hot_bytes, log.epoch_history(), [s.base for s in log.segments], place.names()) == before
    assert list(violations(log)) == []
    disk.heal()
    for i in range(5):  # the same batches again, as a client would: none of them is a duplicate
        appended = log.append(batch_of(b"lost %d" % i, base_sequence=1 + i, **producer), NOW_MS)
        assert (appended.base_offset, appended.duplicate) == (1 + i, False)
    place.commit(log)
    assert values_of(log) == [b"kept", *(b"lost %d" % i for i in range(5))]
    assert list(violations(log)) == []


def test_a_short_write_is_continued(place: Place, disk: LossyDisk) -> None:
    log = place.open()
    for i in range(5):
        log.append(batch_of(b"%d" % i), NOW_MS)
    disk.fail("writev", errno.ENOSPC, bytes_written=100, times=0)
    real, shortened = disk.writev, []

    def writev(fd: int, buffers: list[memoryview]) -> int:
        if not shortened:
            shortened.append(True)
            return real(fd, [memoryview(b"".join(buffers))[:100]])
        return real(fd, buffers)

    disk.heal()
    disk.writev = writev  # type: ignore[method-assign]
    place.commit(log)
    assert shortened
    assert values_of(log) == [b"%d" % i for i in range(5)]


def test_another_write_error_is_cut_back_and_retriable_too(place: Place, disk: LossyDisk) -> None:
    log = place.open()
    log.append(batch_of(b"v"), NOW_MS)
    disk.fail("open", errno.EMFILE)
    with pytest.raises(WriteFailed, match="Too many open files"):
        log.flush()
    log.append(batch_of(b"v"), NOW_MS)
    place.commit(log)
    assert values_of(log) == [b"v"]


def test_a_log_that_cannot_be_cut_back_takes_nothing_more(place: Place, disk: LossyDisk) -> None:
    log = place.open()
    log.append(batch_of(b"visible"), NOW_MS)
    place.commit(log)
    log.append(batch_of(b"torn"), NOW_MS)
    disk.fail("writev", errno.EIO, bytes_written=30)
    disk.fail("ftruncate", errno.EIO)
    with pytest.raises(StorageFailed, match="cut back"):
        log.flush()
    for _ in range(2):
        with pytest.raises(StorageFailed):
            log.append(batch_of(b"more"), NOW_MS)
    assert values_of(log) == [b"visible"]  # what was visible still is
    disk.heal()
    log.close(clean=True)
    disk.kill()
    place.restart()
    log = place.open(leader_epoch=2)
    assert (values_of(log), log.recovery.truncated_bytes) == ([b"visible"], 30)


def test_after_a_failed_fsync_nothing_more_is_published(place: Place, disk: LossyDisk) -> None:
    log = place.open()
    log.append(batch_of(b"v"), NOW_MS)
    log.flush()
    place.rounds.dirty(log)
    disk.fail("fdatasync", errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        place.rounds.run_once()
    assert (log.durable, place.rounds.completed) == (0, 0)


def test_errors_of_one_log_do_not_touch_another(place: Place, disk: LossyDisk) -> None:
    full, fine = place.open(0), place.open(1)
    for log in (full, fine):
        log.append(batch_of(b"v"), NOW_MS)
    disk.fail("writev", errno.ENOSPC, path_part=f"/{full.partition}/")
    with pytest.raises(LogError):
        full.flush()
    place.commit(fine)
    assert (full.end, values_of(fine)) == (0, [b"v"])
