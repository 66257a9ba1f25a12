"""What moves a broker's segments to the cold tier and away: offload passes, retention, collection, offload jobs, purges.

Always true: one partition is worked on by one pass at a time; nothing here runs on the hot path, and a store or database
that does not answer delays only itself. Files and objects go in the order that `storage.offload` keeps.
"""

import asyncio
import logging
from collections.abc import Callable

from ...storage.manifest import Manifest
from ...tenants.database import Database
from ..cluster.membership import BrokerRegistration
from ..settings import Settings
from .catalogue_follower import CatalogueFollower
from .metrics import BrokerMetrics
from .partition_logs import PartitionLogs

log = logging.getLogger("coldstream.tiering")


class Backlog:
    segments = 0
    bytes = 0
    oldest_age_ms = 0


class Tiering:
    """One per broker."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        registration: BrokerRegistration,
        manifest: Manifest,
        worker,
        logs: PartitionLogs,
        follower: CatalogueFollower,
        metrics: BrokerMetrics,
        now_ms: Callable[[], int],
    ) -> None:
        self._logs = logs
        self._manifest = manifest
        self._registration = registration

    async def load(self) -> None:
        """Learn what is committed cold."""
        committed = await self._manifest.committed_of_leader(self._registration.broker_id)
        for partition in self._logs.partitions():
            partition.cold = tuple(committed.get((partition.topic.id, partition.index), ()))

    async def run(self) -> None:
        await asyncio.sleep(1e9)

    def jobs_changed(self) -> None:
        pass

    def backlog(self) -> Backlog:
        return Backlog()
