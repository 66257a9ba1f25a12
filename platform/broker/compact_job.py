"""The job `compact`: seal one compacted topic, then compact all of it now. What `coldstream topic compact` waits for.

Always true: it may be repeated from the start by whoever takes it up next: what was compacted already is gone through
quickly. What `min.compaction.lag.ms` protects stays as it is.
"""

from typing import TYPE_CHECKING

from ...storage.compactor import CompactionOutcome
from .compactor import EXPECTED
from .job_run import JobFailed, JobRun
from .namespace import Partition, Topic

if TYPE_CHECKING:
    from .services import Services


class CompactJob:
    """One per broker."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    async def __call__(self, run: JobRun) -> None:
        topic = run.topic()
        if not topic.log_config.compacted:
            raise JobFailed(
                f"cleanup.policy of this topic is {topic.configs['cleanup.policy']}: set it to compact first"
            )
        gain = _Gain(run, topic)
        gain.tell()
        await run.seal(topic)
        ends = [partition.log.segments[-1].base for partition in topic.partitions]
        for partition, end in zip(topic.partitions, ends, strict=True):
            await self._compact_partition(run, partition, end, gain)
            gain.partition_done()

    async def _compact_partition(self, run: JobRun, partition: Partition, end: int, gain: "_Gain") -> None:
        """As many passes as it takes until all below `end` is clean, or one that moves nothing."""
        while True:
            clean_below = partition.log.clean_below
            try:
                is_dirty = await self._services.compactor.compact(partition, gain.begin_pass(), gain.tell)
            except EXPECTED as error:
                run.check_lives(partition.topic)
                raise JobFailed(f"partition {partition.index}: {error}") from error
            run.check_lives(partition.topic)
            if not is_dirty or partition.log.clean_below >= end or partition.log.clean_below == clean_below:
                return


class _Gain:
    """What the job did, as whoever asked for it sees it. Each pass counts what the ones before it had left."""

    def __init__(self, run: JobRun, topic: Topic) -> None:
        self._run, self._topic = run, topic
        self._partitions_done = 0
        self._done = CompactionOutcome()  # of the partitions that are done
        self._passes: list[CompactionOutcome] = []  # of the present one

    def begin_pass(self) -> CompactionOutcome:
        self._passes.append(CompactionOutcome())
        return self._passes[-1]

    def partition_done(self) -> None:
        self._done = self._total()
        self._passes = []
        self._partitions_done += 1
        self.tell()

    def _total(self) -> CompactionOutcome:
        *earlier, last = self._passes or [CompactionOutcome()]
        done = self._done
        return CompactionOutcome(
            segments=done.segments + last.segments,
            records_before=done.records_before
            + last.records_before
            + sum(each.records_before - each.records_after for each in earlier),
            records_after=done.records_after + last.records_after,
            bytes_before=done.bytes_before
            + last.bytes_before
            + sum(each.bytes_before - each.bytes_after for each in earlier),
            bytes_after=done.bytes_after + last.bytes_after,
        )

    def tell(self) -> None:
        total = self._total()
        self._run.amounts = {
            "partitions": len(self._topic.partitions),
            "partitions_done": self._partitions_done,
            "segments_compacted": total.segments,
            "records_before": total.records_before,
            "records_after": total.records_after,
            "bytes_before": total.bytes_before,
            "bytes_after": total.bytes_after,
        }
