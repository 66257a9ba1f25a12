"""Unsigned varints: every size, and no more than 32 bits."""

import pytest
from coldstream.platform.wire.errors import Malformed
from coldstream.platform.wire.varint import UVARINT_MAX, decode_uvarint, encode_uvarint


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, "00"), (1, "01"), (127, "7f"), (128, "8001"), (300, "ac02"), (16_384, "808001"), (UVARINT_MAX, "ffffffff0f")],
)
def test_values_go_both_ways(value: int, encoded: str) -> None:
    raw = bytes.fromhex(encoded)
    assert encode_uvarint(value) == raw
    assert decode_uvarint(b"?" + raw + b"?", 1, len(raw) + 1, "field") == (value, len(raw) + 1)


@pytest.mark.parametrize("encoded", ["", "80", "ffffffff", "ffffffff10", "ffffffffff01", "8080808080"])
def test_what_is_cut_short_or_too_large_is_malformed(encoded: str) -> None:
    raw = bytes.fromhex(encoded)
    with pytest.raises(Malformed, match="field at byte 0"):
        decode_uvarint(raw, 0, len(raw), "field")


def test_needlessly_long_encodings_are_read_as_kafka_reads_them() -> None:
    assert decode_uvarint(b"\x81\x80\x00", 0, 3, "field") == (1, 3)
