"""The internal partitions: what is told when, and in which order."""

from pathlib import Path

import pytest
from coldstream.platform.broker.group_log import GroupLogs
from coldstream.platform.groups.seams import Record
from coldstream.storage.commit_rounds import CommitRounds
from coldstream.storage.open_files import OpenFiles
from coldstream.tests.platform.broker.conftest import Bench, WilfulDisk, wait_until


@pytest.fixture
def disk() -> WilfulDisk:
    return WilfulDisk()


class Kept:
    """Group logs on commit rounds that run when told to."""

    def __init__(self, directory: Path, disk: WilfulDisk) -> None:
        self.rounds = CommitRounds(disk, directory)
        self.logs = GroupLogs.open(directory, disk, OpenFiles(disk), self.rounds, 1, lambda: 1_700_000_000_000)
        self.rounds.on_completed = lambda ticket, _: self.logs.completed(ticket)
        self.told: list[tuple[str, bool]] = []

    def append(self, name: str, partition: int = 0) -> None:
        self.logs.append(
            partition, [Record(name.encode(), b"x")], lambda error: self.told.append((name, error is None))
        )

    def close(self) -> None:
        self.logs.close()
        self.rounds.close()


def test_an_append_is_told_of_only_once_it_is_durable(tmp_path: Path, disk: WilfulDisk) -> None:
    kept = Kept(tmp_path, disk)
    kept.append("a")
    assert kept.told == []
    kept.rounds.run_once()
    assert kept.told == [("a", True)]
    kept.close()


def test_a_failed_append_is_told_of_after_those_before_it(tmp_path: Path, disk: WilfulDisk) -> None:
    kept = Kept(tmp_path, disk)
    kept.append("a")
    disk.fill_up()
    kept.append("b")
    disk.write_error = None
    kept.append("c")
    assert kept.told == []
    kept.rounds.run_once()
    assert kept.told == [("a", True), ("b", False), ("c", True)]
    kept.close()


def test_a_failed_append_that_follows_nothing_is_told_of_at_once(tmp_path: Path, disk: WilfulDisk) -> None:
    kept = Kept(tmp_path, disk)
    disk.fill_up()
    kept.append("a")
    disk.write_error = None
    assert kept.told == [("a", False)]
    kept.close()


def test_a_mistake_in_what_follows_an_append_keeps_no_other_from_its_answer(tmp_path: Path, disk: WilfulDisk) -> None:
    kept = Kept(tmp_path, disk)

    def mistaken(error: BaseException | None) -> None:
        raise RuntimeError("a mistake of ours")

    kept.logs.append(0, [Record(b"a", b"x")], mistaken)
    kept.append("b")
    kept.rounds.run_once()
    assert kept.told == [("b", True)]
    kept.close()


def test_what_came_after_a_snapshot_was_taken_is_replayed_behind_it(tmp_path: Path, disk: WilfulDisk) -> None:
    kept = Kept(tmp_path, disk)
    kept.append("a")
    kept.append("b")
    kept.rounds.run_once()
    end = kept.logs.durable_end(0)
    kept.append("c")  # while the snapshot is written
    kept.logs.write_snapshot(0, end, [Record(b"state", b"a and b")])
    kept.logs.drop_below(0, end)
    kept.rounds.run_once()
    replayed = [record.key for record in kept.logs.replay(0)]
    assert (replayed[0], replayed[-1]) == (b"state", b"c")
    kept.close()
    again = Kept(tmp_path, disk)
    assert [record.key for record in again.logs.replay(0)] == [b"state", b"c"]
    again.close()


def test_a_snapshot_that_cannot_be_written_ends_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = bench.broker.broker
    monkeypatch.setattr("coldstream.platform.broker.housekeeping.RETRY_S", 0.01)
    tried: list[int] = []

    def due() -> list[int]:
        tried.append(1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(broker.services.group_log, "due_for_snapshot", due)
    wait_until(lambda: len(tried) > 2)
    assert len(tried) > 2
    assert broker.failed is not None and not broker.failed.done()
