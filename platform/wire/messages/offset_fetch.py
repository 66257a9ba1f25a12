"""OffsetFetch (key 9), versions 1-10.

v2 null topics for all, an error of the whole answer   v3 throttle time   v5 leader epoch   v6 flexible   v7 require
stable v8 several groups (the fields of one group move into `groups`)   v9 member id and epoch (KIP-848)   v10 topic
ids for names
"""

from collections.abc import Sequence
from uuid import UUID

from ..schema import ZERO_UUID, Kind, Struct, array, boolean, int16, int32, int64, string, uuid


class OffsetFetchRequestTopic(Struct):
    name: str = string()
    partition_indexes: Sequence[int] = array(Kind.INT32)


class OffsetFetchRequestTopics(Struct):
    name: str = string("0-9", default="")
    topic_id: UUID = uuid("10+", default=ZERO_UUID)
    partition_indexes: Sequence[int] = array(Kind.INT32)


class OffsetFetchRequestGroup(Struct):
    group_id: str = string()
    member_id: str | None = string("9+", nullable="9+", default=None)
    member_epoch: int = int32("9+", default=-1)
    topics: Sequence[OffsetFetchRequestTopics] | None = array(OffsetFetchRequestTopics, nullable="0+")


class OffsetFetchRequest(Struct):
    group_id: str = string("0-7", default="")
    topics: Sequence[OffsetFetchRequestTopic] | None = array(OffsetFetchRequestTopic, "0-7", nullable="2-7", default=())
    groups: Sequence[OffsetFetchRequestGroup] = array(OffsetFetchRequestGroup, "8+", default=())
    require_stable: bool = boolean("7+", default=False)


class OffsetFetchResponsePartition(Struct):
    partition_index: int = int32()
    committed_offset: int = int64()
    committed_leader_epoch: int = int32("5+", default=-1)
    metadata: str | None = string(nullable="0+")
    error_code: int = int16()


class OffsetFetchResponseTopic(Struct):
    name: str = string()
    partitions: Sequence[OffsetFetchResponsePartition] = array(OffsetFetchResponsePartition)


class OffsetFetchResponseTopics(Struct):
    name: str = string("0-9", default="")
    topic_id: UUID = uuid("10+", default=ZERO_UUID)
    partitions: Sequence[OffsetFetchResponsePartition] = array(OffsetFetchResponsePartition)


class OffsetFetchResponseGroup(Struct):
    group_id: str = string()
    topics: Sequence[OffsetFetchResponseTopics] = array(OffsetFetchResponseTopics)
    error_code: int = int16(default=0)


class OffsetFetchResponse(Struct):
    throttle_time_ms: int = int32("3+", default=0)
    topics: Sequence[OffsetFetchResponseTopic] = array(OffsetFetchResponseTopic, "0-7", default=())
    error_code: int = int16("2-7", default=0)
    groups: Sequence[OffsetFetchResponseGroup] = array(OffsetFetchResponseGroup, "8+", default=())


REQUEST = OffsetFetchRequest
RESPONSE = OffsetFetchResponse
