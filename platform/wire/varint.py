"""Unsigned variable-length integers (KIP-482): seven bits a byte, lowest first, at most five bytes and 32 bits."""

from collections.abc import Sequence

from .errors import Malformed

UVARINT_MAX = 2**32 - 1


def encode_uvarint(value: int) -> bytes:
    """`value` must lie in [0, 2^32)."""
    if value < 128:
        return SMALL[value]
    assert value <= UVARINT_MAX, "a length that no frame can hold"
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def decode_uvarint(buf: Sequence[int], pos: int, end: int, field: str) -> tuple[int, int]:
    """The value that begins at `pos`, and the position after it. Reads nothing at `end` or beyond.

    Needlessly long encodings are accepted, as Kafka accepts them; more than 32 bits are Malformed.
    """
    value = shift = 0
    start = pos
    while pos < end:
        byte = buf[pos]
        pos += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value > UVARINT_MAX:
                break
            return value, pos
        shift += 7
        if shift == 35:
            break
    else:
        raise Malformed(field, start, "the message ends within a variable-length integer")
    raise Malformed(field, start, "a variable-length integer of more than 32 bits")


SMALL = tuple(bytes((value,)) for value in range(128))
