"""A log whose every record is past retention: it is empty, goes on where it ended, and stays so after every restart."""

import contextlib
import errno
import random
from pathlib import Path

import pytest
from coldstream.storage.config import LogConfig
from coldstream.storage.errors import OffsetOutOfRange
from coldstream.storage.log import Log
from coldstream.storage.retention import Holding, plan_log_start
from coldstream.storage.violations import violations

from ..faults.lossy_disk import LossyDisk
from .local_log import NOW_MS, Place, batch_of, values_of

HOUR_MS = 3_600_000


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, LossyDisk(str(tmp_path)))


def let_go(log: Log, config: LogConfig, now_ms: int) -> int:
    """What a broker does with a partition that has nothing cold; the log start."""
    holding = Holding(
        log_start=log.log_start, durable=log.durable, sealed=log.sealed_segments(), active=log.active_segment()
    )
    start = plan_log_start(holding, config, now_ms)
    if start > log.segments[-1].base:
        assert log.seal(now_ms)
    log.advance_log_start(start)
    log.drop_local_below(start)
    return start


def filled(place: Place) -> Log:
    log = place.open()
    for number in range(3):
        sent = batch_of(b"a", b"b", producer_id=7, producer_epoch=0, base_sequence=2 * number)
        log.append(sent, NOW_MS)
        if number == 0:
            place.commit(log)
            log.seal(NOW_MS)
    place.commit(log)
    return log


def emptied(place: Place) -> Log:
    log = filled(place)
    assert let_go(log, LogConfig(retention_ms=HOUR_MS), NOW_MS + 2 * HOUR_MS) == 6
    return log


def test_the_active_segment_goes_with_the_rest_and_the_end_stays(place: Place) -> None:
    log = emptied(place)
    assert (log.log_start, log.local_start, log.end, log.durable, log.hot_bytes) == (6, 6, 6, 6, 0)
    assert [name for name in place.names() if name.endswith(".log")] == ["00000000000000000006.log"]
    with pytest.raises(OffsetOutOfRange):
        log.read(5, 100)
    assert log.append(batch_of(b"c"), NOW_MS).base_offset == 6
    place.commit(log)
    assert values_of(log) == [b"c"]
    assert list(violations(log)) == []


def test_a_record_that_came_in_time_keeps_its_segment(place: Place) -> None:
    log = filled(place)
    log.append(batch_of(b"young", first_ms=NOW_MS + 2 * HOUR_MS), NOW_MS + 2 * HOUR_MS)
    place.commit(log)
    assert let_go(log, LogConfig(retention_ms=HOUR_MS), NOW_MS + 2 * HOUR_MS) == 2
    assert values_of(log) == [b"a", b"b", b"a", b"b", b"young"]


def test_what_is_not_durable_yet_goes_nowhere(place: Place) -> None:
    log = place.open()
    log.append(batch_of(b"a"), NOW_MS)
    for _ in range(2):
        assert let_go(log, LogConfig(retention_ms=HOUR_MS), NOW_MS + 2 * HOUR_MS) == 0
        log.flush()
    place.commit(log)
    assert let_go(log, LogConfig(retention_ms=HOUR_MS), NOW_MS + 2 * HOUR_MS) == 1


@pytest.mark.parametrize("end", ["close", "kill", "power loss"])
def test_the_end_and_the_producers_outlive_every_kind_of_restart(place: Place, end: str) -> None:
    log = emptied(place)
    if end == "close":
        log.close()
    elif end == "kill":
        place.disk.kill()
    else:
        place.disk.crash(random.Random(4))
    place.restart()
    log = place.open(leader_epoch=2, log_start=6)
    assert (log.log_start, log.end, log.recovery.lost, log.recovery.problems) == (6, 6, (), ())
    again = log.append(batch_of(b"a", b"b", producer_id=7, producer_epoch=0, base_sequence=4), NOW_MS)
    assert again.duplicate and again.base_offset == 4
    following = log.append(batch_of(b"c", producer_id=7, producer_epoch=0, base_sequence=6), NOW_MS)
    assert (following.duplicate, following.base_offset) == (False, 6)
    place.commit(log)
    assert values_of(log) == [b"c"]
    assert [epoch for epoch, _ in log.epoch_history()] == [1, 2]


@pytest.mark.parametrize("seed", range(40))
def test_a_power_loss_half_way_leaves_the_end_where_it_was(place: Place, seed: int) -> None:
    """The log start is committed first; whatever of the files went by then, no offset is given out twice."""
    log = filled(place)
    chance = random.Random(seed)
    place.disk.fail(chance.choice(["unlink", "open", "sync_directory", "rename"]), errno.EIO, after=chance.randrange(4))
    with contextlib.suppress(OSError):  # some faults lie behind all that this does
        let_go(log, LogConfig(retention_ms=HOUR_MS), NOW_MS + 2 * HOUR_MS)
    place.disk.heal()
    place.disk.crash(chance)
    place.restart()
    log = place.open(leader_epoch=2, log_start=6)
    assert (log.log_start, log.end, log.recovery.lost) == (6, 6, ())
    assert log.append(batch_of(b"c"), NOW_MS).base_offset == 6
