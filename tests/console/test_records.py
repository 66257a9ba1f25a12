"""Reading records for a person, from a real broker: the newest, the next, and what nobody should have sent."""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any
from uuid import uuid4

import pytest
from coldstream.console import record_fetch, records
from coldstream.console.failures import Failure
from coldstream.console.kafka import BrokerUnavailable
from coldstream.console.kafka_connection import BrokerAddress
from coldstream.console.record_batches import CRC_COVERS_FROM, HEADER, HEADER_BYTES, BatchHead
from coldstream.console.records import RecordReader
from coldstream.tests.console.live_broker import LiveBroker, batch_of, live_broker
from crc32c import crc32c

ALICE, BOB = uuid4(), uuid4()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveBroker]:
    with live_broker(tmp_path_factory.mktemp("records")) as broker:
        yield broker


def reading(live: LiveBroker, scenario: Callable[[RecordReader], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario(RecordReader(live.client.address)))


def values(found: Any) -> list[str]:
    return [view.value.text for view in found]


def no_gzip(count: int) -> bytes:
    """A batch that says it is gzip and is not, with a checksum that fits: a broker keeps batches as they come."""
    batch = batch_of([b"x"] * count)
    head = BatchHead._make(HEADER.unpack_from(batch))._replace(attributes=1)
    made = HEADER.pack(*head) + batch[HEADER_BYTES:]
    return HEADER.pack(*head._replace(crc=crc32c(made[CRC_COVERS_FROM:]))) + batch[HEADER_BYTES:]


def test_the_newest_records_of_all_partitions_come_by_their_time(live: LiveBroker) -> None:
    live.make_topic("newest", 3)
    live.produce("newest", batch_of([b"1", b"2", b"3"], first_ms=1_000), partition=0)
    live.produce("newest", batch_of([b'{"id": 4}', b"5"], first_ms=2_000, compression="zstd"), partition=2)

    async def scenario(reader: RecordReader) -> None:
        newest = await reader.newest_records(ALICE, live.namespace_id, "newest", 3, limit=4)
        assert values(newest.records) == ["5", '{"id": 4}', "3", "2"]
        assert newest.missing_because is None
        latest = newest.records[0]
        assert (latest.partition, latest.offset, latest.timestamp_ms, latest.key.text) == (2, 1, 2_001, "key")
        assert newest.records[1].value.encoding == "json"

    reading(live, scenario)


def test_of_an_empty_topic_there_are_none(live: LiveBroker) -> None:
    live.make_topic("empty", 2)

    async def scenario(reader: RecordReader) -> None:
        assert (await reader.newest_records(ALICE, live.namespace_id, "empty", 2, limit=5)).records == ()

    reading(live, scenario)


def test_who_waits_gets_a_record_when_it_comes_and_none_twice(live: LiveBroker) -> None:
    live.make_topic("waited", 2)
    live.produce("waited", batch_of([b"before"]))

    async def scenario(reader: RecordReader) -> None:
        async with reader.watching(ALICE, live.namespace_id, "waited", 2) as watch:
            assert await watch.next(0) == []
            waiting = asyncio.create_task(watch.next(10))
            await asyncio.to_thread(live.produce, "waited", batch_of([b"a", b"b"]), 1)
            assert values(await waiting) == ["a", "b"]
            assert watch.positions == {0: 1, 1: 2}
            assert await watch.next(0.05) == []
        async with reader.watching(ALICE, live.namespace_id, "waited", 2, {0: 0, 1: 1}) as watch:
            assert sorted(values(await watch.next(5) + await watch.next(0.1))) == ["b", "before"]

    reading(live, scenario)


def test_records_come_by_and_by_until_none_comes(live: LiveBroker) -> None:
    live.make_topic("stream")
    live.produce("stream", batch_of([b"%d" % number for number in range(250)]))

    async def scenario(reader: RecordReader) -> None:
        found: list[str] = []
        async with reader.watching(ALICE, live.namespace_id, "stream", 1, {0: 0}) as watch:
            while records := await watch.next(0.1):
                found += values(records)
        assert found == [str(number) for number in range(250)]

    reading(live, scenario)


def test_a_topic_made_while_somebody_waits_is_read_from_its_beginning(live: LiveBroker) -> None:
    async def scenario(reader: RecordReader) -> None:
        async with reader.watching(ALICE, live.namespace_id, "later", 1) as watch:
            waiting = asyncio.create_task(watch.next(10))
            await asyncio.to_thread(live.make_topic, "later")
            await asyncio.to_thread(live.produce, "later", batch_of([b"first"]))
            assert values(await waiting) == ["first"]

    reading(live, scenario)


def test_a_topic_that_is_not_there_is_said_so_after_the_wait(live: LiveBroker) -> None:
    async def scenario(reader: RecordReader) -> None:
        async with reader.watching(ALICE, live.namespace_id, "nowhere", 1) as watch:
            with pytest.raises(BrokerUnavailable, match="partition 0 of nowhere cannot be read now: UNKNOWN_TOPIC"):
                await watch.next(0.3)

    reading(live, scenario)


def test_a_batch_that_cannot_be_read_is_named_and_passed(live: LiveBroker) -> None:
    live.make_topic("damaged")
    live.produce("damaged", no_gzip(3))
    live.produce("damaged", batch_of([b"after"]))

    async def scenario(reader: RecordReader) -> None:
        async with reader.watching(ALICE, live.namespace_id, "damaged", 1, {0: 1}) as watch:
            damaged, after = await watch.next(5)
        assert (damaged.offset, damaged.last_offset) == (1, 2)
        assert damaged.unreadable_because == "it says that it is compressed by gzip, and it is not"
        assert (after.offset, after.value.text) == (3, "after")
        newest = await reader.newest_records(ALICE, live.namespace_id, "damaged", 1, limit=2)
        assert newest.missing_because is None
        assert {view.unreadable_because is None for view in newest.records} == {True, False}

    reading(live, scenario)


def test_a_batch_beyond_what_is_read_is_left_out_with_its_size_and_passed(
    live: LiveBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_fetch, "ANSWER_READ_MAX", 2 * 2**20)
    live.make_topic("large", max_message_bytes=str(8 * 2**20))
    live.produce("large", batch_of([b"small"]))
    live.produce("large", batch_of([os.urandom(3 * 2**20), b"beside it"]))
    live.produce("large", batch_of([os.urandom(2**20)]))  # more than is asked for, and still read

    async def scenario(reader: RecordReader) -> None:
        found = []
        async with reader.watching(ALICE, live.namespace_id, "large", 1, {0: 0}) as watch:
            while len(found) < 3:
                found += await watch.next(5)
            assert watch.positions == {0: 4}
        small, large, after = found
        assert small.value.text == "small"
        assert (large.offset, large.last_offset) == (1, 2)
        assert large.unreadable_because == "its batch takes 3.0 MiB, and the console reads batches of up to 2 MiB"
        assert (after.offset, after.value.size_bytes, after.value.encoding) == (3, 2**20, "binary")

    reading(live, scenario)


def test_offsets_that_are_gone_or_were_never_there_are_found_again(live: LiveBroker) -> None:
    live.make_topic("moved")
    live.produce("moved", batch_of([b"a"]))

    async def scenario(reader: RecordReader) -> None:
        async with reader.watching(ALICE, live.namespace_id, "moved", 1, {0: 1_000}) as watch:
            assert await watch.next(0.1) == []
            assert watch.positions == {0: 1}

    reading(live, scenario)


def test_a_connection_that_breaks_is_had_anew(live: LiveBroker) -> None:
    live.make_topic("broken")

    async def scenario(reader: RecordReader) -> None:
        async with reader.watching(ALICE, live.namespace_id, "broken", 1) as watch:
            waiting = asyncio.create_task(watch.next(10))
            await until(lambda: live.connections() > 0)
            await asyncio.to_thread(live.hang_up)
            await asyncio.to_thread(live.produce, "broken", batch_of([b"x"]))
            assert values(await waiting) == ["x"]

    reading(live, scenario)


def test_before_its_token_runs_out_a_conversation_is_had_anew(
    live: LiveBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "CONVERSATION_S_MAX", 0.0)
    live.make_topic("long")
    live.produce("long", batch_of([b"x"]))

    async def scenario(reader: RecordReader) -> None:
        async with reader.watching(ALICE, live.namespace_id, "long", 1, {0: 0}) as watch:
            assert values(await watch.next(5)) == ["x"]
            assert await watch.next(0.05) == []

    reading(live, scenario)


def test_who_stops_waiting_leaves_no_connection(live: LiveBroker) -> None:
    live.make_topic("left")

    async def wait(reader: RecordReader) -> None:
        async with reader.watching(ALICE, live.namespace_id, "left", 1) as watch:
            await watch.next(60)

    async def scenario(reader: RecordReader) -> None:
        await until(lambda: live.connections() == 0)
        waiting = asyncio.create_task(wait(reader))
        await until(lambda: live.connections() == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await until(lambda: live.connections() == 0)

    reading(live, scenario)


def test_one_member_and_all_together_wait_only_so_often(live: LiveBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "READERS_MAX", 5)
    live.make_topic("crowded")

    async def scenario(reader: RecordReader) -> None:
        def watching(member: Any) -> Any:
            return reader.watching(member, live.namespace_id, "crowded", 1)

        waits = [watching(ALICE) for _ in range(4)]
        for wait in waits:
            await wait.__aenter__()
        with pytest.raises(Failure, match="you have 4 pages waiting") as refused:
            await reader.newest_records(ALICE, live.namespace_id, "crowded", 1, limit=1)
        assert refused.value.status == 429
        waits.append(watching(BOB))
        await waits[-1].__aenter__()
        with pytest.raises(Failure, match="waits for records 5 times"):
            await watching(uuid4()).__aenter__()
        for wait in waits:
            await wait.__aexit__(None, None, None)
        assert (await reader.newest_records(ALICE, live.namespace_id, "crowded", 1, limit=1)).records == ()

    reading(live, scenario)


def test_the_console_sees_records_in_that_role_alone(live: LiveBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "ROLE", "viewer-metadata")
    live.make_topic("hidden")
    live.produce("hidden", batch_of([b"x"]))

    async def scenario(reader: RecordReader) -> None:
        with pytest.raises(BrokerUnavailable, match="refuses to read hidden: TOPIC_AUTHORIZATION_FAILED"):
            await reader.newest_records(ALICE, live.namespace_id, "hidden", 1, limit=1)

    reading(live, scenario)


def test_without_a_broker_it_says_so_at_once(live: LiveBroker) -> None:
    nowhere = BrokerAddress("127.0.0.1", 1, live.client.address.cluster_secret_path)

    async def scenario() -> None:
        with pytest.raises(BrokerUnavailable, match="cannot be reached"):
            await RecordReader(nowhere).newest_records(ALICE, live.namespace_id, "any", 1, limit=1)

    asyncio.run(scenario())


async def until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.01)
