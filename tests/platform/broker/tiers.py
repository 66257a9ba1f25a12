"""What tests of segments on their way share: producing, reading, jobs, and looking at one partition's tiers."""

from pathlib import Path
from typing import Any
from uuid import UUID

from coldstream.platform.broker.namespace import Partition
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.errors import ErrorCode
from coldstream.storage.records import decode_records
from coldstream.tenants import jobs
from coldstream.tenants.actor import Actor
from coldstream.tenants.database import Database
from coldstream.tenants.models import JobState
from coldstream.tests.broker_in_process import with_database
from coldstream.tests.platform.broker.conftest import (
    Bench,
    batch_of,
    fetch_fields,
    fetched,
    produce_fields,
    produced,
    wait_until,
)

PRODUCE, FETCH = 9, 12
LONG_AGO_MS = 1_700_000_000_000
EARLIEST, LOCAL_START, LATEST_TIERED = -2, -4, -5
KEPT = {"retention_ms": "-1", "local_retention_ms": "-1"}


def partition_of(bench: Bench, topic: str) -> Partition:
    found = bench.broker.broker.services.follower.namespaces()[0].topic(topic.encode())
    assert found is not None
    return found.partitions[0]


def produce(bench: Bench, topic: str, *values: bytes, acks: int = -1, first_ms: int | None = None) -> None:
    with bench.connect() as client:
        batch = batch_of(*values, first_ms=first_ms)
        answer = produced(client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields(topic, batch, acks)))
        assert answer.error_code == 0, answer.error_message


def values_from(bench: Bench, topic: str, offset: int, end: int) -> list[bytes | None]:
    values: list[bytes | None] = []
    with bench.connect() as client:
        while offset < end:
            part = fetched(client.ask(ApiKey.FETCH, FETCH, fetch_fields(topic, offset)))
            assert part.error_code == 0, ErrorCode(part.error_code).name
            records = decode_records(part.records)
            values += [record.value for record in records]
            offset = records[-1].offset + 1
    return values


def offset_at(bench: Bench, topic: str, timestamp: int) -> int:
    asked = {
        "replica_id": -1,
        "topics": [{"name": topic, "partitions": [{"partition_index": 0, "timestamp": timestamp}]}],
    }
    with bench.connect() as client:
        part = client.ask(ApiKey.LIST_OFFSETS, 9, asked).topics[0].partitions[0]
    assert part.error_code == 0
    return int(part.offset)


def begin_job(bench: Bench, data_dir: Path, topic: str, *, kind: str = jobs.OFFLOAD, **payload: Any) -> UUID:
    topic_id = partition_of(bench, topic).topic.id

    async def enqueue(database: Database) -> UUID:
        async with database.write() as session:
            payload_ = {"topic_id": str(topic_id)} | payload
            return (await jobs.enqueue(session, Actor.local(), kind, payload_)).id

    return with_database(data_dir, enqueue)


def job_of(data_dir: Path, job_id: UUID) -> jobs.JobEntry:
    async def get(database: Database) -> jobs.JobEntry:
        async with database.read() as session:
            return await jobs.get_job(session, job_id)

    return with_database(data_dir, get)


def finished_job(bench: Bench, data_dir: Path, topic: str, **payload: Any) -> jobs.JobEntry:
    job_id = begin_job(bench, data_dir, topic, **payload)
    wait_until(lambda: job_of(data_dir, job_id).ended, 10)
    return job_of(data_dir, job_id)


def offload(bench: Bench, data_dir: Path, topic: str, *, drop_local: bool = True) -> None:
    job = finished_job(bench, data_dir, topic, drop_local=drop_local)
    assert job.state is JobState.DONE, job.error


def alter(bench: Bench, topic: str, name: str, value: str) -> None:
    with bench.connect() as client:
        change = {"name": name, "config_operation": 0, "value": value}
        resource = {"resource_type": 2, "resource_name": topic, "configs": [change]}
        (altered,) = client.ask(ApiKey.INCREMENTAL_ALTER_CONFIGS, 1, {"resources": [resource]}).responses
        assert altered.error_code == 0


def objects_of(data_dir: Path, topic_id: UUID) -> list[Path]:
    return [path for path in (data_dir / "objects").rglob("*") if path.is_file() and str(topic_id) in str(path)]


def look(bench: Bench) -> None:
    bench.broker.on_loop(bench.broker.broker.services.tiering._look_at_partitions)
