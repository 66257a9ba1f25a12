"""Whoever waits is woken when the console stops."""

import asyncio
import time

from coldstream.console.waits import Waits


def test_closing_wakes_everybody_and_lets_nobody_in() -> None:
    async def scenario() -> None:
        waits = Waits()
        waiting = waits.begin(asyncio.sleep(60))
        pausing = asyncio.create_task(waits.pause(60))
        await asyncio.sleep(0)
        began_s = time.monotonic()
        waits.close()
        await asyncio.wait({waiting, pausing}, timeout=5)
        assert waiting.cancelled() and pausing.done() and not pausing.cancelled()
        late = waits.begin(asyncio.sleep(60))
        await asyncio.wait({late}, timeout=5)
        assert late.cancelled()
        await waits.pause(60)
        assert time.monotonic() - began_s < 5

    asyncio.run(scenario())


def test_what_is_done_in_time_is_answered() -> None:
    async def scenario() -> None:
        async def work() -> int:
            return 7

        assert await Waits().begin(work()) == 7

    asyncio.run(scenario())
