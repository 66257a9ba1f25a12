"""Segments on their way: sealed, cold, evicted, past their time, deleted; and jobs that ask for it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from coldstream.platform.broker import offload_job
from coldstream.platform.cluster.tables import ColdSegmentRow
from coldstream.platform.cluster.tables import Partition as PartitionTable
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.errors import ErrorCode
from coldstream.storage.cold_format import CorruptObject
from coldstream.storage.object_store import ObjectStoreUnavailable
from coldstream.tenants.database import Database
from coldstream.tenants.models import JobState
from coldstream.tenants.models import Topic as TopicTable
from coldstream.tests.broker_in_process import InProcessBroker, prepare, with_database
from coldstream.tests.platform.broker.conftest import (
    Bench,
    WilfulDisk,
    batch_of,
    fetch_fields,
    fetched,
    produce_fields,
    wait_until,
)
from coldstream.tests.platform.broker.tiers import (
    EARLIEST,
    FETCH,
    KEPT,
    LATEST_TIERED,
    LOCAL_START,
    LONG_AGO_MS,
    PRODUCE,
    begin_job,
    finished_job,
    job_of,
    look,
    objects_of,
    offload,
    offset_at,
    partition_of,
    produce,
    values_from,
)
from sqlalchemy import func, select


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiers")
    prepare(path)
    return path


@pytest.fixture(scope="module")
def bench(data_dir: Path) -> Iterator[Bench]:
    disk = WilfulDisk()
    with InProcessBroker(data_dir, disk) as broker:
        yield Bench(broker, disk)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offload_job, "RETRY_S", 0.01)


def delete(bench: Bench, topic: str) -> None:
    with bench.connect() as client:
        (gone,) = client.ask(ApiKey.DELETE_TOPICS, 6, {"topics": [{"name": topic}], "timeout_ms": 1}).responses
        assert gone.error_code == 0


def rows_of(data_dir: Path, topic_id: UUID) -> int:
    async def count(database: Database) -> int:
        async with database.read() as session:
            counts = [
                await session.scalar(select(func.count()).select_from(table).where(column == topic_id)) or 0
                for table, column in (
                    (TopicTable, TopicTable.id),
                    (PartitionTable, PartitionTable.topic_id),
                    (ColdSegmentRow, ColdSegmentRow.topic_id),
                )
            ]
        return sum(counts)

    return with_database(data_dir, count)


def test_an_offload_job_makes_everything_cold_and_drops_it_locally_if_asked(bench: Bench, data_dir: Path) -> None:
    bench.create("whole", **KEPT)
    produce(bench, "whole", b"a", b"b")
    produce(bench, "whole", b"c")
    job = finished_job(bench, data_dir, "whole", drop_local=True)
    assert (job.state, job.error) == (JobState.DONE, None)
    assert job.progress["segments_offloaded"] == 1 and job.progress["partitions_done"] == 1
    assert (offset_at(bench, "whole", LOCAL_START), offset_at(bench, "whole", LATEST_TIERED)) == (3, 2)
    assert partition_of(bench, "whole").log.hot_bytes == 0
    produce(bench, "whole", b"d")
    assert values_from(bench, "whole", 0, 4) == [b"a", b"b", b"c", b"d"]
    assert offset_at(bench, "whole", EARLIEST) == 0


def test_a_job_says_why_the_store_did_not_take_the_segments_and_drops_nothing(
    bench: Bench, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def upload(_: object) -> None:
        raise ObjectStoreUnavailable("the bucket does not answer")

    bench.create("unreachable", **KEPT)
    produce(bench, "unreachable", b"a")
    monkeypatch.setattr(bench.broker.broker.services.worker, "upload", upload)
    job = finished_job(bench, data_dir, "unreachable", drop_local=True)
    assert job.state is JobState.FAILED and "the bucket does not answer" in (job.error or "")
    assert offset_at(bench, "unreachable", LOCAL_START) == 0
    monkeypatch.undo()
    assert values_from(bench, "unreachable", 0, 1) == [b"a"]


def test_a_job_that_meets_a_mistake_of_ours_fails_and_the_next_one_works(
    bench: Bench, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def offload_(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake of ours")

    bench.create("mistaken", **KEPT)
    produce(bench, "mistaken", b"a")
    with monkeypatch.context() as patch:
        patch.setattr(bench.broker.broker.services.tiering, "offload", offload_)
        assert finished_job(bench, data_dir, "mistaken").state is JobState.FAILED
    assert finished_job(bench, data_dir, "mistaken").state is JobState.DONE
    failed = bench.broker.broker.failed
    assert failed is not None and not failed.done()


def test_a_job_on_a_topic_that_is_deleted_meanwhile_ends_and_holds_up_no_other(bench: Bench, data_dir: Path) -> None:
    bench.create("other", **KEPT)
    produce(bench, "other", b"x")
    bench.create("vanishing", **KEPT)
    bench.disk.syncs_may_go_on.clear()
    try:
        produce(bench, "vanishing", b"a", acks=1)
        job_id = begin_job(bench, data_dir, "vanishing", drop_local=True)
        wait_until(lambda: job_of(data_dir, job_id).state is JobState.RUNNING)
        delete(bench, "vanishing")
        wait_until(lambda: job_of(data_dir, job_id).ended)
    finally:
        bench.disk.syncs_may_go_on.set()
    job = job_of(data_dir, job_id)
    assert job.state is JobState.FAILED and "deleted" in (job.error or "")
    assert finished_job(bench, data_dir, "other").state is JobState.DONE


def test_local_retention_evicts_only_what_is_committed_cold(
    bench: Bench, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def upload(_: object) -> None:
        raise ObjectStoreUnavailable("not now")

    bench.create("evicted", retention_ms="-1", local_retention_ms="1000")
    worker = bench.broker.broker.services.worker
    with monkeypatch.context() as patch:
        patch.setattr(worker, "upload", upload)
        produce(bench, "evicted", b"a", first_ms=LONG_AGO_MS)
        partition = partition_of(bench, "evicted")
        assert finished_job(bench, data_dir, "evicted").state is JobState.FAILED
        look(bench)
        assert len(partition.log.sealed_segments()) == 1
    assert finished_job(bench, data_dir, "evicted").state is JobState.DONE
    look(bench)
    wait_until(lambda: partition.log.sealed_segments() == ())
    assert partition.log.sealed_segments() == ()
    assert values_from(bench, "evicted", 0, 1) == [b"a"]


def test_a_deleted_topic_leaves_no_files_no_rows_and_after_the_grace_period_no_objects(
    bench: Bench, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = bench.broker.broker.services
    bench.create("deleted", 2, **KEPT)
    produce(bench, "deleted", b"a")
    offload(bench, data_dir, "deleted", drop_local=False)
    produce(bench, "deleted", b"b")
    topic_id = partition_of(bench, "deleted").topic.id
    files = services.logs.topics_dir / str(topic_id)
    assert objects_of(data_dir, topic_id) and files.exists()
    delete(bench, "deleted")
    assert not files.exists()
    bench.create("deleted", **KEPT)  # the name is free at once
    wait_until(lambda: topic_id in services.tiering._marked_topics)
    assert objects_of(data_dir, topic_id)  # readers may still be at them
    monkeypatch.setattr(services.tiering._collector, "_grace_ms", 0)
    services.tiering._collected_at_ms = 0
    wait_until(lambda: not rows_of(data_dir, topic_id))
    assert rows_of(data_dir, topic_id) == 0
    assert objects_of(data_dir, topic_id) == []
    assert topic_id not in services.follower.to_purge


def test_offsets_are_found_by_time_on_both_sides_of_the_border(bench: Bench, data_dir: Path) -> None:
    bench.create("times", **KEPT)
    produce(bench, "times", b"a", b"b", first_ms=LONG_AGO_MS)
    offload(bench, data_dir, "times")
    produce(bench, "times", *(b"later" for _ in range(9)), first_ms=LONG_AGO_MS)
    assert [offset_at(bench, "times", LONG_AGO_MS + ms) for ms in (-5, 0, 1, 2, 8, 9)] == [0, 0, 1, 4, 10, -1]


@pytest.mark.parametrize("error", [CorruptObject("rotten"), ObjectStoreUnavailable("not now")])
def test_a_cold_read_that_fails_is_a_retriable_error(
    bench: Bench, data_dir: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def read(*_: object, **__: object) -> bytes:
        raise error

    name = f"unreadable-{type(error).__name__}"
    bench.create(name, **KEPT)
    produce(bench, name, b"a")
    offload(bench, data_dir, name)
    with bench.connect() as client:
        with monkeypatch.context() as patch:
            patch.setattr(bench.broker.broker.services.cold, "read", read)
            part = fetched(client.ask(ApiKey.FETCH, FETCH, fetch_fields(name, 0)))
            assert part.error_code == ErrorCode.KAFKA_STORAGE_ERROR
        assert fetched(client.ask(ApiKey.FETCH, FETCH, fetch_fields(name, 0))).error_code == 0


def test_a_read_goes_on_behind_offsets_that_neither_tier_has(
    bench: Bench, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.create("hole", **KEPT)
    produce(bench, "hole", b"a")
    offload(bench, data_dir, "hole")
    produce(bench, "hole", b"b")
    monkeypatch.setattr(partition_of(bench, "hole"), "cold", ())
    assert values_from(bench, "hole", 0, 2) == [b"b"]


def test_one_cold_batch_may_be_larger_than_the_answer_and_others_wait_for_their_turn(
    bench: Bench, data_dir: Path
) -> None:
    bench.create("shares", 3, **KEPT)
    with bench.connect() as client:
        for index in range(3):
            fields = produce_fields("shares", batch_of(b"x" * 100_000), -1, index)
            client.ask(ApiKey.PRODUCE, PRODUCE, fields)
        offload(bench, data_dir, "shares")
        asked = fetch_fields("shares", 0) | {"max_bytes": 1000}
        one = asked["topics"][0]["partitions"][0]
        asked["topics"][0]["partitions"] = [one | {"partition": index} for index in range(3)]
        answers = [client.ask(ApiKey.FETCH, FETCH, asked).responses[0] for _ in range(3)]
    served = [[part.partition_index for part in answer.partitions if part.records] for answer in answers]
    assert sorted(served) == [[0], [1], [2]]


def test_a_worker_that_is_killed_is_missed_only_for_a_moment(bench: Bench, data_dir: Path) -> None:
    bench.create("survives", **KEPT)
    produce(bench, "survives", b"a")
    offload(bench, data_dir, "survives")
    worker = bench.broker.broker.services.worker
    bench.broker.broker.services.cold._places.clear()
    killed = worker.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    retriable = (0, ErrorCode.KAFKA_STORAGE_ERROR)
    with bench.connect() as client:

        def is_served() -> bool:
            part = fetched(client.ask(ApiKey.FETCH, FETCH, fetch_fields("survives", 0)))
            assert part.error_code in retriable
            return bool(part.records)

        wait_until(is_served)
        assert is_served()
    wait_until(lambda: worker.pid not in (None, killed))
    assert worker.pid not in (None, killed)
