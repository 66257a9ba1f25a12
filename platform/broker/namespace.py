"""What a signed-in connection is given: one namespace as a Kafka cluster of its own.

Always true: a NamespaceView holds topics of its own namespace only, and handlers reach topics through nothing else.
A topic enters a view when its partitions can be written to, and leaves it the moment its deletion is seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from ...storage.config import LogConfig
from ...storage.log import Log
from ...storage.manifest import ColdSegment
from ...storage.retention import Holding, cold_end
from ...tenants.topic_configs import Value

if TYPE_CHECKING:
    from .fetch import FetchJob


class Partition:
    """One partition led by this broker: its log, what of it is cold, and the fetches that wait for it."""

    __slots__ = ("cold", "compacting", "index", "leader_epoch", "log", "topic", "waiting")

    def __init__(self, topic: "Topic", index: int, log: Log, leader_epoch: int) -> None:
        self.topic = topic
        self.index = index
        self.log = log
        self.leader_epoch = leader_epoch
        self.cold: tuple[ColdSegment, ...] = ()  # committed, sorted by base offset
        self.compacting = False  # its files are being replaced: none of them may be uploaded
        self.waiting: set[FetchJob] = set()

    @property
    def cold_bytes(self) -> int:
        """Size of the committed objects."""
        return sum(segment.size_bytes for segment in self.cold)

    @property
    def cold_end(self) -> int:
        """The offset up to which the cold tier covers the log without a gap, or the log start."""
        return cold_end(self.cold, self.log.log_start)

    def holding(self) -> Holding:
        """What both tiers hold now, for retention to judge. Blocks when called first after a restart."""
        partition_log = self.log
        return Holding(
            log_start=partition_log.log_start,
            durable=partition_log.durable,
            cold=self.cold,
            sealed=partition_log.sealed_segments(),
            active=partition_log.active_segment(),
        )


@dataclass(slots=True, eq=False)
class Topic:
    """A live topic; `configs` are resolved values by Kafka's names, `log_config` the part its logs act on."""

    id: UUID
    namespace_id: UUID
    name: str
    configs: Mapping[str, Value]
    overrides: Mapping[str, str]
    log_config: LogConfig
    partitions: list[Partition] = field(default_factory=list)
    name_bytes: bytes = field(init=False)
    metadata: dict[int, bytes] = field(default_factory=dict)  # encoded for Metadata, per version; cleared on change

    def __post_init__(self) -> None:
        self.name_bytes = self.name.encode()

    def partition(self, index: int) -> Partition | None:
        """The partition, or none when the topic has no such index."""
        return self.partitions[index] if 0 <= index < len(self.partitions) else None


class NamespaceView:
    """One namespace's topics and identity, kept current by the catalogue follower alone.

    `version` moves with every change, so that whoever caches a resolved name can tell.
    """

    __slots__ = (
        "_by_id",
        "_by_name",
        "auto_create_topics",
        "cluster_id",
        "has_compacted",
        "id",
        "name",
        "producer_blocks",
        "suspended",
        "tenant",
        "tenant_id",
        "version",
    )

    def __init__(self, namespace_id: UUID, tenant_id: UUID, tenant: str, name: str, cluster_id: str) -> None:
        self.id = namespace_id
        self.tenant_id = tenant_id
        self.tenant = tenant
        self.name = name
        self.cluster_id = cluster_id
        self.auto_create_topics = False
        self.suspended = False
        self.producer_blocks: set[int] = set()  # producer id blocks bound to this namespace
        self.version = 0
        self.has_compacted = False  # whether producing has to look for such topics
        self._by_name: dict[bytes, Topic] = {}
        self._by_id: dict[bytes, Topic] = {}

    def topic(self, name: bytes) -> Topic | None:
        """A topic by its UTF-8 name."""
        return self._by_name.get(name)

    def topic_by_id(self, topic_id: bytes) -> Topic | None:
        """A topic by the 16 bytes of its id."""
        return self._by_id.get(topic_id)

    def topics(self) -> list[Topic]:
        """Every topic, by name."""
        return [self._by_name[name] for name in sorted(self._by_name)]

    def put(self, topic: Topic) -> None:
        """Show a topic; for the catalogue follower."""
        self._by_name[topic.name_bytes] = topic
        self._by_id[topic.id.bytes] = topic
        self.has_compacted = self.has_compacted or topic.log_config.compacted
        self.version += 1

    def remove(self, topic: Topic) -> None:
        """Hide a topic; for the catalogue follower."""
        self._by_id.pop(topic.id.bytes, None)
        if self._by_name.get(topic.name_bytes) is topic:
            del self._by_name[topic.name_bytes]
        self.version += 1

    def changed(self) -> None:
        """Tell caches that a topic's configuration moved."""
        self.has_compacted = any(topic.log_config.compacted for topic in self._by_id.values())
        self.version += 1
