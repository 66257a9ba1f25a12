"""What the cluster remembers: brokers and their leases, who leads what, cold segments, producer id blocks.

Always true: a broker's or a leader's claim is an epoch in the row that a commit locks and checks; a
cold object has a row from before its first byte is sent until the store confirmed its deletion. Same metadata and
naming rules as the tenancy tables, so one migration history covers both.
"""

from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from ...storage.manifest import SegmentState
from ...tenants.models import Topic
from ...tenants.schema import COLUMN_TYPES, METADATA, one_of


class PartitionState(StrEnum):
    ONLINE = "online"
    OFFLINE = "offline"  # kept from serving until an operator decides; the row says why
    PURGING = "purging"  # the topic was deleted: nothing may be added any more


class ClusterBase(DeclarativeBase):
    metadata = METADATA
    type_annotation_map: ClassVar[dict[Any, Any]] = COLUMN_TYPES


class Cluster(ClusterBase):
    """One row: the id under which this platform's objects live in a bucket it may share with others."""

    __tablename__ = "cluster"
    __table_args__ = (CheckConstraint("id = 1", name="single_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    cluster_id: Mapped[UUID]
    created_at_ms: Mapped[int]


class Broker(ClusterBase):
    """A broker is its data directory: a process that starts on that directory is the same broker in a new epoch."""

    __tablename__ = "brokers"
    __table_args__ = (CheckConstraint("id >= 1 AND epoch >= 1", name="counted_from_one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    data_dir_id: Mapped[UUID] = mapped_column(unique=True)
    epoch: Mapped[int]
    advertised: Mapped[str | None]
    registered_at_ms: Mapped[int]


class BrokerLease(ClusterBase):
    """A row of its own, so that a heartbeat never waits for a registration of write-ahead objects."""

    __tablename__ = "broker_leases"

    broker_id: Mapped[int] = mapped_column(ForeignKey("brokers.id"), primary_key=True, autoincrement=False)
    epoch: Mapped[int]
    counter: Mapped[int]
    renewed_at_ms: Mapped[int]


class WalHead(ClusterBase):
    """The last registered write-ahead object of a broker; the row whose update a takeover waits for."""

    __tablename__ = "wal_head"

    broker_id: Mapped[int] = mapped_column(ForeignKey("brokers.id"), primary_key=True, autoincrement=False)
    epoch: Mapped[int]
    seq: Mapped[int]


class Partition(ClusterBase):
    """`cold_end` is the end of the highest range ever committed; `log_start` and `cold_end` never move down."""

    __tablename__ = "partitions"
    __table_args__ = (
        one_of("state", PartitionState),
        CheckConstraint("leader_epoch >= 0 AND log_start >= 0 AND cold_end >= 0", name="not_negative"),
    )

    topic_id: Mapped[UUID] = mapped_column(ForeignKey(Topic.id), primary_key=True)
    partition: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    leader: Mapped[int | None] = mapped_column(ForeignKey("brokers.id"), index=True)
    leader_epoch: Mapped[int]
    data_dir_id: Mapped[UUID | None]
    state: Mapped[str] = mapped_column(default=PartitionState.ONLINE)
    offline_reason: Mapped[str | None]
    log_start: Mapped[int] = mapped_column(default=0)
    cold_end: Mapped[int] = mapped_column(default=0)


class EpochStart(ClusterBase):
    """Where a leader epoch began: the lineage within which a cold row counts."""

    __tablename__ = "epoch_starts"
    __table_args__ = (
        ForeignKeyConstraint(["topic_id", "partition"], ["partitions.topic_id", "partitions.partition"]),
        CheckConstraint("start_offset >= 0", name="not_negative"),
    )

    topic_id: Mapped[UUID] = mapped_column(primary_key=True)
    partition: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    leader_epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    start_offset: Mapped[int]
    broker_id: Mapped[int]


class ColdSegmentRow(ClusterBase):
    """One object of the cold tier (`storage.manifest.ColdSegment`) and when it came to its state."""

    __tablename__ = "cold_segments"
    __table_args__ = (
        one_of("state", SegmentState),
        ForeignKeyConstraint(["topic_id", "partition"], ["partitions.topic_id", "partitions.partition"]),
        CheckConstraint("base_offset >= 0 AND base_offset < end_offset", name="half_open_range"),
        CheckConstraint("(state = 'marked') = (marked_at_ms IS NOT NULL)", name="marked_since"),
        Index("ix_cold_segments_partition", "topic_id", "partition", "state"),
        Index("ix_cold_segments_state", "state", "expires_at_ms", "marked_at_ms"),
        Index(
            "uq_cold_segments_committed_base",
            "topic_id",
            "partition",
            "base_offset",
            unique=True,
            sqlite_where=text("state = 'committed'"),
            postgresql_where=text("state = 'committed'"),
        ),
    )

    object_id: Mapped[UUID] = mapped_column(primary_key=True)
    topic_id: Mapped[UUID]
    partition: Mapped[int]
    base_offset: Mapped[int]
    end_offset: Mapped[int]
    leader_epoch: Mapped[int]
    object_key: Mapped[str] = mapped_column(Text, unique=True)
    size_bytes: Mapped[int] = mapped_column(default=0)
    tail_bytes: Mapped[int] = mapped_column(default=0)
    raw_bytes: Mapped[int] = mapped_column(default=0)
    first_timestamp_ms: Mapped[int] = mapped_column(default=0)
    max_timestamp_ms: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(default=SegmentState.PREPARED)
    prepared_at_ms: Mapped[int]
    expires_at_ms: Mapped[int]
    committed_at_ms: Mapped[int | None]
    marked_at_ms: Mapped[int | None]


class ProducerIdBlock(ClusterBase):
    """Producer ids [first_id, first_id + size) belong to one namespace for good: a foreign one is refused."""

    __tablename__ = "producer_id_blocks"
    __table_args__ = (CheckConstraint("first_id >= 0 AND size >= 1", name="range"),)

    first_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    size: Mapped[int]
    namespace_id: Mapped[UUID] = mapped_column(ForeignKey("namespaces.id"), index=True)
    reserved_at_ms: Mapped[int]
