"""Every group of the platform by (namespace id, group id), and how much each namespace holds.

Always true: a namespace's bytes are the sum of what its entries were charged, and a namespace without entries is not
kept. Nothing here reaches from one namespace into another.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID
from zlib import crc32

from .group import Group
from .offsets import Offsets
from .records import StoredGroup
from .roster import NEVER_MS


@dataclass(slots=True, eq=False)
class Entry:
    """One group: its members, its offsets, and the last form of it that is known durable."""

    namespace_id: UUID
    group_id: str
    partition: int
    group: Group
    offsets: Offsets
    stored: StoredGroup | None = None
    deleting: bool = False  # on its way out: nobody is let near it
    reserved_bytes: int = 0  # commits on their way to the log
    wake_ms: int = NEVER_MS  # when the earliest wake-up that counts is due
    charged_bytes: int = 0
    charged_members: int = 0

    @property
    def size_bytes(self) -> int:
        return self.group.size_bytes + self.offsets.size_bytes + self.reserved_bytes

    @property
    def untouched(self) -> bool:
        """Nobody got in and nothing is or will be on disk: as if it had never been asked for."""
        return (
            self.stored is None
            and not self.deleting
            and self.group.deserted
            and self.group.generation == 0
            and not self.offsets.count
            and not self.offsets.in_flight
        )


@dataclass(slots=True)
class Namespace:
    entries: dict[str, Entry] = field(default_factory=dict)
    size_bytes: int = 0


def partition_of(namespace_id: UUID, group_id: str, partitions: int) -> int:
    """The internal partition of a group: the same in every process and for ever, since records lie where it says."""
    return crc32(group_id.encode(), crc32(namespace_id.bytes)) % partitions


class Registry:
    def __init__(self) -> None:
        self._namespaces: dict[UUID, Namespace] = {}
        self.group_count = 0
        self.member_count = 0

    def find(self, namespace_id: UUID, group_id: str) -> Entry | None:
        namespace = self._namespaces.get(namespace_id)
        return namespace.entries.get(group_id) if namespace is not None else None

    def add(self, entry: Entry) -> None:
        namespace = self._namespaces.setdefault(entry.namespace_id, Namespace())
        assert entry.group_id not in namespace.entries
        namespace.entries[entry.group_id] = entry
        self.group_count += 1
        self.settle(entry)

    def remove(self, entry: Entry) -> None:
        namespace = self._namespaces[entry.namespace_id]
        del namespace.entries[entry.group_id]
        namespace.size_bytes -= entry.charged_bytes
        self.group_count -= 1
        self.member_count -= entry.charged_members
        entry.charged_bytes = entry.charged_members = 0
        if not namespace.entries:
            del self._namespaces[entry.namespace_id]

    def holds(self, entry: Entry) -> bool:
        return self.find(entry.namespace_id, entry.group_id) is entry

    def settle(self, entry: Entry) -> None:
        """Charge the namespace for what the entry holds now."""
        grown_bytes = entry.size_bytes - entry.charged_bytes
        if grown_bytes:
            self._namespaces[entry.namespace_id].size_bytes += grown_bytes
            entry.charged_bytes += grown_bytes
        members = len(entry.group.members)
        self.member_count += members - entry.charged_members
        entry.charged_members = members

    def count_in(self, namespace_id: UUID) -> int:
        namespace = self._namespaces.get(namespace_id)
        return len(namespace.entries) if namespace is not None else 0

    def bytes_in(self, namespace_id: UUID) -> int:
        namespace = self._namespaces.get(namespace_id)
        return namespace.size_bytes if namespace is not None else 0

    def namespace_ids(self) -> tuple[UUID, ...]:
        return tuple(self._namespaces)

    def entries_in(self, namespace_id: UUID) -> tuple[Entry, ...]:
        namespace = self._namespaces.get(namespace_id)
        return tuple(namespace.entries.values()) if namespace is not None else ()

    def entries(self) -> Iterator[Entry]:
        """All of them; groups may come and go while the caller looks."""
        for namespace_id in self.namespace_ids():
            yield from self.entries_in(namespace_id)
