"""Rounds: what they sync, in which thread, and what they publish."""

import asyncio
import errno
from collections.abc import Sequence
from pathlib import Path

import pytest
from coldstream.storage.commit_rounds import FILES_SYNCED_ONE_BY_ONE_MAX, CommitRounds
from coldstream.storage.errors import StorageFailed
from coldstream.storage.log import Log

from ..faults.lossy_disk import LossyDisk
from .local_log import NOW_MS, CountedDisk, Place, batch_of, values_of


def appended(log: Log, value: bytes = b"v") -> Log:
    log.append(batch_of(value), NOW_MS)
    log.flush()
    return log


def test_a_round_publishes_exactly_what_it_captured(tmp_path: Path) -> None:
    place = Place(tmp_path)
    log = place.open()
    rounds = place.rounds
    assert rounds.dirty(appended(log)) == 1
    number, captures = rounds.capture()
    assert rounds.dirty(appended(log)) == 2  # too late for the round that has begun
    log.append(batch_of(b"queued"), NOW_MS)
    rounds.sync(captures)
    rounds.publish(number, captures)
    assert (log.durable, log.end, rounds.completed, rounds.ticket()) == (1, 3, 1, 2)
    rounds.run_once()
    assert (log.durable, rounds.completed) == (2, 2)
    place.commit(log)
    assert log.durable == 3


def test_what_is_queued_while_a_round_captures_is_not_in_it(tmp_path: Path) -> None:
    place = Place(tmp_path)
    log = place.open(segment_bytes=100)
    appended(log)
    for _ in range(3):
        log.append(batch_of(b"queued"), NOW_MS)  # each in a segment of its own
    place.rounds.dirty(log)
    place.rounds.run_once()
    assert (log.durable, log.end) == (1, 4)
    place.commit(log)
    assert log.durable == 4


def test_sealed_predecessors_are_in_the_round(tmp_path: Path) -> None:
    disk = CountedDisk()
    place = Place(tmp_path, disk)
    log = place.open(segment_bytes=200)
    for i in range(5):
        log.append(batch_of(b"%d" % i * 30), NOW_MS)
    log.flush()
    place.rounds.dirty(log)
    number, captures = place.rounds.capture()
    assert [position for _, position, _ in captures[0].parts] == [segment.size for segment in log.segments]
    place.rounds.sync(captures)
    place.rounds.publish(number, captures)
    assert all(segment.is_durable for segment in log.segments)


def test_few_files_are_synced_one_by_one_and_many_at_once(tmp_path: Path) -> None:
    disk = CountedDisk()
    place = Place(tmp_path, disk)
    few = FILES_SYNCED_ONE_BY_ONE_MAX
    logs = [place.open(i) for i in range(few + 1)]
    for log in logs:
        appended(log)
    place.commit(*logs)
    disk.calls.clear()
    place.commit(*(appended(log) for log in logs[:few]))
    counts = disk.counts()
    assert (counts["fdatasync"], counts.get("syncfs", 0), counts.get("sync_directory", 0)) == (few, 0, 0)
    place.commit(*(appended(log) for log in logs))
    counts = disk.counts()
    assert (counts.get("fdatasync", 0), counts["syncfs"]) == (0, 1)
    assert all(log.durable == log.end for log in logs)


def test_new_files_bring_their_directories_once(tmp_path: Path) -> None:
    disk = CountedDisk()
    place = Place(tmp_path, disk)
    log = place.open(segment_bytes=100)
    disk.calls.clear()
    place.commit(appended(log))
    assert disk.counts()["sync_directory"] == 4  # the partition's, the topic's, `topics` and the data directory
    place.commit(appended(log))  # rolls: a new name in the partition's directory
    assert disk.counts()["sync_directory"] == 1


def test_a_dirty_log_without_news_costs_no_sync(tmp_path: Path) -> None:
    disk = CountedDisk()
    place = Place(tmp_path, disk)
    log = place.open()
    place.commit(appended(log))
    disk.calls.clear()
    place.commit(log)  # all that came was a duplicate
    assert disk.counts() == {}
    assert place.rounds.completed == 2


def test_rounds_run_back_to_back_in_a_thread_of_their_own(tmp_path: Path) -> None:
    disk = LossyDisk(str(tmp_path))
    completed: list[tuple[int, list[int]]] = []

    async def scenario() -> None:
        place = Place(tmp_path, disk)
        rounds = CommitRounds(disk, tmp_path, asyncio.get_running_loop())
        rounds.on_completed = lambda number, logs: completed.append((number, [log.durable for log in logs]))
        logs = [place.open(i) for i in range(3)]
        tickets = [rounds.dirty(appended(log)) for log in logs]
        assert tickets == [1, 1, 1]  # one pass of the loop, one round
        await rounds.drain()
        assert rounds.completed == 1
        for i in range(50):
            for log in logs:
                rounds.dirty(appended(log))
            if i % 7 == 0:
                await asyncio.sleep(0)
        await rounds.drain()
        assert all(log.durable == log.end == 51 for log in logs)
        assert values_of(logs[0]) == [b"v"] * 51
        await rounds.drain()
        rounds.close()

    asyncio.run(scenario())
    assert completed[0] == (1, [1, 1, 1])
    assert [number for number, _ in completed] == list(range(1, len(completed) + 1))
    assert {thread for (call, thread), _ in disk.calls.items() if call == "fdatasync"} == {"commit-rounds"}
    assert {thread for (call, thread), _ in disk.calls.items() if call == "writev"} == {"MainThread"}


def test_a_failed_sync_is_told_once_and_ends_all_rounds(tmp_path: Path) -> None:
    disk = LossyDisk(str(tmp_path))

    async def scenario() -> None:
        place = Place(tmp_path, disk)
        rounds = CommitRounds(disk, tmp_path, asyncio.get_running_loop())
        failures: list[BaseException] = []
        completed: list[Sequence[Log]] = []
        rounds.on_failed = failures.append
        rounds.on_completed = lambda _, logs: completed.append(logs)
        log = place.open()
        disk.fail("fdatasync", errno.EIO)
        rounds.dirty(appended(log))
        await rounds.drain()
        assert [type(failure) for failure in failures] == [StorageFailed]
        rounds.dirty(appended(log))
        await asyncio.sleep(0.01)
        await rounds.drain()
        assert (log.durable, rounds.completed, completed, len(failures)) == (0, 0, [], 1)
        rounds.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("files", [1, FILES_SYNCED_ONE_BY_ONE_MAX + 1])
def test_power_loss_after_a_round_loses_nothing_of_it(tmp_path: Path, files: int) -> None:
    import random

    disk = LossyDisk(str(tmp_path))
    place = Place(tmp_path, disk)
    logs = [place.open(i) for i in range(files)]
    place.commit(*(appended(log, b"durable") for log in logs))
    for log in logs:
        appended(log, b"perhaps")
    disk.crash(random.Random(files))
    place.restart()
    for i in range(files):
        assert values_of(place.open(i, leader_epoch=2))[:1] == [b"durable"]
