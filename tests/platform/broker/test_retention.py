"""Retention on a running broker: what it lets go of, how soon, and what a preview says of it before."""

import asyncio
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from coldstream.platform.broker import preview_job
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.errors import ErrorCode
from coldstream.storage.cleaning import CompactionFailed
from coldstream.storage.compactor import CompactionEstimate
from coldstream.tenants import jobs
from coldstream.tenants.actor import Actor
from coldstream.tenants.config_changes import effective_texts
from coldstream.tenants.database import Database
from coldstream.tenants.models import JobState
from coldstream.tenants.tenancy import alter_namespace
from coldstream.tests.broker_in_process import InProcessBroker, prepare, with_database
from coldstream.tests.platform.broker.conftest import Bench, WilfulDisk, fetch_fields, fetched, wait_until
from coldstream.tests.platform.broker.tiers import (
    EARLIEST,
    FETCH,
    KEPT,
    LONG_AGO_MS,
    alter,
    finished_job,
    look,
    objects_of,
    offload,
    offset_at,
    partition_of,
    produce,
    values_from,
)

NO_COMPACTION = {
    "applies": False,
    "records": 0,
    "records_removable": 0,
    "bytes_removable": 0,
    "exact": True,
    "note": "",
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("retention")
    prepare(path)
    return path


@pytest.fixture(scope="module")
def bench(data_dir: Path) -> Iterator[Bench]:
    disk = WilfulDisk()
    with InProcessBroker(data_dir, disk) as broker:
        yield Bench(broker, disk)


def test_retention_moves_the_log_start_and_what_lies_below_goes_from_both_tiers(
    bench: Bench, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiering = bench.broker.broker.services.tiering
    bench.create("aged", retention_ms="-1", local_retention_ms="-2")
    produce(bench, "aged", b"a", b"b", first_ms=LONG_AGO_MS)
    offload(bench, data_dir, "aged")
    produce(bench, "aged", b"c")
    partition = partition_of(bench, "aged")
    assert len(objects_of(data_dir, partition.topic.id)) == 1
    alter(bench, "aged", "retention.ms", "86400000")
    assert partition.topic.log_config.retention_ms == 86_400_000
    look(bench)
    wait_until(lambda: partition.log.log_start == 2)
    assert offset_at(bench, "aged", EARLIEST) == 2 and partition.cold == ()
    with bench.connect() as client:
        part = fetched(client.ask(ApiKey.FETCH, FETCH, fetch_fields("aged", 0)))
        assert part.error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    assert values_from(bench, "aged", 2, 3) == [b"c"]
    monkeypatch.setattr(tiering._collector, "_grace_ms", 0)
    bench.broker.on_loop(tiering._collector.run)
    assert objects_of(data_dir, partition.topic.id) == []


@pytest.fixture
def no_regular_looks(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As between two passes that lie an hour apart."""

    async def nothing() -> None:
        pass

    monkeypatch.setattr(bench.broker.broker.services.tiering, "_look_at_partitions", nothing)


@pytest.mark.usefixtures("no_regular_looks")
@pytest.mark.parametrize(("name", "value"), [("retention.ms", "60000"), ("retention.bytes", "0")])
def test_a_shortened_retention_is_acted_on_at_once_and_takes_the_active_segment(
    bench: Bench, name: str, value: str
) -> None:
    topic = f"shortened-{name}"
    bench.create(topic, retention_ms="-1")
    produce(bench, topic, b"a", b"b", first_ms=LONG_AGO_MS)
    partition = partition_of(bench, topic)
    alter(bench, topic, name, value)
    wait_until(lambda: partition.log.hot_bytes == 0, 2)
    assert (partition.log.log_start, partition.log.end, partition.log.hot_bytes) == (2, 2, 0)
    assert offset_at(bench, topic, EARLIEST) == 2
    alter(bench, topic, name, "-1")
    produce(bench, topic, b"c")
    assert values_from(bench, topic, 2, 3) == [b"c"]


@pytest.mark.usefixtures("no_regular_looks")
def test_a_preview_tells_what_then_happens_and_changes_nothing(bench: Bench, data_dir: Path) -> None:
    bench.create("foretold", retention_ms="-1", local_retention_ms="-2")
    produce(bench, "foretold", b"a", b"b", first_ms=LONG_AGO_MS)
    offload(bench, data_dir, "foretold", drop_local=False)
    produce(bench, "foretold", b"c", first_ms=LONG_AGO_MS)
    partition = partition_of(bench, "foretold")
    hot, cold = partition.log.hot_bytes, partition.cold_bytes
    configs = effective_texts({"retention.ms": "60000"}, {})
    job = finished_job(bench, data_dir, "foretold", kind=jobs.PREVIEW, configs=configs)
    assert job.state is JobState.DONE, job.error
    assert job.progress["partitions"] == [
        {
            "partition": 0,
            "log_start_before": 0,
            "log_start_after": 3,
            "records_gone": 3,
            "segments_gone": 2,
            "bytes_gone_hot": hot,
            "bytes_gone_cold": cold,
            "local_bytes_evicted": 0,
        }
    ]
    assert job.progress["compaction"] == NO_COMPACTION
    assert abs(job.progress["as_of_ms"] - time.time_ns() // 1_000_000) < 10_000
    assert (partition.log.log_start, partition.log.hot_bytes, partition.cold_bytes) == (0, hot, cold)
    alter(bench, "foretold", "retention.ms", "60000")
    wait_until(lambda: partition.log.hot_bytes == 0, 2)
    assert (partition.log.log_start, partition.log.hot_bytes, partition.cold_bytes) == (3, 0, 0)


def test_a_preview_for_configs_that_cannot_be_says_so(bench: Bench, data_dir: Path) -> None:
    bench.create("odd", **KEPT)
    job = finished_job(bench, data_dir, "odd", kind=jobs.PREVIEW, configs={"retention.ms": "soon"})
    assert (job.state, job.error) == (JobState.FAILED, "retention.ms=soon: not a whole number")


def previewed_compaction(bench: Bench, data_dir: Path, topic: str, **configs: str) -> Any:
    overrides = {"cleanup.policy": "compact", "remote.storage.enable": "false"}
    overrides |= {name.replace("_", "."): value for name, value in configs.items()}
    job = finished_job(bench, data_dir, topic, kind=jobs.PREVIEW, configs=effective_texts(overrides, {}))
    assert job.state is JobState.DONE, job.error
    return job.progress["compaction"]


def test_a_preview_counts_what_compaction_would_take_away(bench: Bench, data_dir: Path) -> None:
    bench.create("keyed", 2, remote_storage_enable="false")
    produce(bench, "keyed", b"a", b"b", b"c")  # of one key
    told = previewed_compaction(bench, data_dir, "keyed")
    assert told.pop("bytes_removable") > 0
    assert told == {"applies": True, "records": 3, "records_removable": 2, "exact": True, "note": ""}
    produce(bench, "keyed", b"d", first_ms=LONG_AGO_MS)
    told = previewed_compaction(bench, data_dir, "keyed", cleanup_policy="compact,delete", retention_bytes="0")
    assert (told["records_removable"], told["note"]) == (3, "records that retention takes are counted here too")


def test_a_preview_says_how_far_the_count_came(bench: Bench, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compactor = bench.broker.broker.services.compactor
    bench.create("partly", 3, remote_storage_enable="false")
    answers: list[CompactionEstimate | Exception | None] = []

    async def estimate(*_: object) -> CompactionEstimate:
        answer = answers.pop(0)
        if answer is None:
            await asyncio.sleep(60)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(compactor, "estimate", estimate)
    monkeypatch.setattr(preview_job, "ANSWER_WITHIN_MS", 100)
    monkeypatch.setattr(preview_job, "ESTIMATE_MS_MIN", 100)
    found = CompactionEstimate(records=5, records_removable=2, bytes_removable=20)
    for rest, note in (
        ([None], "of 1 of 3 partitions; there was no time for more"),
        ([CompactionFailed("broken")], "of 1 of 3 partitions; more could not be looked at: broken"),
        ([dataclasses.replace(found, partial=True)] * 2, "of long partitions, their newest part"),
    ):
        answers[:] = [found, *rest]
        told = previewed_compaction(bench, data_dir, "partly")
        assert (told["exact"], told["note"]) == (False, note)
        assert told["records_removable"] == 2 * (len(rest) + 1 if len(rest) > 1 else 1)


@pytest.mark.usefixtures("no_regular_looks")
def test_a_namespaces_default_reaches_its_topics_at_once(bench: Bench, data_dir: Path) -> None:
    bench.create("inherits")
    produce(bench, "inherits", b"a", first_ms=time.time_ns() // 1_000_000 - 120_000)
    partition = partition_of(bench, "inherits")

    async def set_defaults(database: Database, defaults: dict[str, str]) -> None:
        async with database.write() as session:
            await alter_namespace(session, Actor.local(), "default", "default", defaults=defaults)

    with_database(data_dir, lambda database: set_defaults(database, {"retention.ms": "60000"}))
    wait_until(lambda: partition.log.log_start == 1, 2)
    with_database(data_dir, lambda database: set_defaults(database, {}))
    assert partition.log.log_start == 1


@pytest.mark.usefixtures("no_regular_looks")
def test_a_shortened_retention_waits_for_the_end_of_an_upload(bench: Bench) -> None:
    tiering = bench.broker.broker.services.tiering
    bench.create("busy", retention_ms="-1")
    produce(bench, "busy", b"a", first_ms=LONG_AGO_MS)
    partition = partition_of(bench, "busy")
    tiering._uploading[partition] += 1
    alter(bench, "busy", "retention.ms", "60000")
    wait_until(lambda: partition.log.log_start, 0.3)
    assert partition.log.log_start == 0
    tiering._uploading[partition] -= 1
    bench.broker.on_loop(lambda: tiering.offload(partition))
    wait_until(lambda: partition.log.log_start == 1, 2)
    assert partition.log.log_start == 1


def test_an_emptied_topic_goes_on_where_it_ended_after_a_crash(tmp_path: Path) -> None:
    prepare(tmp_path)
    disk = WilfulDisk()
    broker = InProcessBroker(tmp_path, disk)
    with broker:
        bench = Bench(broker, disk)
        bench.create("emptied", retention_ms="60000")
        produce(bench, "emptied", b"a", b"b", first_ms=LONG_AGO_MS)
        wait_until(lambda: partition_of(bench, "emptied").log.hot_bytes == 0)
        broker.crash()
    with InProcessBroker(tmp_path, disk) as broker:
        bench = Bench(broker, disk)
        log = partition_of(bench, "emptied").log
        assert (log.log_start, log.end, log.recovery.lost) == (2, 2, ())
        produce(bench, "emptied", b"c")
        assert values_from(bench, "emptied", 2, 3) == [b"c"]
