"""What a client is told when the machine, the database or its own request is at fault."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from coldstream.platform.broker.log_errors import PRODUCE, produce_error
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.errors import ErrorCode
from coldstream.storage import errors as storage
from coldstream.tests.platform.broker.conftest import Bench, batch_of, produce_fields, produced
from coldstream.tests.raw_kafka import ConnectionEnded
from sqlalchemy.exc import OperationalError

TOPIC_RESOURCE = 2


@pytest.fixture
def no_database(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[Any]:
        raise OperationalError("BEGIN IMMEDIATE", {}, Exception("database is locked"))
        yield

    monkeypatch.setattr(bench.broker.broker.services.database, "write", broken)


def test_a_full_disk_is_named_and_no_path_of_the_machine_is(bench: Bench) -> None:
    bench.create("no-path")
    with bench.connect() as client:
        bench.disk.fill_up()
        try:
            answer = produced(client.ask(ApiKey.PRODUCE, 9, produce_fields("no-path", batch_of(b"y"))))
        finally:
            bench.disk.write_error = None
    assert answer.error_message.startswith("No space left")
    assert "/" not in answer.error_message


@pytest.mark.parametrize("kind", [kind for kind in PRODUCE if not issubclass(kind, storage.Refused)])
def test_no_failure_of_a_log_says_where_the_log_is(kind: type[storage.LogError]) -> None:
    _, sentence = produce_error(kind("/data/topics/0001/7 failed"))
    assert sentence and "/" not in sentence


@pytest.mark.usefixtures("no_database")
def test_without_the_database_changes_of_topics_are_refused_for_now(bench: Bench) -> None:
    with bench.connect() as client:
        (made,) = client.ask(ApiKey.CREATE_TOPICS, 5, {"topics": [{"name": "later"}], "timeout_ms": 1}).topics
        assert made.error_code == ErrorCode.REQUEST_TIMED_OUT and "try again" in made.error_message
        assert client.is_alive()


def test_without_the_database_topics_are_kept_and_records_flow(bench: Bench, request: pytest.FixtureRequest) -> None:
    bench.create("kept")
    request.getfixturevalue("no_database")
    change = {"name": "retention.ms", "config_operation": 0, "value": "1000"}
    resource = {"resource_type": TOPIC_RESOURCE, "resource_name": "kept", "configs": [change]}
    with bench.connect() as client:
        (gone,) = client.ask(ApiKey.DELETE_TOPICS, 6, {"topics": [{"name": "kept"}], "timeout_ms": 1}).responses
        assert gone.error_code == ErrorCode.REQUEST_TIMED_OUT
        (altered,) = client.ask(ApiKey.INCREMENTAL_ALTER_CONFIGS, 1, {"resources": [resource]}).responses
        assert altered.error_code == ErrorCode.REQUEST_TIMED_OUT
        answer = client.ask(ApiKey.INIT_PRODUCER_ID, 4, {"transactional_id": None, "transaction_timeout_ms": 0})
        assert answer.error_code in (ErrorCode.NONE, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        answer = produced(client.ask(ApiKey.PRODUCE, 9, produce_fields("kept", batch_of(b"y"))))
        assert answer.error_code == ErrorCode.NONE


def test_a_topic_named_twice_in_one_request_is_made_by_neither(bench: Bench) -> None:
    topics = [{"name": "twin"}, {"name": "twin"}, {"name": "single"}]
    with bench.connect() as client:
        made = client.ask(ApiKey.CREATE_TOPICS, 5, {"topics": topics, "timeout_ms": 1}).topics
    assert [each.error_code for each in made] == [ErrorCode.INVALID_REQUEST, ErrorCode.INVALID_REQUEST, 0]


def test_very_many_topics_in_one_request_are_refused_quickly(bench: Bench) -> None:
    topics = [{"name": f"t{number}"} for number in range(20_000)]
    with bench.connect() as client:
        began_s = time.monotonic()
        made = client.ask(ApiKey.CREATE_TOPICS, 5, {"topics": topics, "timeout_ms": 1}).topics
        assert {each.error_code for each in made} == {ErrorCode.INVALID_REQUEST}
        assert time.monotonic() - began_s < 5


@pytest.mark.parametrize(
    ("api", "version", "fields"),
    [
        (ApiKey.METADATA, 9, {"topics": [{"name": "x" * 1000}] * 1100}),
        (ApiKey.DESCRIBE_GROUPS, 5, {"groups": ["g" * 1000] * 1100}),
        (
            ApiKey.FETCH,
            12,
            {"max_wait_ms": 0, "min_bytes": 0, "topics": [{"topic": "x" * 1000, "partitions": []}] * 2200},
        ),
    ],
)
def test_a_request_that_is_too_large_for_its_api_ends_the_connection(
    bench: Bench, api: ApiKey, version: int, fields: dict[str, Any]
) -> None:
    with bench.connect() as client, pytest.raises(ConnectionEnded):
        client.exchange(api, version, fields)


def test_very_many_partitions_of_one_look_up_by_time_make_no_heap_of_tasks(bench: Bench) -> None:
    bench.create("looked-up")
    partitions = [{"partition_index": 0, "timestamp": timestamp} for timestamp in (-1, -2, 5)] * 30
    absent = [{"partition_index": 9, "timestamp": -1}] * 50_000
    asked = {"replica_id": -1, "topics": [{"name": "looked-up", "partitions": partitions + absent}]}
    with bench.connect() as client:
        client.ask(ApiKey.PRODUCE, 9, produce_fields("looked-up", batch_of(b"a", b"b")))
        (topic,) = client.ask(ApiKey.LIST_OFFSETS, 6, asked).topics
    assert [part.offset for part in topic.partitions[:90]] == [2, 0, 0] * 30
    assert {part.error_code for part in topic.partitions[90:]} == {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
