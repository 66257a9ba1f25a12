"""What moves a broker's segments to the cold tier and away again: offload, retention, eviction, collection, purges.

Always true: one partition is worked on by one pass at a time; nothing here runs on the hot path, and a store or a
database that does not answer delays only itself. The log start moves first, then rows, then, after the grace period,
objects; a local file goes only when its copy is committed. A changed configuration is acted on at once, whatever else
is under way, but for an upload of the same partition, whose end it waits for.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from ...storage.cold_worker import ColdWorker, ColdWorkerUnavailable
from ...storage.collection import Collector
from ...storage.errors import LogError
from ...storage.manifest import ManifestError
from ...storage.object_store import ObjectStoreError
from ...storage.offload import Backlog, Offload, OffloadOutcome
from ...storage.retention import plan_local_eviction, plan_log_start
from ...tenants.database import Database
from ..cluster.manifests import SqlManifest
from ..cluster.membership import BrokerRegistration
from ..cluster.purge import purge_finished, purge_namespaces
from .catalogue_follower import CatalogueFollower
from .metrics import BrokerMetrics
from .namespace import Partition, Topic
from .partition_logs import PartitionLogs

log = logging.getLogger("coldstream.tiering")

PASSES_MAX = 8  # partitions whose segments are uploaded at once; the worker itself does two
PARTITIONS_PER_BREATH = 100  # looked at before the loop gets its turn again
COLLECT_EVERY_MS = 30_000
EXPECTED = (LogError, ManifestError, ObjectStoreError, ColdWorkerUnavailable, SQLAlchemyError, OSError)


class Tiering:
    """One per broker."""

    def __init__(
        self,
        database: Database,
        registration: BrokerRegistration,
        manifest: SqlManifest,
        worker: ColdWorker,
        logs: PartitionLogs,
        follower: CatalogueFollower,
        metrics: BrokerMetrics,
        now_ms: Callable[[], int],
        interval_ms: int,
    ) -> None:
        self._database = database
        self._registration = registration
        self._manifest = manifest
        self._logs = logs
        self._follower = follower
        self._metrics = metrics
        self._now_ms = now_ms
        self._interval_s = interval_ms / 1000
        self._offload = Offload(manifest, worker, now_ms=now_ms)
        self._collector = Collector(manifest, worker.delete)
        self._passes: dict[Partition, asyncio.Task[None]] = {}
        self._uploading: Counter[Partition] = Counter()  # a file that is being uploaded is not taken away from under it
        self._looking = asyncio.Lock()
        self._changed: dict[Partition, None] = {}  # whose configuration moved since they were looked at
        self._there_are_changed = asyncio.Event()
        self._collected_at_ms = 0
        self._marked_topics: set[UUID] = set()
        self._backlog = Backlog()
        follower.on_configured = self.look_soon

    async def load(self) -> None:
        """Learn what is committed cold of every partition led here: one statement."""
        committed = await self._manifest.committed_of_leader(self._registration.broker_id)
        for partition in self._logs.partitions():
            partition.cold = tuple(committed.get((partition.topic.id, partition.index), ()))

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self._describe_segments()
            async with asyncio.TaskGroup() as looks:
                looks.create_task(self._look_regularly(), name="tiering")
                looks.create_task(self._look_at_changed(), name="tiering of what changed")
        finally:
            for task in self._passes.values():
                task.cancel()

    async def _look_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self._look_at_partitions()
                await self._clean_up()
            except Exception:  # a mistake about one topic must not end the broker for all of them
                log.exception("a pass over the partitions broke off, it will be tried again")

    def look_soon(self, topic: Topic) -> None:
        """The topic's configuration moved: do what follows from it now."""
        self._changed.update(dict.fromkeys(topic.partitions))
        self._there_are_changed.set()

    async def _look_at_changed(self) -> None:
        while True:
            await self._there_are_changed.wait()
            self._there_are_changed.clear()
            for number, partition in enumerate(tuple(self._changed)):
                if number % PARTITIONS_PER_BREATH == 0:
                    await asyncio.sleep(0)
                if partition in self._uploading:
                    continue  # the end of the upload comes back to it
                del self._changed[partition]
                if self._logs.partition_of.get(partition.log) is not partition:
                    continue  # its topic was deleted
                try:
                    await self._look_at(partition)
                except Exception:
                    log.exception("a changed configuration could not be followed", extra=about(partition))

    async def _describe_segments(self) -> None:
        """After a restart, what sealed segments hold is only in their files: that is read on a thread."""
        for partition in self._logs.partitions():
            await asyncio.to_thread(partition.log.sealed_segments)

    def is_uploading(self, partition: Partition) -> bool:
        """Whether a file of the partition is on its way to the object store."""
        return partition in self._uploading or partition in self._passes

    async def settle(self, partition: Partition) -> None:
        """Learn what is committed cold of a partition, where that is not certain. Raises one of EXPECTED."""
        await self._offload.settle(partition.log, partition)

    def backlog(self) -> Backlog:
        """What was sealed and not yet cold when the partitions were last looked at."""
        return self._backlog

    # one partition

    async def offload(self, partition: Partition, *, at_once: bool = False) -> OffloadOutcome:
        """Upload what is due of one partition; `at_once` does not wait for a backoff to end."""
        if partition.compacting:
            return OffloadOutcome(skipped=True)
        self._uploading[partition] += 1
        try:
            was_compacted = partition.log.was_compacted
            outcome = await self._offload.run(partition.log, partition, gaps_allowed=was_compacted, at_once=at_once)
        finally:
            self._uploading[partition] -= 1
            if not self._uploading[partition]:
                del self._uploading[partition]
                if partition in self._changed:
                    self._there_are_changed.set()
        self._metrics.uploaded_segments += len(outcome.uploaded)
        self._metrics.uploaded_bytes += sum(segment.size_bytes for segment in outcome.uploaded)
        self._metrics.upload_failures += outcome.error is not None
        return outcome

    async def retain(self, partition: Partition) -> None:
        """Move the log start as `retention.*` says, then drop what lies below it. Raises one of EXPECTED.

        An active segment that is to go is sealed first, in the same step of the loop that found it whole and durable:
        what is produced from then on lies above the new log start. What an earlier pass could not finish is finished.
        """
        partition_log, now_ms = partition.log, self._now_ms()
        holding = partition.holding()
        start = plan_log_start(holding, partition.topic.log_config, now_ms)
        if holding.active is not None and holding.active.end <= start and not partition_log.seal(now_ms):
            return  # its storage failed, or it was closed
        if start > holding.log_start or (holding.cold and holding.cold[0].end <= start):
            now = await self._offload.retire(partition_log, partition, start)
            partition_log.advance_log_start(now)
        sealed = partition_log.segments[:-1]
        if sealed and sealed[0].end <= partition_log.log_start:
            await asyncio.to_thread(partition_log.drop_local_below, partition_log.log_start)

    async def evict(self, partition: Partition, *, everything: bool = False) -> None:
        """Drop local files that `local.retention.*` no longer wants and the cold tier has. Raises one of EXPECTED."""
        partition_log = partition.log
        below = (
            partition.cold_end
            if everything
            else plan_local_eviction(partition.holding(), partition.topic.log_config, self._now_ms())
        )
        if below > partition_log.local_start:
            await asyncio.to_thread(partition_log.drop_local_below, below)

    # all of them

    async def _look_at_partitions(self) -> None:
        backlog = Backlog()
        for number, partition in enumerate(self._logs.partitions()):
            if number % PARTITIONS_PER_BREATH == 0:
                await asyncio.sleep(0)
            backlog += await self._look_at(partition)
        self._backlog = backlog

    async def _look_at(self, partition: Partition) -> Backlog:
        """Let go of what is no longer wanted, and begin to upload what is due; what that is."""
        async with self._looking:
            if partition not in self._uploading and partition not in self._passes:
                await self._let_go(partition)
            due = Backlog()
            if partition.topic.log_config.tiered:
                due = self._offload.backlog(partition.log, partition)
                if due.segments and partition not in self._passes and len(self._passes) < PASSES_MAX:
                    self._begin_pass(partition)
            return due

    async def _let_go(self, partition: Partition) -> None:
        """What retention no longer wants goes before anything is uploaded in vain."""
        try:
            await self.retain(partition)
            await self.evict(partition)
        except EXPECTED as error:
            log.warning("retention failed", extra=about(partition) | {"error": str(error)})

    def _begin_pass(self, partition: Partition) -> None:
        async def run() -> None:
            try:
                await self.offload(partition)
            finally:
                self._passes.pop(partition, None)

        self._passes[partition] = asyncio.create_task(run(), name=f"offload {partition.topic.id}/{partition.index}")

    async def _clean_up(self) -> None:
        """Mark the objects of topics that were just deleted; now and then collect, and forget what is all gone."""
        try:
            deleted = sorted(self._follower.to_purge - self._marked_topics)
            for topic_id in deleted:
                await self._manifest.mark_topic(topic_id)
                self._offload.forget_topic(topic_id)
                self._marked_topics.add(topic_id)
            if self._now_ms() - self._collected_at_ms >= COLLECT_EVERY_MS:
                self._collected_at_ms = self._now_ms()
                await self._collector.run()
                deleted = sorted(self._marked_topics)
            for topic_id in deleted:
                await self._forget(topic_id)
        except EXPECTED as error:
            log.warning("cleaning up failed, it will be tried again", extra={"error": str(error)})

    async def _forget(self, topic_id: UUID) -> None:
        """Remove a deleted topic's rows, if no object is left; whatever else of it may be left goes first."""
        await self._logs.remove_leftovers(topic_id)
        if await purge_finished(self._database, topic_id):
            self._follower.to_purge.discard(topic_id)
            self._marked_topics.discard(topic_id)
            await purge_namespaces(self._database)


def about(partition: Partition) -> dict[str, object]:
    """Fields of a log line about one partition."""
    return {"topic_id": str(partition.topic.id), "partition": partition.index}
