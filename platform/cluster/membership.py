"""Who is in the cluster: a broker is its data directory, and each start of it is a new epoch.

Always true: a broker's epoch only grows, and taking a new one waits for every transaction that checked the old one,
so a former self can commit nothing afterwards (I7). The lease says when others may take over, never who may commit.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ...tenants.database import Database, session_now_ms
from .errors import BrokerFenced
from .tables import Broker, BrokerLease, Cluster, WalHead

LEASE_RENEWAL_MS = 1_000


@dataclass(frozen=True, slots=True)
class BrokerRegistration:
    """One process's claim to be a broker. `cluster_id` is the platform's, under which its objects are kept."""

    broker_id: int
    epoch: int
    data_dir_id: UUID
    cluster_id: str


async def register_broker(db: Database, data_dir_id: UUID, advertised: str | None = None) -> BrokerRegistration:
    """A new epoch for the broker on this data directory, which gets a node id at its first start.

    Whoever held the former epoch is fenced when this returns.
    """
    async with db.write() as session:
        cluster_id = await _lock_cluster(session)
        now_ms = await session_now_ms(session)
        broker = await session.scalar(select(Broker).where(Broker.data_dir_id == data_dir_id).with_for_update())
        if broker is None:
            last_id = await session.scalar(select(func.max(Broker.id))) or 0
            broker = Broker(id=last_id + 1, data_dir_id=data_dir_id, epoch=1, registered_at_ms=now_ms)
            session.add(broker)
            await session.flush()
            session.add(BrokerLease(broker_id=broker.id, epoch=1, counter=0, renewed_at_ms=now_ms))
            session.add(WalHead(broker_id=broker.id, epoch=1, seq=0))
        else:
            broker.epoch += 1
            broker.registered_at_ms = now_ms
            head = await session.get_one(WalHead, broker.id, with_for_update=True)
            head.epoch, head.seq = broker.epoch, 0
            lease = await session.get_one(BrokerLease, broker.id, with_for_update=True)
            lease.epoch, lease.counter, lease.renewed_at_ms = broker.epoch, lease.counter + 1, now_ms
        broker.advertised = advertised
        await session.flush()
        return BrokerRegistration(broker.id, broker.epoch, data_dir_id, str(cluster_id))


async def renew_lease(db: Database, registration: BrokerRegistration) -> None:
    """Moves the lease's counter, which others watch. Raises BrokerFenced."""
    async with db.write() as session:
        renewed = await session.scalar(
            update(BrokerLease)
            .where(BrokerLease.broker_id == registration.broker_id, BrokerLease.epoch == registration.epoch)
            .values(counter=BrokerLease.counter + 1, renewed_at_ms=await session_now_ms(session))
            .returning(BrokerLease.counter)
        )
        if renewed is None:
            raise BrokerFenced(f"broker {registration.broker_id} is no longer in epoch {registration.epoch}")


async def lock_broker(session: AsyncSession, registration: BrokerRegistration) -> None:
    """Holds the broker's epoch until the transaction ends: a new one waits. Raises BrokerFenced."""
    epoch = await session.scalar(
        select(Broker.epoch).where(Broker.id == registration.broker_id).with_for_update(read=True)
    )
    if epoch != registration.epoch:
        raise BrokerFenced(
            f"broker {registration.broker_id} is in epoch {epoch}, this process was started in {registration.epoch}"
        )


async def cluster_id(db: Database) -> str:
    """The id of the platform, which the first migration made."""
    async with db.read() as session:
        return str((await session.execute(select(Cluster.cluster_id))).scalar_one())


async def _lock_cluster(session: AsyncSession) -> UUID:
    """One registration at a time, so that node ids are given once."""
    return (await session.execute(select(Cluster.cluster_id).with_for_update())).scalar_one()
