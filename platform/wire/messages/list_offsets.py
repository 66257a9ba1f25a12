"""ListOffsets (key 2), versions 1-11.

v1 one offset per partition   v2 isolation level, throttle time   v4 leader epoch   v6 flexible   v7 timestamp -3
(largest timestamp) v8 -4 (earliest local)   v9 -5 (latest tiered)   v10 timeout, for answers that wait for the cold
tier   v11 -6 (earliest not yet tiered)
"""

from collections.abc import Sequence

from ..schema import Struct, array, int8, int16, int32, int64, string

LATEST_TIMESTAMP = -1
EARLIEST_TIMESTAMP = -2
MAX_TIMESTAMP = -3
EARLIEST_LOCAL_TIMESTAMP = -4
LATEST_TIERED_TIMESTAMP = -5
EARLIEST_PENDING_UPLOAD_TIMESTAMP = -6


class ListOffsetsPartition(Struct):
    partition_index: int = int32()
    current_leader_epoch: int = int32("4+", default=-1)
    timestamp: int = int64()


class ListOffsetsTopic(Struct):
    name: str = string()
    partitions: Sequence[ListOffsetsPartition] = array(ListOffsetsPartition)


class ListOffsetsRequest(Struct):
    replica_id: int = int32(default=-1)
    isolation_level: int = int8("2+", default=0)
    topics: Sequence[ListOffsetsTopic] = array(ListOffsetsTopic)
    timeout_ms: int = int32("10+", default=0)


class ListOffsetsPartitionResponse(Struct):
    partition_index: int = int32()
    error_code: int = int16()
    timestamp: int = int64(default=-1)
    offset: int = int64(default=-1)
    leader_epoch: int = int32("4+", default=-1)


class ListOffsetsTopicResponse(Struct):
    name: str = string()
    partitions: Sequence[ListOffsetsPartitionResponse] = array(ListOffsetsPartitionResponse)


class ListOffsetsResponse(Struct):
    throttle_time_ms: int = int32("2+", default=0)
    topics: Sequence[ListOffsetsTopicResponse] = array(ListOffsetsTopicResponse)


REQUEST = ListOffsetsRequest
RESPONSE = ListOffsetsResponse
