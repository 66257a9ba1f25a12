"""The background task that looks at every namespace again and again, so that pages have figures, rates and history.

Always true: a page that takes the latest sample waits for no broker; a look never fails its caller and never ends the
task, what went wrong is in the sample. The pause after a round is 50 times what the round cost, so that console and
broker together spend about a fiftieth of one core on it, and at least SAMPLE_EVERY_S. What is kept is bounded by the
catalogue (bytes per topic: see `samples`); a namespace that is gone is forgotten with the next round.
"""

import asyncio
import logging
import time
from asyncio import sleep
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

from ..tenants.database import Database, system_now_ms
from .kafka import BrokerClient
from .kafka_connection import BrokerRefused, BrokerUnavailable
from .samples import NamespaceHistory, NamespaceSample
from .watched_catalogue import WatchedCatalogue

log = logging.getLogger(__name__)

SAMPLE_EVERY_S = 10.0
SHARE_OF_A_CORE = 0.02
PAUSE_S_MAX = 300.0
REFRESH_S_MAX = 5.0
BROKER_STARTS_S_MAX = 15.0  # console and broker are often started together: what is not up yet is not away
STARTED_YET_S = 0.25

GONE = "there is no such namespace"
SUSPENDED = "the namespace is suspended: the broker lets nobody in until it is resumed"
SLOW = f"the broker did not give all figures within {REFRESH_S_MAX:.0f} s"
FAILED = "the console failed at reading the broker's figures: its log says why"


class Look(NamedTuple):
    """About how much of a core it took, and why the broker could not be asked at all."""

    cost_s: float = 0.0
    unreachable: str | None = None


class Sampler:
    """Started and stopped by whoever serves; tests let it look by hand."""

    def __init__(self, database: Database, broker: BrokerClient, *, now_ms: Callable[[], int] = system_now_ms) -> None:
        self._broker = broker
        self._now_ms = now_ms
        self._catalogue = WatchedCatalogue(database)
        self._histories: dict[UUID, NamespaceHistory] = {}
        self._looks: dict[UUID, asyncio.Task[Look]] = {}  # under way: at most one for each namespace
        self._refreshes: dict[UUID, asyncio.Task[None]] = {}  # likewise, for pages
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, in a task of the running loop."""
        assert self._task is None, "it runs already"
        self._task = asyncio.create_task(self._run(), name="sampler")

    async def stop(self) -> None:
        """End the task, and what it or a page began."""
        tasks: list[asyncio.Task[None] | asyncio.Task[Look]] = [*self._refreshes.values(), *self._looks.values()]
        if self._task is not None:
            tasks.append(self._task)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def latest(self, namespace_id: UUID) -> NamespaceSample | None:
        """What the last look found, without waiting; None before the first."""
        history = self._histories.get(namespace_id)
        return None if history is None else history.sample

    async def refreshed(self, namespace_id: UUID, max_age_s: float) -> NamespaceSample:
        """A sample no older than that, if the broker gives one within REFRESH_S_MAX; else the latest, with the reason.

        Those who ask for the same namespace at the same time share one look.
        """
        sample = self.latest(namespace_id)
        if sample is not None and not sample.missing_because and self._age_s(sample) <= max_age_s:
            return sample
        refresh = self._refreshes.get(namespace_id)
        if refresh is None:
            refresh = self._refreshes[namespace_id] = asyncio.create_task(self._refresh(namespace_id))
            refresh.add_done_callback(lambda _: self._refreshes.pop(namespace_id, None))
        done, _ = await asyncio.wait({refresh}, timeout=REFRESH_S_MAX)
        sample = self.latest(namespace_id)
        if sample is None:
            return NamespaceSample(missing_because=GONE if done else SLOW)
        return sample if done or sample.missing_because else replace(sample, missing_because=SLOW)

    async def look_at_all(self) -> float:
        """One round over all namespaces; about how many seconds of a core it took. Raises what the database raises."""
        began_s = time.monotonic()
        await self._catalogue.follow()
        for gone in self._histories.keys() - self._catalogue.namespaces.keys():
            del self._histories[gone]
        cost_s = time.monotonic() - began_s
        for namespace_id in tuple(self._catalogue.namespaces):
            look = await self._look(namespace_id)
            cost_s += look.cost_s
            if look.unreachable is not None:  # for one, so for all: nobody waits for each of a thousand to time out
                for history in self._histories.values():
                    history.missed(look.unreachable)
                break
        return cost_s

    async def _run(self) -> None:
        for _ in range(int(BROKER_STARTS_S_MAX / STARTED_YET_S)):
            if await self._broker.accepts():
                break
            await sleep(STARTED_YET_S)
        while True:
            pause_s = SAMPLE_EVERY_S
            try:
                cost_s = await self.look_at_all()
                pause_s = min(max(SAMPLE_EVERY_S, cost_s / SHARE_OF_A_CORE), PAUSE_S_MAX)
            except Exception as error:  # whatever the database's driver throws: the next round asks again
                log.warning("the catalogue cannot be read for sampling", extra={"error": repr(error)})
            await sleep(pause_s)

    async def _refresh(self, namespace_id: UUID) -> None:
        try:
            await self._catalogue.follow()  # a topic made a moment ago is in it
            await self._look(namespace_id)
        except Exception as error:
            log.warning("a namespace cannot be looked at", extra={"error": repr(error)})

    async def _look(self, namespace_id: UUID) -> Look:
        """Look at a namespace, or wait for the look that is under way. Who stops waiting does not stop the look."""
        look = self._looks.get(namespace_id)
        if look is None:
            look = self._looks[namespace_id] = asyncio.create_task(self._look_at(namespace_id))
            look.add_done_callback(lambda _: self._looks.pop(namespace_id, None))
        return await asyncio.shield(look)

    async def _look_at(self, namespace_id: UUID) -> Look:
        watched = self._catalogue.namespaces.get(namespace_id)
        if watched is None:
            self._histories.pop(namespace_id, None)
            return Look()
        history = self._histories.setdefault(namespace_id, NamespaceHistory())
        if watched.suspended:
            history.missed(SUSPENDED)
            return Look()
        names = {topic_id: topic.name for topic_id, topic in watched.topics.items()}
        counts = {topic.name: topic.partitions for topic in watched.topics.values()}
        try:
            figures = await self._broker.namespace_figures(namespace_id, counts, history.known(names))
            began_s = time.thread_time()
            history.look(names, figures, self._now_ms())
            return Look(figures.cost_s + time.thread_time() - began_s)
        except BrokerRefused as refused:
            history.missed(str(refused))
        except BrokerUnavailable as unavailable:
            history.missed(str(unavailable))
            return Look(unreachable=str(unavailable))
        except Exception as error:
            log.warning("figures cannot be read", exc_info=error, extra={"namespace_id": str(namespace_id)})
            history.missed(FAILED)
        return Look()

    def _age_s(self, sample: NamespaceSample) -> float:
        return (self._now_ms() - sample.as_of_ms) / 1000
