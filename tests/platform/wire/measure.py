"""Microseconds per operation of the codec's tuned and generic paths, best of several repeats on this machine.

Run it as `python -m tests.platform.wire.measure` with the repository root on the path. It gates nothing.
"""

import sys
import timeit
from collections.abc import Callable
from uuid import UUID

from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.api_versions import encode_api_versions_response
from coldstream.platform.wire.codec import (
    decode_request,
    encode_request,
    encode_response,
    request_message,
)
from coldstream.platform.wire.fetch import encode_fetch_response, parse_fetch
from coldstream.platform.wire.header import decode_request_header
from coldstream.platform.wire.messages import fetch as fetch_messages
from coldstream.platform.wire.messages import heartbeat, metadata, offset_commit, produce
from coldstream.platform.wire.metadata import (
    MetadataBroker,
    MetadataPartition,
    encode_metadata_response,
    encode_topic,
)
from coldstream.platform.wire.produce import encode_produce_response, parse_produce

from .values import encode

TOPIC = "orders.eu.v1"


def best_us(run: Callable[[], object]) -> float:
    timer = timeit.Timer(run)
    number = max(1, int(0.02 / max(timer.timeit(1), 1e-7)))
    return min(timer.repeat(9, number)) / number * 1e6


def report(name: str, run: Callable[[], object]) -> None:
    sys.stdout.write(f"{name:60} {best_us(run):10.2f} us\n")


def produce_body(version: int, size: int) -> tuple[memoryview, int]:
    request = produce.ProduceRequest(
        acks=-1,
        timeout_ms=30_000,
        topic_data=[
            produce.TopicProduceData(
                name=TOPIC,
                topic_id=UUID(int=5),
                partition_data=[produce.PartitionProduceData(index=3, records=bytes(size))],
            )
        ],
    )
    body = encode(request_message(ApiKey.PRODUCE), version, request)
    return memoryview(bytearray(body)), len(body)


def measure_produce() -> None:
    for version, size in ((8, 1000), (9, 1000), (9, 16_384), (9, 2**20), (13, 16_384)):
        buf, end = produce_body(version, size)
        report(f"produce request v{version}, {size} B", lambda b=buf, e=end, v=version: parse_produce(b, 0, e, v))
    one = [(TOPIC.encode(), [(3, 0, 123_456, -1, 0, None)])]
    for version in (7, 8, 9):
        report(f"produce answer v{version}, 1 partition", lambda v=version: encode_produce_response(v, 7, one))
    ten = [(TOPIC.encode(), [(i, 0, 123_456, -1, 0, None) for i in range(10)])]
    report("produce answer v9, 10 partitions", lambda: encode_produce_response(9, 7, ten))


def measure_fetch() -> None:
    for count in (1, 10, 100):
        partitions = [
            fetch_messages.FetchPartition(partition=i, fetch_offset=10**6, partition_max_bytes=2**20)
            for i in range(count)
        ]
        request = fetch_messages.FetchRequest(
            max_wait_ms=500,
            min_bytes=1,
            topics=[fetch_messages.FetchTopic(topic=TOPIC, partitions=partitions)],
        )
        body = encode(request_message(ApiKey.FETCH), 12, request)
        view = memoryview(bytearray(body))
        report(f"fetch request v12, {count} partitions", lambda b=view: parse_fetch(b, 0, len(b), 12))
    for count, size in ((1, 16_384), (10, 16_384), (100, 0)):
        records = bytes(size)
        topics = [(TOPIC.encode(), [(i, 0, 10**6, 10**6, 0, None, -1, records) for i in range(count)])]
        report(f"fetch answer v12, {count} x {size} B", lambda t=topics: encode_fetch_response(12, 7, 0, 0, 0, t))


def measure_metadata() -> None:
    partitions = [MetadataPartition(0, i, 1, 5, (1,), (1,)) for i in range(10)]
    brokers = [MetadataBroker(1, "localhost", 9092)]
    report("metadata topic v12, 10 partitions", lambda: encode_topic(12, 0, TOPIC, bytes(16), partitions))
    for count in (1, 100, 1000):
        blobs = [encode_topic(12, 0, TOPIC, bytes(16), partitions)] * count
        report(
            f"metadata answer v12, {count} x 10, topics cached",
            lambda b=blobs: encode_metadata_response(12, 7, brokers, "cluster", 1, b),
        )
        report(
            f"metadata answer v12, {count} x 10, topics not cached",
            lambda n=count: encode_metadata_response(
                12,
                7,
                brokers,
                "cluster",
                1,
                [encode_topic(12, 0, TOPIC, bytes(16), partitions) for _ in range(n)],
            ),
        )
    described = metadata.MetadataResponse(
        brokers=[metadata.MetadataResponseBroker(node_id=1, host="localhost", port=9092)],
        topics=[
            metadata.MetadataResponseTopic(
                error_code=0,
                name=TOPIC,
                partitions=[
                    metadata.MetadataResponsePartition(
                        error_code=0, partition_index=i, leader_id=1, replica_nodes=(1,), isr_nodes=(1,)
                    )
                    for i in range(10)
                ],
            )
        ]
        * 100,
    )
    report("metadata answer v12, 100 x 10, generic", lambda: encode_response(ApiKey.METADATA, 12, 7, described))


def measure_generic() -> None:
    report("api versions answer v3", lambda: encode_api_versions_response(3, 7))
    beat = heartbeat.HeartbeatRequest(group_id="group", generation_id=5, member_id="client-" + "0" * 36)
    frame = memoryview(encode_request(ApiKey.HEARTBEAT, 4, 7, "client", beat))
    header = decode_request_header(frame, 4, len(frame))
    report("request header v2", lambda: decode_request_header(frame, 4, len(frame)))
    report(
        "heartbeat request v4, generic",
        lambda: decode_request(ApiKey.HEARTBEAT, 4, frame, header.body_start, len(frame)),
    )
    answer = heartbeat.HeartbeatResponse()
    report("heartbeat answer v4, generic", lambda: encode_response(ApiKey.HEARTBEAT, 4, 7, answer))
    commit = offset_commit.OffsetCommitRequest(
        group_id="group",
        topics=[
            offset_commit.OffsetCommitRequestTopic(
                name=TOPIC,
                partitions=[
                    offset_commit.OffsetCommitRequestPartition(
                        partition_index=i, committed_offset=10**6, committed_metadata=""
                    )
                    for i in range(10)
                ],
            )
        ],
    )
    body = encode(request_message(ApiKey.OFFSET_COMMIT), 8, commit)
    report(
        "offset commit request v8, 10 partitions, generic",
        lambda: decode_request(ApiKey.OFFSET_COMMIT, 8, body, 0, len(body)),
    )


def main() -> None:
    measure_produce()
    measure_fetch()
    measure_metadata()
    measure_generic()


if __name__ == "__main__":
    main()
