"""A real broker in this process for tests of the console as its client: namespace default/default, batches as given."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from coldstream.console.kafka import BrokerClient
from coldstream.platform.wire.api import ApiKey
from coldstream.storage.records import Record, build_batch
from coldstream.tenants.actor import Actor
from coldstream.tenants.database import Database
from coldstream.tenants.scope import namespace_scope
from coldstream.tenants.topics import create_topic
from coldstream.tests.broker_in_process import InProcessBroker, prepare, settings_for, with_database
from coldstream.tests.raw_kafka import RawKafka


@dataclass
class LiveBroker:
    """`namespace_id` is that of default/default, where `make_topic` makes topics and anybody may produce."""

    data_dir: Path
    running: InProcessBroker
    client: BrokerClient = field(init=False)
    namespace_id: UUID = field(init=False)

    def __post_init__(self) -> None:
        host, _, port = self.running.address.rpartition(":")
        self.client = BrokerClient(host, int(port), self.data_dir / "cluster-secret")
        self.namespace_id = self._run(lambda scope: scope.id)

    @property
    def database_url(self) -> str:
        return settings_for(self.data_dir).database

    def make_topic(self, name: str, partitions: int = 1, *, wait: bool = True, **configs: str) -> None:
        """Returns when the broker has it, unless told not to wait."""
        spelled = {key.replace("_", "."): value for key, value in configs.items()}

        async def make(database: Database) -> None:
            async with database.write() as session:
                scope = await namespace_scope(session, "default", "default")
                await create_topic(session, Actor.local(), scope.id, name, partitions, spelled)

        with_database(self.data_dir, make)
        while wait and self._view_lacks(name):
            time.sleep(0.01)

    def produce(self, topic: str, batch: bytes, partition: int = 0) -> int:
        """One batch, as it is; its base offset, when it is durable."""
        data = {"index": partition, "records": batch}
        fields = {"acks": -1, "timeout_ms": 5_000, "topic_data": [{"name": topic, "partition_data": [data]}]}
        with RawKafka(self.running.address) as client:
            (answer,) = client.ask(ApiKey.PRODUCE, 9, fields).responses[0].partition_responses
        assert answer.error_code == 0, answer
        return int(answer.base_offset)

    def ask(self, key: ApiKey, version: int, fields: dict[str, Any]) -> Any:
        """One request of an anonymous client."""
        with RawKafka(self.running.address) as client:
            return client.ask(key, version, fields)

    def connections(self) -> int:
        return len(self.running.broker.services.connections)

    def hang_up(self) -> None:
        """End every connection, as a network or a restart does."""

        async def end() -> None:
            for connection in tuple(self.running.broker.services.connections):
                connection._transport.abort()

        self.running.on_loop(end)

    def _view_lacks(self, topic: str) -> bool:
        view = self.running.broker.services.follower.namespace(self.namespace_id)
        return view is None or view.topic(topic.encode()) is None

    def _run(self, work: Any) -> Any:
        async def look(database: Database) -> Any:
            async with database.read() as session:
                return work(await namespace_scope(session, "default", "default"))

        return with_database(self.data_dir, look)


@contextmanager
def live_broker(directory: Path) -> Iterator[LiveBroker]:
    data_dir = directory / "data"
    prepare(data_dir)
    with InProcessBroker(data_dir) as running:
        yield LiveBroker(data_dir, running)


def batch_of(values: Sequence[bytes | None], *, first_ms: int | None = None, compression: str = "none") -> bytes:
    """A batch of records a millisecond apart, from now or from `first_ms` on."""
    start_ms = int(time.time() * 1000) if first_ms is None else first_ms
    return build_batch(
        [Record(0, start_ms + at, b"key", value) for at, value in enumerate(values)], compression=compression
    )
