"""The job `preview`: what a topic would lose if it were configured differently. It changes nothing.

Always true: retention is judged by the very functions that act on it, on what each partition holds at one time, which
the answer names; so what is foretold is what would happen then.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from ...storage.config import LogConfig
from ...storage.retention_effect import retention_effect
from ...tenants.errors import InvalidConfig
from ...tenants.topic_configs import resolve
from .job_run import JobFailed, JobRun
from .partition_logs import log_config

if TYPE_CHECKING:
    from .services import Services


class PreviewJob:
    """One per broker."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    async def __call__(self, run: JobRun) -> None:
        topic = run.topic()
        config = candidate(run.job.payload["configs"])
        now_ms = self._services.now_ms()
        effects: list[dict[str, int]] = []
        for partition in topic.partitions:
            await asyncio.to_thread(
                partition.log.sealed_segments
            )  # what they hold may have to be read from their files
            effect = retention_effect(partition.holding(), config, now_ms)
            effects.append({"partition": partition.index} | asdict(effect))
        run.amounts = {"as_of_ms": now_ms, "partitions": effects, "compaction": None}


def candidate(effective: Mapping[str, str]) -> LogConfig:
    """The logs' part of effective configs that are given as text. Raises JobFailed."""
    try:
        return log_config(resolve(effective, {}))
    except InvalidConfig as error:  # written by a console of another release
        raise JobFailed(str(error)) from None
