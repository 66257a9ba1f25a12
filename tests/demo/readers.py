"""The whole of a topic read through a consumer group, with each client library as its own users would write it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

SILENCE_S = 20.0  # nothing for this long, with records still missing, ends a reading
AFTERWARDS_S = 0.5  # how long to look for records beyond the expected ones

Record = Callable[[bytes, bytes], None]


@dataclass(frozen=True, slots=True)
class Source:
    """What to read, as whom. `expected` records end the reading."""

    bootstrap: str
    username: str
    password: str
    topic: str
    group: str
    expected: int


class Patience:
    """Says when a reading is over: everything expected came and nothing followed, or silence."""

    def __init__(self, expected: int) -> None:
        self._left = expected
        self._until_s = time.monotonic() + SILENCE_S

    def over(self, received: int) -> bool:
        now_s = time.monotonic()
        if received:
            self._left -= received
            self._until_s = now_s + (SILENCE_S if self._left > 0 else AFTERWARDS_S)
        return now_s >= self._until_s


def read_with_confluent(source: Source, record: Record) -> int:
    """Calls `record` for each; the sum of the group's committed offsets afterwards. Same for the readers below."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(
        {
            "bootstrap.servers": source.bootstrap,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": source.username,
            "sasl.password": source.password,
            "group.id": source.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    try:
        consumer.subscribe([source.topic])
        patience = Patience(source.expected)
        while True:
            messages = consumer.consume(2000, 0.2)
            for message in messages:
                if message.error():
                    raise RuntimeError(message.error().str())
                record(message.key() or b"", message.value() or b"")
            if patience.over(len(messages)):
                break
        consumer.commit(asynchronous=False)
        partitions = [TopicPartition(source.topic, tp.partition) for tp in consumer.assignment()]
        return sum(max(tp.offset, 0) for tp in consumer.committed(partitions, 10))
    finally:
        consumer.close()


def read_with_aiokafka(source: Source, record: Record) -> int:
    return asyncio.run(_read_with_aiokafka(source, record))


async def _read_with_aiokafka(source: Source, record: Record) -> int:
    from aiokafka import AIOKafkaConsumer

    consumer = AIOKafkaConsumer(
        source.topic,
        bootstrap_servers=source.bootstrap,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_plain_username=source.username,
        sasl_plain_password=source.password,
        group_id=source.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        patience = Patience(source.expected)
        while True:
            batches = await consumer.getmany(timeout_ms=200, max_records=5000)
            received = 0
            for messages in batches.values():
                received += len(messages)
                for message in messages:
                    record(message.key, message.value)
            if patience.over(received):
                break
        await consumer.commit()
        return sum([await consumer.committed(tp) or 0 for tp in consumer.assignment()])
    finally:
        await consumer.stop()


def read_with_kafka_python(source: Source, record: Record) -> int:
    from kafka import KafkaConsumer

    consumer = KafkaConsumer(
        source.topic,
        bootstrap_servers=source.bootstrap,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_plain_username=source.username,
        sasl_plain_password=source.password,
        group_id=source.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=5000,
    )
    try:
        patience = Patience(source.expected)
        while True:
            batches = consumer.poll(timeout_ms=200)
            received = 0
            for messages in batches.values():
                received += len(messages)
                for message in messages:
                    record(message.key, message.value)
            if patience.over(received):
                break
        consumer.commit()
        return sum(consumer.committed(tp) or 0 for tp in consumer.assignment())
    finally:
        consumer.close()


READERS: dict[str, Callable[[Source, Record], int]] = {
    "confluent": read_with_confluent,
    "aiokafka": read_with_aiokafka,
    "kafka-python": read_with_kafka_python,
}
