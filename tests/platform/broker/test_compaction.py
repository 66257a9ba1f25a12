"""Compacted topics as clients and whoever asks for a compaction see them."""

import asyncio
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as AioPartition
from coldstream.platform.broker import compactor as compactor_module
from coldstream.platform.broker.namespace import Partition
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.errors import ErrorCode
from coldstream.storage.batch import CRC_AT, CRC_COVERS_FROM, DELETE_HORIZON, iterate_headers
from coldstream.storage.cleaning import CompactionFailed
from coldstream.storage.records import Record, build_batch, decode_records
from coldstream.tenants import jobs
from coldstream.tenants.actor import Actor
from coldstream.tenants.database import Database
from coldstream.tenants.models import JobState
from coldstream.tests.broker_in_process import InProcessBroker, prepare, with_database
from coldstream.tests.platform.broker.conftest import (
    Bench,
    WilfulDisk,
    fetch_fields,
    fetched,
    produce_fields,
    produced,
    wait_until,
)
from coldstream.tests.raw_kafka import answer_of
from confluent_kafka import Consumer, Producer, TopicPartition
from crc32c import crc32c
from kafka import KafkaConsumer
from kafka import TopicPartition as PythonPartition

NOW_MS = 1_700_000_000_000
HEADER_CRC = struct.Struct(">I")
COMPACTED = {"cleanup_policy": "compact", "delete_retention_ms": "3600000"}
FETCH, PRODUCE = 12, 9


def partition_of(broker: InProcessBroker, topic: str) -> Partition:
    found = broker.broker.services.follower.namespaces()[0].topic(topic.encode())
    assert found is not None
    return found.partitions[0]


def begin_job(broker: InProcessBroker, data_dir: Path, topic: str, kind: str, **payload: Any) -> Any:
    topic_id = partition_of(broker, topic).topic.id

    async def enqueue(database: Database) -> Any:
        async with database.write() as session:
            return (await jobs.enqueue(session, Actor.local(), kind, {"topic_id": str(topic_id)} | payload)).id

    return with_database(data_dir, enqueue)


def finished(
    broker: InProcessBroker, data_dir: Path, topic: str, kind: str = jobs.COMPACT, **payload: Any
) -> jobs.JobEntry:
    job_id = begin_job(broker, data_dir, topic, kind, **payload)
    found: list[jobs.JobEntry] = []

    async def get(database: Database) -> None:
        async with database.read() as session:
            found.append(await jobs.get_job(session, job_id))

    def has_ended() -> bool:
        with_database(data_dir, get)
        return found[-1].ended

    wait_until(has_ended, 15)
    return found[-1]


def compacted(broker: InProcessBroker, data_dir: Path, topic: str) -> Mapping[str, Any]:
    job = finished(broker, data_dir, topic)
    assert job.state is JobState.DONE, job.error
    return job.progress


def keyed(*pairs: tuple[bytes | None, bytes | None], codec: str = "none") -> bytes:
    return build_batch([Record(0, NOW_MS + at, *pair) for at, pair in enumerate(pairs)], compression=codec)


def produce(bench: Bench, topic: str, *pairs: tuple[bytes | None, bytes | None], codec: str = "none") -> Any:
    with bench.connect() as client:
        return produced(client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields(topic, keyed(*pairs, codec=codec))))


def raw(bench: Bench, topic: str) -> bytes:
    """Every batch, as a fetch has it."""
    found, offset = b"", 0
    with bench.connect() as client:
        while True:
            part = fetched(client.ask(ApiKey.FETCH, FETCH, fetch_fields(topic, offset)))
            assert part.error_code == 0
            if not part.records:
                return found
            found += bytes(part.records)
            *_, (_, last) = iterate_headers(found)
            offset = last.end_offset


def seal(bench: Bench, *partitions: Partition) -> None:
    """Seal what was written, and wait until a restart would not read it again."""

    async def seal_all() -> None:
        for partition in partitions:
            partition.log.seal()

    bench.broker.on_loop(seal_all)
    wait_until(lambda: all(each.log._beside.recovery_point >= each.log.segments[-1].base for each in partitions))


Found = list[tuple[int, bytes | None, bytes | None]]


def by_confluent(address: str, topic: str, offset: int, end: int) -> Found:
    consumer = Consumer({"bootstrap.servers": address, "group.id": "g", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, offset)])
    found: Found = []

    def reached() -> bool:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            found.append((message.offset(), message.key(), message.value()))
        return consumer.position([TopicPartition(topic, 0)])[0].offset >= end

    wait_until(reached, 15)
    consumer.close()
    return found


def by_aiokafka(address: str, topic: str, offset: int, end: int) -> Found:
    async def read() -> Found:
        async with AIOKafkaConsumer(bootstrap_servers=address, fetch_max_wait_ms=100) as consumer:
            where = AioPartition(topic, 0)
            consumer.assign([where])
            consumer.seek(where, offset)
            found: Found = []
            for _ in range(50):
                for messages in (await consumer.getmany(timeout_ms=200)).values():
                    found += [(message.offset, message.key, message.value) for message in messages]
                if found and found[-1][0] == end - 1:
                    break
            return found

    return asyncio.run(read())


def by_kafka_python(address: str, topic: str, offset: int, end: int) -> Found:
    consumer = KafkaConsumer(bootstrap_servers=address, fetch_max_wait_ms=100, consumer_timeout_ms=10_000)
    where = PythonPartition(topic, 0)
    consumer.assign([where])
    consumer.seek(where, offset)
    found: Found = []
    for message in consumer:
        found.append((message.offset, message.key, message.value))
        if message.offset == end - 1:
            break
    consumer.close()
    return found


READERS = {"confluent-kafka": by_confluent, "aiokafka": by_aiokafka, "kafka-python": by_kafka_python}


@pytest.fixture(scope="module")
def full(bench: Bench, data_dir: Path) -> Iterator[Found]:
    """A topic of four segments, one of which was emptied, with what is left of it."""
    bench.create("full", **COMPACTED)
    for codec, low in (("none", 0), ("lz4", 10), ("gzip", 0), ("gzip", 20)):  # the third hides all of the first
        pairs = [(b"%d" % (low + at), b"%s %d" % (codec.encode(), at)) for at in range(10)]
        assert produce(bench, "full", *pairs, codec=codec).error_code == 0
        compacted(bench.broker, data_dir, "full")
    produce(bench, "full", (b"10", None), (b"last", b"value"))  # in the active segment: it hides nothing yet
    lz4 = [(10 + at, b"%d" % (10 + at), b"lz4 %d" % at) for at in range(10)]
    gzip = [(20 + at, b"%d" % (at + at // 10 * 10), b"gzip %d" % (at % 10)) for at in range(20)]
    yield [*lz4, *gzip, (40, b"10", None), (41, b"last", b"value")]


@pytest.mark.parametrize("client", READERS)
@pytest.mark.parametrize("offset", [0, 5, 15, 25, 40])
def test_clients_read_over_what_was_compacted_away(bench: Bench, full: Found, client: str, offset: int) -> None:
    headers = [header for _, header in iterate_headers(raw(bench, "full"))]
    assert [header.record_count for header in headers] == [0, 10, 10, 10, 2]
    found = READERS[client](bench.broker.address, "full", offset, 42)
    assert found == [record for record in full if record[0] >= offset]


def test_a_job_tells_what_it_gained_and_the_second_one_gains_nothing(bench: Bench, data_dir: Path) -> None:
    bench.create("gain", **COMPACTED)
    for value in range(50):
        produce(bench, "gain", (b"same", b"%d" % value * 10))
    said = compacted(bench.broker, data_dir, "gain")
    assert (said["records_before"], said["records_after"], said["partitions_done"]) == (50, 1, 1)
    assert said["bytes_after"] < said["bytes_before"] / 10
    again = compacted(bench.broker, data_dir, "gain")
    assert (again["records_before"], again["records_after"]) == (1, 1)
    assert again["bytes_before"] == again["bytes_after"] == said["bytes_after"]
    metrics = bench.broker.broker.services.metrics
    assert metrics.compaction_records_removed >= 49 and metrics.compaction_bytes_removed > 0


def test_an_estimate_says_what_a_job_would_gain_and_changes_nothing(bench: Bench, data_dir: Path) -> None:
    services = bench.broker.broker.services
    bench.create("guessed", **COMPACTED)
    for value in range(20):
        produce(bench, "guessed", (b"same", b"%d" % value), (b"%d" % value, b"x"))
    partition = partition_of(bench.broker, "guessed")
    before = raw(bench, "guessed")
    found = bench.broker.on_loop(lambda: services.compactor.estimate(partition))
    assert (found.records, found.records_removable, found.partial) == (40, 19, False)
    assert raw(bench, "guessed") == before and partition.log.sealed_segments() == ()
    said = compacted(bench.broker, data_dir, "guessed")
    assert said["records_before"] - said["records_after"] == found.records_removable
    assert said["bytes_before"] - said["bytes_after"] == found.bytes_removable


def test_only_a_compacted_topic_can_be_compacted(bench: Bench, data_dir: Path) -> None:
    bench.create("plain")
    job = finished(bench.broker, data_dir, "plain")
    assert job.state is JobState.FAILED and "cleanup.policy of this topic is delete" in (job.error or "")


def test_the_dirtiest_log_is_compacted_by_itself_once_it_is_dirty_enough(bench: Bench, data_dir: Path) -> None:
    services = bench.broker.broker.services
    bench.create("itself", **COMPACTED, min_cleanable_dirty_ratio="0.6")
    partition = partition_of(bench.broker, "itself")

    def sealed(*values: bytes) -> None:
        for value in values:
            produce(bench, "itself", (b"k", value), (value, b"v" * 100))

        seal(bench, partition)
        bench.broker.on_loop(services.compactor.look)

    sealed(b"a", b"b", b"c", b"d")
    assert partition.log.clean_below == 8
    assert [record.value for record in decode_records(raw(bench, "itself")) if record.key == b"k"] == [b"d"]
    sealed(b"e")  # a fifth is new: not yet
    assert partition.log.clean_below == 8
    sealed(b"f", b"g", b"h", b"i", b"j")
    assert partition.log.clean_below == 20


def test_a_log_that_cannot_be_compacted_is_left_alone_and_holds_up_no_other(
    bench: Bench, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = bench.broker.broker.services
    clean = services.compactor._cleaner.clean

    async def refuses(request: Any) -> Any:
        if str(bad.topic.id) in request.target.path:
            raise CompactionFailed("rotten")
        return await clean(request)

    for name in ("bad", "good"):
        bench.create(name, **COMPACTED)
        produce(bench, name, (b"k", b"1"))
        produce(bench, name, (b"k", b"2"))
    bad, good = partition_of(bench.broker, "bad"), partition_of(bench.broker, "good")
    monkeypatch.setattr(services.compactor._cleaner, "clean", refuses)

    seal(bench, bad, good)
    bench.broker.on_loop(services.compactor.look)
    assert (bad.log.clean_below, good.log.clean_below) == (0, 2)
    assert finished(bench.broker, data_dir, "bad").error == "partition 0: rotten"
    monkeypatch.setattr(compactor_module, "BACKOFF_MS", 0)
    monkeypatch.undo()
    services.compactor._left_alone_until_ms.clear()
    bench.broker.on_loop(services.compactor.look)
    assert bad.log.clean_below == 2


def test_tombstones_are_stamped_with_when_they_may_go_and_go_then(bench: Bench, data_dir: Path) -> None:
    bench.create("dead", cleanup_policy="compact", delete_retention_ms="0")
    produce(bench, "dead", (b"k", b"v"), (b"other", b"x"))
    produce(bench, "dead", (b"k", None))
    compacted(bench.broker, data_dir, "dead")
    stamped = [header for _, header in iterate_headers(raw(bench, "dead"))][-1]
    assert stamped.attributes & DELETE_HORIZON and stamped.max_timestamp_ms == NOW_MS
    (left,) = [record for record in decode_records(raw(bench, "dead")) if record.key == b"k"]
    assert (left.offset, left.value, left.timestamp_ms) == (2, None, NOW_MS)
    compacted(bench.broker, data_dir, "dead")
    assert [record.key for record in decode_records(raw(bench, "dead"))] == [b"other"]
    with bench.connect() as client:  # the offset is not given out again
        assert (
            produced(client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("dead", keyed((b"k", b"w"))))).base_offset == 3
        )


def test_an_idempotent_producer_goes_on_after_a_compaction_and_a_restart(tmp_path: Path) -> None:
    prepare(tmp_path / "data")
    port = 0
    producer: Producer | None = None
    failures: list[Any] = []
    for round_ in range(3):
        disk = WilfulDisk()
        with InProcessBroker(tmp_path / "data", disk, port=port) as broker:
            bench = Bench(broker, disk)
            if producer is None:
                bench.create("again", **COMPACTED)
                port = broker.broker.address.port
                producer = Producer({"bootstrap.servers": broker.address, "enable.idempotence": True, "linger.ms": 0})
            for value in range(5):
                producer.produce(
                    "again", b"%d.%d" % (round_, value), b"key", on_delivery=lambda error, _: failures.append(error)
                )
                producer.flush(10)
            said = compacted(broker, tmp_path / "data", "again")
            assert said["records_after"] == 1
            assert [record.value for record in decode_records(raw(bench, "again"))] == [b"%d.4" % round_]
    assert failures == [None] * 15


def test_what_was_compacted_can_be_offloaded_once_the_topic_is_compacted_no_more(bench: Bench, data_dir: Path) -> None:
    bench.create("thawed", **COMPACTED)
    for value in (b"1", b"2"):
        produce(bench, "thawed", (b"a", value), (b"b", value), (b"c", None))
        compacted(bench.broker, data_dir, "thawed")
    produce(bench, "thawed", (b"a", b"3"), (b"a", b"4"))
    compacted(bench.broker, data_dir, "thawed")
    left = [
        (record.offset, record.key, record.value, record.timestamp_ms)
        for record in decode_records(raw(bench, "thawed"))
    ]
    assert [offset for offset, *_ in left] == [4, 5, 7]
    changes = [("cleanup.policy", "delete"), ("remote.storage.enable", "true"), ("retention.ms", "-1")]
    configs = [{"name": name, "config_operation": 0, "value": value} for name, value in changes]
    with bench.connect() as client:
        resource = {"resource_type": 2, "resource_name": "thawed", "configs": configs}
        (altered,) = client.ask(ApiKey.INCREMENTAL_ALTER_CONFIGS, 1, {"resources": [resource]}).responses
        assert altered.error_code == 0
    job = finished(bench.broker, data_dir, "thawed", jobs.OFFLOAD, drop_local=True)
    assert job.state is JobState.DONE, job.error
    log = partition_of(bench.broker, "thawed").log
    assert (log.local_start, log.hot_bytes) == (8, 0)
    found = [
        (record.offset, record.key, record.value, record.timestamp_ms)
        for record in decode_records(raw(bench, "thawed"))
    ]
    assert found == left
    assert by_confluent(bench.broker.address, "thawed", 0, 8) == [record[:3] for record in left]


# --- what may be produced


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_a_record_without_a_key_is_refused_with_its_whole_batch(bench: Bench, data_dir: Path, codec: str) -> None:
    if not bench.broker.broker.services.follower.namespaces()[0].topic(b"keys"):
        bench.create("keys", **COMPACTED)
        bench.create("loose")
    refused = produce(bench, "keys", (b"a", b"1"), (None, b"2"), codec=codec)
    assert (
        refused.error_code == ErrorCode.INVALID_RECORD and "record 1 of the batch has no key" in refused.error_message
    )
    assert partition_of(bench.broker, "keys").log.end % 2 == 0
    assert produce(bench, "keys", (b"a", b"1"), (b"", b"2"), codec=codec).error_code == 0
    assert produce(bench, "loose", (None, b"1"), codec=codec).error_code == 0


def test_a_large_request_is_checked_apart_and_what_follows_on_its_connection_stays_behind_it(bench: Bench) -> None:
    bench.create("large", **COMPACTED)
    bench.create("beside")
    many = [(b"%d" % at, b"v" * 40) for at in range(15_000)]
    requests = [
        (topic, keyed(*pairs))
        for at in range(3)
        for topic, pairs in (
            ("large", [*many, (b"end", b"%d" % at)]),
            ("large", [(b"k", b"%d" % at)]),
            ("large", [*many, (None, b"no key")]),
            ("beside", [(None, b"%d" % at)]),
        )
    ]
    with bench.connect() as client:
        for topic, batch in requests:
            client.send(client.request(ApiKey.PRODUCE, PRODUCE, produce_fields(topic, batch)))
        answers = [produced(answer_of(ApiKey.PRODUCE, PRODUCE, client.receive())) for _ in requests]
    size = len(many) + 2
    for at in range(3):
        large, small, refused, beside = answers[4 * at : 4 * at + 4]
        assert [large.base_offset, small.base_offset, beside.base_offset] == [at * size, at * size + size - 1, at]
        assert [large.error_code, small.error_code, refused.error_code] == [0, 0, ErrorCode.INVALID_RECORD]
        assert "record 15000 of the batch has no key" in refused.error_message


def test_a_batch_that_would_become_huge_is_refused_and_costs_no_memory(bench: Bench) -> None:
    bench.create("bomb", **COMPACTED)
    refused = produce(bench, "bomb", (b"k", bytes(65 * 2**20)), codec="zstd")
    assert refused.error_code == ErrorCode.INVALID_RECORD and "larger than 67108864 bytes" in refused.error_message


def test_records_that_cannot_be_read_are_refused(bench: Bench) -> None:
    bench.create("garbled", **COMPACTED)
    batch = bytearray(keyed((b"k", b"v"), codec="lz4"))
    batch[-6:] = b"garble"
    HEADER_CRC.pack_into(batch, CRC_AT, crc32c(memoryview(batch)[CRC_COVERS_FROM:]))
    with bench.connect() as client:
        refused = produced(client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("garbled", bytes(batch))))
    assert refused.error_code == ErrorCode.INVALID_RECORD and "cannot be read" in refused.error_message
    batch[-1] ^= 0xFF
    with bench.connect() as client:
        refused = produced(client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("garbled", bytes(batch))))
    assert refused.error_code == ErrorCode.CORRUPT_MESSAGE
