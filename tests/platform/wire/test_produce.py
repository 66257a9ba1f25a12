"""The tuned produce path equals the generic description, in place in a receive buffer, for every version."""

from typing import Any

import pytest
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.codec import decode_response, decoder, encode_response, request_message
from coldstream.platform.wire.errors import ErrorCode, Malformed
from coldstream.platform.wire.messages.produce import (
    PartitionProduceResponse,
    ProduceResponse,
    TopicProduceResponse,
)
from coldstream.platform.wire.produce import encode_produce_response, parse_produce
from coldstream.platform.wire.schema import ZERO_UUID

from .values import PRODUCE_VERSIONS, encode, mutated, random_value, seeded

REQUEST = request_message(ApiKey.PRODUCE)
VERSIONS = pytest.mark.parametrize("version", PRODUCE_VERSIONS)


def assert_same(buf: bytearray | memoryview, start: int, end: int, version: int, value: Any) -> None:
    """What the tuned path reads is what the description says."""
    parsed = parse_produce(buf, start, end, version)
    assert (parsed.transactional_id, parsed.acks, parsed.timeout_ms) == (
        value.transactional_id,
        value.acks,
        value.timeout_ms,
    )
    expected = [
        (topic.topic_id.bytes if version >= 13 else topic.name.encode(), part.index, part.records)
        for topic in value.topic_data
        for part in topic.partition_data
    ]
    found = [
        (topic, index, None if (first, last) == (-1, -1) else bytes(buf[first:last]))
        for topic, index, first, last in parsed.partitions
    ]
    assert found == expected


@VERSIONS
def test_requests_are_read_in_place(version: int) -> None:
    rng = seeded("produce", version)
    for _ in range(40):
        value = random_value(rng, REQUEST, version, unknown_tags=True)
        data = encode(REQUEST, version, value)
        before, after = rng.randbytes(rng.randint(0, 9)), rng.randbytes(rng.choice((0, 1, 100)))
        buf = bytearray(before + data + after)
        assert_same(buf, len(before), len(before) + len(data), version, value)
        assert_same(memoryview(buf), len(before), len(before) + len(data), version, value)


@VERSIONS
def test_bytes_after_the_request_are_ignored_as_kafka_does(version: int) -> None:
    value = random_value(seeded("produce tail", version), REQUEST, version)
    buf = bytearray(encode(REQUEST, version, value) + b"\xff\xff\xff")
    assert_same(buf, 0, len(buf), version, value)


@VERSIONS
def test_a_request_cut_short_anywhere_is_malformed_whatever_follows_in_the_buffer(version: int) -> None:
    rng = seeded("produce cut", version)
    data = encode(REQUEST, version, random_value(rng, REQUEST, version, unknown_tags=True, many=2))
    for after in (b"", bytes(300), b"\1" * 300, data, rng.randbytes(300)):
        buf = memoryview(bytearray(data + after))
        for end in {*range(min(300, len(data))), *range(max(0, len(data) - 300), len(data))}:
            with pytest.raises(Malformed):
                parse_produce(buf, 0, end, version)


@VERSIONS
def test_damaged_requests_read_as_the_description_says_or_are_malformed(version: int) -> None:
    rng = seeded("produce fuzz", version)
    generic = decoder(REQUEST, version)
    for _ in range(20):
        valid = encode(REQUEST, version, random_value(rng, REQUEST, version, unknown_tags=True, many=2))
        for _ in range(20):
            data = mutated(rng, valid)
            try:
                value, _ = generic(data, 0, len(data))
            except Malformed as malformed:
                if malformed.why != "not UTF-8":  # names are bytes here: looked up, not read
                    with pytest.raises(Malformed):
                        parse_produce(data, 0, len(data), version)
            else:
                assert_same(memoryview(data), 0, len(data), version, value)


def test_large_records_lengths_of_every_varint_size_are_read() -> None:
    for size in (0, 1, 126, 127, 128, 16_382, 16_383, 16_384, 2_097_150, 2_097_151, 2_097_152):
        prefix = b"\0\xff\xff\0\0\0\1\2\2t\2\0\0\0\7"
        length, value = bytearray(), size + 1
        while value >= 128:
            length.append(value & 127 | 128)
            value >>= 7
        data = prefix + bytes([*length, value]) + bytes(size) + b"\0\0\0"
        parsed = parse_produce(data, 0, len(data), 9)
        assert parsed.partitions == [(b"t", 7, len(data) - 3 - size, len(data) - 3)]


def random_results(version: int, seed: int) -> Any:
    rng = seeded("produce results", version, seed)
    results = []
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        topic = rng.randbytes(16) if version >= 13 else ("t" * rng.choice((1, 20, 126, 127, 128, 249))).encode()
        partitions = [
            (
                rng.getrandbits(20),
                rng.randint(-1, 133),
                rng.getrandbits(60),
                rng.choice((-1, rng.getrandbits(40))),
                rng.getrandbits(60),
                rng.choice((None, None, "", "too large é", "x" * 200)),
            )
            for _ in range(rng.choice((1, 1, 2, 130)))
        ]
        results.append((topic, partitions))
    return results


def described(version: int, results: Any, throttle_ms: int) -> ProduceResponse:
    from uuid import UUID

    return ProduceResponse(
        throttle_time_ms=throttle_ms,
        responses=[
            TopicProduceResponse(
                name="" if version >= 13 else topic.decode(),
                topic_id=UUID(bytes=topic) if version >= 13 else ZERO_UUID,
                partition_responses=[
                    PartitionProduceResponse(
                        index=index,
                        error_code=error,
                        base_offset=base,
                        log_append_time_ms=appended_ms,
                        log_start_offset=log_start,
                        error_message=message,
                    )
                    for index, error, base, appended_ms, log_start, message in partitions
                ],
            )
            for topic, partitions in results
        ],
    )


@VERSIONS
def test_answers_equal_the_description(version: int) -> None:
    for seed in range(40):
        results = random_results(version, seed)
        throttle_ms = seed * 1000
        frame = encode_produce_response(version, -7, results, throttle_ms)
        assert frame == encode_response(ApiKey.PRODUCE, version, -7, described(version, results, throttle_ms))


@pytest.mark.parametrize("version", [0, 1, 2])
def test_versions_before_record_batches_can_be_refused_partition_by_partition(version: int) -> None:
    value = random_value(seeded("refused", version), REQUEST, version, many=3)
    data = encode(REQUEST, version, value)
    request = parse_produce(data, 0, len(data), version)
    refused = (ErrorCode.UNSUPPORTED_VERSION, -1, -1, -1, None)
    frame = encode_produce_response(version, 3, [(t, [(index, *refused)]) for t, index, _, _ in request.partitions])
    correlation_id, answer = decode_response(ApiKey.PRODUCE, version, frame[4:])
    assert correlation_id == 3
    asked = {(t.name, p.index) for t in value.topic_data for p in t.partition_data}
    assert {(t.name, p.index) for t in answer.responses for p in t.partition_responses} == asked
    assert {p.error_code for t in answer.responses for p in t.partition_responses} <= {35}
