"""A compacted log against a list: keyed appends, tombstones, rolls, passes, and every way for a pass to end early.

What is read is what was written under that offset; the newest value of each key is there; a tombstone goes only after
its time, and never before what it hides.
"""

import asyncio
import contextlib
import errno
import random
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from coldstream.storage.batch import iterate_headers
from coldstream.storage.cleaner import Cleaner
from coldstream.storage.cleaning import Clean, Cleaned, CompactionFailed
from coldstream.storage.compactor import CompactionOutcome, compact, estimate
from coldstream.storage.config import LogConfig
from coldstream.storage.log import Log
from coldstream.storage.records import Record, build_batch, decode_records
from coldstream.storage.violations import violations
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ..faults.lossy_disk import LossyDisk
from .local_log import NOW_MS, Place, read_some

DELETE_RETENTION_MS = 1_000
CONFIG = {
    "segment_bytes": 600,
    "index_interval_bytes": 100,
    "compacted": True,
    "delete_retention_ms": DELETE_RETENTION_MS,
    "timestamp_before_max_ms": 2**62,
}
KEYS = [b"a", b"b", b"c", b"d"]
CODECS = ["none", "none", "gzip", "lz4", "zstd", "snappy"]


class Kept(NamedTuple):
    key: bytes
    value: bytes | None
    timestamp_ms: int


def read_whole(log: Log, max_bytes: int = 2**20) -> list[Record]:
    """Every record, over gaps and batches without records, as a client goes on: behind the last batch."""
    at, found = max(log.log_start, log.local_start), []
    while raw := read_some(log, at, max_bytes):
        found += [record for record in decode_records(raw) if record.offset >= at]
        at = max(header.end_offset for _, header in iterate_headers(raw))
    return found


class HereCleaner:
    """The cold worker's part, in this process."""

    def __init__(self, disk: LossyDisk) -> None:
        self.disk = disk
        self.restart()

    def restart(self) -> None:
        self.cleaner = Cleaner(self.disk)

    async def clean(self, request: Clean) -> Cleaned:
        return self.cleaner.clean(request)


class CompactedLogMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="compacted-log-"))
        self.disk = LossyDisk(str(self.root))
        self.place = Place(self.root, self.disk, limit=16)
        self.cleaner = HereCleaner(self.disk)
        self.now_ms = NOW_MS
        self.epoch = self.serial = 0
        self.model: list[Kept] = []  # by offset, whether or not it was compacted away; all of it is visible
        self.covered = 0  # passes were begun over everything below
        self.first_covered_ms: dict[int, int] = {}  # offset -> when a pass first covered it
        self.sent: dict[int, tuple[int, list[Record], int]] = {}  # producer -> first sequence, records, base offset
        self.log = self.open()

    def teardown(self) -> None:
        self.disk.kill()
        shutil.rmtree(self.root)

    def open(self) -> Log:
        self.epoch += 1
        self.place.restart()
        self.cleaner.restart()
        return self.place.open(leader_epoch=self.epoch, now_ms=self.now_ms, **CONFIG)

    # --- what happens

    @rule(
        records=st.lists(st.tuples(st.sampled_from(KEYS), st.booleans()), min_size=1, max_size=4),
        codec=st.sampled_from(CODECS),
        producer=st.sampled_from([-1, 1000, 1001]),
    )
    def append(self, records: list[tuple[bytes, bool]], codec: str, producer: int) -> None:
        made = []
        for key, is_value in records:
            self.serial += 1
            value = b"%d." % self.serial + b"x" * (self.serial * 7 % 60) if is_value else None
            made.append(Record(0, self.now_ms - self.serial % 5, key, value))
        first = 0
        if producer in self.sent:
            first = self.sent[producer][0] + len(self.sent[producer][1])
        found = self.log.append(self.batch(made, codec, producer, first), self.now_ms)
        assert (found.base_offset, found.duplicate) == (len(self.model), False)
        if producer >= 0:
            self.sent[producer] = (first, made, found.base_offset)
        self.model += [Kept(record.key or b"", record.value, record.timestamp_ms) for record in made]
        self.place.commit(self.log)

    def batch(self, records: list[Record], codec: str, producer: int, first: int) -> memoryview:
        epoch, sequence = (0, first) if producer >= 0 else (-1, -1)
        built = build_batch(
            records, compression=codec, producer_id=producer, producer_epoch=epoch, base_sequence=sequence
        )
        return memoryview(bytearray(built))

    @rule(producer=st.sampled_from([1000, 1001]))
    def repeat(self, producer: int) -> None:
        if producer in self.sent:
            first, records, base = self.sent[producer]
            found = self.log.append(self.batch(records, "none", producer, first), self.now_ms)
            assert (found.base_offset, found.duplicate) == (base, True)

    @rule()
    def seal(self) -> None:
        self.log.seal(self.now_ms)
        self.place.commit(self.log)

    @rule(by_ms=st.sampled_from([1, DELETE_RETENTION_MS // 2, DELETE_RETENTION_MS]))
    def time_passes(self, by_ms: int) -> None:
        self.now_ms += by_ms

    def run_pass(self, keys_max: int = 100) -> CompactionOutcome:
        end = self.log.segments[-1].base
        for offset in range(self.covered, end):
            self.first_covered_ms[offset] = self.now_ms
        self.covered = max(self.covered, end)
        outcome = CompactionOutcome()
        config = LogConfig(**CONFIG)
        asyncio.run(compact(self.log, self.cleaner, config, self.now_ms, outcome, keys_max=keys_max))
        return outcome

    @rule(keys_max=st.sampled_from([1, 2, 3, 100, 100, 100]))
    def compact(self, keys_max: int) -> None:
        before = self.log.clean_below
        outcome = self.run_pass(keys_max)
        end = self.log.segments[-1].base
        if keys_max >= len(KEYS):
            assert not outcome.passes or self.log.clean_below >= end or not self.model
        elif outcome.passes and before < end:
            assert self.log.clean_below > before

    @rule()
    def guess(self) -> None:
        config = LogConfig(**CONFIG)
        before = sorted(self.place.names())
        found = asyncio.run(estimate(self.log, self.cleaner, config, self.now_ms))
        assert sorted(self.place.names()) == before
        assert found.records == len(read_whole(self.log)) and not found.partial
        assert found.records_removable <= found.records

    # --- trouble

    @rule()
    def restart(self) -> None:
        self.log.close(clean=True, now_ms=self.now_ms)
        self.log = self.open()

    @rule()
    def kill(self) -> None:
        self.disk.kill()
        self.log = self.open()

    @rule(seed=st.integers(0, 2**32))
    def lose_power(self, seed: int) -> None:
        self.disk.crash(random.Random(seed))
        self.log = self.open()

    @rule(
        seed=st.integers(0, 2**32),
        calls=st.integers(0, 12),
        what=st.sampled_from(["rename", "unlink", "sync_directory", "fsync", "fdatasync", "pwrite", "open", "pread"]),
        how=st.sampled_from(["goes on", "kill", "power"]),
    )
    def a_pass_is_cut_off(self, seed: int, calls: int, what: str, how: str) -> None:
        self.disk.fail(what, errno.EIO, after=calls)
        with contextlib.suppress(CompactionFailed, OSError):
            self.run_pass()
        self.disk.heal()
        if how == "power":
            self.disk.crash(random.Random(seed))
        elif how == "kill":
            self.disk.kill()
        if how != "goes on":
            self.log = self.open()
            assert not any(name.endswith(".cleaned") for name in self.place.names())

    @rule(suffixes=st.sets(st.sampled_from([".snapshot", ".index", ".timeindex", "cleaner-offset-checkpoint"])))
    def side_files_are_lost(self, suffixes: set[str]) -> None:
        self.disk.kill()
        for name in self.place.names():
            if name.endswith(tuple(suffixes)):
                self.disk.unlink(str(self.place.directory() / name))
        if self.place.directory().exists():
            self.disk.sync_directory(str(self.place.directory()))
        self.log = self.open()

    # --- what has to hold

    @invariant()
    def it_is_a_compacted_log(self) -> None:
        self.found = {record.offset: record for record in read_whole(self.log, 100 + self.serial % 300)}
        self.what_is_read_is_what_was_written()
        self.the_newest_of_each_key_is_there()
        self.what_is_clean_has_each_key_once()

    def what_is_read_is_what_was_written(self) -> None:
        assert self.log.end == self.log.durable == len(self.model)
        assert not self.log.recovery.lost and not self.log.recovery.quarantined
        for offset, record in self.found.items():
            assert Kept(record.key or b"", record.value, record.timestamp_ms) == self.model[offset]
        assert list(self.found) == sorted(self.found)
        assert all(offset in self.found for offset in range(self.covered, len(self.model)))

    def the_newest_of_each_key_is_there(self) -> None:
        for key in KEYS:
            offsets = [offset for offset, kept in enumerate(self.model) if kept.key == key]
            there = [offset for offset in offsets if offset in self.found]
            if not offsets or offsets[-1] in there:
                continue
            newest = offsets[-1]
            assert self.model[newest].value is None, f"the newest value of {key!r}, offset {newest}, is gone"
            assert not there, f"the tombstone of {key!r}, offset {newest}, is gone, and {there} are not"
            assert self.now_ms - self.first_covered_ms[newest] >= DELETE_RETENTION_MS

    def what_is_clean_has_each_key_once(self) -> None:
        clean = [offset for offset in self.found if offset < self.log.clean_below]
        assert len({self.model[offset].key for offset in clean}) == len(clean)

    @invariant()
    def the_checker_finds_nothing(self) -> None:
        assert list(violations(self.log)) == []


TestCompactedLogMachine = CompactedLogMachine.TestCase
TestCompactedLogMachine.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
