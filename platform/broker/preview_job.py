"""The job `preview`: what a topic would lose if it were configured differently. It changes nothing.

Always true: retention is judged by the very functions that act on it, on what each partition holds at one time, which
the answer names; so what is foretold is what would happen then. Compaction is counted by the cleaner that would do it,
as far as it gets while somebody waits.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ...storage.config import LogConfig
from ...storage.retention_effect import RetentionEffect, retention_effect
from ...tenants.errors import InvalidConfig
from ...tenants.topic_configs import resolve
from .compactor import EXPECTED
from .job_run import JobFailed, JobRun
from .namespace import Topic
from .partition_logs import log_config

if TYPE_CHECKING:
    from .services import Services

ANSWER_WITHIN_MS = 3_000  # of the asking: whoever asked waits a little longer than that
ESTIMATE_MS_MIN = 200  # whatever waited before it


class PreviewJob:
    """One per broker."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    async def __call__(self, run: JobRun) -> None:
        topic = run.topic()
        config = candidate(run.job.payload["configs"])
        now_ms = self._services.now_ms()
        effects: list[RetentionEffect] = []
        for partition in topic.partitions:
            await asyncio.to_thread(partition.log.sealed_segments)  # after a start they may have to be looked into
            effects.append(retention_effect(partition.holding(), config, now_ms))
        left_ms = max(ESTIMATE_MS_MIN, run.job.created_at_ms + ANSWER_WITHIN_MS - now_ms)
        run.amounts = {
            "as_of_ms": now_ms,
            "partitions": [{"partition": index} | asdict(effect) for index, effect in enumerate(effects)],
            "compaction": await self._compaction(topic, config, effects, min(left_ms, ANSWER_WITHIN_MS)),
        }

    async def _compaction(
        self, topic: Topic, config: LogConfig, effects: Sequence[RetentionEffect], wait_ms: int
    ) -> dict[str, Any]:
        found = {"applies": config.compacted, "records": 0, "records_removable": 0, "bytes_removable": 0}
        notes: list[str] = []
        looked_at, is_partial = 0, False
        partitions = topic.partitions if config.compacted else []
        try:
            async with asyncio.timeout(wait_ms / 1000):
                for partition in partitions:
                    estimate = await self._services.compactor.estimate(partition, config)
                    found["records"] += estimate.records
                    found["records_removable"] += estimate.records_removable
                    found["bytes_removable"] += estimate.bytes_removable
                    is_partial = is_partial or estimate.partial
                    looked_at += 1
        except TimeoutError:
            notes.append("there was no time for more")
        except EXPECTED as error:
            notes.append(f"more could not be looked at: {error}")
        if notes:
            notes.insert(0, f"of {looked_at} of {len(partitions)} partitions")
        if is_partial:
            notes.append("of long partitions, their newest part")
        if found["records_removable"] and any(effect.records_gone for effect in effects):
            notes.append("records that retention takes are counted here too")
        is_exact = looked_at == len(partitions) and not is_partial
        return found | {"exact": is_exact, "note": "; ".join(notes)}


def candidate(effective: Mapping[str, str]) -> LogConfig:
    """The logs' part of effective configs that are given as text. Raises JobFailed."""
    try:
        return log_config(resolve(effective, {}))
    except InvalidConfig as error:  # written by a console of another release
        raise JobFailed(str(error)) from None
