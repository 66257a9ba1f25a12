"""The checker finds what it is there for."""

from pathlib import Path

import pytest
from coldstream.storage.log import Log
from coldstream.storage.segment import Durable
from coldstream.storage.violations import violations

from .local_log import NOW_MS, Place, batch_of


@pytest.fixture
def log(tmp_path: Path) -> Log:
    place = Place(tmp_path)
    log = place.open(segment_bytes=500, index_interval_bytes=100)
    for i in range(20):
        log.append(batch_of(b"%d" % i), NOW_MS + i)
    place.commit(log)
    assert list(violations(log)) == []
    return log


def test_a_flipped_bit(log: Log) -> None:
    path = Path(log.segments[0].file.path)
    raw = bytearray(path.read_bytes())
    raw[66] ^= 1  # in the value of the first record
    path.write_bytes(raw)
    assert any("CRC-32C" in said for said in violations(log))


def test_a_file_of_another_length(log: Log) -> None:
    path = Path(log.segments[1].file.path)
    path.write_bytes(path.read_bytes() + b"more")
    assert any("bytes were" in said or "were written" in said for said in violations(log))


def test_an_index_that_points_elsewhere(log: Log) -> None:
    index = log.segments[0].index
    assert index is not None
    index.positions[0] += 1
    assert any("the index says" in said for said in violations(log))


def test_a_durable_position_inside_a_batch(log: Log) -> None:
    segment = log.segments[-1]
    segment.durable = Durable(segment.written - 1, segment.durable.offset)
    assert any("not the end of a batch" in said for said in violations(log))


def test_an_end_that_is_not_the_last_batchs(log: Log) -> None:
    log.end += 1
    assert any("its last batch ends" in said for said in violations(log))


def test_a_wrong_epoch_history(log: Log) -> None:
    log._epochs = ((0, 0), (1, 5))
    assert any("the history says 0" in said for said in violations(log))


def test_segments_that_overlap_or_are_open(log: Log) -> None:
    log.segments[0].end += 1
    log.segments[1].sealed_at_ms = -1
    said = list(violations(log))
    assert any("above the next one's base" in each for each in said)
    assert any("still open" in each for each in said)
