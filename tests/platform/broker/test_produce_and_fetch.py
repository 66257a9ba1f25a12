"""The hot path as a client sees it, and what it asks of disk, loop and database."""

import asyncio
import threading
import time
from pathlib import Path

import pytest
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.errors import ErrorCode
from coldstream.storage.disk import OsDisk
from coldstream.storage.records import decode_records
from coldstream.tests.broker_in_process import InProcessBroker
from coldstream.tests.platform.broker.conftest import (
    Bench,
    WilfulDisk,
    batch_of,
    fetch_fields,
    fetched,
    produce_fields,
    produced,
)
from coldstream.tests.raw_kafka import ConnectionEnded, RawKafka, answer_of

PRODUCE, FETCH = 9, 12


def test_what_was_produced_is_fetched_byte_for_byte_but_for_offset_and_epoch(bench: Bench) -> None:
    bench.create("bytes")
    sent = batch_of(b"one", b"two")
    with bench.connect() as client:
        answer = produced(client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("bytes", sent)))
        assert (answer.error_code, answer.base_offset, answer.log_start_offset) == (0, 0, 0)
        part = fetched(client.ask(ApiKey.FETCH, FETCH, fetch_fields("bytes", 0)))
    assert (part.error_code, part.high_watermark, part.last_stable_offset) == (0, 2, 2)
    assert part.records[16:] == sent[16:] and part.records[8:12] == sent[8:12]


@pytest.mark.parametrize("version", range(3, 13))
def test_every_served_produce_version_is_answered(bench: Bench, version: int) -> None:
    name = f"produce-v{version}"
    bench.create(name)
    with bench.connect() as client:
        answer = produced(client.ask(ApiKey.PRODUCE, version, produce_fields(name, batch_of(b"x"))))
        assert (answer.error_code, answer.base_offset) == (0, 0)


@pytest.mark.parametrize("version", range(4, 13))
def test_every_fetch_version_by_name_is_answered(bench: Bench, version: int) -> None:
    name = f"fetch-v{version}"
    bench.create(name)
    with bench.connect() as client:
        client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields(name, batch_of(b"x")))
        part = fetched(client.ask(ApiKey.FETCH, version, fetch_fields(name, 0)))
        assert part.error_code == 0 and decode_records(part.records)[0].value == b"x"


def test_produce_of_the_old_message_formats_is_refused_as_unsupported(bench: Bench) -> None:
    bench.create("old")
    with bench.connect() as client:
        for version in (0, 1, 2):
            answer = produced(client.ask(ApiKey.PRODUCE, version, produce_fields("old", batch_of(b"x"))))
            assert answer.error_code == ErrorCode.UNSUPPORTED_VERSION


@pytest.mark.parametrize(
    ("topic", "partition", "batch", "acks", "error"),
    [
        ("nowhere", 0, batch_of(b"x"), -1, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ("errors", 7, batch_of(b"x"), -1, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ("errors", -1, batch_of(b"x"), -1, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ("errors", 0, batch_of(b"x"), 5, ErrorCode.INVALID_REQUIRED_ACKS),
        ("errors", 0, batch_of(b"x")[:-1] + b"?", -1, ErrorCode.CORRUPT_MESSAGE),
        ("errors", 0, batch_of(b"x")[:40], -1, ErrorCode.CORRUPT_MESSAGE),
        ("errors", 0, b"", -1, ErrorCode.CORRUPT_MESSAGE),
        ("errors", 0, bytes(16) + b"\1" + bytes(17), -1, ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT),
        ("errors", 0, batch_of(b"x" * 2_000_000), -1, ErrorCode.MESSAGE_TOO_LARGE),
        ("errors", 0, batch_of(b"x", producer_id=999, base_sequence=0), -1, ErrorCode.INVALID_PRODUCER_ID_MAPPING),
    ],
    # Batches carry the moment they were made: without names of their own, no two processes would collect the same.
    ids=(
        "no such topic",
        "no such partition",
        "partition below zero",
        "acks unknown",
        "checksum",
        "cut",
        "empty",
        "old format",
        "too large",
        "unknown producer",
    ),
)
def test_what_cannot_be_appended_gets_a_clear_error(
    bench: Bench, topic: str, partition: int, batch: bytes, acks: int, error: ErrorCode
) -> None:
    if "errors" not in {t.name for t in bench.broker.broker.services.follower.namespaces()[0].topics()}:
        bench.create("errors")
    with bench.connect() as client:
        answer = produced(client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields(topic, batch, acks, partition)))
    assert ErrorCode(answer.error_code) is error


def test_answers_leave_in_request_order_whatever_their_acks(bench: Bench) -> None:
    bench.create("order")
    with bench.connect() as client:
        frames = []
        for number in range(20):
            client.correlation_id = number
            frames.append(
                client.request(ApiKey.PRODUCE, PRODUCE, produce_fields("order", batch_of(b"x"), (-1, 1)[number % 2]))
            )
        client.send(b"".join(frames))
        assert [int.from_bytes(client.receive()[:4], "big") for _ in range(20)] == list(range(20))


def test_acks_0_is_not_answered_and_an_error_ends_the_connection(bench: Bench) -> None:
    bench.create("silent")
    with bench.connect() as client:
        client.send(client.request(ApiKey.PRODUCE, PRODUCE, produce_fields("silent", batch_of(b"x"), 0)))
        assert client.is_alive()
        part = fetched(client.ask(ApiKey.FETCH, FETCH, fetch_fields("silent", 0, max_wait_ms=1000)))
        assert part.high_watermark == 1
        client.send(client.request(ApiKey.PRODUCE, PRODUCE, produce_fields("nowhere", batch_of(b"x"), 0)))
        with pytest.raises(ConnectionEnded):
            client.receive()


def test_one_read_of_many_batches_is_one_writev_per_log(bench: Bench) -> None:
    bench.create("few-calls", 2)
    with bench.connect() as client:
        for partition in (0, 1):  # opens the files
            client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("few-calls", batch_of(b"x"), 1, partition))
        frames = b"".join(
            client.request(ApiKey.PRODUCE, PRODUCE, produce_fields("few-calls", batch_of(b"x"), 1, at % 2))
            for at in range(100)
        )
        before = bench.disk.writev_calls
        client.send(frames)
        for _ in range(100):
            client.receive()
        # The kernel may hand over the bytes in a few reads; a write per batch would be a hundred.
        assert bench.disk.writev_calls - before <= 10


def test_produce_and_hot_fetch_make_no_task_and_touch_no_database(bench: Bench) -> None:
    bench.create("quiet")
    made: list[str] = []
    services = bench.broker.broker.services
    loop = services.loop

    def counting(on: asyncio.AbstractEventLoop, coroutine: object, **options: object) -> asyncio.Task[object]:
        made.append(getattr(coroutine, "__qualname__", repr(coroutine)))
        return asyncio.Task(coroutine, loop=on, **options)  # type: ignore[arg-type]

    with bench.connect() as client:
        client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("quiet", batch_of(b"x")))
        loop.call_soon_threadsafe(loop.set_task_factory, counting)
        for offset in range(200):
            client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("quiet", batch_of(b"x")))
            client.ask(ApiKey.FETCH, FETCH, fetch_fields("quiet", offset))
        loop.call_soon_threadsafe(loop.set_task_factory, None)
    ours = [name for name in made if "broker" in name or "Connection" in name or "Fetch" in name or "Sign" in name]
    assert ours == []
    assert threading.get_ident() not in bench.disk.sync_threads
    assert bench.broker._thread.ident not in bench.disk.sync_threads, "a sync ran on the loop"


def test_a_duplicate_of_an_idempotent_producer_gets_its_first_offset(bench: Bench) -> None:
    bench.create("twice")
    with bench.connect() as client:
        producer_id = client.ask(
            ApiKey.INIT_PRODUCER_ID, 4, {"transactional_id": None, "transaction_timeout_ms": 0}
        ).producer_id
        batch = batch_of(b"a", b"b", producer_id=producer_id, base_sequence=0)
        offsets = [
            produced(client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("twice", batch))).base_offset for _ in range(3)
        ]
        assert offsets == [0, 0, 0]
        gap = batch_of(b"c", producer_id=producer_id, base_sequence=9)
        answer = produced(client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("twice", gap)))
        assert answer.error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_a_fetch_waits_for_records_and_is_woken_by_them(bench: Bench) -> None:
    bench.create("wait")
    with bench.connect() as reader, bench.connect() as writer:
        began_s = time.monotonic()
        reader.send(reader.request(ApiKey.FETCH, FETCH, fetch_fields("wait", 0, max_wait_ms=20_000)))
        reader.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            reader.receive()
        writer.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("wait", batch_of(b"now")))
        reader.socket.settimeout(10)
        part = fetched(answer_of(ApiKey.FETCH, FETCH, reader.receive()))
        assert decode_records(part.records)[0].value == b"now"
        assert time.monotonic() - began_s < 15


def test_a_fetch_with_nothing_to_read_is_answered_empty_when_its_time_is_up(bench: Bench) -> None:
    bench.create("empty")
    with bench.connect() as client:
        part = fetched(client.ask(ApiKey.FETCH, FETCH, fetch_fields("empty", 0, max_wait_ms=50)))
        assert (part.error_code, part.records) == (0, b"")


def test_a_client_that_leaves_while_its_fetch_waits_is_forgotten(bench: Bench) -> None:
    bench.create("left")
    view = bench.broker.broker.services.follower.namespaces()[0]
    topic = view.topic(b"left")
    assert topic is not None
    with bench.connect() as client:
        client.send(client.request(ApiKey.FETCH, FETCH, fetch_fields("left", 0, max_wait_ms=60_000)))
        wait_until(lambda: len(topic.partitions[0].waiting) == 1)
    wait_until(lambda: not topic.partitions[0].waiting)
    assert not topic.partitions[0].waiting


def test_offsets_outside_the_log_are_out_of_range(bench: Bench) -> None:
    bench.create("range")
    with bench.connect() as client:
        client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("range", batch_of(b"x")))
        for offset in (-5, 2, 10**9):
            part = fetched(client.ask(ApiKey.FETCH, FETCH, fetch_fields("range", offset)))
            assert part.error_code == ErrorCode.OFFSET_OUT_OF_RANGE


def test_a_client_that_claims_to_be_a_follower_reads_nothing(bench: Bench) -> None:
    bench.create("follower")
    with bench.connect() as client:
        client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("follower", batch_of(b"x")))
        part = fetched(client.ask(ApiKey.FETCH, FETCH, fetch_fields("follower", 0) | {"replica_id": 1}))
        assert part.error_code == ErrorCode.TOPIC_AUTHORIZATION_FAILED and not part.records


def test_a_record_is_neither_acknowledged_nor_visible_before_its_commit_round(bench: Bench) -> None:
    bench.create("durable")
    with bench.connect() as writer, bench.connect() as reader:
        writer.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("durable", batch_of(b"first")))
        bench.disk.syncs_may_go_on.clear()
        try:
            early = produced(writer.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("durable", batch_of(b"early"), 1)))
            assert early.base_offset == 1
            writer.send(writer.request(ApiKey.PRODUCE, PRODUCE, produce_fields("durable", batch_of(b"sure"), -1)))
            writer.socket.settimeout(0.3)
            with pytest.raises(TimeoutError):
                writer.receive()
            part = fetched(reader.ask(ApiKey.FETCH, FETCH, fetch_fields("durable", 1, max_wait_ms=50)))
            assert (part.high_watermark, part.records) == (1, b"")
        finally:
            bench.disk.syncs_may_go_on.set()
        writer.socket.settimeout(10)
        assert produced(answer_of(ApiKey.PRODUCE, PRODUCE, writer.receive())).base_offset == 2
        part = fetched(reader.ask(ApiKey.FETCH, FETCH, fetch_fields("durable", 1, max_wait_ms=5000)))
        assert part.high_watermark == 3


def test_a_full_disk_is_a_retriable_error_and_passes_when_there_is_room(bench: Bench) -> None:
    bench.create("full")
    with bench.connect() as client:
        client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("full", batch_of(b"x")))
        bench.disk.fill_up()
        try:
            answer = produced(client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("full", batch_of(b"y"))))
        finally:
            bench.disk.write_error = None
        assert answer.error_code == ErrorCode.NOT_ENOUGH_REPLICAS and "No space" in answer.error_message
        assert produced(client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("full", batch_of(b"z")))).base_offset == 1
        part = fetched(client.ask(ApiKey.FETCH, FETCH, fetch_fields("full", 0)))
        assert [record.value for record in decode_records(part.records)] == [b"x", b"z"]


def test_after_a_failed_sync_nothing_is_acknowledged_and_the_broker_gives_up(data_dir: Path, tmp_path: Path) -> None:
    from coldstream.tests.broker_in_process import prepare

    prepare(tmp_path / "data")
    disk = WilfulDisk()
    running = InProcessBroker(tmp_path / "data", disk)
    with running:
        bench = Bench(running, disk)
        bench.create("doomed")
        disk.sync_error = OSError(5, "Input/output error")
        with RawKafka(running.address, timeout_s=0.5) as client:
            client.send(client.request(ApiKey.PRODUCE, PRODUCE, produce_fields("doomed", batch_of(b"x"))))
            with pytest.raises((TimeoutError, ConnectionEnded)):
                client.receive()
        failed = running.broker.failed
        assert failed is not None
        wait_until(failed.done)
        assert "fsync failed" in str(failed.result())
        running.crash()
    assert isinstance(OsDisk(), OsDisk)


def wait_until(holds: "object", timeout_s: float = 5.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not holds() and time.monotonic() < deadline_s:  # type: ignore[operator]
        time.sleep(0.01)
