"""A producer that never stops: numbered records, one after another, while somebody works in the console."""

import threading
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

PAUSE_S = 0.005
FLUSH_S = 20.0


class SteadyProducer:
    """Produces 0, 1, 2, … into a topic on a thread of its own, each acknowledged before the program counts it.

    with SteadyProducer(settings, topic) as producer:
        producer.use(other_settings)     # from the next record on, as a program that was deployed anew
    assert producer.failures == []
    """

    def __init__(self, settings: Mapping[str, Any], topic: str) -> None:
        self.failures: list[str] = []
        self.acknowledged = 0
        self._topic = topic
        self._producer = Producer({**settings, "linger.ms": 1})
        self._next: Producer | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="steady producer", daemon=True)

    def __enter__(self) -> "SteadyProducer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(FLUSH_S)

    def use(self, settings: Mapping[str, Any]) -> None:
        self._next = Producer({**settings, "linger.ms": 1})

    def _run(self) -> None:
        number = 0
        while not self._stopped.wait(PAUSE_S):
            if self._next is not None:
                self._producer.flush(FLUSH_S)  # a partition's order is kept across the change
                self._producer, self._next = self._next, None
            try:
                self._producer.produce(self._topic, b"%d" % number, partition=0, on_delivery=self._delivered)
                number += 1
            except (BufferError, KafkaException) as error:
                self.failures.append(str(error))
            self._producer.poll(0)
        if self._producer.flush(FLUSH_S):
            self.failures.append("some records were never acknowledged")

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.failures.append(str(error))
        else:
            self.acknowledged += 1
