"""OffsetCommit (key 8), versions 2-10.

v2-4 retention time   v3 throttle time   v6 committed leader epoch   v7 static members   v8 flexible   v9 member
epochs (KIP-848) v10 topic ids for names
"""

from collections.abc import Sequence
from uuid import UUID

from ..schema import ZERO_UUID, Struct, array, int16, int32, int64, string, uuid


class OffsetCommitRequestPartition(Struct):
    partition_index: int = int32()
    committed_offset: int = int64()
    committed_leader_epoch: int = int32("6+", default=-1)
    committed_metadata: str | None = string(nullable="0+")


class OffsetCommitRequestTopic(Struct):
    name: str = string("0-9", default="")
    topic_id: UUID = uuid("10+", default=ZERO_UUID)
    partitions: Sequence[OffsetCommitRequestPartition] = array(OffsetCommitRequestPartition)


class OffsetCommitRequest(Struct):
    group_id: str = string()
    generation_id_or_member_epoch: int = int32(default=-1)
    member_id: str = string(default="")
    group_instance_id: str | None = string("7+", nullable="7+", default=None)
    retention_time_ms: int = int64("2-4", default=-1)
    topics: Sequence[OffsetCommitRequestTopic] = array(OffsetCommitRequestTopic)


class OffsetCommitResponsePartition(Struct):
    partition_index: int = int32()
    error_code: int = int16()


class OffsetCommitResponseTopic(Struct):
    name: str = string("0-9", default="")
    topic_id: UUID = uuid("10+", default=ZERO_UUID)
    partitions: Sequence[OffsetCommitResponsePartition] = array(OffsetCommitResponsePartition)


class OffsetCommitResponse(Struct):
    throttle_time_ms: int = int32("3+", default=0)
    topics: Sequence[OffsetCommitResponseTopic] = array(OffsetCommitResponseTopic)


REQUEST = OffsetCommitRequest
RESPONSE = OffsetCommitResponse
