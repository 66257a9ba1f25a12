"""What has to be done to open logs now and then: roll idle segments, note recovery points, snapshot group state.

Always true: each step looks at a bounded number of partitions, so that ten thousand of them never stall the loop;
blocking work runs on a thread.
"""

import asyncio
import logging
from typing import TYPE_CHECKING

from ...storage.errors import LogError
from ...storage.log import Log

if TYPE_CHECKING:
    from .services import Services

log = logging.getLogger("coldstream.housekeeping")

STEP_S = 0.2
RETRY_S = 5.0
PARTITIONS_PER_STEP = 500


class Housekeeping:
    """One per broker."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._next = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(STEP_S)
            try:
                some = self._some_logs()
                self._roll(some)
                await self._checkpoint(some)
                await self._snapshot_groups()
            except Exception:  # a full disk, say: what is due stays due
                log.exception("housekeeping broke off, it will be tried again")
                await asyncio.sleep(RETRY_S)

    def _some_logs(self) -> list[Log]:
        partitions = self._services.logs.partitions()
        some = [partition.log for partition in partitions[self._next : self._next + PARTITIONS_PER_STEP]]
        self._next = 0 if self._next + PARTITIONS_PER_STEP >= len(partitions) else self._next + PARTITIONS_PER_STEP
        return some

    def _roll(self, logs: list[Log]) -> None:
        now_ms = self._services.now_ms()
        for each in logs:
            try:
                each.roll_if_due(now_ms)
            except LogError as error:
                log.warning("segment could not be rolled", extra={"log": repr(each), "error": str(error)})

    async def _checkpoint(self, logs: list[Log]) -> None:
        now_ms = self._services.now_ms()
        due = [each for each in logs if each.checkpoint_due(now_ms)]

        def checkpoint_due() -> None:
            for each in due:
                try:
                    each.checkpoint(now_ms)
                except (LogError, OSError) as error:
                    log.warning("recovery point could not be noted", extra={"log": repr(each), "error": str(error)})

        if due:
            await self._services.slow_reads.run_blocking(checkpoint_due)

    async def _snapshot_groups(self) -> None:
        group_log, coordinator = self._services.group_log, self._services.coordinator
        for partition in group_log.due_for_snapshot():
            end = group_log.durable_end(partition)
            records = coordinator.snapshot(partition)  # in the same step of the loop as `end`
            await asyncio.to_thread(group_log.write_snapshot, partition, end, records)
            group_log.drop_below(partition, end)
