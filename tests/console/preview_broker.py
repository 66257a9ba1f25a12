"""Somebody who takes up preview jobs like a broker, and answers what a test wants."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from coldstream.tenants import jobs
from coldstream.tenants.database import Database

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]  # payload -> progress; may raise ValueError: the job fails


@contextmanager
def answering_on_a_thread(url: str, answer: Answer) -> Iterator[None]:
    """For tests that have no loop of their own."""
    stop = threading.Event()

    async def run() -> None:
        database = Database.open(url)
        async with answering(database, answer):
            await asyncio.to_thread(stop.wait)
        await database.dispose()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@asynccontextmanager
async def answering(database: Database, answer: Answer) -> AsyncIterator[None]:
    """While this is open, previews are answered."""

    async def work() -> None:
        while True:
            for job in await jobs.lease(database, [jobs.PREVIEW], "broker-1", 60_000):
                try:
                    await jobs.finish(database, job, answer(job.payload))
                except ValueError as error:
                    await jobs.fail(database, job, str(error))
            await asyncio.sleep(0.01)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def partition_effect(partition: int, **amounts: int) -> dict[str, int]:
    """One partition's effect, by default none."""
    nothing = {
        "log_start_before": 0,
        "log_start_after": 0,
        "records_gone": 0,
        "segments_gone": 0,
        "bytes_gone_hot": 0,
        "bytes_gone_cold": 0,
        "local_bytes_evicted": 0,
    }
    return {"partition": partition} | nothing | amounts
