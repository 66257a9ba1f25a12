"""The client's side of a measurement, in a process of its own so that its processor time is not the broker's.

    python -m coldstream.tests.bench.load produce|consume|raw_produce|raw_fetch JSON

Prints one JSON line: wall seconds, processor seconds, records, payload bytes, requests.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from coldstream.platform.wire.api import ApiKey
from coldstream.storage.records import Record, build_batch
from coldstream.tests.raw_kafka import SIZE, RawKafka

SETTLE_S = 60.0


@dataclass(slots=True)
class Done:
    """What a client did."""

    wall_s: float
    records: int = 0
    payload_bytes: int = 0
    requests: int = 0


def produce(job: Mapping[str, Any]) -> Done:
    """Records of one payload through librdkafka, without a callback for each."""
    from confluent_kafka import Producer

    failed: list[str] = []
    producer = Producer(
        {
            "queue.buffering.max.messages": 200_000,
            **job["settings"],
            "delivery.report.only.error": True,
            "on_delivery": lambda error, _: failed.append(error.str()) if error else None,
        }
    )
    producer.list_topics(job["topic"], 10)
    # More different payloads than LZ4's window holds, so that the cold tier has nothing to compress.
    payloads = [os.urandom(job["record_bytes"]) for _ in range(1024)]
    topic, count = job["topic"], job["records"]
    began_s = time.monotonic()
    for number in range(count):
        while True:
            try:
                producer.produce(topic, payloads[number & 1023], partition=0)
                break
            except BufferError:
                producer.poll(0.01)
    left = producer.flush(SETTLE_S)
    took_s = time.monotonic() - began_s
    assert not left and not failed, (left, failed[:3])
    return Done(took_s, count, count * job["record_bytes"])


def consume(job: Mapping[str, Any]) -> Done:
    """A partition from its start, through librdkafka as it comes."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(
        {"group.id": "bench", "enable.auto.commit": False, "auto.offset.reset": "error", **job["settings"]}
    )
    count = payload_bytes = 0
    began_s = time.monotonic()
    consumer.assign([TopicPartition(job["topic"], 0, 0)])
    while count < job["records"]:
        messages = consumer.consume(10_000, 1.0)
        assert time.monotonic() - began_s < SETTLE_S, f"{count} of {job['records']} records"
        count += len(messages)
        payload_bytes += sum(len(message) for message in messages)
    took_s = time.monotonic() - began_s
    consumer.close()
    return Done(took_s, count, payload_bytes)


def raw_produce(job: Mapping[str, Any]) -> Done:
    """One encoded request over and over, `window` of them under way; acks=1, no idempotence."""
    records = [
        Record(offset=n, timestamp_ms=1_700_000_000_000, key=None, value=bytes(job["record_bytes"]), headers=())
        for n in range(job["records_per_request"])
    ]
    partition = {"index": 0, "records": build_batch(records)}
    fields = {"acks": 1, "timeout_ms": 10_000, "topic_data": [{"name": job["topic"], "partition_data": [partition]}]}
    return _pipelined(job, ApiKey.PRODUCE, 9, fields, len(records), len(records) * job["record_bytes"])


def raw_fetch(job: Mapping[str, Any]) -> Done:
    """The same bytes over and over, from offset 0."""
    partition = {"partition": 0, "fetch_offset": 0, "partition_max_bytes": job["fetch_bytes"]}
    topics = [{"topic": job["topic"], "partitions": [partition]}]
    fields = {"max_wait_ms": 0, "min_bytes": 1, "max_bytes": job["fetch_bytes"], "topics": topics}
    return _pipelined(job, ApiKey.FETCH, 12, fields, 0, job["fetch_bytes"])


def _pipelined(
    job: Mapping[str, Any], key: ApiKey, version: int, fields: Mapping[str, Any], records: int, payload_bytes: int
) -> Done:
    with RawKafka(job["bootstrap"], timeout_s=SETTLE_S) as client:
        signed_in = client.sign_in(job["username"], job["password"])
        assert signed_in.error_code == 0, signed_in
        request = client.request(key, version, fields)
        answer_bytes = SIZE.size + len(client.exchange(key, version, fields))
        requests, window = job["requests"], job["window"]
        half = max(1, window // 2)  # sent together: a client that answers each answer at once is not pipelined
        batches = {count: request * count for count in range(1, window + 1)}
        buffer = bytearray(max(2**20, answer_bytes))
        sent = answered = received = 0
        began_s = time.monotonic()
        while answered < requests:
            free = min(window - (sent - answered), requests - sent)
            if free >= half or free == requests - sent > 0:
                client.socket.sendall(batches[free])
                sent += free
            got = client.socket.recv_into(buffer)
            assert got, "the broker closed the connection"
            received += got
            answered = received // answer_bytes
        took_s = time.monotonic() - began_s
    return Done(took_s, requests * records, requests * payload_bytes, requests)


JOBS: Mapping[str, Callable[[Mapping[str, Any]], Done]] = {
    "produce": produce,
    "consume": consume,
    "raw_produce": raw_produce,
    "raw_fetch": raw_fetch,
}


def main() -> None:
    kind, job = sys.argv[1], json.loads(sys.argv[2])
    if (cpu := job.get("cpu")) is not None:
        os.sched_setaffinity(0, {cpu})
    before = os.times()
    done = JOBS[kind](job)
    after = os.times()
    cpu_s = after.user + after.system - before.user - before.system
    print(
        json.dumps(
            {
                "wall_s": done.wall_s,
                "cpu_s": cpu_s,
                "records": done.records,
                "payload_bytes": done.payload_bytes,
                "requests": done.requests,
            }
        )
    )


if __name__ == "__main__":
    main()
