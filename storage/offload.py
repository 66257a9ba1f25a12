"""Move sealed segments to the cold tier, one partition at a time: prepare, upload, verify, commit.

Always true: only segments wholly below the last stable offset go; a range is uploaded again only while no committed
segment covers it; whatever fails leaves its PREPARED row to expire, so that collection removes what may have arrived.
An unknown commit is settled by asking for the row's state, and where even that fails, the partition's committed
segments are read again before anything else is done. Nothing here deletes local files or objects.
"""

import asyncio
import dataclasses
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol
from uuid import UUID

from .cold_format import epochs_within
from .cold_worker import ColdWorker, Upload
from .cold_writer import CorruptSegment
from .manifest import ColdSegment, Manifest, ManifestError, RangeTaken, SegmentState
from .retention import LocalSegment

_LOG = logging.getLogger(__name__)
UPLOADS_MAX = 2  # from prepare to commit, over all partitions: more would only wait, and their rows expire meanwhile
BACKOFF_FIRST_MS, BACKOFF_MAX_MS = 1_000, 300_000
SETTLE_TRIES, SETTLE_WAIT_S = 3, 0.5


class SealedFile(LocalSegment, Protocol):
    """A sealed, durable segment on local disk, as `Log.sealed_segments` gives it, and where its file is."""

    @property
    def path(self) -> Path: ...


class OffloadableLog(Protocol):
    """What offload needs of a partition's log."""

    topic_id: UUID
    partition: int
    leader_epoch: int
    log_start: int

    @property
    def last_stable(self) -> int: ...
    def sealed_segments(self) -> Sequence[SealedFile]: ...
    def epoch_history(self) -> tuple[tuple[int, int], ...]: ...
    def producer_snapshot_at(self, offset: int, /) -> bytes: ...


class ColdHolder(Protocol):
    """Whoever keeps the committed segments of a partition, ascending by base. Replaced as a whole, never changed."""

    cold: tuple[ColdSegment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OffloadTimes:
    """How long an upload may take, and how long what is no longer wanted stays.

    Attributes:
        put_deadline_ms: Total time of one upload, from asking the worker to the end of the put.
        prepared_ttl_ms: When a PREPARED row expires.
        grace_ms: How long readers may still use an object that was committed once.
    """

    put_deadline_ms: int = 300_000
    prepared_ttl_ms: int = 900_000
    grace_ms: int = 600_000

    def __post_init__(self) -> None:
        if not 0 < self.put_deadline_ms < self.prepared_ttl_ms or self.grace_ms < 0:
            raise ValueError(f"not possible: a prepared row has to outlive the put, and grace is not negative: {self}")


class PlannedUpload(NamedTuple):
    """Offsets [base, end) of a sealed file; nearly always all that it has."""

    file: SealedFile
    base: int
    end: int


class Backlog(NamedTuple):
    """What is sealed and stable but not cold yet."""

    segments: int = 0
    bytes: int = 0
    oldest_age_ms: int = 0

    def __add__(self, other: object) -> "Backlog":
        assert isinstance(other, Backlog)
        oldest_ms = max(self.oldest_age_ms, other.oldest_age_ms)
        return Backlog(self.segments + other.segments, self.bytes + other.bytes, oldest_ms)


class OffloadOutcome(NamedTuple):
    """What one pass over a partition did."""

    uploaded: tuple[ColdSegment, ...] = ()
    error: Exception | None = None  # what ended the pass early; the next one comes after a backoff
    corrupt: tuple[str, ...] = ()  # segments on local disk that are not what they should be: they stay there
    skipped: bool = False  # not due yet, or being worked on already


def uncovered(base: int, end: int, committed: Sequence[ColdSegment]) -> list[tuple[int, int]]:
    """The parts of [base, end) that no committed segment covers. `committed` ascends by base."""
    left = list[tuple[int, int]]()
    for segment in committed:
        if segment.end <= base or segment.base >= end:
            continue
        if segment.base > base:
            left.append((base, segment.base))
        base = max(base, segment.end)
    return [*left, (base, end)] if base < end else left


def plan_uploads(
    sealed: Iterable[SealedFile], committed: Sequence[ColdSegment], *, log_start: int, last_stable: int
) -> list[PlannedUpload]:
    """What has to be uploaded, oldest first."""
    return [
        PlannedUpload(file, base, end)
        for file in sealed
        if log_start < file.end <= last_stable and file.base < file.end
        for base, end in uncovered(file.base, file.end, committed)
        if end > log_start
    ]


def backlog_of(planned: Iterable[PlannedUpload], now_ms: int) -> Backlog:
    backlog = Backlog()
    for upload in planned:
        backlog += Backlog(1, upload.file.size_bytes, max(0, now_ms - upload.file.sealed_at_ms))
    return backlog


def backoff_ms(failures: int, chance: float) -> int:
    """How long to wait after so many failures in a row: doubling, its upper half spread by `chance` in [0, 1)."""
    longest_ms = min(BACKOFF_FIRST_MS << min(failures - 1, 20), BACKOFF_MAX_MS)
    return longest_ms // 2 + int(longest_ms / 2 * chance)


@dataclass(slots=True)
class _Standing:
    """What is remembered of a partition between passes."""

    failures: int = 0
    due_at_ms: int = 0
    running: bool = False
    stale: bool = False  # what we think is committed may not be all
    corrupt: dict[int, str] = dataclasses.field(default_factory=dict)  # base -> why


class Offload:
    """Runs passes over partitions. One per broker, on its loop.

    Args:
        now_ms: The broker's clock.
        chance: Random numbers in [0, 1), for the backoff.
    """

    def __init__(
        self,
        manifest: Manifest,
        worker: ColdWorker,
        *,
        times: OffloadTimes | None = None,
        now_ms: Callable[[], int],
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._manifest = manifest
        self._worker = worker
        self._times = times or OffloadTimes()
        self._now_ms = now_ms
        self._chance = chance
        self._sleep = sleep
        self._gate = asyncio.Semaphore(UPLOADS_MAX)
        self._standings: dict[tuple[UUID, int], _Standing] = {}

    async def run(
        self, log: OffloadableLog, holder: ColdHolder, *, gaps_allowed: bool = False, at_once: bool = False
    ) -> OffloadOutcome:
        """Uploads all that is due of one partition, oldest first, until something fails; nothing is raised for that.

        `holder.cold` grows with each commit.

        Args:
            gaps_allowed: The topic is compacted, so offsets may be missing in its files.
            at_once: Do not wait for a backoff to end.
        """
        standing = self._standings.setdefault((log.topic_id, log.partition), _Standing())
        if standing.running or (self._now_ms() < standing.due_at_ms and not at_once):
            return OffloadOutcome(skipped=True)
        standing.running = True
        uploaded = list[ColdSegment]()
        try:
            await self._settle(log, holder, standing)
            for upload in self._planned(log, holder):
                if upload.base not in standing.corrupt:
                    segment = await self._upload_or_report(log, upload, standing, gaps_allowed)
                    if segment is not None:
                        uploaded.append(segment)
                        holder.cold = with_segment(holder.cold, segment)
            standing.failures = standing.due_at_ms = 0
            return OffloadOutcome(tuple(uploaded), None, tuple(standing.corrupt.values()))
        except Exception as error:
            self._put_off(log, standing, error)
            return OffloadOutcome(tuple(uploaded), error, tuple(standing.corrupt.values()))
        finally:
            standing.running = False

    async def settle(self, log: OffloadableLog, holder: ColdHolder) -> None:
        """Makes `holder.cold` all that is committed, where the outcome of a commit was left unknown.

        Whoever rewrites local files asks first: what may be cold is not theirs to change. Raises as the manifest does.
        """
        standing = self._standings.get((log.topic_id, log.partition))
        if standing is not None and not standing.running:
            await self._settle(log, holder, standing)

    async def _settle(self, log: OffloadableLog, holder: ColdHolder, standing: _Standing) -> None:
        if standing.stale:
            holder.cold = tuple(await self._manifest.committed(log.topic_id, log.partition))
            standing.stale = False

    def _put_off(self, log: OffloadableLog, standing: _Standing, error: Exception) -> None:
        standing.stale = standing.stale or isinstance(error, RangeTaken)
        standing.failures += 1
        wait_ms = backoff_ms(standing.failures, self._chance())
        standing.due_at_ms = self._now_ms() + wait_ms
        where, why = f"{log.topic_id}/{log.partition}", f"{type(error).__name__}: {error}"
        _LOG.warning("offload of %s failed, next try in %d ms: %s", where, wait_ms, why)

    def _planned(self, log: OffloadableLog, holder: ColdHolder) -> list[PlannedUpload]:
        return plan_uploads(log.sealed_segments(), holder.cold, log_start=log.log_start, last_stable=log.last_stable)

    def backlog(self, log: OffloadableLog, holder: ColdHolder) -> Backlog:
        """What a pass over this partition would find to do, corrupt segments included."""
        return backlog_of(self._planned(log, holder), self._now_ms())

    async def retire(self, log: OffloadableLog, holder: ColdHolder, log_start: int) -> int:
        """Moves the log start up for good, then marks the segments wholly below it; answers the log start as it is.

        `holder.cold` keeps the others. Hand the answer to `Log.advance_log_start`. Raises Fenced, or whatever leaves
        the outcome unknown: then nothing is lost by doing it again.
        """
        now = await self._manifest.advance_log_start(log.topic_id, log.partition, log.leader_epoch, log_start)
        below = [segment for segment in holder.cold if segment.end <= now]
        if below:
            await self._manifest.mark(below, leader_epoch=log.leader_epoch)
            holder.cold = tuple(segment for segment in holder.cold if segment.end > now)
        return now

    def forget_topic(self, topic_id: UUID) -> None:
        """The topic is gone: so is what was remembered of its partitions."""
        for key in [key for key in self._standings if key[0] == topic_id]:
            del self._standings[key]

    async def _upload_or_report(
        self, log: OffloadableLog, upload: PlannedUpload, standing: _Standing, gaps_allowed: bool
    ) -> ColdSegment | None:
        """The committed segment; None for a local file that is not fit to be one, which the next passes leave out."""
        try:
            async with self._gate:
                return await self._upload(log, upload, standing, gaps_allowed)
        except CorruptSegment as error:
            standing.corrupt[upload.base] = str(error)
            _LOG.error("segment not offloaded, and kept on local disk: %s", error)
            return None

    async def _upload(
        self, log: OffloadableLog, planned: PlannedUpload, standing: _Standing, gaps_allowed: bool
    ) -> ColdSegment:
        file, base, end = planned
        snapshot = await asyncio.to_thread(log.producer_snapshot_at, end) if end == file.end else b""
        ttl_ms = self._times.prepared_ttl_ms
        row = await self._manifest.prepare(log.topic_id, log.partition, log.leader_epoch, base, end, ttl_ms)
        done = await self._worker.upload(
            Upload(
                object_id=row.object_id,
                key=row.key,
                topic_id=log.topic_id,
                partition=log.partition,
                leader_epoch=row.leader_epoch,
                base=base,
                end=end,
                path=str(file.path),
                log_bytes=file.size_bytes,
                gaps_allowed=gaps_allowed,
                epochs=epochs_within(log.epoch_history(), base, end),
                producer_snapshot=snapshot,
                aborted=(),  # no transaction is accepted yet, so none was aborted
                created_ms=self._now_ms(),
                deadline_ms=self._times.put_deadline_ms,
            )
        )
        segment = dataclasses.replace(
            row,
            size_bytes=done.size_bytes,
            tail_bytes=done.tail_bytes,
            raw_bytes=done.raw_bytes,
            first_timestamp_ms=done.first_timestamp_ms,
            max_timestamp_ms=done.max_timestamp_ms,
        )
        await self._commit(segment, standing)
        return dataclasses.replace(segment, state=SegmentState.COMMITTED, committed_at_ms=self._now_ms())

    async def _commit(self, segment: ColdSegment, standing: _Standing) -> None:
        try:
            await self._manifest.commit(segment)
        except ManifestError:
            raise
        except Exception as error:
            standing.stale = True  # until we know better
            if await self._settled_state(segment.object_id) is not SegmentState.COMMITTED:
                raise
            standing.stale = False
            _LOG.warning("commit of %s did happen, although it ended in: %s", segment.key, error)

    async def _settled_state(self, object_id: UUID) -> SegmentState | None:
        """Asks a few times, since what broke the commit may break the question too. Raises what the last one raised."""
        for _ in range(SETTLE_TRIES - 1):
            try:
                return await self._manifest.state_of(object_id)
            except Exception as error:
                _LOG.info("asking for the state of an object again: %s", error)
                await self._sleep(SETTLE_WAIT_S)
        return await self._manifest.state_of(object_id)


def with_segment(committed: Sequence[ColdSegment], segment: ColdSegment) -> tuple[ColdSegment, ...]:
    """The segments and one more, ascending by base."""
    return tuple(sorted((*committed, segment), key=lambda each: each.base))
