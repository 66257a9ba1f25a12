"""The manifest of cold segments in the metadata database.

Always true: whoever adds, commits or marks a partition's rows first locks the partition row until the commit and
requires its own leader epoch there, so a successor either waits or has already won; states move by
compare and set; times are the database's, read after the lock was granted.
"""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ...storage.manifest import (
    ColdSegment,
    Fenced,
    PrepareExpired,
    RangeTaken,
    SegmentState,
    segment_key,
)
from ...tenants.database import Database, session_now_ms
from .tables import ColdSegmentRow, Partition, PartitionState

FORGET_PER_STATEMENT = 500


class SqlManifest:
    """Implements `storage.manifest.Manifest`. `cluster_id` (from the broker's registration) begins every object key."""

    def __init__(self, db: Database, cluster_id: str) -> None:
        self._db = db
        self._cluster_id = cluster_id

    async def prepare(
        self, topic_id: UUID, partition: int, leader_epoch: int, base: int, end: int, ttl_ms: int
    ) -> ColdSegment:
        async with self._db.write() as session:
            await _lock_led(session, topic_id, partition, leader_epoch)
            now_ms = await session_now_ms(session)
            object_id = uuid4()
            row = ColdSegmentRow(
                object_id=object_id,
                topic_id=topic_id,
                partition=partition,
                base_offset=base,
                end_offset=end,
                leader_epoch=leader_epoch,
                object_key=segment_key(self._cluster_id, topic_id, partition, base, end, leader_epoch, object_id),
                size_bytes=0,
                tail_bytes=0,
                raw_bytes=0,
                first_timestamp_ms=0,
                max_timestamp_ms=0,
                state=SegmentState.PREPARED,
                prepared_at_ms=now_ms,
                expires_at_ms=now_ms + ttl_ms,
            )
            session.add(row)
            await session.flush()
            return _segment(row)

    async def commit(self, segment: ColdSegment) -> None:
        async with self._db.write() as session:
            partition = await _lock_led(session, segment.topic_id, segment.partition, segment.leader_epoch)
            state = await _state_of(session, segment.object_id)
            if state is SegmentState.COMMITTED:
                return
            overlapping = select(ColdSegmentRow.object_key).where(
                *_of_partition(segment.topic_id, segment.partition),
                ColdSegmentRow.state == SegmentState.COMMITTED,
                ColdSegmentRow.base_offset < segment.end,
                ColdSegmentRow.end_offset > segment.base,
            )
            if (taken_by := await session.scalar(overlapping.limit(1))) is not None:
                raise RangeTaken(f"[{segment.base}, {segment.end}) is covered by {taken_by}")
            now_ms = await session_now_ms(session)
            committed = await _changed(
                session,
                update(ColdSegmentRow)
                .where(
                    ColdSegmentRow.object_id == segment.object_id,
                    ColdSegmentRow.state == SegmentState.PREPARED,
                    ColdSegmentRow.expires_at_ms > now_ms,
                )
                .values(
                    state=SegmentState.COMMITTED,
                    committed_at_ms=now_ms,
                    size_bytes=segment.size_bytes,
                    tail_bytes=segment.tail_bytes,
                    raw_bytes=segment.raw_bytes,
                    first_timestamp_ms=segment.first_timestamp_ms,
                    max_timestamp_ms=segment.max_timestamp_ms,
                ),
            )
            if not committed:
                raise PrepareExpired(f"{segment.key} is {state or 'unknown'} and cannot be committed any more")
            partition.cold_end = max(partition.cold_end, segment.end)

    async def state_of(self, object_id: UUID) -> SegmentState | None:
        async with self._db.read() as session:
            return await _state_of(session, object_id)

    async def committed(self, topic_id: UUID, partition: int) -> list[ColdSegment]:
        query = (
            select(ColdSegmentRow)
            .where(*_of_partition(topic_id, partition), ColdSegmentRow.state == SegmentState.COMMITTED)
            .order_by(ColdSegmentRow.base_offset)
        )
        async with self._db.read() as session:
            return [_segment(row) for row in await session.scalars(query)]

    async def committed_of_leader(self, broker_id: int) -> dict[tuple[UUID, int], list[ColdSegment]]:
        """`committed` of every partition that a broker leads, in one query: what a start needs."""
        query = (
            select(ColdSegmentRow)
            .join(
                Partition,
                (Partition.topic_id == ColdSegmentRow.topic_id) & (Partition.partition == ColdSegmentRow.partition),
            )
            .where(Partition.leader == broker_id, ColdSegmentRow.state == SegmentState.COMMITTED)
            .order_by(ColdSegmentRow.topic_id, ColdSegmentRow.partition, ColdSegmentRow.base_offset)
        )
        found: dict[tuple[UUID, int], list[ColdSegment]] = {}
        async with self._db.read() as session:
            for row in await session.scalars(query):
                found.setdefault((row.topic_id, row.partition), []).append(_segment(row))
        return found

    async def advance_log_start(self, topic_id: UUID, partition: int, leader_epoch: int, offset: int) -> int:
        async with self._db.write() as session:
            row = await _lock_led(session, topic_id, partition, leader_epoch)
            row.log_start = max(row.log_start, offset)
            return row.log_start

    async def mark(self, segments: Sequence[ColdSegment], *, leader_epoch: int) -> None:
        async with self._db.write() as session:
            for topic_id, partition in sorted({(segment.topic_id, segment.partition) for segment in segments}):
                await _lock_led(session, topic_id, partition, leader_epoch)
            ids = [segment.object_id for segment in segments]
            for start in range(0, len(ids), FORGET_PER_STATEMENT):
                chunk = ColdSegmentRow.object_id.in_(ids[start : start + FORGET_PER_STATEMENT])
                await _mark(session, chunk, ColdSegmentRow.state == SegmentState.COMMITTED)

    async def mark_topic(self, topic_id: UUID) -> int:
        async with self._db.write() as session:
            of_topic = Partition.topic_id == topic_id
            await session.execute(
                select(Partition.partition).where(of_topic).order_by(Partition.partition).with_for_update()
            )
            await session.execute(update(Partition).where(of_topic).values(state=PartitionState.PURGING))
            return await _mark(
                session, ColdSegmentRow.topic_id == topic_id, ColdSegmentRow.state != SegmentState.MARKED
            )

    async def expire_prepared(self) -> int:
        async with self._db.write() as session:
            expired = ColdSegmentRow.expires_at_ms <= await session_now_ms(session)
            return await _mark(session, ColdSegmentRow.state == SegmentState.PREPARED, expired)

    async def marked(self, limit: int, older_than_ms: int) -> list[ColdSegment]:
        async with self._db.read() as session:
            since_ms = await session_now_ms(session) - older_than_ms
            query = (
                select(ColdSegmentRow)
                .where(ColdSegmentRow.state == SegmentState.MARKED, ColdSegmentRow.marked_at_ms <= since_ms)
                .order_by(ColdSegmentRow.marked_at_ms, ColdSegmentRow.base_offset)
                .limit(limit)
            )
            return [_segment(row) for row in await session.scalars(query)]

    async def forget(self, object_ids: Collection[UUID]) -> None:
        ids = list(object_ids)
        if not ids:
            return
        async with self._db.write() as session:
            for start in range(0, len(ids), FORGET_PER_STATEMENT):
                await session.execute(
                    delete(ColdSegmentRow).where(
                        ColdSegmentRow.object_id.in_(ids[start : start + FORGET_PER_STATEMENT]),
                        ColdSegmentRow.state == SegmentState.MARKED,
                    )
                )


async def _lock_led(session: AsyncSession, topic_id: UUID, partition: int, leader_epoch: int) -> Partition:
    """The partition row, locked until the transaction ends. Raises Fenced."""
    row = await session.scalar(
        select(Partition)
        .where(Partition.topic_id == topic_id, Partition.partition == partition)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None or row.state == PartitionState.PURGING:
        raise Fenced(f"partition {topic_id}/{partition} is gone")
    if row.leader_epoch != leader_epoch:
        raise Fenced(f"partition {topic_id}/{partition} is in leader epoch {row.leader_epoch}, not {leader_epoch}")
    return row


async def _state_of(session: AsyncSession, object_id: UUID) -> SegmentState | None:
    state = await session.scalar(select(ColdSegmentRow.state).where(ColdSegmentRow.object_id == object_id))
    return None if state is None else SegmentState(state)


async def _mark(session: AsyncSession, *where: Any) -> int:
    values = {"state": SegmentState.MARKED, "marked_at_ms": await session_now_ms(session)}
    return await _changed(session, update(ColdSegmentRow).where(*where).values(values))


async def _changed(session: AsyncSession, statement: Any) -> int:
    """How many rows the statement changed."""
    result = await session.execute(statement.execution_options(synchronize_session=False))
    assert isinstance(result, CursorResult)
    return result.rowcount


def _of_partition(topic_id: UUID, partition: int) -> tuple[Any, Any]:
    return ColdSegmentRow.topic_id == topic_id, ColdSegmentRow.partition == partition


def _segment(row: ColdSegmentRow) -> ColdSegment:
    return ColdSegment(
        object_id=row.object_id,
        topic_id=row.topic_id,
        partition=row.partition,
        base=row.base_offset,
        end=row.end_offset,
        leader_epoch=row.leader_epoch,
        key=row.object_key,
        size_bytes=row.size_bytes,
        tail_bytes=row.tail_bytes,
        raw_bytes=row.raw_bytes,
        first_timestamp_ms=row.first_timestamp_ms,
        max_timestamp_ms=row.max_timestamp_ms,
        committed_at_ms=row.committed_at_ms or 0,
        state=SegmentState(row.state),
    )
