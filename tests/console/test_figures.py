"""Growth and lag, where figures are missing and where a log is cut at either end."""

from typing import Any

import pytest
from coldstream.console.figures import (
    NOTHING_KNOWN,
    Growth,
    PartitionFigures,
    TopicFigures,
    group_figures,
    growth_of_partition,
    growth_of_topic,
    total,
)
from hypothesis import given
from hypothesis import strategies as st


def partition(**changed: Any) -> PartitionFigures:
    figures = {"log_start": 0, "local_start": 100, "end": 200, "hot_bytes": 1_000, "cold_bytes": 500}
    return PartitionFigures(**figures | changed)


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    assert total([1, 2]) == 3
    assert total([1, None]) is None
    topic = TopicFigures((partition(), partition(cold_bytes=None)))
    assert (topic.hot_bytes, topic.cold_bytes, topic.records) == (2_000, None, 400)
    assert not topic.is_complete


def test_the_last_record_is_the_newest_that_is_known_of_any_partition() -> None:
    assert TopicFigures((partition(newest_ms=5), partition(), partition(newest_ms=9))).last_record_at_ms == 9
    assert TopicFigures((partition(),)).last_record_at_ms is None


@pytest.mark.parametrize(
    ("after", "grown"),
    [
        (partition(end=210, hot_bytes=1_100), Growth(10, 100)),  # appended
        (partition(), Growth(0, 0)),
        (partition(end=210, hot_bytes=220, local_start=190), Growth(10, 110)),  # and evicted: 11 bytes a record
        (partition(end=210, hot_bytes=900), Growth(10, 81)),  # and compacted, so by the mean size of what is left
        (partition(log_start=150, local_start=150, hot_bytes=500), Growth(0, 0)),  # retention alone
        (partition(end=150, hot_bytes=700), Growth(0, 0)),  # the tail was lost
        (partition(end=210, hot_bytes=None), Growth(10, None)),
        (partition(end=None), Growth(None, None)),
        (partition(end=210, hot_bytes=0, local_start=210), Growth(10, 0)),  # all of it is cold already
    ],
)
def test_growth_is_told_or_estimated_and_never_negative(after: PartitionFigures, grown: Growth) -> None:
    assert growth_of_partition(partition(), after) == grown


def test_a_new_partition_counts_from_its_beginning_and_an_unknown_one_makes_the_sum_unknown() -> None:
    before = TopicFigures((partition(),))
    new = partition(log_start=0, local_start=0, end=7, hot_bytes=70)
    assert growth_of_topic(before, TopicFigures((partition(), new))) == Growth(7, 70)
    assert growth_of_topic(before, TopicFigures((NOTHING_KNOWN, new))) == Growth(None, None)


number = st.none() | st.integers(0, 2**40)
figures = st.builds(PartitionFigures, number, number, number, number, number)


@given(figures, figures)
def test_no_figures_make_a_negative_growth(before: PartitionFigures, after: PartitionFigures) -> None:
    grown = growth_of_partition(before, after)
    assert (grown.records or 0) >= 0
    assert (grown.size_bytes or 0) >= 0


ENDS = {("orders", 0): 100, ("orders", 1): 50, ("returns", 0): 10}


def test_lag_is_what_lies_behind_the_commits() -> None:
    group = group_figures("billing", "Stable", 2, {("orders", 0): 90, ("orders", 1): 50, ("returns", 0): 3}, ENDS)
    assert (group.lag, group.topics, group.partitions) == (17, {"orders": 10, "returns": 7}, 3)


def test_a_commit_beyond_the_end_is_no_lag() -> None:
    assert group_figures("billing", "Empty", 0, {("orders", 0): 120}, ENDS).lag == 0


def test_lag_is_unknown_without_commits_or_without_an_end() -> None:
    assert group_figures("new", "Stable", 1, {}, ENDS).lag is None
    assert group_figures("loading", "Stable", 1, None, ENDS).lag is None
    partly = group_figures("odd", "Empty", 0, {("orders", 0): 90, ("gone", 0): 1}, ENDS)
    assert (partly.lag, partly.topics) == (None, {"gone": None, "orders": 10})
