"""An hour in minutes: what is counted is kept, spread over the time it came in, and forgotten after sixty minutes."""

import pytest
from coldstream.console.rates import MINUTE_MS, MINUTES, SILENCE, MinuteCounts, per_second
from hypothesis import given
from hypothesis import strategies as st

START_MS = 1_700_000_040_000 // MINUTE_MS * MINUTE_MS


def test_what_comes_within_a_minute_is_counted_there() -> None:
    counts = MinuteCounts()
    counts.add(30, START_MS + 1_000, START_MS + 11_000)
    counts.add(12, START_MS + 11_000, START_MS + 21_000)
    assert list(counts.until(START_MS + 21_000)) == [0.0] * 59 + [42.0]
    assert list(counts.until(START_MS + MINUTE_MS)) == [0.0] * 58 + [42.0, 0.0]


def test_what_comes_over_several_minutes_is_shared_among_them_by_time() -> None:
    counts = MinuteCounts()
    counts.add(120, START_MS + 30_000, START_MS + 2 * MINUTE_MS + 30_000)  # a minute per 60
    assert list(counts.until(START_MS + 2 * MINUTE_MS + 30_000))[-4:] == [0.0, 30.0, 60.0, 30.0]


def test_a_rate_of_the_running_minute_is_by_what_passed_of_it() -> None:
    counts = MinuteCounts()
    counts.add(600, START_MS, START_MS + MINUTE_MS - 1)
    counts.add(100, START_MS + MINUTE_MS, START_MS + MINUTE_MS + 10_000)
    *_, before, running = per_second(counts.until(START_MS + MINUTE_MS + 10_000), START_MS + MINUTE_MS + 10_000)
    assert before == pytest.approx(10)
    assert running == pytest.approx(10)


def test_an_hour_later_nothing_is_left_and_nothing_is_held() -> None:
    counts = MinuteCounts()
    counts.add(5, START_MS, START_MS + 1)
    assert sum(counts.until(START_MS + 59 * MINUTE_MS)) == 5
    assert counts.until(START_MS + 60 * MINUTE_MS) is SILENCE
    counts.add(7, START_MS + 200 * MINUTE_MS, START_MS + 200 * MINUTE_MS)
    assert list(counts.until(START_MS + 200 * MINUTE_MS)) == [0.0] * 59 + [7.0]


def test_after_a_long_silence_only_the_last_hour_of_it_is_counted() -> None:
    counts = MinuteCounts()
    counts.add(1_200, START_MS, START_MS + 120 * MINUTE_MS)
    found = counts.until(START_MS + 120 * MINUTE_MS)
    assert list(found[:-1]) == [10.0] * 59
    assert found[-1] == 0.0


def test_a_quiet_topic_shares_one_silence() -> None:
    counts = MinuteCounts()
    counts.add(0, START_MS, START_MS + 10_000)
    assert counts.until(START_MS + 10_000) is SILENCE
    assert per_second(SILENCE, START_MS) == (0.0,) * MINUTES


steps = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 200_000)), max_size=40)


@given(steps)
def test_the_hour_holds_what_came_in_it(steps: list[tuple[int, int]]) -> None:
    """Against the plain way of saying it: each amount, spread over its interval, cut to the last sixty minutes."""
    counts, now_ms, came = MinuteCounts(), START_MS, []
    for amount, passed_ms in steps:
        came.append((amount, now_ms, now_ms + passed_ms))
        counts.add(*came[-1])
        now_ms += passed_ms
    oldest_ms = (now_ms // MINUTE_MS - MINUTES + 1) * MINUTE_MS
    expected = sum(
        amount * (max(0, until_ms - max(from_ms, oldest_ms)) / (until_ms - from_ms) if until_ms > from_ms else 1)
        for amount, from_ms, until_ms in came
        if until_ms >= oldest_ms
    )
    assert sum(counts.until(now_ms)) == pytest.approx(expected, rel=1e-4, abs=1e-2)
    assert min(counts.until(now_ms)) >= 0
