"""JSON for people: the same tokens, laid out."""

import json
import re
from typing import Any

from coldstream.console.pages.json_text import DEPTH_MAX, laid_out
from hypothesis import given
from hypothesis import strategies as st

LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=6), parts, max_size=3),
    max_leaves=12,
)
STRING_OR_SPACE = re.compile(r'"(?:[^"\\]|\\.)*"|\s+', re.DOTALL)


def squeezed(text: str) -> str:
    """The text without white space between tokens."""
    return STRING_OR_SPACE.sub(lambda found: found[0] if found[0].startswith('"') else "", text)


@given(DOCUMENTS, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_only_white_space_changes(document: Any, indent: int | str | None, ascii_only: bool) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    assert squeezed(laid_out(text)) == squeezed(text)
    assert json.loads(laid_out(text)) == document


@given(DOCUMENTS)
def test_it_is_laid_out_as_everybody_does(document: Any) -> None:
    assert laid_out(json.dumps(document, ensure_ascii=False)) == json.dumps(document, indent=2, ensure_ascii=False)


def test_numbers_keep_their_digits_and_names_stay_twice() -> None:
    assert laid_out('{"price":1.10,"id":12345678901234567890,"id":1e400}') == (
        '{\n  "price": 1.10,\n  "id": 12345678901234567890,\n  "id": 1e400\n}'
    )


def test_what_is_too_deep_is_left_as_it_is() -> None:
    deep = "[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1)
    assert laid_out(deep) == deep
