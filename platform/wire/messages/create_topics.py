"""CreateTopics (key 19), versions 2-7.

v4 partitions and replication may be -1 for the default   v5 flexible, the created configs in the answer   v6
THROTTLING_QUOTA_EXCEEDED v7 topic id in the answer
"""

from collections.abc import Sequence
from uuid import UUID

from ..schema import ZERO_UUID, Kind, Struct, array, boolean, int8, int16, int32, string, uuid


class CreatableReplicaAssignment(Struct):
    partition_index: int = int32()
    broker_ids: Sequence[int] = array(Kind.INT32)


class CreatableTopicConfig(Struct):
    name: str = string()
    value: str | None = string(nullable="0+")


class CreatableTopic(Struct):
    name: str = string()
    num_partitions: int = int32(default=-1)
    replication_factor: int = int16(default=-1)
    assignments: Sequence[CreatableReplicaAssignment] = array(CreatableReplicaAssignment, default=())
    configs: Sequence[CreatableTopicConfig] = array(CreatableTopicConfig, default=())


class CreateTopicsRequest(Struct):
    topics: Sequence[CreatableTopic] = array(CreatableTopic)
    timeout_ms: int = int32(default=60_000)
    validate_only: bool = boolean(default=False)


class CreatableTopicConfigs(Struct):
    name: str = string()
    value: str | None = string(nullable="0+")
    read_only: bool = boolean()
    config_source: int = int8(default=-1)
    is_sensitive: bool = boolean()


class CreatableTopicResult(Struct):
    name: str = string()
    topic_id: UUID = uuid("7+", default=ZERO_UUID)
    error_code: int = int16()
    error_message: str | None = string(nullable="0+", default=None)
    topic_config_error_code: int = int16("5+", tag=0, default=0)
    num_partitions: int = int32("5+", default=-1)
    replication_factor: int = int16("5+", default=-1)
    configs: Sequence[CreatableTopicConfigs] | None = array(CreatableTopicConfigs, "5+", nullable="5+", default=None)


class CreateTopicsResponse(Struct):
    throttle_time_ms: int = int32(default=0)
    topics: Sequence[CreatableTopicResult] = array(CreatableTopicResult)


REQUEST = CreateTopicsRequest
RESPONSE = CreateTopicsResponse
