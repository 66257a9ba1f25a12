"""What one connection may cost others, and how it ends: clients that read nothing, mistakes of our own, disconnects."""

import time
from contextlib import ExitStack
from typing import Any

import pytest
from coldstream.platform.broker import connection as connections
from coldstream.platform.broker import unread_answers, watch
from coldstream.platform.broker.connection import Connection
from coldstream.platform.broker.namespace import Partition
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.errors import ErrorCode
from coldstream.storage.errors import BelowLocalStart
from coldstream.storage.log import Log
from coldstream.tests.platform.broker.conftest import (
    Bench,
    batch_of,
    fetch_fields,
    fetched,
    produce_fields,
    produced,
    wait_until,
)
from coldstream.tests.raw_kafka import ConnectionEnded, RawKafka, answer_of

PRODUCE, FETCH = 9, 12
BIG = b"x" * 900_000


def only_connection(bench: Bench) -> Connection:
    (found,) = bench.broker.broker.services.connections
    return found


def partition_of(bench: Bench, name: str, index: int = 0) -> Partition:
    topic = bench.broker.broker.services.follower.namespaces()[0].topic(name.encode())
    assert topic is not None
    return topic.partitions[index]


def numbered(client: RawKafka, count: int, key: ApiKey, version: int, fields: dict[str, Any]) -> bytes:
    frames = []
    for number in range(count):
        client.correlation_id = number
        frames.append(client.request(key, version, fields))
    return b"".join(frames)


def correlation_ids(client: RawKafka, count: int) -> list[int]:
    return [int.from_bytes(client.receive()[:4], "big") for _ in range(count)]


def test_a_client_that_asks_for_much_and_reads_nothing_is_held_to_a_few_answers(bench: Bench) -> None:
    bench.create("unread")
    metrics = bench.broker.broker.services.metrics
    with bench.connect() as client:
        client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("unread", batch_of(BIG)))
        before_bytes = metrics.bytes_out
        client.send(numbered(client, 300, ApiKey.FETCH, FETCH, fetch_fields("unread", 0)))
        time.sleep(0.3)
        assert metrics.bytes_out - before_bytes < 20 * len(BIG)  # the kernel's socket buffers take some of them
        assert correlation_ids(client, 300) == list(range(300))


def test_answers_that_wait_behind_an_acknowledgement_are_few(bench: Bench) -> None:
    bench.create("behind")
    wait_until(lambda: not bench.broker.broker.services.connections)
    with bench.connect() as client:
        client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("behind", batch_of(BIG)))
        waiting = only_connection(bench)._answers
        bench.disk.syncs_may_go_on.clear()
        try:
            client.correlation_id = 300
            acknowledged = client.request(ApiKey.PRODUCE, PRODUCE, produce_fields("behind", batch_of(b"y")))
            client.send(acknowledged + numbered(client, 300, ApiKey.FETCH, FETCH, fetch_fields("behind", 0)))
            time.sleep(0.3)
            assert len(waiting) < 5
        finally:
            bench.disk.syncs_may_go_on.set()
        assert correlation_ids(client, 301) == [300, *range(300)]


def test_a_mistake_in_the_middle_of_a_request_leaves_nothing_queued_that_points_into_the_shared_buffer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.create("mistake", 2)
    first, second = (partition_of(bench, "mistake", index).log for index in (0, 1))
    real = Log.append

    def append(log: Log, batch: memoryview, now_ms: int) -> object:
        if log is second:
            raise RuntimeError("a mistake of ours")
        return real(log, batch, now_ms)

    both = produce_fields("mistake", batch_of(b"one"))
    both["topic_data"][0]["partition_data"].append({"index": 1, "records": batch_of(b"two")})
    with bench.connect() as client:
        monkeypatch.setattr(Log, "append", append)
        client.send(client.request(ApiKey.PRODUCE, PRODUCE, both))
        with pytest.raises(ConnectionEnded):
            client.receive()
    monkeypatch.undo()
    assert first.is_flushed and second.is_flushed
    with bench.connect() as client:
        client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("mistake", batch_of(b"other")))
        part = fetched(client.ask(ApiKey.FETCH, FETCH, fetch_fields("mistake", 0, max_wait_ms=1000)))
    assert b"one" in part.records and b"other" in part.records


@pytest.mark.parametrize("error", [RuntimeError("a mistake of ours"), OSError("a broken thread")])
def test_a_slow_read_that_fails_unexpectedly_ends_the_connection_instead_of_skipping_an_answer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    name = f"slow-mistake-{type(error).__name__}"
    bench.create(name)
    slow_reads = bench.broker.broker.services.slow_reads

    def below(*_: object, **__: object) -> bytes:
        raise BelowLocalStart(0, 1)

    async def broken(*_: object, **__: object) -> bytes:
        raise error

    with bench.connect() as client:
        client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields(name, batch_of(b"x")))
        monkeypatch.setattr(Log, "read", below)
        monkeypatch.setattr(slow_reads, "read_range", broken)
        client.send(numbered(client, 2, ApiKey.FETCH, FETCH, fetch_fields(name, 0)))
        with pytest.raises(ConnectionEnded):
            client.receive()


def test_a_mistake_in_one_connections_answers_does_not_keep_others_from_theirs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.create("others")
    wait_until(lambda: not bench.broker.broker.services.connections)
    real = Connection.release
    with bench.connect() as unlucky, bench.connect() as lucky:
        assert unlucky.is_alive() and lucky.is_alive()
        port = unlucky.socket.getsockname()[1]

        def release(connection: Connection, completed: int) -> None:
            if connection.peer.endswith(f":{port}"):
                raise RuntimeError("a mistake of ours")
            real(connection, completed)

        monkeypatch.setattr(Connection, "release", release)
        for client in (unlucky, lucky):
            client.send(client.request(ApiKey.PRODUCE, PRODUCE, produce_fields("others", batch_of(b"x"))))
        assert produced(answer_of(ApiKey.PRODUCE, PRODUCE, lucky.receive())).error_code == 0
        with pytest.raises(ConnectionEnded):
            unlucky.receive()


def test_clients_that_leave_while_their_topics_are_made_break_off_no_transaction(bench: Bench) -> None:
    names = [f"left-{number}" for number in range(40)]
    for number, name in enumerate(names):
        with bench.connect() as client:
            topic = {"name": name, "num_partitions": 1}
            client.send(client.request(ApiKey.CREATE_TOPICS, 5, {"topics": [topic], "timeout_ms": 1000}))
            time.sleep((number * 7 % 20) / 1000)
    view = bench.broker.broker.services.follower.namespaces()[0]
    wait_until(lambda: all(view.topic(name.encode()) for name in names))
    assert [name for name in names if not view.topic(name.encode())] == []
    bench.create("after-all")  # one that was cut off would have left the database locked


def test_a_connection_that_is_closed_and_never_reads_is_cut_off(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CLOSING_S_MAX", 0.2)
    bench.create("cut-off")
    services = bench.broker.broker.services
    wait_until(lambda: not services.connections)
    with bench.connect() as client:
        client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("cut-off", batch_of(BIG)))
        client.send(numbered(client, 50, ApiKey.FETCH, FETCH, fetch_fields("cut-off", 0)))
        connection = only_connection(bench)
        wait_until(lambda: connection._write_paused)
        services.loop.call_soon_threadsafe(connection.close, "a test")
        wait_until(lambda: not services.connections)
        assert not services.connections


def test_input_after_a_refusal_is_not_gathered(bench: Bench) -> None:
    wait_until(lambda: not bench.broker.broker.services.connections)
    with bench.connect() as client:
        assert client.is_alive()
        connection = only_connection(bench)

        def more_input_after_closing() -> None:
            connection.close("a test")
            for _ in range(100):
                view = connection.get_buffer(0)
                connection.buffer_updated(len(view))

        bench.broker.broker.services.loop.call_soon_threadsafe(more_input_after_closing)
        with pytest.raises(ConnectionEnded):
            client.receive()
        assert connection.intake.held_bytes == 0


def test_a_partition_named_twice_in_a_fetch_is_read_once(bench: Bench) -> None:
    bench.create("twice-asked")
    fields = fetch_fields("twice-asked", 0, max_wait_ms=20_000)
    fields["topics"][0]["partitions"] *= 1000
    with bench.connect() as client:
        client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("twice-asked", batch_of(b"x")))
        parts = client.ask(ApiKey.FETCH, FETCH, fields).responses[0].partitions
    assert [part.error_code for part in parts] == [0] + [ErrorCode.INVALID_REQUEST] * 999
    assert len(parts[0].records) > 0


@pytest.mark.parametrize(
    "sizes",
    [
        {"max_bytes": -1},
        {"max_bytes": 0},
        {"max_bytes": 2**31 - 1, "min_bytes": 2**31 - 1},
        {"min_bytes": -5, "max_wait_ms": -1},
        {"max_wait_ms": 2**31 - 1, "min_bytes": 0},
    ],
)
def test_odd_sizes_and_times_of_a_fetch_are_answered_at_once_when_there_are_records(
    bench: Bench, sizes: dict[str, int]
) -> None:
    name = "odd-" + "-".join(f"{what}.{much % 97}" for what, much in sizes.items())
    bench.create(name)
    with bench.connect() as client:
        client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields(name, batch_of(b"x")))
        fields = fetch_fields(name, 0, max_wait_ms=50) | sizes
        fields["topics"][0]["partitions"][0]["partition_max_bytes"] = sizes.get("max_bytes", -1)
        part = fetched(client.ask(ApiKey.FETCH, FETCH, fields))
        assert (part.error_code, bool(part.records)) == (0, True)


def test_a_fetch_that_wants_more_than_an_answer_may_hold_waits_only_for_that(bench: Bench) -> None:
    bench.create("greedy")
    with bench.connect() as reader, bench.connect() as writer:
        fields = fetch_fields("greedy", 0, max_wait_ms=20_000, min_bytes=2**30) | {"max_bytes": 100}
        reader.send(reader.request(ApiKey.FETCH, FETCH, fields))
        writer.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("greedy", batch_of(b"x" * 200)))
        reader.socket.settimeout(5)
        assert fetched(answer_of(ApiKey.FETCH, FETCH, reader.receive())).records


def test_a_fetch_that_waits_for_many_partitions_is_looked_at_once_per_round(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coldstream.platform.broker.fetch import FetchJob

    partitions = 20
    bench.create("many", partitions)
    pokes: list[FetchJob] = []
    real = FetchJob.poke
    monkeypatch.setattr(FetchJob, "poke", lambda job: (pokes.append(job), real(job)))
    fields = fetch_fields("many", 0, max_wait_ms=1000, min_bytes=2**20)
    one = fields["topics"][0]["partitions"][0]
    fields["topics"][0]["partitions"] = [one | {"partition": index} for index in range(partitions)]
    to_all = produce_fields("many", b"", 1)
    to_all["topic_data"][0]["partition_data"] = [
        {"index": index, "records": batch_of(b"x")} for index in range(partitions)
    ]
    with bench.connect() as reader, bench.connect() as writer:
        reader.send(reader.request(ApiKey.FETCH, FETCH, fields))
        wait_until(lambda: bool(partition_of(bench, "many").waiting))
        rounds = bench.broker.broker.services.metrics.commit_rounds
        writer.ask(ApiKey.PRODUCE, PRODUCE, to_all)
        reader.receive()
        assert len(pokes) <= bench.broker.broker.services.metrics.commit_rounds - rounds


def test_many_connections_that_read_nothing_hold_little_together(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    budget_bytes, readers = 20 * 2**20, 12
    monkeypatch.setattr(unread_answers, "UNREAD_BYTES_MAX", budget_bytes)
    bench.create("hoarded")
    services = bench.broker.broker.services
    fields = fetch_fields("hoarded", 0) | {"max_bytes": 2**30}
    fields["topics"][0]["partitions"][0]["partition_max_bytes"] = 2**30
    with ExitStack() as stack:
        writer = stack.enter_context(bench.connect())
        for _ in range(12):
            writer.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("hoarded", batch_of(BIG)))
        clients = [stack.enter_context(bench.connect()) for _ in range(readers)]
        for client in clients:
            client.send(client.request(ApiKey.FETCH, FETCH, fields))
        wait_until(lambda: len(services.unread._readers) >= 2)
        time.sleep(0.3)  # for the others, whose answers the kernel may have taken whole
        unread_bytes = sum(each.unread_bytes for each in tuple(services.connections))
        assert unread_bytes < budget_bytes + (readers + 12) * len(BIG)
        for client in clients:  # nobody is left without an answer
            assert fetched(answer_of(ApiKey.FETCH, FETCH, client.receive())).records
    wait_until(lambda: not services.unread._readers)
    assert services.unread.room_bytes() == budget_bytes


def test_a_stranger_who_does_not_sign_in_is_sent_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SIGN_IN_S_MAX", 0.1)
    with bench.connect() as silent, bench.connect() as served:
        assert served.ask(ApiKey.METADATA, 9, {"topics": None}).cluster_id
        with pytest.raises(ConnectionEnded):
            silent.receive()
        assert served.is_alive()
