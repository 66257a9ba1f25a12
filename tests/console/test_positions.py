"""Where somebody has read to, as text."""

import re

import pytest
from coldstream.console.positions import EARLIEST, LATEST, PATTERN, parse, spell
from hypothesis import given
from hypothesis import strategies as st


@given(st.dictionaries(st.integers(0, 99), st.integers(0, 2**59), max_size=20))
def test_what_is_spelled_can_be_read(offsets: dict[int, int]) -> None:
    text = spell(offsets)
    assert re.fullmatch(PATTERN, text)
    assert parse(text, 100) == dict.fromkeys(range(100), 0) | offsets


def test_the_beginning_is_a_word_and_what_is_too_long_becomes_the_end() -> None:
    assert spell({}) == spell({0: 0}) == EARLIEST
    assert spell(dict.fromkeys(range(9999), 10**12)) == LATEST


def test_partitions_that_are_not_there_are_left_out() -> None:
    assert parse("0:5,7:9", 2) == {0: 5, 1: 0}


@pytest.mark.parametrize(
    "text", ["", "x", "0", "0:", ":1", "0:1,", "-1:3", "0:-3", "0:1;1:2", "²:1", "0:" + "1" * 40_000]
)
def test_what_is_no_position_is_refused(text: str) -> None:
    assert not re.fullmatch(PATTERN, text, re.ASCII) or len(text) > 30_000
    with pytest.raises(ValueError, match=r"position"):
        parse(text, 3)
