"""Requests that wait for something to happen, so that a console that stops need not wait for them.

Always true: whoever waits is woken by `close`, and nobody begins to wait after it. How many may wait is for whoever
knows what waiting costs (`records.RecordReader`).
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Waits:
    """One process's."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self.closed = False

    def begin(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """The work as a task, which `close` cancels."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.closed:
            task.cancel()
        return task

    async def pause(self, seconds: float) -> None:
        """Sleeps, no longer than until `close`."""
        await asyncio.wait({self.begin(asyncio.sleep(seconds))})

    def close(self) -> None:
        """The console begins to stop."""
        self.closed = True
        for task in self._tasks:
            task.cancel()
