"""What a person is shown of bytes that anybody may have sent."""

import pytest
from coldstream.console.record_batches import Record
from coldstream.console.record_views import HEADERS_SHOWN, HeaderView, Payload, payload, view_of
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (None, Payload("", 0, "null")),
        (b"", Payload("", 0, "utf-8")),
        ("grün".encode(), Payload("grün", 5, "utf-8")),
        (b'{"id": 7}', Payload('{"id": 7}', 9, "json")),
        (b"[1, 2]", Payload("[1, 2]", 6, "json")),
        (b"7", Payload("7", 1, "utf-8")),
        (b"{broken", Payload("{broken", 7, "utf-8")),
        (b"line\n\ttab", Payload("line\n\ttab", 9, "utf-8")),
        (b"\x00\x00\x00\x00\x05avro", Payload("00000000056176726f", 9, "binary")),  # valid UTF-8, and no text
        (b"\xff\xfe", Payload("fffe", 2, "binary")),
        (b"\x1b[31mred", Payload("1b5b33316d726564", 8, "binary")),
        (b"[" * 60_000, Payload("[" * 4096, 60_000, "utf-8", True)),  # nested too deeply to be checked
    ],
)
def test_bytes_are_shown_as_what_they_look_like(data: bytes | None, shown: Payload) -> None:
    assert payload(data) == shown


def test_long_text_is_cut_between_characters_and_says_so() -> None:
    shown = payload("ü".encode() * 5_000)
    assert (shown.text, shown.size_bytes, shown.truncated) == ("ü" * 4096, 10_000, True)


@given(st.binary(max_size=10_000))
def test_no_bytes_show_more_than_four_thousand_characters(data: bytes) -> None:
    shown = payload(data)
    assert len(shown.text) <= 4096
    assert shown.size_bytes == len(data)


def test_many_headers_are_counted_and_strange_names_are_shown() -> None:
    headers = tuple((b"\xffname%d" % number, b'{"a": 1}') for number in range(HEADERS_SHOWN + 5))
    view = view_of(2, Record(9, 1_000, b"k", None, headers))
    assert (view.partition, view.offset, view.key.text, view.value.encoding) == (2, 9, "k", "null")
    assert view.headers[0] == HeaderView("\ufffdname0", Payload('{"a": 1}', 8, "utf-8"))
    assert (len(view.headers), view.headers_left_out) == (HEADERS_SHOWN, 5)
