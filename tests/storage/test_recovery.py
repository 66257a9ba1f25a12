"""What opening a log finds after a clean close, a kill, a power loss, and damage."""

import contextlib
import errno
import random
import shutil
from pathlib import Path

import pytest
from coldstream.storage.errors import BelowLocalStart, StaleLeaderEpoch
from coldstream.storage.log import Log
from coldstream.storage.recovery import OFFSETS_SKIPPED_AFTER_LOSS, read_recovery_point
from coldstream.storage.violations import violations

from ..faults.lossy_disk import LossyDisk
from .local_log import NOW_MS, CountedDisk, Place, batch_of, read_all, values_of

SMALL = {"segment_bytes": 1000, "index_interval_bytes": 150}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, LossyDisk(str(tmp_path)))


def fill(place: Place, log: Log, count: int, *, start: int = 0) -> None:
    for i in range(start, start + count):
        log.append(batch_of(b"%d" % i, first_ms=NOW_MS + i % 1000), NOW_MS)
    place.commit(log)


def killed(place: Place) -> None:
    place.disk.kill()
    place.restart()


def path_of(place: Place, base: int, suffix: str = ".log") -> Path:
    return place.directory() / f"{base:020d}{suffix}"


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(content)


def test_a_clean_close_leaves_nothing_to_check(tmp_path: Path) -> None:
    disk = CountedDisk()
    place = Place(tmp_path, disk)
    log = place.open(**SMALL)
    fill(place, log, 50)
    log.close()
    place.restart()
    disk.calls.clear()
    log = place.open(leader_epoch=2, **SMALL)
    counts = disk.counts()
    assert log.recovery.clean and log.recovery.checked_bytes == log.recovery.copied_bytes == 0
    assert not counts.keys() & {"pwrite", "fdatasync", "syncfs", "ftruncate", "rename", "sync_directory"}
    assert values_of(log) == [b"%d" % i for i in range(50)]
    log.close()
    assert disk.counts().get("fdatasync", 0) == 0  # nothing changed, nothing is written


def test_a_kill_loses_nothing_that_was_written(place: Place) -> None:
    log = place.open(**SMALL)
    fill(place, log, 20)
    for i in range(20, 30):
        log.append(batch_of(b"%d" % i), NOW_MS)
    log.flush()
    killed(place)
    log = place.open(leader_epoch=2, **SMALL)
    assert values_of(log) == [b"%d" % i for i in range(30)]
    assert log.durable == 30 and not log.recovery.clean
    assert log.recovery.copied_bytes == log.recovery.checked_bytes > 0
    assert list(violations(log)) == []


def test_only_what_is_above_the_recovery_point_is_read_again(place: Place) -> None:
    log = place.open()
    fill(place, log, 100)
    log.checkpoint(NOW_MS)
    fill(place, log, 5, start=100)
    killed(place)
    log = place.open(leader_epoch=2)
    assert log.recovery.recovery_point == 100
    assert log.recovery.checked_bytes == sum(len(batch_of(b"%d" % i)) for i in range(100, 105))
    assert [segment.base for segment in log.segments] == [0, 100]
    assert values_of(log) == [b"%d" % i for i in range(105)]
    assert list(violations(log)) == []


def test_what_was_re_read_survives_the_next_power_loss(place: Place) -> None:
    """A failed fsync leaves pages clean in the cache and not on disk: re-reading them is not enough."""
    log = place.open()
    fill(place, log, 3)
    log.checkpoint(NOW_MS)
    log.append(batch_of(b"3"), NOW_MS)
    log.flush()
    place.rounds.dirty(log)
    place.disk.fail("fdatasync", errno.EIO)
    with pytest.raises(OSError):
        place.rounds.run_once()
    killed(place)
    log = place.open(leader_epoch=2)
    assert values_of(log) == [b"0", b"1", b"2", b"3"]
    place.disk.crash(random.Random(1))
    place.restart()
    assert values_of(place.open(leader_epoch=3)) == [b"0", b"1", b"2", b"3"]


def test_a_torn_tail_is_cut_off(place: Place) -> None:
    log = place.open()
    fill(place, log, 10)
    killed(place)
    path = path_of(place, 0)
    whole = path.read_bytes()
    batch = len(whole) // 10
    for left in (len(whole) - 1, len(whole) - batch + 5, len(whole) - batch):
        path.write_bytes(whole[:left])
        shutil.rmtree(place.directory().parent / "copy", ignore_errors=True)
        place = Place(place.root, LossyDisk(str(place.root)))
        log = place.open(leader_epoch=2)
        assert values_of(log) == [b"%d" % i for i in range(9)]
        assert log.recovery.truncated_bytes == left - 9 * batch
        place.disk.kill()
        for name in place.names() - {path.name}:
            (place.directory() / name).unlink()


def test_a_zeroed_tail_is_cut_off_and_later_segments_with_it(place: Place) -> None:
    log = place.open(**SMALL)
    fill(place, log, 40)
    bases = [segment.base for segment in log.segments]
    killed(place)
    middle = path_of(place, bases[1])
    middle.write_bytes(middle.read_bytes()[:-200] + bytes(200))
    place = Place(place.root, LossyDisk(str(place.root)))
    log = place.open(leader_epoch=2, **SMALL)
    assert bases[1] < log.end < bases[2]
    assert values_of(log) == [b"%d" % i for i in range(log.end)]
    assert not path_of(place, bases[2]).exists()
    assert list(violations(log)) == []
    fill(place, log, 1, start=log.end)


def test_the_log_goes_on_in_its_new_epoch(place: Place) -> None:
    log = place.open(leader_epoch=1)
    fill(place, log, 3)
    killed(place)
    log = place.open(leader_epoch=5)
    assert log.epoch_history() == ((1, 0),)  # nothing was appended yet
    fill(place, log, 1, start=3)
    assert log.epoch_history() == ((1, 0), (5, 3))
    log.close()
    assert place.open(leader_epoch=6).epoch_history() == ((1, 0), (5, 3))
    with pytest.raises(StaleLeaderEpoch, match="epoch 5: it cannot be led in epoch 4"):
        place.open(leader_epoch=4)


@pytest.mark.parametrize("content", [None, b"", b"junk"])
def test_a_lost_epoch_file_is_made_again_from_the_batches(place: Place, content: bytes | None) -> None:
    for epoch in (1, 3):
        log = place.open(leader_epoch=epoch, **SMALL)
        fill(place, log, 30)
        log.close()
    path = place.directory() / "leader-epoch-checkpoint"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    place = Place(place.root)
    assert place.open(leader_epoch=4).epoch_history() == ((1, 0), (3, 30))


@pytest.mark.parametrize("suffix", [".index", ".timeindex", ".snapshot"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "zeroed", "flipped"])
def test_side_files_may_be_lost_or_damaged(place: Place, suffix: str, damage: str) -> None:
    log = place.open(**SMALL)
    fill(place, log, 60)
    log.append(batch_of(b"60", producer_id=8, producer_epoch=0, base_sequence=41), NOW_MS)
    expected = log.offset_for_timestamp(NOW_MS + 33), log.max_timestamp()
    log.close()
    for path in place.directory().glob(f"*{suffix}"):
        raw = path.read_bytes()
        match damage:
            case "missing":
                path.unlink()
            case "empty":
                path.write_bytes(b"")
            case "cut":
                path.write_bytes(raw[: len(raw) - 3])
            case "zeroed":
                path.write_bytes(raw[: len(raw) // 2] + bytes(len(raw) - len(raw) // 2))
            case "flipped" if raw:
                flip(path, len(raw) // 2)
    place = Place(place.root)
    log = place.open(leader_epoch=2, **SMALL)
    assert values_of(log) == [b"%d" % i for i in range(61)]
    assert log.append(batch_of(b"60", producer_id=8, producer_epoch=0, base_sequence=41), NOW_MS).duplicate
    if suffix != ".timeindex":  # it has no checksum; what is durable of it was synced before it was trusted
        assert (log.offset_for_timestamp(NOW_MS + 33), log.max_timestamp()) == expected


def test_producers_are_known_after_every_kind_of_restart(place: Place) -> None:
    def batch(sequence: int) -> memoryview:
        return batch_of(b"%d" % sequence, producer_id=8, producer_epoch=0, base_sequence=sequence)

    log = place.open(**SMALL)
    for sequence in range(30):
        log.append(batch(sequence), NOW_MS)
    place.commit(log)
    for clean in (True, False):
        if clean:
            log.close(now_ms=NOW_MS)
        else:
            killed(place)
        place.restart()
        log = place.open(leader_epoch=2, **SMALL)
        for sequence in range(25, 30):
            assert log.append(batch(sequence), NOW_MS).base_offset == sequence
        assert log.end == 30


def test_a_snapshot_at_a_segments_end_is_that_of_its_producers(place: Place) -> None:
    from coldstream.storage.producers import decode_snapshot

    log = place.open(**SMALL)
    for sequence in range(40):
        log.append(batch_of(b"v" * 30, producer_id=8, producer_epoch=0, base_sequence=sequence), NOW_MS)
    place.commit(log)
    for step in ("in memory", "saved", "reopened"):
        if step == "saved":
            log.checkpoint(NOW_MS)
        if step == "reopened":
            log.close(now_ms=NOW_MS)
            log = place.open(leader_epoch=2, **SMALL)
        ends = [segment.end for segment in log.sealed_segments()] + [log.end]
        assert len(ends) > 3
        for end in ends:
            entries = decode_snapshot(log.producer_snapshot_at(end), NOW_MS)
            assert entries is not None
            assert entries[8][1] == end - 1


def test_a_lost_recovery_point_only_costs_time(place: Place) -> None:
    log = place.open(**SMALL)
    fill(place, log, 60)
    log.close()
    (place.directory() / "recovery-point-offset-checkpoint").write_bytes(b"")
    place = Place(place.root)
    log = place.open(leader_epoch=2, **SMALL)
    assert values_of(log) == [b"%d" % i for i in range(60)]
    assert not log.recovery.clean and log.recovery.lost == ()
    log.close()
    assert Place(place.root).open(leader_epoch=3, **SMALL).recovery.clean


@pytest.mark.parametrize("closed_before", [False, True])
def test_an_interrupted_recovery_is_done_again(place: Place, closed_before: bool) -> None:
    """After the tail was copied on and before the old file was cut, both hold the same batches."""
    log = place.open(**SMALL)
    fill(place, log, 8)
    if closed_before:
        log.close()
        place.restart()
        log = place.open(**SMALL)
    log.checkpoint(NOW_MS)
    fill(place, log, 3, start=8)
    killed(place)
    place.disk.fail("ftruncate", errno.EIO)
    with pytest.raises(OSError):
        place.open(leader_epoch=2, **SMALL)
    assert path_of(place, 8).exists()
    killed(place)
    log = place.open(leader_epoch=2, **SMALL)
    assert values_of(log) == [b"%d" % i for i in range(11)]
    assert list(violations(log)) == []


def test_an_interrupted_close_leaves_a_true_time_index(place: Place) -> None:
    """A newer offset index beside an older time index would hide the timestamps between them."""
    log = place.open(**SMALL)
    fill(place, log, 3)
    log.close()
    for failing in range(6):
        place.restart()
        log = place.open(leader_epoch=2 + failing, **SMALL)
        fill(place, log, 2, start=log.end)
        place.disk.fail("rename", errno.EIO, after=failing)
        with contextlib.suppress(OSError):
            log.close()
        killed(place)
        log = place.open(leader_epoch=2 + failing, **SMALL)
        assert log.max_timestamp() == (log.end - 1, NOW_MS + log.end - 1)
        assert list(violations(log)) == []
        place.disk.heal()
        log.close()


# --- damage below the recovery point


def damaged(place: Place, base: int, at: int) -> Place:
    flip(path_of(place, base), at)
    return Place(place.root)


def test_damage_below_the_recovery_point_is_set_aside_and_reported(place: Place) -> None:
    log = place.open()
    fill(place, log, 10)
    log.close()
    for suffix in (".index", ".timeindex"):
        path_of(place, 0, suffix).unlink()
    whole = path_of(place, 0).read_bytes()
    batch = len(whole) // 10
    place = damaged(place, 0, 4 * batch + 16)  # the magic of the fifth batch
    log = place.open(leader_epoch=2)
    report = log.recovery
    assert report.lost == ((4, 10),) and not report.clean
    assert [Path(path).name for path in report.quarantined] == [f"{0:020d}.log.quarantined"]
    assert len(Path(report.quarantined[0]).read_bytes()) == len(whole)
    assert any("damaged at byte" in problem for problem in report.problems)
    assert log.end == log.durable == 10 + OFFSETS_SKIPPED_AFTER_LOSS  # no offset is ever given out twice
    assert values_of(log) == [b"0", b"1", b"2", b"3"]
    with pytest.raises(BelowLocalStart) as gap:
        log.read(6, 100)
    assert gap.value.next_local == log.end
    fill(place, log, 2, start=log.end)
    for _ in range(2):
        log.close()
        place.restart()
        log = place.open(leader_epoch=3)
        assert log.recovery.clean
        assert [record.offset for record in read_all(log)] == [0, 1, 2, 3, log.end - 2, log.end - 1]
        with pytest.raises(BelowLocalStart):
            log.read(6, 100)
    assert list(violations(log)) == []


def test_a_log_shorter_than_its_recovery_point_goes_on_far_above(place: Place) -> None:
    log = place.open()
    fill(place, log, 10)
    log.close()
    path = path_of(place, 0)
    path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2])
    place = Place(place.root)
    log = place.open(leader_epoch=2)
    assert log.recovery.lost == ((5, 10),)
    assert log.recovery.quarantined == ()
    assert values_of(log) == [b"%d" % i for i in range(5)]
    assert log.end == 10 + OFFSETS_SKIPPED_AFTER_LOSS


def test_a_log_whose_files_are_gone_goes_on_far_above(place: Place) -> None:
    log = place.open()
    fill(place, log, 10)
    log.close()
    for path in place.directory().glob("*.log"):
        path.unlink()
    place = Place(place.root)
    log = place.open(leader_epoch=2)
    assert log.end == log.local_start == 10 + OFFSETS_SKIPPED_AFTER_LOSS
    assert log.recovery.lost
    log.close()
    assert Place(place.root).open(leader_epoch=3).end == log.end


def test_damage_in_the_middle_leaves_what_follows_where_it_is(place: Place) -> None:
    log = place.open(**SMALL)
    fill(place, log, 30)
    log.checkpoint(NOW_MS)
    fill(place, log, 30, start=30)
    bases = [segment.base for segment in log.segments]
    at = max(i for i, base in enumerate(bases) if base <= 30)
    killed(place)
    damaged_path, position = path_of(place, bases[at]), 16
    flip(damaged_path, position)
    place = Place(place.root)
    log = place.open(leader_epoch=2, **SMALL)
    assert log.recovery.lost == ((bases[at], 30),)
    assert log.end == 60
    left = [*range(bases[at]), *range(bases[at + 1], 60)]
    assert [record.offset for record in read_all(log)] == left
    assert list(violations(log)) == []
    log.drop_local_below(60)
    assert not [name for name in place.names() if name.endswith(".missing") and int(name[21:41]) <= log.local_start]


def test_a_log_start_beyond_the_log_is_a_loss(place: Place) -> None:
    log = place.open()
    fill(place, log, 5)
    log.close()
    log = place.open(leader_epoch=2, log_start=20)
    assert log.end == 20 + OFFSETS_SKIPPED_AFTER_LOSS
    assert not log.recovery.clean


def test_an_empty_directory_begins_at_the_log_start(place: Place) -> None:
    log = place.open(log_start=1000)
    assert (log.log_start, log.local_start, log.end, log.durable) == (1000, 1000, 1000, 1000)
    assert log.recovery.clean
    fill(place, log, 1)
    assert [record.offset for record in read_all(log)] == [1000]


def test_the_recovery_point_never_passes_what_is_durable(place: Place) -> None:
    log = place.open()
    fill(place, log, 5)
    log.append(batch_of(b"not durable"), NOW_MS)
    log.flush()
    log.checkpoint(NOW_MS)
    assert read_recovery_point(place.disk, str(place.directory())) == 5
