"""Which Kafka APIs exist, which versions of them we describe, and which we offer to clients.

Always true: offered versions lie within described ones (a test holds it, and that each described version decodes and
encodes). This module is constants only and imports nothing of ours, so that everything may import it; the
descriptions themselves live in `messages/`, one file per API, and are imported when first used.

Produce is offered from version 0 although the broker answers 0 to 2 with UNSUPPORTED_VERSION: older librdkafka turns
compression off unless ApiVersions lists them (KAFKA-18659). Fetch begins at 4, as in Kafka 4.0: versions before it
carry message sets of formats 0 and 1, which are not served.
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

NEVER = 32767  # "flexible from" of an API that has no flexible version


class ApiKey(IntEnum):
    """Every API key known to Kafka 4.1, offered here or not."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    METADATA = 3
    LEADER_AND_ISR = 4
    STOP_REPLICA = 5
    UPDATE_METADATA = 6
    CONTROLLED_SHUTDOWN = 7
    OFFSET_COMMIT = 8
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    HEARTBEAT = 12
    LEAVE_GROUP = 13
    SYNC_GROUP = 14
    DESCRIBE_GROUPS = 15
    LIST_GROUPS = 16
    SASL_HANDSHAKE = 17
    API_VERSIONS = 18
    CREATE_TOPICS = 19
    DELETE_TOPICS = 20
    DELETE_RECORDS = 21
    INIT_PRODUCER_ID = 22
    OFFSET_FOR_LEADER_EPOCH = 23
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    WRITE_TXN_MARKERS = 27
    TXN_OFFSET_COMMIT = 28
    DESCRIBE_ACLS = 29
    CREATE_ACLS = 30
    DELETE_ACLS = 31
    DESCRIBE_CONFIGS = 32
    ALTER_CONFIGS = 33
    ALTER_REPLICA_LOG_DIRS = 34
    DESCRIBE_LOG_DIRS = 35
    SASL_AUTHENTICATE = 36
    CREATE_PARTITIONS = 37
    CREATE_DELEGATION_TOKEN = 38
    RENEW_DELEGATION_TOKEN = 39
    EXPIRE_DELEGATION_TOKEN = 40
    DESCRIBE_DELEGATION_TOKEN = 41
    DELETE_GROUPS = 42
    ELECT_LEADERS = 43
    INCREMENTAL_ALTER_CONFIGS = 44
    ALTER_PARTITION_REASSIGNMENTS = 45
    LIST_PARTITION_REASSIGNMENTS = 46
    OFFSET_DELETE = 47
    DESCRIBE_CLIENT_QUOTAS = 48
    ALTER_CLIENT_QUOTAS = 49
    DESCRIBE_USER_SCRAM_CREDENTIALS = 50
    ALTER_USER_SCRAM_CREDENTIALS = 51
    VOTE = 52
    BEGIN_QUORUM_EPOCH = 53
    END_QUORUM_EPOCH = 54
    DESCRIBE_QUORUM = 55
    ALTER_PARTITION = 56
    UPDATE_FEATURES = 57
    ENVELOPE = 58
    FETCH_SNAPSHOT = 59
    DESCRIBE_CLUSTER = 60
    DESCRIBE_PRODUCERS = 61
    BROKER_REGISTRATION = 62
    BROKER_HEARTBEAT = 63
    UNREGISTER_BROKER = 64
    DESCRIBE_TRANSACTIONS = 65
    LIST_TRANSACTIONS = 66
    ALLOCATE_PRODUCER_IDS = 67
    CONSUMER_GROUP_HEARTBEAT = 68
    CONSUMER_GROUP_DESCRIBE = 69
    CONTROLLER_REGISTRATION = 70
    GET_TELEMETRY_SUBSCRIPTIONS = 71
    PUSH_TELEMETRY = 72
    ASSIGN_REPLICAS_TO_DIRS = 73
    LIST_CONFIG_RESOURCES = 74
    DESCRIBE_TOPIC_PARTITIONS = 75
    SHARE_GROUP_HEARTBEAT = 76
    SHARE_GROUP_DESCRIBE = 77
    SHARE_FETCH = 78
    SHARE_ACKNOWLEDGE = 79
    ADD_RAFT_VOTER = 80
    REMOVE_RAFT_VOTER = 81
    UPDATE_RAFT_VOTER = 82
    INITIALIZE_SHARE_GROUP_STATE = 83
    READ_SHARE_GROUP_STATE = 84
    WRITE_SHARE_GROUP_STATE = 85
    DELETE_SHARE_GROUP_STATE = 86
    READ_SHARE_GROUP_STATE_SUMMARY = 87
    STREAMS_GROUP_HEARTBEAT = 88
    STREAMS_GROUP_DESCRIBE = 89
    DESCRIBE_SHARE_GROUP_OFFSETS = 90
    ALTER_SHARE_GROUP_OFFSETS = 91
    DELETE_SHARE_GROUP_OFFSETS = 92


class Api(NamedTuple):
    """One API as this codec knows it. All ranges are inclusive, as the protocol states them."""

    key: ApiKey
    described_min: int
    described_max: int
    flexible_from: int
    offered_min: int
    offered_max: int

    def flexible(self, version: int) -> bool:
        """Whether this version uses compact lengths and tagged fields (KIP-482)."""
        return version >= self.flexible_from

    def request_header_version(self, version: int) -> int:
        return 2 if version >= self.flexible_from else 1

    def response_header_version(self, version: int) -> int:
        """ApiVersions answers always have header 0: a client must read one before it knows what we speak (KIP-511)."""
        return 1 if version >= self.flexible_from and self.key is not ApiKey.API_VERSIONS else 0

    def describes(self, version: int) -> bool:
        return self.described_min <= version <= self.described_max

    def offers(self, version: int) -> bool:
        return self.offered_min <= version <= self.offered_max


def _api(
    key: ApiKey, described: tuple[int, int], flexible_from: int, offered: tuple[int, int] | None = None
) -> tuple[ApiKey, Api]:
    return key, Api(key, *described, flexible_from, *(offered or described))


# The newest versions of InitProducerId (two-phase commit) and DescribeLogDirs (cordoned directories) are described
# but not offered: no released Kafka counts them as stable.
APIS: Mapping[int, Api] = MappingProxyType(
    dict(
        (
            _api(ApiKey.PRODUCE, (0, 13), 9),
            _api(ApiKey.FETCH, (4, 18), 12),
            _api(ApiKey.LIST_OFFSETS, (1, 11), 6),
            _api(ApiKey.METADATA, (0, 13), 9),
            _api(ApiKey.OFFSET_COMMIT, (2, 10), 8),
            _api(ApiKey.OFFSET_FETCH, (1, 10), 6),
            _api(ApiKey.FIND_COORDINATOR, (0, 6), 3),
            _api(ApiKey.JOIN_GROUP, (0, 9), 6),
            _api(ApiKey.HEARTBEAT, (0, 4), 4),
            _api(ApiKey.LEAVE_GROUP, (0, 5), 4),
            _api(ApiKey.SYNC_GROUP, (0, 5), 4),
            _api(ApiKey.DESCRIBE_GROUPS, (0, 6), 5),
            _api(ApiKey.LIST_GROUPS, (0, 5), 3),
            _api(ApiKey.SASL_HANDSHAKE, (0, 1), NEVER),
            _api(ApiKey.API_VERSIONS, (0, 4), 3),
            _api(ApiKey.CREATE_TOPICS, (2, 7), 5),
            _api(ApiKey.DELETE_TOPICS, (1, 6), 4),
            _api(ApiKey.INIT_PRODUCER_ID, (0, 6), 2, offered=(0, 5)),
            _api(ApiKey.OFFSET_FOR_LEADER_EPOCH, (2, 4), 4),
            _api(ApiKey.DESCRIBE_CONFIGS, (1, 4), 4),
            _api(ApiKey.DESCRIBE_LOG_DIRS, (1, 5), 2, offered=(1, 4)),
            _api(ApiKey.SASL_AUTHENTICATE, (0, 2), 2),
            _api(ApiKey.INCREMENTAL_ALTER_CONFIGS, (0, 1), 1),
            _api(ApiKey.DESCRIBE_CLUSTER, (0, 2), 0),
        )
    )
)


def offered_versions(api_key: int) -> range | None:
    """The versions that ApiVersions names for this API, oldest first; None when it is not offered at all."""
    api = APIS.get(api_key)
    return None if api is None else range(api.offered_min, api.offered_max + 1)
