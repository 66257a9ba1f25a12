"""The table of APIs agrees with the descriptions, and with what clients need."""

import pytest
from coldstream.platform.wire.api import APIS, ApiKey, offered_versions
from coldstream.platform.wire.codec import request_message, response_message

ISSUED = """ApiVersions SaslHandshake SaslAuthenticate Metadata Produce Fetch ListOffsets FindCoordinator JoinGroup
SyncGroup
    Heartbeat LeaveGroup OffsetCommit OffsetFetch DescribeGroups ListGroups CreateTopics DeleteTopics DescribeConfigs
    IncrementalAlterConfigs DescribeCluster DescribeLogDirs InitProducerId OffsetForLeaderEpoch"""


def camel(key: int) -> str:
    return "".join(word.capitalize() for word in ApiKey(key).name.split("_"))


def test_exactly_the_apis_meant_to_be_offered_are_offered() -> None:
    assert {camel(key) for key in APIS} == set(ISSUED.split())
    assert offered_versions(ApiKey.LEADER_AND_ISR) is None
    assert offered_versions(30_000) is None


@pytest.mark.parametrize("key", APIS, ids=camel)
def test_offered_versions_are_described_under_the_apis_own_name(key: int) -> None:
    api = APIS[key]
    assert api.described_min <= api.offered_min <= api.offered_max <= api.described_max
    assert offered_versions(key) == range(api.offered_min, api.offered_max + 1)
    assert request_message(key).root.__name__ == f"{camel(key)}Request"
    assert response_message(key).root.__name__ == f"{camel(key)}Response"


def test_old_produce_versions_are_listed_so_that_old_librdkafka_keeps_compressing() -> None:
    assert offered_versions(ApiKey.PRODUCE) == range(14)
