"""The log against a list: any mix of appends, rolls, rounds, restarts, kills, power losses and disk errors.

Visible records survive, in order, under their offsets, and nothing that was visible ever changes.
"""

import errno
import random
import shutil
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from coldstream.storage.errors import OutOfOrderSequence, WriteFailed
from coldstream.storage.log import Log
from coldstream.storage.violations import violations
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ..faults.lossy_disk import LossyDisk
from .local_log import NOW_MS, Place, batch_of, read_all

CONFIG = {"segment_bytes": 700, "index_interval_bytes": 100}


@dataclass
class Sent:
    """A batch of an idempotent producer."""

    first_sequence: int
    values: list[bytes]
    base_offset: int
    last_offset: int


@dataclass
class Producer:
    id: int
    tried: list[Sent] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)  # those that are in the log

    @property
    def next_sequence(self) -> int:
        return self.sent[-1].first_sequence + len(self.sent[-1].values) if self.sent else 0


class LogMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="log-machine-"))
        self.disk = LossyDisk(str(self.root))
        self.place = Place(self.root, self.disk, limit=16)
        self.epoch = 0
        self.model: list[bytes] = []  # value by offset
        self.tried: dict[int, set[bytes]] = defaultdict(set)  # a write that was cut back may return with a power loss
        self.flushed = 0
        self.visible = 0  # everything below was readable once
        self.producers = [Producer(1000), Producer(1001)]
        self.serial = 0
        self.round: tuple[int, list] | None = None
        self.log = self.open()

    def teardown(self) -> None:
        self.disk.kill()
        shutil.rmtree(self.root)

    def open(self) -> Log:
        self.epoch += 1
        self.round = None
        self.place.restart()
        return self.place.open(leader_epoch=self.epoch, now_ms=NOW_MS, **CONFIG)

    def fresh(self, count: int) -> list[bytes]:
        self.serial += 1
        return [b"%d.%d." % (self.serial, i) + b"x" * (self.serial * 7 % 40) for i in range(count)]

    # --- writing

    @rule(count=st.integers(1, 4), codec=st.sampled_from(["none", "none", "gzip", "lz4", "zstd", "snappy"]))
    def append(self, count: int, codec: str) -> None:
        values = self.fresh(count)
        found = self.log.append(batch_of(*values, compression=codec), NOW_MS)
        assert (found.base_offset, found.duplicate) == (len(self.model), False)
        self.add(values)

    def add(self, values: list[bytes]) -> None:
        for value in values:
            self.tried[len(self.model)].add(value)
            self.model.append(value)

    @rule(which=st.integers(0, 1), count=st.integers(1, 3))
    def append_idempotent(self, which: int, count: int) -> None:
        producer, values = self.producers[which], self.fresh(count)
        first = producer.next_sequence
        found = self.log.append(self.idempotent(producer, first, values), NOW_MS)
        assert (found.base_offset, found.duplicate) == (len(self.model), False)
        sent = Sent(first, values, found.base_offset, found.last_offset)
        producer.sent.append(sent)
        producer.tried.append(sent)
        self.add(values)

    def idempotent(self, producer: Producer, first: int, values: list[bytes]) -> memoryview:
        return batch_of(*values, producer_id=producer.id, producer_epoch=0, base_sequence=first)

    @rule(which=st.integers(0, 1), back=st.integers(1, 5))
    def repeat(self, which: int, back: int) -> None:
        producer = self.producers[which]
        if len(producer.sent) >= back:
            again = producer.sent[-back]
            found = self.log.append(self.idempotent(producer, again.first_sequence, again.values), NOW_MS)
            assert (found.base_offset, found.last_offset, found.duplicate) == (
                again.base_offset,
                again.last_offset,
                True,
            )

    @rule(which=st.integers(0, 1))
    def skip_a_sequence(self, which: int) -> None:
        producer = self.producers[which]
        if producer.sent:
            with pytest.raises(OutOfOrderSequence):
                self.log.append(self.idempotent(producer, producer.next_sequence + 1, [b"early"]), NOW_MS)

    @rule()
    def flush(self) -> None:
        self.log.flush()
        self.flushed = len(self.model)

    @rule(kept_bytes=st.integers(0, 300), code=st.sampled_from([errno.ENOSPC, errno.EIO]))
    def flush_fails(self, kept_bytes: int, code: int) -> None:
        if self.log.is_flushed:
            return
        self.disk.fail("writev", code, bytes_written=kept_bytes)
        try:
            self.log.flush()
            self.flushed = len(self.model)
        except WriteFailed:
            self.forget_from(self.flushed)
        self.disk.heal()

    @rule()
    def seal(self) -> None:
        self.flush()
        self.log.seal(NOW_MS)

    # --- rounds

    @precondition(lambda self: self.round is None)
    @rule()
    def begin_round(self) -> None:
        self.place.rounds.dirty(self.log)
        self.round = self.place.rounds.capture()
        self.captured = self.flushed

    @precondition(lambda self: self.round is not None)
    @rule()
    def end_round(self) -> None:
        number, captures = self.round
        self.place.rounds.sync(captures)
        self.place.rounds.publish(number, captures)
        self.round = None
        self.visible = max(self.visible, self.captured)

    @rule()
    def commit(self) -> None:
        if self.round is None:
            self.flush()
            self.begin_round()
        self.end_round()

    @rule()
    def checkpoint(self) -> None:
        self.log.checkpoint(NOW_MS)

    @rule(part=st.floats(0, 1))
    def drop_local(self, part: float) -> None:
        self.log.drop_local_below(int(self.visible * part))

    @rule()
    def let_everything_go(self) -> None:
        """As retention does when the newest record is past its time: the active segment is sealed and goes too."""
        if self.round is None and self.log.is_flushed and self.log.durable == self.log.end:
            end = self.log.end
            self.log.seal(NOW_MS)
            self.log.drop_local_below(end)
            assert (self.log.local_start, self.log.end, self.log.hot_bytes) == (end, end, 0)

    # --- trouble

    @rule()
    def restart(self) -> None:
        if self.round is None:
            self.log.close(clean=True, now_ms=NOW_MS)
            self.came_back(at_least=len(self.model), at_most=len(self.model))

    @rule()
    def kill(self) -> None:
        self.disk.kill()
        self.came_back(at_least=self.flushed, at_most=self.flushed)

    @rule(seed=st.integers(0, 2**32))
    def lose_power(self, seed: int) -> None:
        self.disk.crash(random.Random(seed))
        self.came_back(at_least=self.visible, at_most=len(self.tried))

    @rule(seed=st.integers(0, 2**32), syncs=st.integers(1, 3))
    def fail_a_sync_then_lose_power(self, seed: int, syncs: int) -> None:
        """After a failed fsync the process exits; what it then re-reads as visible survives the next power loss."""
        self.flush()
        self.disk.fail("fdatasync", errno.EIO, times=syncs)
        self.place.rounds.dirty(self.log)
        try:
            self.place.rounds.run_once()
            self.visible = self.flushed
        except OSError:
            pass
        self.disk.heal()
        self.disk.kill()
        self.came_back(at_least=self.flushed, at_most=self.flushed)
        self.disk.crash(random.Random(seed))
        self.came_back(at_least=self.flushed, at_most=len(self.tried))

    @rule(
        seed=st.integers(0, 2**32),
        calls=st.integers(0, 40),
        what=st.sampled_from(["rename", "pwrite", "unlink", "ftruncate", "sync_directory", "fdatasync"]),
    )
    def lose_power_during_recovery(self, seed: int, calls: int, what: str) -> None:
        rng = random.Random(seed)
        self.disk.crash(rng)
        self.disk.fail(what, errno.EIO, after=calls)
        try:
            opened = self.open()
        except OSError:
            opened = None
        self.disk.heal()
        if opened is not None:
            self.log = opened
            self.take_over()
        self.disk.crash(rng)
        self.came_back(at_least=self.visible, at_most=len(self.tried))

    @rule(
        seed=st.integers(0, 2**32),
        calls=st.integers(0, 8),
        what=st.sampled_from(["rename", "pwrite", "sync_directory", "fdatasync"]),
        power=st.booleans(),
    )
    def an_interrupted_close(self, seed: int, calls: int, what: str, power: bool) -> None:
        if self.round is not None:
            return
        self.disk.fail(what, errno.EIO, after=calls)
        try:
            self.log.close(clean=True, now_ms=NOW_MS)
            self.visible = len(self.model)
        except OSError:
            pass
        self.disk.heal()
        self.flushed = len(self.model)
        if power:
            self.disk.crash(random.Random(seed))
            self.came_back(at_least=self.visible, at_most=len(self.tried))
        else:
            self.disk.kill()
            self.came_back(at_least=self.flushed, at_most=self.flushed)

    def came_back(self, at_least: int, at_most: int) -> None:
        self.log = self.open()
        assert at_least <= self.log.end <= at_most
        assert self.log.durable == self.log.end
        assert not self.log.recovery.lost
        self.take_over()

    def take_over(self) -> None:
        """What was visible is there unchanged; above it, the model accepts anything that was written there once."""
        left = self.model[: self.visible]
        for record in read_all(self.log, offset=max(self.visible, self.log.local_start)):
            assert record.offset == len(left) and record.value in self.tried[record.offset]
            left.append(record.value)
        assert len(left) == self.log.end
        self.forget_from(0)
        self.model = left
        for producer in self.producers:
            producer.sent = [
                sent for sent in producer.tried if left[sent.base_offset : sent.last_offset + 1] == sent.values
            ]
        self.flushed = self.visible = self.log.end

    def forget_from(self, end: int) -> None:
        del self.model[end:]
        for producer in self.producers:
            producer.sent = [sent for sent in producer.sent if sent.last_offset < end]

    # --- what has to hold

    @invariant()
    def the_log_equals_the_model(self) -> None:
        log = self.log
        assert log.end == len(self.model)
        assert log.durable == self.visible <= self.flushed
        records = read_all(log, max_bytes=200 + self.serial % 300)
        assert [record.offset for record in records] == list(range(log.local_start, self.visible))
        assert [record.value for record in records] == self.model[log.local_start : self.visible]

    @invariant()
    def the_checker_finds_nothing(self) -> None:
        assert list(violations(self.log)) == []

    @rule(at=st.floats(0, 1), max_bytes=st.integers(0, 500))
    def read(self, at: float, max_bytes: int) -> None:
        if self.log.local_start < self.visible:
            offset = self.log.local_start + int((self.visible - self.log.local_start - 1) * at)
            records = read_all(self.log, max_bytes, offset)
            assert [record.value for record in records] == self.model[offset : self.visible]


TestLogMachine = LogMachine.TestCase
TestLogMachine.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
