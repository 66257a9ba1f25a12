"""Request headers in place: client ids, tags to skip, and nothing believed that the frame does not hold."""

import pytest
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.errors import Malformed
from coldstream.platform.wire.header import decode_request_header, encode_request_header

from .values import mutated, seeded


def test_tagged_fields_of_a_header_are_skipped() -> None:
    frame = encode_request_header(ApiKey.FETCH, 12, 1, "c")[:-1] + b"\2\0\3abc\x81\1\0" + b"body"
    header = decode_request_header(frame, 0, len(frame))
    assert frame[header.body_start :] == b"body"


def test_an_api_or_version_nobody_described_yields_what_is_at_fixed_places() -> None:
    for key, version in ((999, 0), (ApiKey.FETCH, 99), (ApiKey.METADATA, -1)):
        frame = bytearray(encode_request_header(ApiKey.HEARTBEAT, 0, 42, "c"))
        frame[:4] = key.to_bytes(2, "big") + version.to_bytes(2, "big", signed=True)
        header = decode_request_header(frame, 0, len(frame))
        assert (header.api_key, header.api_version, header.correlation_id, header.client_id) == (key, version, 42, "c")
        assert header.body_start == len(frame)


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        ("", "needs 10 bytes, 0 are there"),
        ("0012 0003 00000001 00", "needs 10 bytes, 9 are there"),
        ("0012 0000 00000001 0005 6162", "a length of 5, 2 bytes are left"),
        ("0012 0000 00000001 7fff", "a length of 32767, 0 bytes are left"),
        ("0012 0000 00000001 fffe", "a length of -2"),
        ("0012 0000 00000001 0002 c328", "client_id at byte 10: not UTF-8"),
        ("0012 0003 00000001 ffff", "ends within"),
        ("0012 0003 00000001 ffff ffffffff0f", "4294967295 tagged fields"),
        ("0012 0003 00000001 ffff ffffffffff", "more than 32 bits"),
        ("0012 0003 00000001 ffff 01 05 ffffffff0f", "a tagged field of 4294967295 bytes"),
    ],
)
def test_headers_that_cannot_be_are_malformed(frame: str, why: str) -> None:
    data = bytes.fromhex(frame)
    for after in (b"", b"\0" * 50):  # what else is in the receive buffer must not matter
        with pytest.raises(Malformed, match=why):
            decode_request_header(data + after, 0, len(data))


def test_damaged_headers_decode_or_are_malformed() -> None:
    rng = seeded("header")
    valid = encode_request_header(ApiKey.METADATA, 12, 7, "client")[:-1] + b"\1\7\2ab"
    for _ in range(3000):
        data = mutated(rng, valid)
        try:
            header = decode_request_header(data, 0, len(data))
        except Malformed:
            continue
        assert header.body_start <= len(data)
        assert "RequestHeader(api_key=" in repr(header)
