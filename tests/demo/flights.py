"""Every flight that left New York in 2013: through a producer's key into hot segments, all of it to the object store,
the local copies dropped, and back through a consumer's key, compared record by record with the source.

    python -m coldstream.tests.demo.flights [--store file|seaweedfs|URL] [--client confluent|aiokafka|kafka-python|all]

Starts a platform of its own in a temporary directory; with --url and --token it uses one that runs already.
"""

import argparse
import contextlib
import json
import logging
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from coldstream.tests.demo.flights_data import FLIGHTS, Ledger, flights, milliseconds
from coldstream.tests.demo.narrator import Narrator
from coldstream.tests.demo.readers import READERS, Source
from coldstream.tests.platform_process import PlatformProcess

TOPIC_CONFIGS = {
    "retention.ms": "-1",  # the records are of 2013
    "segment.bytes": "4194304",
    "segment.ms": "365d",  # time is the records' own, and a year goes by in seconds
}
ALL_SINCE = datetime(2013, 7, 4, tzinfo=UTC)
SAMPLE_SINCE = datetime(2013, 1, 10, tzinfo=UTC)  # a sample holds the first days of January only
MB = 1e6


class DemoFailed(Exception):
    """What came back is not what went in, or did not come back."""


@dataclass(slots=True)
class Round:
    """One demonstration: where, how many, and what was found."""

    environ: Mapping[str, str]  # where the command line finds the platform
    narrator: Narrator
    limit: int
    partitions: int = 6
    tenant: str = field(default_factory=lambda: f"flights-{secrets.token_hex(3)}")
    rows: list[tuple[str, ...]] = field(default_factory=list)
    first_since: dict[int, int] = field(default_factory=dict)  # partition -> first offset since `since`

    @property
    def since(self) -> datetime:
        """A time for which offsets are looked up."""
        return ALL_SINCE if self.limit == FLIGHTS else SAMPLE_SINCE

    @property
    def topic(self) -> str:
        return f"{self.tenant}/main/departures"

    def cli(self, *arguments: str) -> Any:
        """One command, its document; raises DemoFailed with its complaint."""
        self.narrator.say(f"$ coldstream {' '.join(arguments)}")
        command = [sys.executable, "-m", "coldstream", *arguments, "--json"]
        done = subprocess.run(command, env={**os.environ, **self.environ}, capture_output=True, text=True)
        if done.returncode != 0:
            raise DemoFailed(done.stderr.strip())
        return json.loads(done.stdout) if done.stdout.strip() else None

    def run(self, clients: list[str]) -> None:
        """All of it. Raises DemoFailed."""
        self.cli("tenant", "create", self.tenant)
        self.cli("namespace", "create", f"{self.tenant}/main")
        configs = [part for name, value in TOPIC_CONFIGS.items() for part in ("--config", f"{name}={value}")]
        self.cli("topic", "create", self.topic, "--partitions", str(self.partitions), *configs)
        producer = self.key("producer", "--topic", "departures")
        consumer = self.key("consumer", "--topic", "departures", "--group", "board-*")
        source = self.produce(producer)
        self.offload(source)
        self.look_up_by_time(consumer)
        for client in clients:
            self.read(client, consumer, source)
        self.narrator.table(
            f"{source.records:,} flights, {source.payload_bytes / MB:.1f} MB, {len(source.of_key):,} aircraft, "
            f"sha256 {source.checksum[:16]}…",
            ("step", "records", "MB", "seconds", "MB/s", "records/s"),
            self.rows,
        )

    def key(self, role: str, *scope: str) -> Mapping[str, str]:
        made: Mapping[str, str] = self.cli(
            "key", "create", f"{self.tenant}/main", "--name", role, "--role", role, *scope
        )
        return made

    def produce(self, key: Mapping[str, str]) -> Ledger:
        """Sends all flights with acks=all, idempotently; what was sent."""
        from confluent_kafka import Producer

        failures: list[str] = []
        delivered = 0
        since_ms = milliseconds(self.since)

        def on_delivery(error: Any, message: Any) -> None:
            nonlocal delivered
            if error is not None:
                failures.append(error.str())
                return
            delivered += 1
            if message.timestamp()[1] >= since_ms:
                partition = message.partition()
                before = self.first_since.get(partition, message.offset())
                self.first_since[partition] = min(before, message.offset())

        producer = Producer(
            {
                "bootstrap.servers": key["bootstrap"],
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": "PLAIN",
                "sasl.username": key["id"],
                "sasl.password": key["secret"],
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 20,
                "partitioner": "murmur2_random",
            }
        )
        source = Ledger()
        name = self.topic.rpartition("/")[2]
        began_s = time.monotonic()
        with self.narrator.bar("produce, acks=all", self.limit) as bar:
            for flight in flights(self.limit):
                source.add(flight.key, flight.value)
                while True:
                    try:
                        producer.produce(
                            name, flight.value, flight.key, timestamp=flight.timestamp_ms, on_delivery=on_delivery
                        )
                        break
                    except BufferError:
                        producer.poll(0.1)
                if source.records % 1000 == 0:
                    producer.poll(0)
                    bar.to(delivered)
            left = producer.flush(60)
            bar.to(delivered)
        if failures or left:
            raise DemoFailed(f"{len(failures)} deliveries failed, {left} had no answer: {sorted(set(failures))[:3]}")
        self.note("produce (confluent, acks=all)", source, time.monotonic() - began_s)
        return source

    def offload(self, source: Ledger) -> None:
        """Everything to the object store, nothing left on disk; and that `topic show` says so."""
        before = self.cli("topic", "show", self.topic)
        began_s = time.monotonic()
        self.cli("offload", self.topic, "--wait", "--drop-local")
        self.note("offload, drop local", source, time.monotonic() - began_s)
        after = self.cli("topic", "show", self.topic)
        partitions = after["partitions"]
        self.narrator.say(
            f"before: {before['hot_bytes']:,} bytes hot, {before['cold_bytes']:,} cold; "
            f"after: {after['hot_bytes']:,} hot, {after['cold_bytes']:,} cold"
        )
        if sum(p["end"] - p["log_start"] for p in partitions) != source.records:
            raise DemoFailed(f"the log does not hold {source.records} records: {partitions}")
        if after["hot_bytes"] or any(p["local_start"] != p["end"] for p in partitions):
            raise DemoFailed(f"local copies are still there: {partitions}")

    def look_up_by_time(self, key: Mapping[str, str]) -> None:
        """The first flight since that time, of each partition, found in the cold tier."""
        from confluent_kafka import Consumer, TopicPartition

        consumer = Consumer(
            {
                "bootstrap.servers": key["bootstrap"],
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": "PLAIN",
                "sasl.username": key["id"],
                "sasl.password": key["secret"],
                "group.id": "board-time",
            }
        )
        name = self.topic.rpartition("/")[2]
        try:
            asked = [TopicPartition(name, index, milliseconds(self.since)) for index in range(self.partitions)]
            began_s = time.monotonic()
            found = {tp.partition: tp.offset for tp in consumer.offsets_for_times(asked, 60)}
            took_s = time.monotonic() - began_s
        finally:
            consumer.close()
        wrong = {index: offset for index, offset in self.first_since.items() if found[index] != offset}
        if wrong:
            raise DemoFailed(f"first offsets since {self.since:%d %B %Y} should be {wrong}, the broker found {found}")
        offsets = ", ".join(map(str, found.values()))
        self.narrator.say(f"first flights since {self.since:%d %B %Y} found in {took_s * 1000:.0f} ms, at {offsets}")

    def read(self, client: str, key: Mapping[str, str], source: Ledger) -> None:
        """All of it back through one library. Raises DemoFailed when anything differs."""
        ledger = Ledger()
        name = self.topic.rpartition("/")[2]
        began_s = last_s = time.monotonic()
        with self.narrator.bar(f"consume, {client}", source.records) as bar:

            def record(key: bytes, value: bytes) -> None:
                nonlocal last_s
                ledger.add(key, value)
                if ledger.records % 1000 == 0 or ledger.records == source.records:
                    last_s = time.monotonic()
                    bar.to(ledger.records)

            where = Source(key["bootstrap"], key["id"], key["secret"], name, f"board-{client}", source.records)
            committed = READERS[client](where, record)
        if difference := source.difference(ledger):
            raise DemoFailed(f"{client}: {difference}")
        if committed != source.records:
            raise DemoFailed(f"{client}: the group's commits add up to {committed}, not {source.records}")
        self.note(f"consume cold ({client})", ledger, last_s - began_s)

    def note(self, step: str, ledger: Ledger, seconds: float) -> None:
        megabytes = ledger.payload_bytes / MB
        rates = (f"{megabytes / seconds:.1f}", f"{ledger.records / seconds:,.0f}")
        self.rows.append((step, f"{ledger.records:,}", f"{megabytes:.1f}", f"{seconds:.2f}", *rates))


@contextlib.contextmanager
def object_store(name: str) -> Iterator[str | None]:
    """The URL for --object-store: none for the directory default, a fresh SeaweedFS, or the URL given.

    Credentials of a server started here go into our own environment, from which the platform inherits them.
    """
    if name != "seaweedfs":
        yield None if name == "file" else name
        return
    from coldstream.tests import s3_servers

    with s3_servers.seaweedfs() as server:
        os.environ.update(server.environ)
        yield server.url()


@contextlib.contextmanager
def platform(store: str, narrator: Narrator) -> Iterator[Mapping[str, str]]:
    """A platform in a temporary directory; the variables by which the command line finds it."""
    with tempfile.TemporaryDirectory(prefix="coldstream-demo-") as directory, object_store(store) as url:
        settings = {"object_store": url} if url else {}
        with PlatformProcess.started(Path(directory), **settings) as running:
            where = url or "a directory"
            narrator.say(f"platform ready: kafka={running.kafka} console={running.url} object store={where}")
            yield {"COLDSTREAM_DATA_DIR": str(running.data_dir)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", default="file", help="file (default), seaweedfs, or an object store URL")
    parser.add_argument("--client", default="confluent", choices=[*READERS, "all"])
    parser.add_argument("--limit", type=int, default=FLIGHTS, help="only the first so many flights")
    parser.add_argument("--url", help="console of a running platform, with --token; --store is then that platform's")
    parser.add_argument("--token", help="its access token")
    arguments = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.ERROR)  # both warn of a password in the clear, on loopback
    logging.getLogger("kafka").setLevel(logging.ERROR)
    narrator = Narrator()
    if arguments.url:
        token = {"COLDSTREAM_TOKEN": arguments.token} if arguments.token else {}
        where: contextlib.AbstractContextManager[Mapping[str, str]] = contextlib.nullcontext(
            {"COLDSTREAM_URL": arguments.url, **token}
        )
    else:
        where = platform(arguments.store, narrator)
    clients = list(READERS) if arguments.client == "all" else [arguments.client]
    try:
        with where as environ:
            Round(environ, narrator, min(arguments.limit, FLIGHTS)).run(clients)
    except DemoFailed as failed:
        print(f"FAILED: {failed}", file=sys.stderr)
        return 1
    narrator.say("every flight came back, in order, byte for byte")
    return 0


if __name__ == "__main__":
    sys.exit(main())
