"""The tuned fetch path equals the generic description, and hands records on without touching them, for every
version."""

from typing import Any
from uuid import UUID

import pytest
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.codec import decoder, encode_response, request_message
from coldstream.platform.wire.errors import Malformed
from coldstream.platform.wire.fetch import encode_fetch_response, parse_fetch
from coldstream.platform.wire.messages.fetch import (
    AbortedTransaction,
    FetchableTopicResponse,
    FetchResponse,
    PartitionData,
    ReplicaState,
)
from coldstream.platform.wire.schema import ZERO_UUID

from .values import FETCH_VERSIONS, encode, mutated, random_value, seeded

REQUEST = request_message(ApiKey.FETCH)
VERSIONS = pytest.mark.parametrize("version", FETCH_VERSIONS)


def topic_of(version: int, value: Any) -> bytes:
    return value.topic_id.bytes if version >= 13 else value.topic.encode()


def assert_same(buf: bytes | bytearray | memoryview, start: int, end: int, version: int, value: Any) -> None:
    parsed = parse_fetch(buf, start, end, version)
    replica_id = value.replica_id if version <= 14 else (value.replica_state or ReplicaState()).replica_id
    assert parsed.replica_id == replica_id
    assert (parsed.max_wait_ms, parsed.min_bytes, parsed.max_bytes) == (
        value.max_wait_ms,
        value.min_bytes,
        value.max_bytes,
    )
    assert (parsed.isolation, parsed.session_id, parsed.session_epoch, parsed.rack) == (
        value.isolation_level,
        value.session_id,
        value.session_epoch,
        value.rack_id,
    )
    assert [
        (p.topic, p.index, p.fetch_offset, p.max_bytes, p.current_leader_epoch, p.log_start_offset)
        for p in parsed.partitions
    ] == [
        (
            topic_of(version, topic),
            part.partition,
            part.fetch_offset,
            part.partition_max_bytes,
            part.current_leader_epoch,
            part.log_start_offset,
        )
        for topic in value.topics
        for part in topic.partitions
    ]
    assert parsed.forgotten == [(topic_of(version, topic), topic.partitions) for topic in value.forgotten_topics_data]


@VERSIONS
def test_requests_are_read_in_place(version: int) -> None:
    rng = seeded("fetch", version)
    for _ in range(40):
        value = random_value(rng, REQUEST, version, unknown_tags=True)
        data = encode(REQUEST, version, value)
        before, after = rng.randbytes(rng.randint(0, 9)), rng.randbytes(rng.choice((0, 1, 100)))
        buf = bytearray(before + data + after)
        assert_same(buf, len(before), len(before) + len(data), version, value)
        assert_same(memoryview(buf), len(before), len(before) + len(data), version, value)


@VERSIONS
def test_bytes_after_the_request_are_ignored_as_kafka_does(version: int) -> None:
    value = random_value(seeded("fetch tail", version), REQUEST, version)
    buf = encode(REQUEST, version, value) + b"\xff\xff\xff"
    assert_same(buf, 0, len(buf), version, value)


@VERSIONS
def test_a_request_cut_short_anywhere_is_malformed_whatever_follows_in_the_buffer(version: int) -> None:
    rng = seeded("fetch cut", version)
    data = encode(REQUEST, version, random_value(rng, REQUEST, version, unknown_tags=True, many=2))
    for after in (b"", bytes(300), b"\1" * 300, data, rng.randbytes(300)):
        buf = memoryview(bytearray(data + after))
        for end in range(len(data)):
            with pytest.raises(Malformed):
                parse_fetch(buf, 0, end, version)


@VERSIONS
def test_damaged_requests_read_as_the_description_says_or_are_malformed(version: int) -> None:
    rng = seeded("fetch fuzz", version)
    generic = decoder(REQUEST, version)
    for _ in range(20):
        valid = encode(REQUEST, version, random_value(rng, REQUEST, version, unknown_tags=True, many=2))
        for _ in range(20):
            data = mutated(rng, valid)
            try:
                value, _ = generic(data, 0, len(data))
            except Malformed:
                value = None
            if value is not None:
                assert_same(memoryview(data), 0, len(data), version, value)
                continue
            try:
                parse_fetch(
                    data, 0, len(data), version
                )  # reads names that are not UTF-8, and skips tags it does not use
            except Malformed:
                continue


def random_topics(version: int, seed: int) -> Any:
    rng = seeded("fetch answer", version, seed)
    topics = []
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        topic = rng.randbytes(16) if version >= 13 else ("t" * rng.choice((1, 20, 127, 128, 249))).encode()
        partitions = []
        for _ in range(rng.choice((0, 1, 2, 130))):
            aborted = rng.choice((None, None, [], [(1, 2)], [(rng.getrandbits(60), rng.getrandbits(60))] * 200))
            records = rng.choice((None, b"", rng.randbytes(5), bytearray(rng.randbytes(300)), rng.randbytes(20_000)))
            offsets = [rng.getrandbits(60) for _ in range(3)]
            partitions.append(
                (rng.getrandbits(20), rng.randint(-1, 133), *offsets, aborted, rng.choice((-1, 3)), records)
            )
        topics.append((topic, partitions))
    return topics


def described(version: int, topics: Any, throttle_ms: int, error: int, session_id: int) -> FetchResponse:
    return FetchResponse(
        throttle_time_ms=throttle_ms,
        error_code=error,
        session_id=session_id,
        responses=[
            FetchableTopicResponse(
                topic="" if version >= 13 else topic.decode(),
                topic_id=UUID(bytes=topic) if version >= 13 else ZERO_UUID,
                partitions=[
                    PartitionData(
                        partition_index=index,
                        error_code=code,
                        high_watermark=high_watermark,
                        last_stable_offset=last_stable,
                        log_start_offset=log_start,
                        aborted_transactions=None
                        if aborted is None
                        else [AbortedTransaction(producer_id=p, first_offset=o) for p, o in aborted],
                        preferred_read_replica=preferred,
                        records=records,
                    )
                    for index, code, high_watermark, last_stable, log_start, aborted, preferred, records in partitions
                ],
            )
            for topic, partitions in topics
        ],
    )


@VERSIONS
def test_answers_equal_the_description(version: int) -> None:
    for seed in range(25):
        topics = random_topics(version, seed)
        buffers = encode_fetch_response(version, -7, seed, 70 if seed % 2 else 0, seed, topics)
        expected = encode_response(
            ApiKey.FETCH, version, -7, described(version, topics, seed, 70 if seed % 2 else 0, seed)
        )
        assert b"".join(buffers) == expected


@VERSIONS
def test_records_are_handed_on_not_copied(version: int) -> None:
    records = bytearray(b"batch" * 1000)
    topic = bytes(16) if version >= 13 else b"t"
    view = memoryview(records)
    buffers = encode_fetch_response(version, 1, 0, 0, 0, [(topic, [(0, 0, 9, 9, 0, None, -1, view)] * 2)])
    assert sum(buffer is view for buffer in buffers) == 2
    assert all(len(buffer) for buffer in buffers)
