"""Which namespaces and topics there are, for the sampler: kept from change to change, ids, names and counts only."""

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from ..tenants.catalogue import CatalogueChange, load_changes
from ..tenants.database import Database


class WatchedTopic(NamedTuple):
    name: str
    partitions: int


@dataclass(slots=True)
class WatchedNamespace:
    """`suspended` counts its tenant's suspension."""

    suspended: bool = False
    topics: dict[UUID, WatchedTopic] = field(default_factory=dict)


class WatchedCatalogue:
    """`namespaces` are the live ones as of the last `follow`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._version = 0
        self._following = asyncio.Lock()
        self.namespaces: dict[UUID, WatchedNamespace] = {}

    async def follow(self) -> None:
        """Read what changed; costs what changed. Raises what the database raises."""
        async with self._following:
            self.apply(await load_changes(self._database, self._version))

    def apply(self, change: CatalogueChange) -> None:
        """Take a change in."""
        if change.complete:
            self.namespaces.clear()
        for entry in change.namespaces:
            if entry.deleted:
                self.namespaces.pop(entry.id, None)
            else:
                self.namespaces.setdefault(entry.id, WatchedNamespace()).suspended = entry.suspended
        for topic in change.topics:
            namespace = self.namespaces.get(topic.namespace_id)
            if namespace is None:
                continue
            if topic.deleted:
                namespace.topics.pop(topic.id, None)
            else:
                namespace.topics[topic.id] = WatchedTopic(topic.name, topic.partitions)
        self._version = change.version
