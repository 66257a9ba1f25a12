"""Sealed segments, checkpoints, eviction, deletion, and the descriptor budget."""

import os
import threading
import time
from pathlib import Path

import pytest
from coldstream.storage.errors import BelowLocalStart, OffsetOutOfRange
from coldstream.storage.log import CHECKPOINT_EVERY_MS
from coldstream.storage.removal import DELETED_SUFFIX, finish_removals, remove_topic
from coldstream.storage.violations import violations

from .local_log import NOW_MS, TOPIC, CountedDisk, Place, UnsyncedDisk, batch_of, read_all, values_of

SMALL = {"segment_bytes": 400, "index_interval_bytes": 100}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_sealed_segments_are_described_before_and_after_a_restart(place: Place) -> None:
    log = place.open(**SMALL)
    for i in range(20):
        log.append(batch_of(b"%d" % i, first_ms=NOW_MS - i * 10), NOW_MS + i)
    place.commit(log)
    before = log.sealed_segments()
    assert [s.base for s in before] == [segment.base for segment in log.segments[:-1]]
    for segment in before:
        records = [r for r in read_all(log) if segment.base <= r.offset < segment.end]
        assert segment.first_timestamp_ms == records[0].timestamp_ms
        assert segment.max_timestamp_ms == max(record.timestamp_ms for record in records)
        assert segment.size_bytes == segment.path.stat().st_size
        assert segment.sealed_at_ms >= NOW_MS
    log.close()
    place.restart()
    after = place.open(leader_epoch=2, **SMALL).sealed_segments()
    assert [s._replace(sealed_at_ms=0) for s in after] == [s._replace(sealed_at_ms=0) for s in before]


def test_a_sealed_segment_counts_only_once_it_is_durable(place: Place) -> None:
    log = place.open()
    log.append(batch_of(b"v"), NOW_MS)
    assert log.seal()
    assert log.sealed_segments() == ()
    assert log.drop_local_below(1) == []
    place.rounds.run_once()  # sealing marked the log dirty
    assert [(s.base, s.end) for s in log.sealed_segments()] == [(0, 1)]
    assert not log.seal()


def test_checkpoints_are_due_after_a_roll_or_a_minute_of_writes(place: Place) -> None:
    log = place.open()
    assert not log.checkpoint_due(NOW_MS + 10 * CHECKPOINT_EVERY_MS)
    log.append(batch_of(b"v"), NOW_MS)
    place.commit(log)
    assert not log.checkpoint_due(NOW_MS + CHECKPOINT_EVERY_MS - 1)
    assert log.checkpoint_due(NOW_MS + CHECKPOINT_EVERY_MS)
    log.checkpoint(NOW_MS + CHECKPOINT_EVERY_MS)
    assert not log.checkpoint_due(NOW_MS + 10 * CHECKPOINT_EVERY_MS)
    log.seal()
    place.rounds.run_once()
    assert log.checkpoint_due(NOW_MS)
    log.checkpoint(NOW_MS)
    assert not log.checkpoint_due(NOW_MS)
    assert place.names() == {
        *(f"{0:020d}{suffix}" for suffix in (".log", ".index", ".timeindex")),
        f"{1:020d}.snapshot",
        "leader-epoch-checkpoint",
        "recovery-point-offset-checkpoint",
    }


def test_indexes_of_sealed_segments_leave_memory_with_their_descriptor(tmp_path: Path) -> None:
    place = Place(tmp_path, UnsyncedDisk(), limit=16)
    log = place.open(**SMALL)
    for i in range(200):
        log.append(batch_of(b"%d" % i), NOW_MS)
    place.commit(log)
    assert all(segment.index is not None for segment in log.segments)  # not on disk yet
    log.checkpoint(NOW_MS)
    place.files.make_room(16)
    assert all(segment.index is None for segment in log.segments[:-1])
    assert values_of(log) == [b"%d" % i for i in range(200)]
    assert sum(segment.index is not None for segment in log.segments) <= 17


def test_the_end_is_remembered_when_every_record_has_left(place: Place) -> None:
    log = place.open(**SMALL)
    for i in range(20):
        log.append(batch_of(b"%d" % i), NOW_MS)
    place.commit(log)
    log.seal()
    place.rounds.run_once()
    removed = log.drop_local_below(20)
    assert len(removed) > 1 and not any(path.exists() for path in removed)
    assert (log.local_start, log.end, log.hot_bytes) == (20, 20, 0)
    place.restart()
    log = place.open(leader_epoch=2, **SMALL)
    assert (log.local_start, log.end) == (20, 20)
    with pytest.raises(BelowLocalStart):
        log.read(0, 100)
    log.append(batch_of(b"20"), NOW_MS)
    place.commit(log)
    assert values_of(log) == [b"20"]
    assert list(violations(log)) == []


def test_only_whole_durable_sealed_segments_are_dropped(place: Place) -> None:
    log = place.open(**SMALL)
    for i in range(20):
        log.append(batch_of(b"%d" % i), NOW_MS)
    place.commit(log)
    bases = [segment.base for segment in log.segments]
    assert log.drop_local_below(bases[1] - 1) == []
    assert log.drop_local_below(bases[2] + 1) == [
        place.directory() / f"{bases[0]:020d}.log",
        place.directory() / f"{bases[1]:020d}.log",
    ]
    assert log.local_start == bases[2]
    log.drop_local_below(10**9)
    assert [segment.base for segment in log.segments] == bases[-1:]
    assert values_of(log) == [b"%d" % i for i in range(bases[-1], 20)]


def test_a_snapshot_is_only_given_at_a_segments_end(place: Place) -> None:
    log = place.open(**SMALL)
    log.append(batch_of(b"a", b"b"), NOW_MS)
    with pytest.raises(OffsetOutOfRange):
        log.producer_snapshot_at(1)
    assert log.producer_snapshot_at(2)


def test_deleting_leaves_nothing(place: Place) -> None:
    logs = [place.open(i, **SMALL) for i in range(2)]
    for log in logs:
        for i in range(20):
            log.append(batch_of(b"%d" % i), NOW_MS)
    place.commit(*logs)
    logs[0].checkpoint(NOW_MS)
    before = len(os.listdir("/proc/self/fd"))
    logs[0].delete()
    assert not place.directory(0).exists() and place.directory(1).exists()
    logs[1].delete()
    assert not place.directory(0).parent.exists()
    place.files.reap()
    assert len(os.listdir("/proc/self/fd")) < before
    assert len(place.files) == 0
    logs[1].delete()  # harmless to repeat


def test_a_round_that_meets_a_deleted_log_goes_on(place: Place) -> None:
    gone, kept = place.open(0), place.open(1)
    for log in (gone, kept):
        log.append(batch_of(b"v"), NOW_MS)
        log.flush()
        place.rounds.dirty(log)
    number, captures = place.rounds.capture()
    gone.delete()
    place.rounds.sync(captures)
    place.rounds.publish(number, captures)
    assert values_of(kept) == [b"v"]
    assert len(place.files) == 1


def test_half_deleted_directories_are_finished_off(place: Place) -> None:
    log = place.open()
    log.append(batch_of(b"v"), NOW_MS)
    place.commit(log)
    log.close()
    place.directory().rename(str(place.directory()) + DELETED_SUFFIX)
    topics = place.root / "topics"
    assert finish_removals(place.disk, str(topics)) == [str(place.directory()) + DELETED_SUFFIX]
    assert list(topics.iterdir()) == []
    assert finish_removals(place.disk, str(topics)) == finish_removals(place.disk, str(topics / "none")) == []


def test_a_whole_topic_is_removed(place: Place) -> None:
    for i in range(3):
        log = place.open(i)
        log.append(batch_of(b"v"), NOW_MS)
        place.commit(log)
        log.close(clean=False)
    place.directory(1).rename(str(place.directory(1)) + DELETED_SUFFIX)
    remove_topic(place.disk, str(place.root / "topics" / str(TOPIC)))
    remove_topic(place.disk, str(place.root / "topics" / str(TOPIC)))
    assert list((place.root / "topics").iterdir()) == []


def test_two_thousand_logs_share_a_hundred_descriptors(tmp_path: Path) -> None:
    place = Place(tmp_path, UnsyncedDisk(), limit=100)
    before = len(os.listdir("/proc/self/fd"))
    logs = [place.open(i) for i in range(2000)]
    most = 0
    for turn in range(2):
        for i, log in enumerate(logs):
            log.append(batch_of(b"%d %d" % (turn, i)), NOW_MS)
            log.flush()
            place.rounds.dirty(log)
            if i % 40 == 39:
                place.rounds.run_once()
                most = max(most, len(os.listdir("/proc/self/fd")) - before)
    assert most <= 100 + 1  # and the one held for syncfs
    for i in range(0, 2000, 97):
        assert values_of(logs[i]) == [b"0 %d" % i, b"1 %d" % i]
    assert len(os.listdir("/proc/self/fd")) - before <= 101
    for log in logs:
        log.close(clean=False)


def test_a_hundred_topics_open_quickly(tmp_path: Path) -> None:
    place = Place(tmp_path, UnsyncedDisk())
    for i in range(100):
        log = place.open(i)
        for j in range(20):
            log.append(batch_of(b"%d" % j * 100), NOW_MS)
        place.commit(log)
        log.close()
    place.restart()
    started = time.perf_counter()
    logs = [place.open(i, leader_epoch=2) for i in range(100)]
    assert time.perf_counter() - started < 1  # it takes about 30 ms
    assert all(log.recovery.clean for log in logs)


def test_eviction_and_checkpoints_run_beside_appends(tmp_path: Path) -> None:
    place = Place(tmp_path, UnsyncedDisk(), limit=16)
    log = place.open(**SMALL)
    stop, errors = threading.Event(), []

    def upkeep() -> None:
        while not stop.is_set():
            try:
                log.checkpoint(NOW_MS)
                log.drop_local_below(log.durable - 50)
                log.sealed_segments()
            except Exception as error:
                errors.append(error)
                return

    thread = threading.Thread(target=upkeep)
    thread.start()
    for i in range(600):
        log.append(batch_of(b"%d" % i), NOW_MS)
        if i % 3 == 0:
            place.commit(log)
    place.commit(log)
    stop.set()
    thread.join()
    assert errors == []
    assert values_of(log) == [b"%d" % i for i in range(log.local_start, 600)]
    assert list(violations(log)) == []
    log.close()
    place.restart()
    log = place.open(leader_epoch=2, **SMALL)
    assert log.recovery.clean
    assert values_of(log) == [b"%d" % i for i in range(log.local_start, 600)]


def test_opening_makes_no_file_and_reads_little(tmp_path: Path) -> None:
    disk = CountedDisk()
    place = Place(tmp_path, disk)
    place.open(0)
    disk.calls.clear()
    place.open(1)
    assert disk.counts().keys() <= {"exists", "mkdir", "open"}  # `open`: looking for a recovery point
