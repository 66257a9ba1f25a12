"""What a preview foretells is what retention then does: any log, any configuration, the same clock."""

import asyncio
import dataclasses
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from coldstream.platform.broker.metrics import BrokerMetrics
from coldstream.platform.broker.namespace import Partition, Topic
from coldstream.platform.broker.tiering import Tiering
from coldstream.storage.cold_reader import ColdReader
from coldstream.storage.cold_tasks import ColdTasks
from coldstream.storage.config import LogConfig
from coldstream.storage.directory_store import DirectoryStore
from coldstream.storage.errors import BelowLocalStart
from coldstream.storage.records import Record, decode_records
from coldstream.storage.retention_effect import retention_effect
from coldstream.tests.storage.local_log import NOW_MS, TOPIC, Place, UnsyncedDisk, batch_of, read_some
from coldstream.tests.storage.memory_manifest import MemoryManifest, PartitionRow
from hypothesis import given, settings
from hypothesis import strategies as st

AGES_MS = (40, 30, 20, 10, 0)


class Tiers:
    """One partition of a broker, its background work and a clock, without the broker."""

    def __init__(self, root: Path) -> None:
        self.now_ms = NOW_MS
        self.place = Place(root, UnsyncedDisk())
        self.manifest = MemoryManifest()
        self.manifest.partitions[TOPIC, 0] = PartitionRow(1)
        worker = ColdTasks(DirectoryStore(root / "objects"), root / "cache", cache_bytes_max=2**30, cache_files_max=100)
        worker.load()
        self.reader = ColdReader(worker)
        self.log = self.place.open(segment_bytes=400)
        topic = Topic(TOPIC, UUID(int=1), "t", {}, {}, self.log._config)
        self.partition = Partition(topic, 0, self.log, 1)
        topic.partitions.append(self.partition)
        nothing: Any = None
        follower: Any = SimpleNamespace(on_configured=None)
        self.tiering = Tiering(
            nothing, nothing, self.manifest, worker, nothing, follower, BrokerMetrics(), lambda: self.now_ms, 1
        )

    def append(self, age_ms: int, count: int) -> None:
        values = [b"%d" % (self.log.end + at) * 9 for at in range(count)]
        self.log.append(batch_of(*values, first_ms=self.now_ms - age_ms, step_ms=0), self.now_ms)

    async def make(self, history: "History") -> None:
        """Segments of one age each, the last one active; the first so many cold, the first of those only there."""
        for number, (age_ms, count) in enumerate(history.segments):
            if number == history.evicted:
                await self.tiering.evict(self.partition, everything=True)
            self.append(age_ms, count)
            self.place.commit(self.log)
            if number + 1 < len(history.segments) or history.last_is_sealed:
                self.log.seal(self.now_ms)
                self.place.commit(self.log)
            if number < history.cold:
                await self.tiering.offload(self.partition, at_once=True)
        if history.unsynced:
            self.append(history.segments[-1][0], 1)
            self.log.flush()

    async def read(self) -> list[Record]:
        found: list[Record] = []
        offset = self.log.log_start
        while offset < self.log.durable:
            try:
                data = read_some(self.log, offset, 5_000)
            except BelowLocalStart:
                data = await self.reader.read(self.partition.cold, offset, 5_000)
            records = [record for record in decode_records(data) if record.offset >= offset]
            found += records
            offset = records[-1].offset + 1
        return found


@dataclasses.dataclass
class History:
    segments: list[tuple[int, int]]  # age in ms, records
    cold: int
    evicted: int
    last_is_sealed: bool
    unsynced: bool


@st.composite
def histories(draw: st.DrawFn) -> History:
    segments = draw(st.lists(st.tuples(st.sampled_from(AGES_MS), st.integers(1, 4)), min_size=2, max_size=8))
    if draw(st.integers(0, 3)):  # mostly the old ones come first, as they do
        segments.sort(reverse=True)
    cold = len(segments) - draw(st.integers(0, len(segments)))
    return History(
        segments, cold, draw(st.sampled_from([0, 0, cold // 2])), draw(st.booleans()), draw(st.integers(0, 4)) == 4
    )


AGE_LIMITS_MS = st.sampled_from([-1, 45, 35, 25, 15, 5])
LOCAL_AGE_LIMITS_MS = st.sampled_from([25, 15, 5, 0, -1])
SIZE_LIMITS = st.sampled_from([-1, -1, -1, 700, 300, 1, 0])


@given(histories(), AGE_LIMITS_MS, SIZE_LIMITS, LOCAL_AGE_LIMITS_MS, SIZE_LIMITS, st.integers(0, 4), st.integers(0, 6))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_what_is_foretold_is_what_happens(
    history: History,
    retention_ms: int,
    retention_bytes: int,
    local_retention_ms: int,
    local_retention_bytes: int,
    tiered: int,
    deleted_by_age: int,
) -> None:
    async def scenario(tiers: Tiers) -> None:
        await tiers.make(history)
        log, partition = tiers.log, tiers.partition
        config = dataclasses.replace(
            log._config,
            retention_ms=retention_ms,
            retention_bytes=retention_bytes,
            local_retention_ms=local_retention_ms,
            local_retention_bytes=local_retention_bytes,
            tiered=tiered < 4,
            deleted_by_age=deleted_by_age < 6,
        )
        records, end, visible = await tiers.read(), log.end, log.durable
        hot, cold = log.hot_bytes, partition.cold_bytes
        told = retention_effect(partition.holding(), config, tiers.now_ms)
        assert (log.hot_bytes, partition.cold_bytes, log.log_start, log.end) == (hot, cold, told.log_start_before, end)

        log.set_config(config)
        partition.topic.log_config = config
        await tiers.tiering._let_go(partition)
        assert log.log_start == told.log_start_after == tiers.manifest.partitions[TOPIC, 0].log_start
        assert hot - log.hot_bytes == told.bytes_gone_hot + told.local_bytes_evicted
        assert cold - partition.cold_bytes == told.bytes_gone_cold
        left = await tiers.read()
        assert left == [record for record in records if record.offset >= told.log_start_after]
        assert len(records) - len(left) == told.records_gone
        assert (log.end, log.durable) == (end, visible)

        tiers.append(0, 1)
        tiers.place.commit(log)
        assert (await tiers.read())[-1].offset == end
        log.close()
        tiers.place.restart()
        again = tiers.place.open(leader_epoch=2, log_start=told.log_start_after)
        assert (again.log_start, again.end, again.recovery.lost) == (told.log_start_after, end + 1, ())

    root = Path(tempfile.mkdtemp(prefix="preview-"))
    try:
        asyncio.run(scenario(Tiers(root)))
    finally:
        shutil.rmtree(root)


def test_the_default_configuration_lets_a_quiet_log_go_after_a_week(tmp_path: Path) -> None:
    async def scenario() -> None:
        tiers = Tiers(tmp_path)
        tiers.append(0, 3)
        tiers.place.commit(tiers.log)
        for days, start in ((6, 0), (8, 3)):
            tiers.now_ms = NOW_MS + days * 86_400_000
            assert retention_effect(tiers.partition.holding(), LogConfig(), tiers.now_ms).log_start_after == start

    asyncio.run(scenario())
