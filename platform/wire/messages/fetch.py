"""Fetch (key 1), versions 4-18, described in full; the broker reads and answers it by `..fetch`.

v4 isolation, aborted transactions   v5 log start   v7 sessions   v9 leader epoch   v11 rack, preferred replica   v12
flexible v13 topic ids for names   v15 replica id moves into a tag   v16 node endpoints   v17 directory id   v18 high
watermark in requests Versions below 4 carry message sets of formats 0 and 1, which we do not serve.
"""

from collections.abc import Sequence
from uuid import UUID

from ..schema import ZERO_UUID, Kind, Struct, array, int8, int16, int32, int64, nested, records, string, uuid


class ReplicaState(Struct):
    replica_id: int = int32(default=-1)
    replica_epoch: int = int64(default=-1)


class FetchPartition(Struct):
    partition: int = int32()
    current_leader_epoch: int = int32("9+", default=-1)
    fetch_offset: int = int64()
    last_fetched_epoch: int = int32("12+", default=-1)
    log_start_offset: int = int64("5+", default=-1)
    partition_max_bytes: int = int32()
    replica_directory_id: UUID = uuid("17+", tag=0, default=ZERO_UUID)
    high_watermark: int = int64("18+", tag=1, default=2**63 - 1)


class FetchTopic(Struct):
    topic: str = string("0-12", default="")
    topic_id: UUID = uuid("13+", default=ZERO_UUID)
    partitions: Sequence[FetchPartition] = array(FetchPartition)


class ForgottenTopic(Struct):
    topic: str = string("0-12", default="")
    topic_id: UUID = uuid("13+", default=ZERO_UUID)
    partitions: Sequence[int] = array(Kind.INT32)


class FetchRequest(Struct):
    cluster_id: str | None = string("12+", nullable="12+", tag=0, default=None)
    replica_id: int = int32("0-14", default=-1)
    replica_state: ReplicaState | None = nested(ReplicaState, "15+", tag=1, default=None)
    max_wait_ms: int = int32()
    min_bytes: int = int32()
    max_bytes: int = int32(default=2**31 - 1)
    isolation_level: int = int8(default=0)
    session_id: int = int32("7+", default=0)
    session_epoch: int = int32("7+", default=-1)
    topics: Sequence[FetchTopic] = array(FetchTopic)
    forgotten_topics_data: Sequence[ForgottenTopic] = array(ForgottenTopic, "7+", default=())
    rack_id: str = string("11+", default="")


class EpochEndOffset(Struct):
    epoch: int = int32(default=-1)
    end_offset: int = int64(default=-1)


class LeaderIdAndEpoch(Struct):
    leader_id: int = int32(default=-1)
    leader_epoch: int = int32(default=-1)


class SnapshotId(Struct):
    end_offset: int = int64(default=-1)
    epoch: int = int32(default=-1)


class AbortedTransaction(Struct):
    producer_id: int = int64()
    first_offset: int = int64()


class PartitionData(Struct):
    partition_index: int = int32()
    error_code: int = int16()
    high_watermark: int = int64()
    last_stable_offset: int = int64(default=-1)
    log_start_offset: int = int64("5+", default=-1)
    diverging_epoch: EpochEndOffset | None = nested(EpochEndOffset, "12+", tag=0, default=None)
    current_leader: LeaderIdAndEpoch | None = nested(LeaderIdAndEpoch, "12+", tag=1, default=None)
    snapshot_id: SnapshotId | None = nested(SnapshotId, "12+", tag=2, default=None)
    aborted_transactions: Sequence[AbortedTransaction] | None = array(AbortedTransaction, nullable="0+", default=None)
    preferred_read_replica: int = int32("11+", default=-1)
    records: bytes | None = records(nullable="0+")


class FetchableTopicResponse(Struct):
    topic: str = string("0-12", default="")
    topic_id: UUID = uuid("13+", default=ZERO_UUID)
    partitions: Sequence[PartitionData] = array(PartitionData)


class NodeEndpoint(Struct):
    node_id: int = int32()
    host: str = string()
    port: int = int32()
    rack: str | None = string(nullable="0+", default=None)


class FetchResponse(Struct):
    throttle_time_ms: int = int32(default=0)
    error_code: int = int16("7+", default=0)
    session_id: int = int32("7+", default=0)
    responses: Sequence[FetchableTopicResponse] = array(FetchableTopicResponse)
    node_endpoints: Sequence[NodeEndpoint] = array(NodeEndpoint, "16+", tag=0, default=())


REQUEST = FetchRequest
RESPONSE = FetchResponse
