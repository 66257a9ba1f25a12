"""Counters that tell other processes what to read again.

Always true: whoever changes a thing bumps its counter in the same transaction, *before* touching other rows. The bump
locks the one versions row until the commit, so catalogue changes are serial in the whole platform: versions are handed
out in commit order, checks of names and limits cannot race, and there is one lock order.
"""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from .change_watch import CHANNEL
from .database import Database, is_postgresql
from .models import VersionCounters


class Counter(StrEnum):
    CATALOGUE = "catalogue"
    POLICY = "policy"
    REVOCATIONS = "revocations"
    JOBS = "jobs"


@dataclass(frozen=True, slots=True)
class Versions:
    catalogue: int
    policy: int
    revocations: int
    jobs: int


async def bump(session: AsyncSession, *counters: Counter) -> Versions:
    """Moves the counters and takes the lock on them; the values are the ones this transaction will commit."""
    columns = {counter.value: getattr(VersionCounters, counter.value) + 1 for counter in counters}
    result = await session.execute(
        update(VersionCounters)
        .where(VersionCounters.id == 1)
        .values(columns)
        .returning(*_COLUMNS)
        .execution_options(synchronize_session=False)
    )
    bumped = Versions(*result.one())
    if is_postgresql(session):
        await session.execute(select(func.pg_notify(CHANNEL, "")))
    return bumped


async def versions(db: Database) -> Versions:
    async with db.read() as session:
        return await session_versions(session)


async def session_versions(session: AsyncSession) -> Versions:
    return Versions(*(await session.execute(select(*_COLUMNS))).one())


_COLUMNS = (VersionCounters.catalogue, VersionCounters.policy, VersionCounters.revocations, VersionCounters.jobs)
