"""Who leads which partition, in which leader epoch, and from which offset its log begins.

Always true: leader epochs only grow, a broker changes rows only in its own current epoch (locked until the commit), and
partition rows are locked in (topic id, partition) order. A partition of a deleted topic is neither made nor taken.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from sqlalchemy import Insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from ...tenants.database import Database, is_postgresql
from ...tenants.models import Topic
from .membership import BrokerRegistration, lock_broker
from .tables import EpochStart, Partition, PartitionState

IDS_PER_QUERY = 500
PartitionId = tuple[UUID, int]


@dataclass(frozen=True, slots=True)
class PartitionRow:
    """A partition as the database has it; offsets are the log's, `cold_end` the end of what was ever committed cold."""

    topic_id: UUID
    partition: int
    leader: int | None
    leader_epoch: int
    log_start: int
    cold_end: int
    state: PartitionState
    offline_reason: str | None

    @classmethod
    def of(cls, row: Partition) -> "PartitionRow":
        return cls(
            row.topic_id,
            row.partition,
            row.leader,
            row.leader_epoch,
            row.log_start,
            row.cold_end,
            PartitionState(row.state),
            row.offline_reason,
        )


async def take_leadership(db: Database, broker: BrokerRegistration) -> dict[PartitionId, PartitionRow]:
    """Every partition that this broker leads, each in a new leader epoch; call it once per start. Raises
    BrokerFenced.
    """
    mine = (Partition.leader == broker.broker_id, Partition.state != PartitionState.PURGING)
    live = Partition.topic_id.in_(select(Topic.id).where(Topic.deleted_at_ms.is_(None)))
    async with db.write() as session:
        await lock_broker(session, broker)
        await session.execute(select(Partition.topic_id).where(*mine, live).order_by(*_ORDER).with_for_update())
        rows = await session.scalars(
            update(Partition)
            .where(*mine, live)
            .values(leader_epoch=Partition.leader_epoch + 1)
            .returning(Partition)
            .execution_options(synchronize_session=False)
        )
        return {(row.topic_id, row.partition): PartitionRow.of(row) for row in rows}


async def ensure_partitions(
    db: Database, broker: BrokerRegistration, topics: Iterable[tuple[UUID, int]]
) -> dict[PartitionId, PartitionRow]:
    """The rows of the partitions of (topic id, partition count), made and led by this broker where there are none
    yet.

    Rows that others lead come as they are: look at `leader`. Topics deleted meanwhile are left out. Raises
    BrokerFenced.
    """
    wanted = dict(topics)
    rows: dict[PartitionId, PartitionRow] = {}
    async with db.write() as session:
        await lock_broker(session, broker)
        for topic_ids in _chunks(sorted(wanted)):
            live = await session.scalars(
                select(Topic.id)
                .where(Topic.id.in_(topic_ids), Topic.deleted_at_ms.is_(None))
                .order_by(Topic.id)
                .with_for_update(read=True)  # a deletion waits, so no partition is made behind its purge
            )
            live_ids = live.all()
            await _insert_missing(session, broker, [(each, wanted[each]) for each in live_ids])
            found = await session.scalars(select(Partition).where(Partition.topic_id.in_(live_ids)))
            rows.update(((row.topic_id, row.partition), PartitionRow.of(row)) for row in found)
    return rows


async def set_offline(db: Database, broker: BrokerRegistration, topic_id: UUID, partition: int, reason: str) -> None:
    """Keeps a partition from being served until an operator decides, and says why. Raises
    BrokerFenced.
    """
    async with db.write() as session:
        await lock_broker(session, broker)
        await session.execute(
            update(Partition)
            .where(
                Partition.topic_id == topic_id,
                Partition.partition == partition,
                Partition.leader == broker.broker_id,
                Partition.state == PartitionState.ONLINE,
            )
            .values(state=PartitionState.OFFLINE, offline_reason=reason)
        )


async def record_epoch_starts(
    db: Database, broker: BrokerRegistration, starts: Iterable[tuple[UUID, int, int, int]]
) -> None:
    """Notes (topic id, partition, leader epoch, start offset) for epochs this broker began; once noted, never changed.

    Raises BrokerFenced.
    """
    rows = [
        {
            "topic_id": topic_id,
            "partition": partition,
            "leader_epoch": leader_epoch,
            "start_offset": start_offset,
            "broker_id": broker.broker_id,
        }
        for topic_id, partition, leader_epoch, start_offset in starts
    ]
    async with db.write() as session:
        await lock_broker(session, broker)
        if rows:
            await session.execute(_insert_or_leave(session, EpochStart), rows)


async def epoch_starts(db: Database, topic_id: UUID, partition: int) -> list[tuple[int, int]]:
    """(leader epoch, start offset) of a partition, ascending."""
    query = (
        select(EpochStart.leader_epoch, EpochStart.start_offset)
        .where(EpochStart.topic_id == topic_id, EpochStart.partition == partition)
        .order_by(EpochStart.leader_epoch)
    )
    async with db.read() as session:
        return [(epoch, offset) for epoch, offset in await session.execute(query)]


async def _insert_missing(
    session: AsyncSession, broker: BrokerRegistration, topics: Sequence[tuple[UUID, int]]
) -> None:
    rows = [
        {
            "topic_id": topic_id,
            "partition": partition,
            "leader": broker.broker_id,
            "leader_epoch": 0,
            "data_dir_id": broker.data_dir_id,
            "state": PartitionState.ONLINE.value,
            "log_start": 0,
            "cold_end": 0,
        }
        for topic_id, partitions in topics
        for partition in range(partitions)
    ]
    if rows:
        await session.execute(_insert_or_leave(session, Partition), rows)


def _insert_or_leave(session: AsyncSession, table: type[Partition] | type[EpochStart]) -> Insert:
    insert = postgresql.insert if is_postgresql(session) else sqlite.insert
    return insert(table).on_conflict_do_nothing()


def _chunks(ids: Iterable[UUID]) -> Iterator[list[UUID]]:
    left = iter(ids)
    while chunk := list(islice(left, IDS_PER_QUERY)):
        yield chunk


_ORDER = (Partition.topic_id, Partition.partition)
