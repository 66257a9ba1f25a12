"""Bytes written by hand from the protocol guide: the versions that no oracle has, and one of each kind as an anchor."""

import pytest
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.codec import decode_request, decode_response, decoder, encode_request, request_message
from coldstream.platform.wire.header import decode_request_header
from coldstream.platform.wire.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from coldstream.platform.wire.produce import encode_produce_response, parse_produce

from .values import encode

OLD_PRODUCE_BODY = bytes.fromhex(
    "ffff 000005dc"  # acks -1, timeout 1500
    "00000001 0003 666f6f"  # one topic, foo
    "00000002"  # two partitions
    "00000004 00000003 616263"  # partition 4: abc
    "00000005 ffffffff"  # partition 5: null
)
OLD_PRODUCE = ProduceRequest(
    acks=-1,
    timeout_ms=1500,
    topic_data=[
        TopicProduceData(
            name="foo",
            partition_data=[PartitionProduceData(index=4, records=b"abc"), PartitionProduceData(index=5, records=None)],
        )
    ],
)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_produce_requests_before_transactional_ids(version: int) -> None:
    message = request_message(ApiKey.PRODUCE)
    assert decoder(message, version)(OLD_PRODUCE_BODY, 0, len(OLD_PRODUCE_BODY)) == (OLD_PRODUCE, len(OLD_PRODUCE_BODY))
    assert encode(message, version, OLD_PRODUCE) == OLD_PRODUCE_BODY
    parsed = parse_produce(OLD_PRODUCE_BODY, 0, len(OLD_PRODUCE_BODY), version)
    assert parsed.partitions == [(b"foo", 4, 27, 30), (b"foo", 5, -1, -1)]


@pytest.mark.parametrize(
    ("version", "body"),
    [
        (0, "00000001 0003666f6f 00000001 00000004 0000 0000000000000009"),
        (1, "00000001 0003666f6f 00000001 00000004 0000 0000000000000009 00000064"),
        (2, "00000001 0003666f6f 00000001 00000004 0000 0000000000000009 ffffffffffffffff 00000064"),
    ],
)
def test_produce_answers_before_log_start_offsets(version: int, body: str) -> None:
    frame = encode_produce_response(version, 5, [(b"foo", [(4, 0, 9, -1, 0, None)])], throttle_ms=100)
    assert frame[8:] == bytes.fromhex(body)
    assert decode_response(ApiKey.PRODUCE, version, frame[4:]) == (
        5,
        ProduceResponse(
            responses=[
                TopicProduceResponse(
                    name="foo", partition_responses=[PartitionProduceResponse(index=4, error_code=0, base_offset=9)]
                )
            ],
            throttle_time_ms=100 if version else 0,
        ),
    )


def test_a_metadata_request_as_librdkafka_sends_it() -> None:
    """Version 12, client id rdkafka, one topic asked by name."""
    frame = bytes.fromhex(
        "0000002c 0003 000c 00000002 0007 72646b61666b61 00"  # size, header 2
        "02 00000000000000000000000000000000 05 74657374 00"  # one topic: no id, test, no tags
        "01 00 00"  # may be created, no operations asked, no tags
    )
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    header = decode_request_header(frame, 4, len(frame))
    request = decode_request(header.api_key, header.api_version, frame, header.body_start, len(frame))
    assert [topic.name for topic in request.topics] == ["test"]
    assert request.allow_auto_topic_creation
    assert encode_request(3, 12, 2, "rdkafka", request) == frame


def test_a_heartbeat_in_its_first_version() -> None:
    body = bytes.fromhex("0001 67 00000007 0002 6d31")
    request = decode_request(ApiKey.HEARTBEAT, 0, body, 0, len(body))
    assert (request.group_id, request.generation_id, request.member_id) == ("g", 7, "m1")
