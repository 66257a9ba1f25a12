"""Metadata (key 3), versions 0-13, described in full; the broker answers large ones by `..metadata`.

v1 controller, racks, null topics for all (in v0 an empty list means all, later none)   v2 cluster id   v3 throttle
time   v4 auto-creation v5 offline replicas   v7 leader epoch   v8 authorised operations   v9 flexible   v10 topic
ids   v11 no cluster operations v12 topics may be asked by id (null name)   v13 an error of the whole answer
"""

from collections.abc import Sequence
from uuid import UUID

from ..schema import ZERO_UUID, Kind, Struct, array, boolean, int16, int32, string, uuid

OPERATIONS_NOT_ASKED = -(2**31)  # authorised operations when the client did not ask for them


class MetadataRequestTopic(Struct):
    topic_id: UUID = uuid("10+", default=ZERO_UUID)
    name: str | None = string(nullable="10+")


class MetadataRequest(Struct):
    topics: Sequence[MetadataRequestTopic] | None = array(MetadataRequestTopic, nullable="1+")
    allow_auto_topic_creation: bool = boolean("4+", default=True)
    include_cluster_authorized_operations: bool = boolean("8-10", default=False)
    include_topic_authorized_operations: bool = boolean("8+", default=False)


class MetadataResponseBroker(Struct):
    node_id: int = int32()
    host: str = string()
    port: int = int32()
    rack: str | None = string("1+", nullable="1+", default=None)


class MetadataResponsePartition(Struct):
    error_code: int = int16()
    partition_index: int = int32()
    leader_id: int = int32()
    leader_epoch: int = int32("7+", default=-1)
    replica_nodes: Sequence[int] = array(Kind.INT32)
    isr_nodes: Sequence[int] = array(Kind.INT32)
    offline_replicas: Sequence[int] = array(Kind.INT32, "5+", default=())


class MetadataResponseTopic(Struct):
    error_code: int = int16()
    name: str | None = string(nullable="12+")
    topic_id: UUID = uuid("10+", default=ZERO_UUID)
    is_internal: bool = boolean("1+", default=False)
    partitions: Sequence[MetadataResponsePartition] = array(MetadataResponsePartition)
    topic_authorized_operations: int = int32("8+", default=OPERATIONS_NOT_ASKED)


class MetadataResponse(Struct):
    throttle_time_ms: int = int32("3+", default=0)
    brokers: Sequence[MetadataResponseBroker] = array(MetadataResponseBroker)
    cluster_id: str | None = string("2+", nullable="2+", default=None)
    controller_id: int = int32("1+", default=-1)
    topics: Sequence[MetadataResponseTopic] = array(MetadataResponseTopic)
    cluster_authorized_operations: int = int32("8-10", default=OPERATIONS_NOT_ASKED)
    error_code: int = int16("13+", default=0)


REQUEST = MetadataRequest
RESPONSE = MetadataResponse
