"""Produce (key 0), versions 0-13, described in full; the broker reads and answers it by `..produce`.

v1 throttle time   v2 append time   v3 transactional id   v5 log start   v8 record errors and error message   v9
flexible v10 current leader, node endpoints   v12 partitions join the transaction by being produced to (KIP-890)
v13 topic ids for names
"""

from collections.abc import Sequence
from uuid import UUID

from ..schema import ZERO_UUID, Struct, array, int16, int32, int64, nested, records, string, uuid


class PartitionProduceData(Struct):
    index: int = int32()
    records: bytes | None = records(nullable="0+")


class TopicProduceData(Struct):
    name: str = string("0-12", default="")
    topic_id: UUID = uuid("13+", default=ZERO_UUID)
    partition_data: Sequence[PartitionProduceData] = array(PartitionProduceData)


class ProduceRequest(Struct):
    transactional_id: str | None = string("3+", nullable="3+", default=None)
    acks: int = int16()
    timeout_ms: int = int32()
    topic_data: Sequence[TopicProduceData] = array(TopicProduceData)


class BatchIndexAndErrorMessage(Struct):
    batch_index: int = int32()
    batch_index_error_message: str | None = string(nullable="0+", default=None)


class LeaderIdAndEpoch(Struct):
    leader_id: int = int32(default=-1)
    leader_epoch: int = int32(default=-1)


class PartitionProduceResponse(Struct):
    index: int = int32()
    error_code: int = int16()
    base_offset: int = int64()
    log_append_time_ms: int = int64("2+", default=-1)
    log_start_offset: int = int64("5+", default=-1)
    record_errors: Sequence[BatchIndexAndErrorMessage] = array(BatchIndexAndErrorMessage, "8+", default=())
    error_message: str | None = string("8+", nullable="8+", default=None)
    current_leader: LeaderIdAndEpoch | None = nested(LeaderIdAndEpoch, "10+", tag=0, default=None)


class TopicProduceResponse(Struct):
    name: str = string("0-12", default="")
    topic_id: UUID = uuid("13+", default=ZERO_UUID)
    partition_responses: Sequence[PartitionProduceResponse] = array(PartitionProduceResponse)


class NodeEndpoint(Struct):
    node_id: int = int32()
    host: str = string()
    port: int = int32()
    rack: str | None = string(nullable="0+", default=None)


class ProduceResponse(Struct):
    responses: Sequence[TopicProduceResponse] = array(TopicProduceResponse)
    throttle_time_ms: int = int32("1+", default=0)
    node_endpoints: Sequence[NodeEndpoint] = array(NodeEndpoint, "10+", tag=0, default=())


REQUEST = ProduceRequest
RESPONSE = ProduceResponse
