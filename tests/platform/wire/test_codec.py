"""Compiled decoders and encoders against a slow reading of the same descriptions, for every message and version."""

import pytest
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.codec import (
    decode_request,
    decode_response,
    decoder,
    encode_request,
    encode_response,
    request_message,
    response_message,
)
from coldstream.platform.wire.errors import Malformed, UnsupportedVersion
from coldstream.platform.wire.header import decode_request_header
from coldstream.platform.wire.messages import find_coordinator, heartbeat, metadata, offset_fetch, produce
from coldstream.platform.wire.schema import Message, Struct, array, int8, nested

from .values import Walk, encode, every_message, message_id, random_value, seeded

ALL = pytest.mark.parametrize(("message", "version"), list(every_message()), ids=message_id)


@ALL
def test_what_is_encoded_reads_back_the_same_field_by_field_and_compiled(message: Message, version: int) -> None:
    rng = seeded(message.root.__name__, version)
    for _ in range(12):
        value = random_value(rng, message, version, unknown_tags=True)
        data = encode(message, version, value)
        walk = Walk(message, version, data)
        assert walk.value == value
        assert walk.pos == len(data)
        decoded, pos = decoder(message, version)(data, 0, len(data))
        assert decoded == value
        assert pos == len(data)
        assert encode(message, version, decoded) == data


@ALL
def test_a_message_cut_short_anywhere_is_malformed(message: Message, version: int) -> None:
    rng = seeded("cut", message.root.__name__, version)
    data = encode(message, version, random_value(rng, message, version, unknown_tags=True, many=1))
    decode = decoder(message, version)
    for end in {*range(min(400, len(data))), *range(max(0, len(data) - 400), len(data))}:
        with pytest.raises(Malformed):
            decode(data, 0, end)


@ALL
def test_bytes_after_a_message_are_ignored_as_kafka_does(message: Message, version: int) -> None:
    value = random_value(seeded("tail", message.root.__name__, version), message, version)
    data = encode(message, version, value)
    assert decoder(message, version)(data + b"\xff" * 9, 0, len(data) + 9) == (value, len(data))


def test_fields_a_version_lacks_are_left_out_and_come_back_as_their_default() -> None:
    request = heartbeat.HeartbeatRequest(group_id="g", generation_id=1, member_id="m", group_instance_id="static")
    frame = encode_request(ApiKey.HEARTBEAT, 2, 9, None, request)
    header = decode_request_header(frame, 4, len(frame))
    decoded = decode_request(ApiKey.HEARTBEAT, 2, frame, header.body_start, len(frame))
    assert (decoded.group_id, decoded.group_instance_id) == ("g", None)


def test_unknown_tagged_fields_survive_decoding_and_encoding_again_in_order_of_tag() -> None:
    message = request_message(ApiKey.HEARTBEAT)
    value = heartbeat.HeartbeatRequest(
        group_id="g", generation_id=1, member_id="m", unknown_tags=[(70_000, b"later"), (9, b"")]
    )
    data = encode(message, 4, value)
    decoded, _ = decoder(message, 4)(data, 0, len(data))
    assert decoded.unknown_tags == ((9, b""), (70_000, b"later"))
    assert encode(message, 4, decoded) == data


def test_known_and_unknown_tags_are_merged_in_order() -> None:
    message = response_message(ApiKey.PRODUCE)
    value = produce.ProduceResponse(
        responses=[], node_endpoints=[produce.NodeEndpoint(node_id=1, host="h", port=2)], unknown_tags=[(3, b"x")]
    )
    data = encode(message, 11, value)
    assert data == b"\1" + bytes(4) + b"\2" + b"\0\x0d" + b"\2\0\0\0\1\2h\0\0\0\2\0\0" + b"\3\1x"


def test_a_tagged_field_longer_than_its_content_is_malformed() -> None:
    message = response_message(ApiKey.API_VERSIONS)
    data = b"\0\0\1" + bytes(4) + b"\1\1\x09" + bytes(9)  # an int64 tag said to be nine bytes
    with pytest.raises(Malformed, match=r"finalized_features_epoch .*longer than its content"):
        decoder(message, 3)(data, 0, len(data))


def test_malformed_says_which_field_and_where() -> None:
    body = b"\0\1g" + bytes(4) + b"\0\x05m"
    with pytest.raises(Malformed) as refused:
        decode_request(ApiKey.HEARTBEAT, 0, b"??" + body, 2, 2 + len(body))
    assert (refused.value.field, refused.value.position) == ("HeartbeatRequest.member_id", 9)
    assert str(refused.value) == "HeartbeatRequest.member_id at byte 9: a length of 5, 1 bytes are left"


def test_a_string_that_is_not_utf8_is_malformed() -> None:
    with pytest.raises(Malformed, match=r"FindCoordinatorRequest.key at byte 2: not UTF-8"):
        decode_request(ApiKey.FIND_COORDINATOR, 0, b"\0\2\xc3\x28", 0, 4)
    with pytest.raises(Malformed, match="coordinator_keys"):
        decode_request(ApiKey.FIND_COORDINATOR, 4, b"\0\2\3\xed\xa0\0", 0, 6)


def test_null_where_the_version_does_not_allow_it_is_malformed() -> None:
    with pytest.raises(Malformed, match=r"MetadataRequest\.topics at byte 4: null"):
        decode_request(ApiKey.METADATA, 0, b"\xff\xff\xff\xff", 0, 4)
    assert decode_request(ApiKey.METADATA, 1, b"\xff\xff\xff\xff", 0, 4).topics is None


def test_a_shared_receive_buffer_may_be_handed_in() -> None:
    body = b"\0\2id\0"
    for buf in (body, bytearray(b"!!" + body + b"!!"), memoryview(bytearray(b"!!" + body + b"!!"))):
        start = 0 if buf is body else 2
        assert decode_request(ApiKey.FIND_COORDINATOR, 1, buf, start, start + 5).key == "id"


@pytest.mark.parametrize("version", [0, 4])
def test_requests_and_responses_make_the_whole_way(version: int) -> None:
    request = find_coordinator.FindCoordinatorRequest(key="g", coordinator_keys=["g"])
    frame = encode_request(ApiKey.FIND_COORDINATOR, version, 5, "me", request)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    header = decode_request_header(frame, 4, len(frame))
    assert (header.api_key, header.api_version, header.correlation_id, header.client_id) == (10, version, 5, "me")
    assert decode_request(10, version, frame, header.body_start, len(frame)).key == ("g" if version == 0 else "")
    answer = find_coordinator.FindCoordinatorResponse(node_id=3, host="h", port=9)
    frame = encode_response(ApiKey.FIND_COORDINATOR, version, 5, answer)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert decode_response(ApiKey.FIND_COORDINATOR, version, frame[4:])[0] == 5


def test_what_is_not_described_is_refused() -> None:
    with pytest.raises(UnsupportedVersion, match="API 999"):
        decode_request(999, 0, b"", 0, 0)
    with pytest.raises(UnsupportedVersion, match="version 14 of MetadataRequest"):
        decode_request(ApiKey.METADATA, 14, b"", 0, 0)
    with pytest.raises(Malformed, match="response header"):
        decode_response(ApiKey.HEARTBEAT, 4, b"\0\0\0")


def test_messages_compare_by_content_and_show_themselves() -> None:
    topic = metadata.MetadataRequestTopic(name="t")
    request = metadata.MetadataRequest(topics=[topic])
    assert request == metadata.MetadataRequest(topics=(metadata.MetadataRequestTopic(name="t"),))
    assert request != metadata.MetadataRequest(topics=None)
    assert request != topic
    assert "name='t'" in repr(request)
    topic.unknown_tags = ((1, b""),)
    assert "unknown_tags=((1, b''),)" in repr(topic)


def test_a_required_field_cannot_be_forgotten_nor_an_unknown_one_set() -> None:
    with pytest.raises(TypeError, match="group_id"):
        offset_fetch.OffsetFetchRequestGroup(topics=[])  # type: ignore[call-arg]
    request = heartbeat.HeartbeatRequest(group_id="g", generation_id=1, member_id="m")
    with pytest.raises(AttributeError):
        request.members = []  # type: ignore[attr-defined]


def test_a_field_only_some_versions_have_must_have_a_default() -> None:
    with pytest.raises(AssertionError, match="needs a default"):
        int8("1+")


def test_elements_that_take_no_bytes_are_still_bounded_by_the_bytes_left() -> None:
    class Nothing(Struct):
        later: int = int8("1+", default=0)

    class Inner(Struct):
        nothings: list[Nothing] = array(Nothing)

    class Holder(Struct):
        inner: Inner = nested(Inner)

    message = Message(Holder, ApiKey.SASL_HANDSHAKE)
    with pytest.raises(Malformed, match="a count of 2147483647, 1 bytes are left"):
        decoder(message, 0)(b"\x7f\xff\xff\xff!", 0, 5)
    assert decoder(message, 0)(b"\0\0\0\0", 0, 4)[0] == Holder(inner=Inner(nothings=[]))
