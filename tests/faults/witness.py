"""Who writes, who watches, and what both remember, while a platform is killed under them.

Always true of a sound platform, and checked at the end: an acknowledged record is at the offset that its
acknowledgement named; an offset that anybody ever saw names the same record for ever; no record is visible twice.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

QUIET_ERRORS = frozenset({KafkaError._PARTITION_EOF, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN})
IN_FLIGHT_MAX = 5_000
FLUSH_S = 60.0

Place = tuple[str, int, int]  # topic, partition, offset


@dataclass(slots=True)
class Memory:
    """What was acknowledged and what was seen, by place, with everything that contradicts it."""

    acknowledged: dict[Place, bytes] = field(default_factory=dict)
    seen: dict[Place, bytes] = field(default_factory=dict)
    produced: int = 0
    refused: list[str] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)

    def acknowledge(self, place: Place, value: bytes) -> None:
        before = self.acknowledged.setdefault(place, value)
        if before != value:
            self.contradictions.append(f"{place} was acknowledged as {before!r} and as {value!r}")

    def see(self, place: Place, value: bytes) -> None:
        before = self.seen.setdefault(place, value)
        if before != value:
            self.contradictions.append(f"{place} was seen as {before!r} and as {value!r}")


class Writer(threading.Thread):
    """An idempotent producer with acks=all that never stops by itself; each value is its own number."""

    def __init__(
        self, settings: Mapping[str, Any], topic: str, partitions: int, value_bytes: int, memory: Memory
    ) -> None:
        super().__init__(daemon=True)
        mine = {
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 2,
            "message.timeout.ms": 0,
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 200,
            "retry.backoff.ms": 20,
            "compression.type": "none",
        }
        self.topic, self.partitions, self.memory = topic, partitions, memory
        self.filling = b"." * value_bytes
        self.pausing_s = 0.0005
        self.stopping = threading.Event()
        self.fatal: str | None = None
        self.producer = Producer({**settings, **mine, "error_cb": self._error})

    def _error(self, error: KafkaError) -> None:
        if error.fatal():
            self.fatal = error.str()
            self.stopping.set()

    def run(self) -> None:
        number = 0
        while not self.stopping.is_set():
            value = b"%s-%d-%s" % (self.topic.encode(), number, self.filling)
            try:
                self.producer.produce(
                    self.topic, value, partition=number % self.partitions, on_delivery=self._delivered
                )
                number += 1
                self.memory.produced += 1
            except BufferError:
                self.producer.poll(0.05)
            self.producer.poll(0)
            while len(self.producer) > IN_FLIGHT_MAX and not self.stopping.is_set():
                self.producer.poll(0.05)
            if number % 20 == 0:
                time.sleep(self.pausing_s)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.memory.refused.append(error.str())
        else:
            self.memory.acknowledge((message.topic(), message.partition(), message.offset()), message.value())

    def stop(self) -> int:
        """Waits for what is in flight; how many records are still without an answer."""
        self.stopping.set()
        self.join(FLUSH_S)
        return self.producer.flush(FLUSH_S)


class Watcher(threading.Thread):
    """Reads everything from the start and goes on for as long as it may, whatever happens to the broker."""

    def __init__(self, settings: Mapping[str, Any], topics: Mapping[str, int], memory: Memory) -> None:
        super().__init__(daemon=True)
        self.settings, self.topics, self.memory = settings, topics, memory
        self.stopping = threading.Event()

    def run(self) -> None:
        with reading(self.settings, self.topics) as consumer:
            while not self.stopping.is_set():
                for message in consumer.consume(1000, 0.1):
                    note(message, self.memory)

    def stop(self) -> None:
        self.stopping.set()
        self.join(FLUSH_S)


class Committer(threading.Thread):
    """A member of a group that reads and commits, over and over; what was confirmed may not be forgotten."""

    def __init__(self, settings: Mapping[str, Any], topic: str, group: str) -> None:
        super().__init__(daemon=True)
        self.settings = {**settings, "group.id": group}
        self.topic = topic
        self.confirmed: dict[int, int] = {}  # partition -> offset of the last commit that was answered
        self.tried: dict[int, int] = {}  # of the last that was asked for
        self.stopping = threading.Event()

    def run(self) -> None:
        mine = {"enable.auto.commit": False, "auto.offset.reset": "earliest", "session.timeout.ms": 6000}
        consumer = Consumer({**self.settings, **mine, "error_cb": lambda error: None})
        consumer.subscribe([self.topic])
        try:
            while not self.stopping.is_set():
                for message in consumer.consume(200, 0.1):
                    if message.error() is None:
                        self.tried[message.partition()] = message.offset() + 1
                if self.tried:
                    self._commit(consumer)
        finally:
            consumer.close()

    def _commit(self, consumer: Consumer) -> None:
        asked = [TopicPartition(self.topic, partition, offset) for partition, offset in self.tried.items()]
        try:
            answered = consumer.commit(offsets=asked, asynchronous=False)
        except KafkaException:  # the coordinator is gone, or a rebalance is on: not confirmed
            return
        self.confirmed |= {tp.partition: tp.offset for tp in answered if tp.error is None}

    def stop(self) -> list[str]:
        """What the group's offsets get wrong now."""
        self.stopping.set()
        self.join(FLUSH_S)
        consumer = Consumer(self.settings)
        try:
            asked = [TopicPartition(self.topic, partition) for partition in self.confirmed]
            found = {tp.partition: tp.offset for tp in consumer.committed(asked, 30)} if asked else {}
        finally:
            consumer.close()
        wrong = []
        for partition, offset in found.items():
            if not self.confirmed[partition] <= offset <= self.tried[partition]:
                between = f"between {self.confirmed[partition]} (confirmed) and {self.tried[partition]} (asked for)"
                wrong.append(f"the group's offset of partition {partition} is {offset}, and not {between}")
        return wrong if self.confirmed else ["no commit was ever confirmed"]


@contextmanager
def reading(settings: Mapping[str, Any], topics: Mapping[str, int]) -> Iterator[Consumer]:
    """A consumer of all partitions from offset 0, in no group."""
    mine = {
        "group.id": "unused",
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        "reconnect.backoff.ms": 20,
        "reconnect.backoff.max.ms": 200,
        "fetch.wait.max.ms": 50,
    }
    consumer = Consumer({**settings, **mine, "error_cb": lambda error: None})
    try:
        consumer.assign([TopicPartition(topic, index, 0) for topic, count in topics.items() for index in range(count)])
        yield consumer
    finally:
        consumer.close()


def note(message: Message, memory: Memory) -> None:
    error = message.error()
    if error is None:
        memory.see((message.topic(), message.partition(), message.offset()), message.value())
    elif error.code() not in QUIET_ERRORS:
        memory.contradictions.append(f"reading {message.topic()}[{message.partition()}]: {error.str()}")


def read_all(settings: Mapping[str, Any], ends: Mapping[tuple[str, int], int], deadline_s: float = 60.0) -> Memory:
    """Everything visible now, from offset 0 to the ends."""
    memory = Memory()
    topics = {topic: 1 + max(index for name, index in ends if name == topic) for topic, _ in ends}
    total = sum(ends.values())
    until_s = time.monotonic() + deadline_s
    with reading(settings, topics) as consumer:
        while len(memory.seen) < total and time.monotonic() < until_s:
            for message in consumer.consume(2000, 0.2):
                note(message, memory)
    return memory


def contradictions(memory: Memory, now: Memory, *, lost_max: int = 3) -> list[str]:
    """What the end state gets wrong against all that was acknowledged and seen before it."""
    found = [*memory.contradictions, *now.contradictions]
    for what, remembered in (("acknowledged", memory.acknowledged), ("seen", memory.seen)):
        wrong = [(place, value) for place, value in remembered.items() if now.seen.get(place) != value]
        if wrong:
            found.append(f"{len(wrong)} of {len(remembered)} records {what} are not where they were:")
            found += [
                f"  {place}: {value[:60]!r} is now {now.seen.get(place, b'nothing')[:60]!r}"
                for place, value in wrong[:lost_max]
            ]
    places: dict[bytes, Place] = {}
    for place, value in sorted(now.seen.items()):
        if value in places:
            found.append(f"{value[:60]!r} is visible at {places[value]} and again at {place}")
        places.setdefault(value, place)
    return found
