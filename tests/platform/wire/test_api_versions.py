"""ApiVersions answers from cached bytes, and what a client of the future is told."""

import pytest
from coldstream.platform.wire.api import APIS, ApiKey, offered_versions
from coldstream.platform.wire.api_versions import encode_api_versions_response, encode_unsupported_api_versions
from coldstream.platform.wire.codec import decode_response
from coldstream.platform.wire.errors import ErrorCode
from coldstream.platform.wire.header import decode_request_header


@pytest.mark.parametrize("version", range(5))
@pytest.mark.parametrize("correlation_id", [0, 7, -(2**31), 2**31 - 1])
def test_every_offered_api_is_named_with_its_versions(version: int, correlation_id: int) -> None:
    frame = encode_api_versions_response(version, correlation_id)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    echoed, answer = decode_response(ApiKey.API_VERSIONS, version, frame[4:])
    assert echoed == correlation_id
    assert answer.error_code == 0
    assert {k.api_key: range(k.min_version, k.max_version + 1) for k in answer.api_keys} == {
        key: offered_versions(key) for key in APIS
    }


def test_an_unknown_version_is_answered_in_version_0_with_the_versions_we_know() -> None:
    frame = encode_unsupported_api_versions(77)
    assert frame == bytes.fromhex("00000010 0000004d 0023 00000001 0012 0000 0004")
    assert decode_response(ApiKey.API_VERSIONS, 0, frame[4:])[1].error_code == ErrorCode.UNSUPPORTED_VERSION


def test_the_header_of_an_unknown_version_still_gives_up_its_correlation_id() -> None:
    body = bytes.fromhex("0012 0063 0000004d 0002 6d65") + b"\xff\xff\xff\xff\xff\xff\xff"
    header = decode_request_header(body, 0, len(body))
    assert (header.api_key, header.api_version, header.correlation_id, header.client_id) == (18, 99, 77, "me")
