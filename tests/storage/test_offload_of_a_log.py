"""A real log over both tiers: what was appended is read back while segments leave local disk, and then for good."""

import asyncio
import dataclasses
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from coldstream.storage.cold_reader import ColdReader
from coldstream.storage.cold_tasks import ColdTasks
from coldstream.storage.collection import Collector
from coldstream.storage.directory_store import INCOMING, DirectoryStore
from coldstream.storage.errors import BelowLocalStart
from coldstream.storage.log import Log
from coldstream.storage.manifest import ColdSegment
from coldstream.storage.offload import Offload, OffloadTimes
from coldstream.storage.records import Record, decode_records
from coldstream.storage.retention import Holding, cold_end, plan_local_eviction, plan_log_start

from .local_log import NOW_MS, TOPIC, Place, batch_of, read_some
from .memory_manifest import MemoryManifest, PartitionRow

TIMES = OffloadTimes(grace_ms=0)
SEGMENT_BYTES = 20_000


@dataclasses.dataclass
class Tiered:
    """What a broker has of one partition."""

    log: Log
    offload: Offload
    collector: Collector
    reader: ColdReader
    manifest: MemoryManifest
    objects: Path
    cold: tuple[ColdSegment, ...] = ()

    async def read(self, offset: int) -> list[Record]:
        """Everything from an offset on, from whichever tier has it."""
        found = list[Record]()
        while offset < self.log.durable:
            try:
                data = read_some(self.log, offset, 5_000)
            except BelowLocalStart:
                data = await self.reader.read(self.cold, offset, 5_000)
            records = [record for record in decode_records(data) if record.offset >= offset]
            found += records
            offset = records[-1].offset + 1
        return found

    def evict(self, *, keep_bytes: int) -> None:
        config = dataclasses.replace(self.log._config, local_retention_bytes=keep_bytes)
        self.log.drop_local_below(plan_local_eviction(self.holding(), config, NOW_MS))

    def holding(self) -> Holding:
        log = self.log
        return Holding(log_start=log.log_start, durable=log.durable, cold=self.cold, sealed=log.sealed_segments())


@asynccontextmanager
async def tiered(root: Path) -> AsyncIterator[tuple[Tiered, Place]]:
    place = Place(root)
    manifest, store = MemoryManifest(), DirectoryStore(root / "objects")
    manifest.partitions[TOPIC, 0] = PartitionRow(1)
    tasks = ColdTasks(store, root / "cache", cache_bytes_max=2**30, cache_files_max=100)
    tasks.load()
    offload = Offload(manifest, tasks, times=TIMES, now_ms=lambda: NOW_MS)
    collector = Collector(manifest, tasks.delete, times=TIMES, late_put_margin_ms=0)
    log = place.open(segment_bytes=SEGMENT_BYTES)
    try:
        yield Tiered(log, offload, collector, ColdReader(tasks), manifest, root / "objects"), place
    finally:
        await tasks.close()


def produce(log: Log, place: Place, seed: int, batches: int) -> list[Record]:
    rng, sent = random.Random(seed), list[Record]()
    for number in range(batches):
        values = [rng.randbytes(rng.randrange(600)) for _ in range(rng.randrange(1, 6))]
        compression = rng.choice(("none", "lz4", "gzip"))
        batch = batch_of(*values, first_ms=NOW_MS + 1_000 * number, compression=compression)
        base = log.append(batch, NOW_MS).base_offset
        sent += [Record(base + n, NOW_MS + 1_000 * number + n, None, value) for n, value in enumerate(values)]
        if rng.random() < 0.3:
            place.commit(log)
    place.commit(log)
    return sent


@pytest.mark.parametrize("seed", range(3))
def test_a_log_reads_the_same_wherever_its_segments_are(tmp_path: Path, seed: int) -> None:
    async def scenario() -> None:
        async with tiered(tmp_path) as (tier, place):
            sent = produce(tier.log, place, seed, batches=150)
            assert len(tier.log.sealed_segments()) > 5
            assert await tier.read(0) == sent
            outcome = await tier.offload.run(tier.log, tier)
            assert outcome.error is None and not outcome.corrupt
            assert tier.offload.backlog(tier.log, tier).segments == 0
            for keep_bytes in (10 * SEGMENT_BYTES, 2 * SEGMENT_BYTES, 0):
                tier.evict(keep_bytes=keep_bytes)
                assert await tier.read(0) == sent
            assert tier.log.sealed_segments() == () and tier.log.local_start == cold_end(tier.cold, 0) > 0
            tier.log.seal()
            place.commit(tier.log)
            await tier.offload.run(tier.log, tier)
            tier.evict(keep_bytes=0)
            assert tier.log.local_start == tier.log.end
            for record in random.Random(seed).sample(sent, 20):
                assert (await tier.read(record.offset))[0] == record
                found = await tier.reader.offset_for_timestamp(tier.cold, record.timestamp_ms)
                assert found == next(r[:2] for r in sent if r.timestamp_ms >= record.timestamp_ms)

    asyncio.run(scenario())


def test_nothing_leaves_local_disk_that_is_not_committed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with tiered(tmp_path) as (tier, place):
            sent = produce(tier.log, place, 1, batches=100)

            def failing(method: str) -> None:
                if method == "commit" and len(tier.cold) == 2:
                    raise ConnectionError("gone")

            tier.manifest.before = failing
            assert isinstance((await tier.offload.run(tier.log, tier)).error, ConnectionError)
            tier.evict(keep_bytes=0)
            assert tier.log.local_start == tier.cold[-1].end and len(tier.cold) == 2
            assert await tier.read(0) == sent

    asyncio.run(scenario())


def test_what_retention_removes_leaves_no_object_row_or_empty_directory(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with tiered(tmp_path) as (tier, place):
            sent = produce(tier.log, place, 2, batches=120)
            await tier.offload.run(tier.log, tier)
            tier.evict(keep_bytes=0)
            config = dataclasses.replace(tier.log._config, retention_bytes=2 * SEGMENT_BYTES)
            plan = plan_log_start(tier.holding(), config, NOW_MS)
            assert 0 < plan < tier.log.local_start
            tier.log.advance_log_start(await tier.offload.retire(tier.log, tier, plan))
            await tier.collector.run()
            assert await tier.read(tier.log.log_start) == [record for record in sent if record.offset >= plan]
            assert len(tier.manifest.rows) == len(tier.cold) == sum(1 for _ in tier.objects.rglob("*.seg"))
            await tier.manifest.mark_topic(TOPIC)
            await tier.collector.run()
            assert tier.manifest.rows == {}
            assert [path.name for path in tier.objects.iterdir()] == [INCOMING]

    asyncio.run(scenario())
