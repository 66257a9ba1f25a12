"""One job while it is worked on: what every kind of job needs, and what it says of its progress.

Always true: `amounts` is what whoever asked for the job sees; the kind changes it as it goes on, and `BrokerJobs`
stores it, so no kind has to think of the lease.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from ...tenants.jobs import JobEntry
from .namespace import Topic

if TYPE_CHECKING:
    from .services import Services

SEALED_WAIT_S = 0.02


class JobFailed(Exception):
    """Trying again would not help; the message is for whoever asked for the job."""


class JobKind(Protocol):
    """The work of one kind of job. Its `amounts` as it leaves them are the job's result.

    Raises JobFailed. It may be cancelled and begun again from the start, here or elsewhere.
    """

    async def __call__(self, run: "JobRun") -> None: ...


class JobRun:
    """A leased job."""

    def __init__(self, services: "Services", job: JobEntry) -> None:
        self._services = services
        self.job = job
        self.amounts: dict[str, Any] = {}

    def topic(self) -> Topic:
        """The topic that the payload names. Raises JobFailed."""
        topic = self._services.follower.topic(UUID(str(self.job.payload["topic_id"])))
        if topic is None:
            raise JobFailed("the topic is not open here: it was deleted, or is offline")
        return topic

    def check_lives(self, topic: Topic) -> None:
        """Raises JobFailed: nothing of a deleted topic becomes durable or cold any more."""
        if self._services.follower.topic(topic.id) is not topic:
            raise JobFailed("the topic was deleted")

    async def seal(self, topic: Topic) -> None:
        """Seal what is written now, and wait until it is durable. Raises JobFailed."""
        now_ms = self._services.now_ms()
        self.check_lives(topic)
        for partition in topic.partitions:
            partition.log.seal(now_ms)
        for partition in topic.partitions:
            end = partition.log.segments[-1].base  # where the active segment begins, everything before it is sealed
            while partition.log.durable < end:
                await asyncio.sleep(SEALED_WAIT_S)
                self.check_lives(topic)
