"""What a namespace used, summed per measure and period; rows outlive the namespace, since bills are written later."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from .database import is_postgresql
from .models import Usage

PERIOD_MS = 3_600_000


async def add_usage(session: AsyncSession, namespace_id: UUID, amounts: Mapping[str, int], at_ms: int) -> None:
    """Adds to the hour that holds `at_ms`; measures are named with their unit, such as `produced_bytes`."""
    insert = postgresql.insert if is_postgresql(session) else sqlite.insert
    for measure, amount in sorted(amounts.items()):
        statement = insert(Usage).values(
            namespace_id=namespace_id, measure=measure, period_start_ms=at_ms - at_ms % PERIOD_MS, amount=amount
        )
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=[Usage.namespace_id, Usage.measure, Usage.period_start_ms],
                set_={"amount": Usage.amount + statement.excluded.amount},
            )
        )


async def usage_of(session: AsyncSession, namespace_id: UUID, start_ms: int, end_ms: int) -> dict[str, int]:
    """Sums per measure over the periods that begin in [start, end)."""
    rows = await session.execute(
        select(Usage.measure, func.sum(Usage.amount))
        .where(Usage.namespace_id == namespace_id, Usage.period_start_ms >= start_ms, Usage.period_start_ms < end_ms)
        .group_by(Usage.measure)
    )
    return {measure: int(amount) for measure, amount in rows}
