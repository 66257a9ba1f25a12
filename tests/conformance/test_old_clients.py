"""Clients that ask for no versions and believe what they are told: librdkafka as it speaks to brokers of long ago.

Only without SASL, which makes librdkafka ask whatever it is told; so this platform takes anonymous clients.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.errors import ErrorCode
from coldstream.tests.platform_process import PlatformProcess
from coldstream.tests.raw_kafka import RawKafka
from coldstream.tests.virtual_cluster import HttpApi, VirtualCluster, consume, fresh, produce

MAGIC_1 = bytes.fromhex("000000000000000000000016e4b2a1f301000000018bcfe56800ffffffff00000000")


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with PlatformProcess.started(tmp_path_factory.mktemp("anonymous"), anonymous="default/default") as platform:
        api = HttpApi(platform.url, platform.token)
        cluster = VirtualCluster(api, platform.kafka, "default", "default", "", "")
        cluster.topic("old")
        yield platform.kafka


def settings(bootstrap: str, fallback: str) -> dict[str, Any]:
    return {"bootstrap.servers": bootstrap, "api.version.request": False, "broker.version.fallback": fallback}


@pytest.mark.parametrize("fallback", ["0.11.0", "1.0.0", "2.0.0"])
def test_a_client_that_does_not_ask_for_versions(bootstrap: str, fallback: str) -> None:
    value = fresh("value").encode()
    (offset,) = produce(settings(bootstrap, fallback), "old", [value])
    (message,) = consume(settings(bootstrap, fallback), "old", 1, start=offset)
    assert message.value() == value


@pytest.mark.parametrize("version", range(13))
def test_message_formats_before_v2_are_refused_in_every_version(bootstrap: str, version: int) -> None:
    partition = {"index": 0, "records": MAGIC_1}
    fields = {"acks": 1, "timeout_ms": 1000, "topic_data": [{"name": "old", "partition_data": [partition]}]}
    with RawKafka(bootstrap) as client:
        answer = client.ask(ApiKey.PRODUCE, version, fields)
        (topic,) = answer.responses
        expected = ErrorCode.UNSUPPORTED_VERSION if version < 3 else ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT
        assert topic.partition_responses[0].error_code == expected
        assert client.is_alive()
