"""What is measured, and the prototype's figures for the same.

The prototype was a broker of one file without idempotence, permissions, metrics or quotas, on the same kind of machine;
its figures are floors (best of 2 or 3), not goals. GB is 1e9 payload bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

KB_RECORDS = 300_000  # 300 MB: some tenths of a second of broker time, and little enough for a small page cache


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the table. `job` goes to the client; figures of the prototype are in its own unit."""

    name: str
    kind: str
    job: Mapping[str, Any]
    topic: str
    prototype_s_per_gb: str = ""
    prototype_us_per_request: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    idempotent: bool = False


def _produce(name: str, prototype: str, **settings: Any) -> Scenario:
    topic = "small-batches" if "batch.size" in settings else "large-batches"
    job = {"record_bytes": 1000, "records": KB_RECORDS}
    return Scenario(f"produce 1 KB, {name}", "produce", job, topic, prototype, settings=settings)


def _consume(name: str, topic: str, prototype: str) -> Scenario:
    return Scenario(f"fetch 1 KB, {name}", "consume", {"records": KB_RECORDS}, topic, prototype)


def _raw(name: str, prototype_us: str, prototype_s: str = "", **job: Any) -> Scenario:
    return Scenario(f"raw produce, {name}", "raw_produce", job, "raw", prototype_s, prototype_us)


def _raw_fetch(name: str, prototype_us: str, prototype_s: str, **job: Any) -> Scenario:
    return Scenario(f"raw fetch hot, {name}", "raw_fetch", job, "small-batches", prototype_s, prototype_us)


PRODUCE: Sequence[Scenario] = (
    _produce("librdkafka defaults (acks all, 1 MB batches)", "0.51", acks="all"),
    _produce("1 MB batches, acks 1", "0.41", acks="1"),
    _produce("defaults, idempotent", "", acks="all", **{"enable.idempotence": True}),
    _produce("16 KB batches, acks all", "0.87", acks="all", **{"batch.size": 16384}),
    _produce("16 KB batches, acks 1", "0.84", acks="1", **{"batch.size": 16384}),
)
RAW: Sequence[Scenario] = (
    _raw(
        "1 record of 100 B, 32 under way", "3.4", record_bytes=100, records_per_request=1, window=32, requests=200_000
    ),
    _raw("16 KB, 8 under way", "14.5", "0.89", record_bytes=1000, records_per_request=16, window=8, requests=30_000),
    _raw("1 MB, 4 under way", "", "0.42", record_bytes=1000, records_per_request=1000, window=4, requests=500),
)
FETCH_HOT: Sequence[Scenario] = (
    _consume("hot, librdkafka defaults, 1 MB batches", "large-batches", "0.21-0.24"),
    _consume("hot, librdkafka defaults, 16 KB batches", "small-batches", "0.21-0.24"),
    _raw_fetch("16 KB fetches", "13.0", "0.81", fetch_bytes=17_000, window=4, requests=30_000),
    _raw_fetch("1 MB fetches", "", "0.20-0.23", fetch_bytes=2**20, window=2, requests=800),
)
FETCH_COLD: Sequence[Scenario] = (
    _consume("cold, from the object store", "large-batches", "not measured"),
    _consume("cold, from the chunk cache", "large-batches", "not measured"),
)
