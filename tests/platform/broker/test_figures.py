"""/metrics and /healthz of a broker, what a namespace may switch on, and when a sign-in ends."""

import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from coldstream.platform.broker.metrics_server import MetricsServer
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.errors import ErrorCode
from coldstream.tenants.actor import Actor
from coldstream.tenants.database import Database
from coldstream.tenants.key_service import create_key
from coldstream.tenants.scope import namespace_scope
from coldstream.tenants.tenancy import alter_namespace
from coldstream.tests.broker_in_process import make_key, with_database
from coldstream.tests.platform.broker.conftest import Bench, batch_of, produce_fields, produced, wait_until
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

PROMISED = {
    "coldstream_request_seconds": "histogram",
    "coldstream_request_errors": "counter",
    "coldstream_bytes_in": "counter",
    "coldstream_bytes_out": "counter",
    "coldstream_sign_ins_refused": "counter",
    "coldstream_cold_read_bytes": "counter",
    "coldstream_offloaded_bytes": "counter",
    "coldstream_offloaded_segments": "counter",
    "coldstream_offload_failures": "counter",
    "coldstream_commit_rounds": "counter",
    "coldstream_connections": "gauge",
    "coldstream_topic_hot_bytes": "gauge",
    "coldstream_topic_cold_bytes": "gauge",
    "coldstream_topic_records_offsets": "counter",
    "coldstream_partitions": "gauge",
    "coldstream_offload_backlog_segments": "gauge",
    "coldstream_offload_backlog_bytes": "gauge",
    "coldstream_offload_backlog_age_seconds": "gauge",
    "coldstream_group_lag_records": "gauge",
    "coldstream_groups": "gauge",
    "coldstream_group_members": "gauge",
    "coldstream_group_rebalances": "counter",
}


def server_of(bench: Bench) -> MetricsServer:
    (close,) = bench.broker.broker._undo
    server = close.__self__  # type: ignore[attr-defined]
    assert isinstance(server, MetricsServer)
    return server


def get(bench: Bench, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://127.0.0.1:{server_of(bench).port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def families(bench: Bench) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(get(bench, "/metrics")[1])}


def test_metrics_have_the_promised_names_and_add_up(bench: Bench) -> None:
    bench.create("measured")
    with bench.connect() as client:
        for _ in range(3):
            client.ask(ApiKey.PRODUCE, 9, produce_fields("measured", batch_of(b"x")))
        client.ask(ApiKey.PRODUCE, 9, produce_fields("absent", batch_of(b"x")))
        found = families(bench)
        assert PROMISED.items() <= {name: family.type for name, family in found.items()}.items()
        of_topic = {"tenant": "default", "namespace": "default", "topic": "measured"}
        (end,) = [s.value for s in found["coldstream_topic_records_offsets"].samples if s.labels == of_topic]
        assert end == 3
        counts = {
            s.labels["api"]: s.value for s in found["coldstream_request_seconds"].samples if s.name.endswith("_count")
        }
        assert counts["PRODUCE"] >= 4
        errors = [s.labels["error"] for s in found["coldstream_request_errors"].samples if s.labels["api"] == "PRODUCE"]
        assert "UNKNOWN_TOPIC_OR_PARTITION" in errors
        assert found["coldstream_connections"].samples[0].value >= 1


def test_health_is_well_and_other_paths_are_not_found(bench: Bench) -> None:
    assert get(bench, "/healthz") == (200, "ok\n")
    assert get(bench, "/other")[0] == 404


@pytest.fixture
def auto_creating(bench: Bench, data_dir: Path) -> None:
    view = bench.broker.broker.services.follower.namespaces()[0]

    async def switch(database: Database) -> None:
        async with database.write() as session:
            await alter_namespace(session, Actor.local(), "default", "default", auto_create_topics=True)

    assert not view.auto_create_topics
    with bench.connect() as client:
        (topic,) = client.ask(ApiKey.METADATA, 9, {"topics": [{"name": "made-on-demand"}]}).topics
        assert topic.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    with_database(data_dir, switch)
    wait_until(lambda: view.auto_create_topics)


@pytest.mark.usefixtures("auto_creating")
def test_where_the_namespace_wants_it_a_topic_is_made_by_asking_for_it(bench: Bench, data_dir: Path) -> None:
    asked = {"topics": [{"name": "made-on-demand"}, {"name": "no/name"}], "allow_auto_topic_creation": True}
    with bench.connect() as client:
        made, refused = client.ask(ApiKey.METADATA, 9, asked).topics
        assert (made.error_code, len(made.partitions)) == (0, 1)
        assert refused.error_code != 0
        answer = produced(client.ask(ApiKey.PRODUCE, 9, produce_fields("made-on-demand", batch_of(b"x"))))
        assert answer.error_code == 0
        not_asked = {"topics": [{"name": "not-wanted"}], "allow_auto_topic_creation": False}
        assert client.ask(ApiKey.METADATA, 9, not_asked).topics[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    with bench.connect() as reader:
        assert reader.sign_in(*make_key(data_dir, "consumer")).error_code == 0
        (topic,) = reader.ask(ApiKey.METADATA, 9, {"topics": [{"name": "not-mine-to-make"}]}).topics
        assert topic.error_code != 0


def test_a_key_that_expires_ends_its_live_connections(bench: Bench, data_dir: Path) -> None:
    async def make(database: Database) -> tuple[str, str]:
        async with database.write() as session:
            scope = await namespace_scope(session, "default", "default")
            expires_at_ms = int(time.time() * 1000) + 1500
            key = await create_key(session, Actor.local(), scope.id, "brief", "admin", expires_at_ms=expires_at_ms)
            return key.id, key.secret

    key = with_database(data_dir, make)
    with bench.connect() as client:
        answer = client.sign_in(*key)
        assert answer.error_code == 0 and 0 < answer.session_lifetime_ms <= 1500
        assert client.is_alive()
        wait_until(lambda: not client.is_alive())
        assert not client.is_alive()
    with bench.connect() as client:
        assert client.sign_in(*key).error_message == "Authentication failed: this key is expired"
