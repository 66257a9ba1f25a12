"""Keeps the broker's namespaces and topics like the catalogue in the database says.

Always true: this alone changes namespace views; a topic is shown only once all its partitions are open here; what was
deleted is hidden first and its files go afterwards; a refresh costs what changed.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from uuid import UUID

from ...storage.errors import LogError
from ...storage.log import Log
from ...tenants.catalogue import CatalogueChange, NamespaceEntry, TopicEntry, load_changes
from ...tenants.database import Database
from ...tenants.topic_configs import resolve
from ..cluster.membership import BrokerRegistration
from ..cluster.partitions import PartitionRow, ensure_partitions, set_offline, take_leadership
from ..cluster.producer_ids import load_blocks
from ..cluster.tables import PartitionState
from .namespace import NamespaceView, Partition, Topic
from .partition_logs import Opening, PartitionLogs, log_config

log = logging.getLogger("coldstream.catalogue")

PartitionRows = dict[tuple[UUID, int], PartitionRow]


class CatalogueFollower:
    """One per broker. `on_topics_gone` is told of topics that were just hidden, before their files go; `on_configured`
    of topics whose logs have just taken over a changed configuration.
    """

    def __init__(
        self,
        database: Database,
        registration: BrokerRegistration,
        logs: PartitionLogs,
        now_ms: Callable[[], int],
        on_topics_gone: Callable[[Collection[UUID]], None],
        on_namespaces_gone: Callable[[Collection[UUID]], None],
    ) -> None:
        self._database = database
        self._registration = registration
        self._logs = logs
        self._now_ms = now_ms
        self._on_topics_gone = on_topics_gone
        self._on_namespaces_gone = on_namespaces_gone
        self._refreshing = asyncio.Lock()
        self._views: dict[UUID, NamespaceView] = {}
        self._entries: dict[UUID, NamespaceEntry] = {}
        self._topics: dict[UUID, Topic] = {}
        self._live: set[UUID] = set()
        self._unopened: dict[UUID, TopicEntry] = {}  # whose files could not be opened: tried again
        self.on_configured: Callable[[Topic], object] = lambda topic: None
        self.version = 0
        self.to_purge: set[UUID] = set()  # deleted topics whose objects and rows remain

    def namespace(self, namespace_id: UUID) -> NamespaceView | None:
        """The view of a live namespace that is not suspended."""
        return self._views.get(namespace_id)

    async def find_namespace(self, namespace_id: UUID) -> NamespaceView | None:
        """The view of a live namespace, looked for in the catalogue if it is newer than our last look.

        A key may be used the moment its namespace was made. Callers have proved to hold a secret, so nobody else can
        make us look.
        """
        view = self._views.get(namespace_id)
        if view is None:
            await self.refresh()
            view = self._views.get(namespace_id)
        return view

    def namespace_named(self, tenant: str, name: str) -> NamespaceView | None:
        """The view of a live namespace by its two names."""
        return next((view for view in self._views.values() if (view.tenant, view.name) == (tenant, name)), None)

    def namespaces(self) -> list[NamespaceView]:
        """Every live namespace's view."""
        return list(self._views.values())

    def topic(self, topic_id: UUID) -> Topic | None:
        """A topic by id, in whichever namespace: for background work, never for a request."""
        return self._topics.get(topic_id)

    async def start(self) -> None:
        """Take the leadership that is this broker's, and open everything."""
        rows = await take_leadership(self._database, self._registration)
        await self.refresh(rows)
        blocks = await load_blocks(self._database)
        for block, namespace_id in blocks.items():
            if (view := self._views.get(namespace_id)) is not None:
                view.producer_blocks.add(block)

    def knows_topic(self, topic_id: UUID) -> bool:
        """Whether the catalogue has the topic as live, offline ones included."""
        return topic_id in self._live

    @property
    def is_complete(self) -> bool:
        """Whether every topic that this broker should serve could be opened."""
        return not self._unopened

    async def refresh(self, rows: PartitionRows | None = None) -> None:
        """Bring everything up to the catalogue's present version, and try again what could not be opened before.

        What fails half-way is done by the next call: the version moves last.
        """
        async with self._refreshing:
            change = await load_changes(self._database, self.version)
            gone = self._apply_namespaces(change)
            served = self._entries.keys() - gone
            live = [entry for entry in change.topics if not entry.deleted and entry.namespace_id in served]
            deleted = {entry.id for entry in change.topics if entry.deleted}
            if change.complete:
                deleted |= self._topics.keys() - {entry.id for entry in live}
            self.to_purge.update(entry.id for entry in change.topics if entry.deleted)
            self._live.difference_update(deleted)
            self._live.update(entry.id for entry in live)
            hidden = self._hide(deleted)
            self._drop_namespaces(gone)
            await self._delete_files(hidden)
            for entry in live:
                self._reconfigure(entry)
            await self._open(list((self._unopened | {entry.id: entry for entry in live}).values()), rows or {})
            self.version = change.version

    # namespaces

    def _apply_namespaces(self, change: CatalogueChange) -> set[UUID]:
        """Take over those that live; the ids of those that are gone, to be dropped when their topics are hidden."""
        gone = {entry.id for entry in change.namespaces if entry.deleted} & self._entries.keys()
        if change.complete:
            gone |= self._entries.keys() - {entry.id for entry in change.namespaces}
        for entry in change.namespaces:
            if not entry.deleted:
                self._apply_namespace(entry)
        return gone

    def _apply_namespace(self, entry: NamespaceEntry) -> None:
        changed_defaults = entry.id in self._entries and self._entries[entry.id].defaults != entry.defaults
        self._entries[entry.id] = entry
        view = self._views.get(entry.id)
        if view is None:
            view = self._views[entry.id] = NamespaceView(
                entry.id, entry.tenant_id, entry.tenant, entry.name, entry.cluster_id
            )
        view.auto_create_topics = entry.auto_create_topics
        view.suspended = entry.suspended
        if changed_defaults:
            for topic in view.topics():
                self._configure(topic, topic.overrides)

    def _drop_namespaces(self, namespace_ids: set[UUID]) -> None:
        for namespace_id in namespace_ids:
            del self._entries[namespace_id]
            view = self._views.pop(namespace_id)
            self._hide({topic.id for topic in view.topics()})
        if namespace_ids:
            self._on_namespaces_gone(namespace_ids)

    # topics

    async def _open(self, entries: list[TopicEntry], rows: PartitionRows) -> None:
        """Open every partition of new topics, and the new partitions of those that grew; then show them."""
        growing = [entry for entry in entries if self._open_count(entry.id) < entry.partitions]
        if not growing:
            return
        missing = [(e.id, e.partitions) for e in growing if any((e.id, i) not in rows for i in range(e.partitions))]
        if missing:
            rows = rows | await ensure_partitions(self._database, self._registration, missing)
        await asyncio.gather(*(self._open_topic(entry, rows) for entry in growing))

    def _open_count(self, topic_id: UUID) -> int:
        topic = self._topics.get(topic_id)
        return len(topic.partitions) if topic is not None else 0

    async def _open_topic(self, entry: TopicEntry, rows: PartitionRows) -> None:
        topic = self._topics.get(entry.id)
        if topic is None:
            configs = resolve(entry.configs, self._entries[entry.namespace_id].defaults)
            topic = Topic(entry.id, entry.namespace_id, entry.name, configs, entry.configs, log_config(configs))
        new = [rows.get((entry.id, index)) for index in range(len(topic.partitions), entry.partitions)]
        servable = [row for row in new if row is not None and self._serves(row)]
        if len(servable) < len(new):
            log.error("topic stays offline", extra={"topic_id": str(entry.id), "reason": why_offline(new)})
            return
        openings = [
            Opening(entry.id, row.partition, topic.log_config, row.leader_epoch, row.log_start) for row in servable
        ]
        try:
            logs: list[Log] = await self._logs.open_many(openings, self._now_ms())
        except (LogError, OSError) as error:
            # One rotten partition must not keep other topics from being served: this one stays hidden, and says why.
            log.error("topic stays offline", extra={"topic_id": str(entry.id), "error": str(error)})
            self._unopened[entry.id] = entry
            return
        self._unopened.pop(entry.id, None)
        short = [(row, each) for row, each in zip(servable, logs, strict=True) if each.end < row.cold_end]
        if short:
            await self._refuse_short(short, logs)
            return
        for row, partition_log in zip(servable, logs, strict=True):
            partition = Partition(topic, row.partition, partition_log, row.leader_epoch)
            topic.partitions.append(partition)
            self._logs.partition_of[partition_log] = partition
        topic.metadata.clear()
        self._topics[topic.id] = topic
        self._views[entry.namespace_id].put(topic)

    async def _refuse_short(self, short: list[tuple[PartitionRow, Log]], logs: list[Log]) -> None:
        """A log that ends below its cold end has lost files: going on with it would give out offsets twice."""
        self._logs.close(logs)
        for row, partition_log in short:
            reason = (
                f"the local log ends at {partition_log.end}, but offsets up to {row.cold_end} are in the object store: "
                "the data directory is not the one this partition was written on"
            )
            log.error("topic stays offline", extra={"topic_id": str(row.topic_id), "reason": reason})
            await set_offline(self._database, self._registration, row.topic_id, row.partition, reason)

    def _serves(self, row: PartitionRow) -> bool:
        return row.leader == self._registration.broker_id and row.state is PartitionState.ONLINE

    def _reconfigure(self, entry: TopicEntry) -> None:
        topic = self._topics.get(entry.id)
        if topic is not None and topic.overrides != entry.configs:
            self._configure(topic, entry.configs)

    def _configure(self, topic: Topic, overrides: Mapping[str, str]) -> None:
        topic.overrides = overrides
        topic.configs = resolve(overrides, self._entries[topic.namespace_id].defaults)
        topic.log_config = log_config(topic.configs)
        for partition in topic.partitions:
            partition.log.set_config(topic.log_config)
        self._views[topic.namespace_id].changed()
        self.on_configured(topic)

    def _hide(self, topic_ids: Collection[UUID]) -> list[Topic]:
        """From now on nobody finds these topics, and who waits for one of them waits no longer."""
        hidden = [topic for topic_id in topic_ids if (topic := self._topics.pop(topic_id, None)) is not None]
        for topic_id in topic_ids:
            self._unopened.pop(topic_id, None)
        for topic in hidden:
            if (view := self._views.get(topic.namespace_id)) is not None:
                view.remove(topic)
        for topic in hidden:
            for partition in topic.partitions:
                for fetch in tuple(partition.waiting):
                    fetch.finish()
        if hidden:
            self._on_topics_gone([topic.id for topic in hidden])
        return hidden

    async def _delete_files(self, hidden: Iterable[Topic]) -> None:
        for topic in hidden:
            try:
                await self._logs.remove_topic(topic.id, topic.partitions)
            except OSError as error:  # the purge of its rows tries again, and comes after the files
                log.error("files stay behind", extra={"topic_id": str(topic.id), "error": str(error)})


def why_offline(rows: Iterable[PartitionRow | None]) -> str:
    """What the rows of a topic that cannot be served say."""
    return next(
        (row.offline_reason or f"leader {row.leader}, {row.state}" for row in rows if row is not None), "no rows"
    )
