"""One pass of compaction over a log: have each segment rewritten, oldest first, and put the new one into its place.

Always true: a pass that ends early, wherever, leaves a log that can be read and compacted again; what a pass did is
noted as clean only when all of it is done. Reading and writing go to a cleaner elsewhere, waiting for the disk to
threads; on the loop there is only what follows from the answers.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from uuid import uuid4

from .cleaning import Clean, Cleaned, SegmentCleaner, SegmentFile
from .compaction import CompactionPlan
from .config import LogConfig
from .log import Log
from .offset_map import KEYS_MAX
from .readable_log import SealedSegment
from .segment import LOG_SUFFIX

ESTIMATE_BYTES_MAX = 256 * 2**20


@dataclass(slots=True, kw_only=True)
class CompactionOutcome:
    """What passes over one log did; it grows while they run."""

    passes: int = 0
    segments: int = 0  # gone through
    segments_rewritten: int = 0
    records_before: int = 0
    records_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    unreadable_batches: int = 0

    def add(self, cleaned: Cleaned, replaced: bool) -> None:
        """One more segment."""
        self.segments += 1
        self.segments_rewritten += replaced
        self.records_before += cleaned.records_before
        self.records_after += cleaned.records
        self.bytes_before += cleaned.bytes_before
        self.bytes_after += cleaned.size_bytes
        self.unreadable_batches += cleaned.unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionEstimate:
    """What a pass would take away from a log now, of the records that were looked at.

    `partial`: the log has more bytes, or more keys, than one look takes; then the figures are of its newest part.
    """

    records: int = 0
    records_removable: int = 0
    bytes: int = 0
    bytes_removable: int = 0
    partial: bool = False


async def compact(
    log: Log,
    cleaner: SegmentCleaner,
    config: LogConfig,
    now_ms: int,
    outcome: CompactionOutcome,
    *,
    cold_end: int = 0,
    is_wanted: Callable[[CompactionPlan], bool] = lambda plan: True,
    on_segment: Callable[[], object] = lambda: None,
    keys_max: int = KEYS_MAX,
) -> bool:
    """One pass, if it is wanted; whether something is left to clean. Raises CompactionFailed, LogError, OSError.

    `outcome` grows with each segment, of which `on_segment` then tells.
    """
    await asyncio.to_thread(log.checkpoint, now_ms)  # only what a restart would not read again may be rewritten
    plan = await asyncio.to_thread(log.plan_compaction, now_ms, cold_end)
    if not plan.targets or not is_wanted(plan):
        return False
    await asyncio.to_thread(log.begin_compaction)
    outcome.passes += 1
    dirty, map_end = plan.dirty, plan.dirty_to
    pass_id, tombstones_may_go = uuid4(), plan.tombstones_may_go
    for target, following in zip_longest(plan.targets, plan.targets[1:]):
        if target.base >= map_end:
            break
        request = Clean(
            pass_id=pass_id,
            dirty=tuple(map(file_of, dirty)),
            dirty_from=plan.dirty_from,
            dirty_to=map_end,
            target=file_of(target),
            write=True,
            now_ms=now_ms,
            delete_retention_ms=config.delete_retention_ms,
            tombstones_may_go=tombstones_may_go,
            kept_ends=within(log.producers_last_offsets(), target),
            index_interval_bytes=config.index_interval_bytes,
            keys_max=keys_max,
            is_last=following is None or following.base >= map_end,
        )
        cleaned = await cleaner.clean(request)
        map_end = cleaned.map_end
        tombstones_may_go = tombstones_may_go and not cleaned.unreadable
        replaced = cleaned.changed and await to_its_end(
            asyncio.to_thread(log.replace_segment, target.base, target.size_bytes, cleaned)
        )
        if replaced and target in plan.dirty:  # should the map have to be made again, then from what is there now
            bases = {each.base for each in plan.dirty}
            present = await asyncio.to_thread(log.sealed_segments)
            dirty = tuple(each for each in present if each.base in bases)
        outcome.add(cleaned, replaced)
        on_segment()
    await asyncio.to_thread(log.mark_clean, map_end)
    return bool((await asyncio.to_thread(log.plan_compaction, now_ms, cold_end)).dirty)


async def to_its_end(work: Coroutine[object, object, bool]) -> bool:
    """What work on a thread comes to; who is cancelled meanwhile still waits for it, since it goes on in any case."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


async def estimate(
    log: Log, cleaner: SegmentCleaner, config: LogConfig, now_ms: int, *, cold_end: int = 0, keys_max: int = KEYS_MAX
) -> CompactionEstimate:
    """What sealing and compacting the log would take away; nothing is changed. Raises CompactionFailed, LogError."""
    files = [
        file_of(each)
        for each in await asyncio.to_thread(log.sealed_segments)
        if each.base >= cold_end and each.end > log.log_start
    ]
    active = log.segments[-1]
    position, offset = active.durable
    if position and active.base >= cold_end:
        files.append(SegmentFile(path=active.path(LOG_SUFFIX), base=active.base, end=offset, size_bytes=position))
    looked_at = newest_part(files, ESTIMATE_BYTES_MAX)
    found, is_partial, pass_id = CompactionOutcome(), len(looked_at) < len(files), uuid4()
    for target in looked_at:
        cleaned = await cleaner.clean(
            Clean(
                pass_id=pass_id,
                dirty=tuple(looked_at),
                dirty_from=looked_at[0].base,
                dirty_to=looked_at[-1].end,
                target=target,
                write=False,
                now_ms=now_ms,
                delete_retention_ms=config.delete_retention_ms,
                tombstones_may_go=not is_partial and looked_at[0].base <= log.log_start,
                kept_ends=within(log.producers_last_offsets(), target),
                index_interval_bytes=config.index_interval_bytes,
                keys_max=keys_max,
                is_last=target is looked_at[-1],
            )
        )
        is_partial = is_partial or cleaned.map_end < looked_at[-1].end
        found.add(cleaned, replaced=False)
    return CompactionEstimate(
        records=found.records_before,
        records_removable=found.records_before - found.records_after,
        bytes=found.bytes_before,
        bytes_removable=max(0, found.bytes_before - found.bytes_after),
        partial=is_partial,
    )


def newest_part(files: Sequence[SegmentFile], bytes_max: int) -> list[SegmentFile]:
    """The last of these files that have at most so many bytes together, but at least one."""
    found: list[SegmentFile] = []
    left_bytes = bytes_max
    for file in reversed(files):
        left_bytes -= file.size_bytes
        if found and left_bytes < 0:
            break
        found.insert(0, file)
    return found


def file_of(segment: SealedSegment) -> SegmentFile:
    return SegmentFile(path=str(segment.path), base=segment.base, end=segment.end, size_bytes=segment.size_bytes)


def within(offsets: Iterable[int], segment: SealedSegment | SegmentFile) -> tuple[int, ...]:
    """Those of the offsets that the segment holds."""
    return tuple(offset for offset in offsets if segment.base <= offset < segment.end)
