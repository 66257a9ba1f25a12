"""The picture of a log: in proportion, within its frame, readable without seeing it."""

import pytest
from coldstream.console.pages.log_picture import LEAST_PERCENT, LogPicture, Scale, picture, pictures
from coldstream.console.schemas import PartitionView
from hypothesis import given
from hypothesis import strategies as st


def log(
    start: int | None, local: int | None, end: int | None, hot: int | None = 0, cold: int | None = 0
) -> PartitionView:
    return PartitionView(partition=0, log_start=start, local_start=local, end=end, hot_bytes=hot, cold_bytes=cold)


def texts(drawn: LogPicture) -> list[str]:
    return [label.text for label in drawn.labels]


def test_by_offsets_the_cold_range_is_what_the_local_disk_lacks() -> None:
    drawn = picture(log(1_000, 4_000, 5_000), "offsets", 4_000)
    cold, hot = drawn.bars
    assert (cold.tier, hot.tier) == ("cold", "hot")
    assert cold.x == 0 and hot.x == cold.width == drawn.boundary
    assert cold.width / hot.width == pytest.approx(3, rel=0.05)
    assert texts(drawn) == ["log start 1,000", "local start 4,000", "end 5,000"]
    assert drawn.says == "Partition 0: offsets 1,000 to 4,000 cold and 4,000 to 5,000 hot; 0 B cold, 0 B hot"


def test_by_bytes_each_tier_is_as_long_as_what_it_holds() -> None:
    cold, hot = picture(log(0, 10, 20, hot=1024, cold=3 * 1024), "bytes", 4096).bars
    assert cold.width / hot.width == pytest.approx(3, rel=0.05)


def test_a_log_that_is_all_hot_has_no_boundary() -> None:
    drawn = picture(log(0, 0, 10, hot=100), "offsets", 10)
    assert [bar.tier for bar in drawn.bars] == ["hot"] and drawn.boundary is None
    assert texts(drawn) == ["log start 0", "end 10"]


def test_a_log_that_is_all_cold_is_drawn_so() -> None:
    assert [bar.tier for bar in picture(log(0, 10, 10, cold=100), "offsets", 10).bars] == ["cold"]


def test_all_partitions_have_one_scale() -> None:
    small, large = pictures([log(0, 0, 100), log(0, 0, 1_000)], "offsets")
    assert small.bars[0].width / large.bars[0].width == pytest.approx(0.1, abs=0.01)


def test_what_is_there_can_be_seen_however_little_it_is() -> None:
    small, _ = pictures([log(0, 0, 1), log(0, 0, 10**12)], "offsets")
    assert small.bars[0].width >= LEAST_PERCENT


def test_an_empty_log_says_where_it_goes_on() -> None:
    drawn = picture(log(7, 7, 7), "offsets", 0)
    assert drawn.bars == [] and texts(drawn) == ["empty, the next offset is 7"]
    assert drawn.says == "Partition 0: empty, the next offset is 7"


def test_what_is_not_known_is_not_drawn() -> None:
    drawn = picture(log(None, None, None, None, None), "offsets", 0)
    assert drawn.bars == [] and drawn.says.endswith("not known now")


OFFSETS = st.lists(st.integers(0, 2**63 - 1), min_size=3, max_size=3).map(sorted)
SIZES = st.integers(0, 2**60)


@given(st.lists(st.tuples(OFFSETS, SIZES, SIZES), min_size=1, max_size=5), st.sampled_from(["offsets", "bytes"]))
def test_nothing_leaves_the_frame_and_no_two_labels_of_a_line_meet(
    logs: list[tuple[list[int], int, int]], scale: Scale
) -> None:
    for drawn in pictures([log(*offsets, hot, cold) for offsets, hot, cold in logs], scale):
        at = 0.0
        for bar in drawn.bars:
            assert bar.x == pytest.approx(at) and bar.width > 0
            at = bar.x + bar.width
        assert at <= 100.01
        for label in drawn.labels:
            assert 0 <= label.x <= 100.01
        for line in (0, 1, 2):
            there = [label for label in drawn.labels if label.line == line]
            assert [label.anchor for label in there] in ([], ["start"], ["end"], ["start", "end"])
        assert all(label.line != 1 or label.x > at for label in drawn.labels)
