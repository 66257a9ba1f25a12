"""When logs are compacted, and what that never holds up: the loop, other topics, compaction itself."""

import asyncio
import threading
from typing import Any, cast

import pytest
from coldstream.platform.broker.compactor import OneRequestAtATime
from coldstream.storage import readable_log
from coldstream.storage.cleaning import CompactionFailed

from .conftest import Bench
from .test_compaction import partition_of, produce, seal


def two_topics(bench: Bench, *names: str) -> list[Any]:
    for name in names:
        bench.create(name, cleanup_policy="compact")
        produce(bench, name, (b"k", b"1"))
        produce(bench, name, (b"k", b"2"))
    partitions = [partition_of(bench.broker, name) for name in names]
    seal(bench, *partitions)
    return partitions


@pytest.mark.parametrize("where", ["clean", "plan"])
def test_a_mistake_about_one_log_holds_up_no_other(bench: Bench, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    compactor = bench.broker.broker.services.compactor
    bad, good = two_topics(bench, f"a-bad-{where}", f"z-good-{where}")
    clean, plan = compactor._cleaner.clean, type(bad.log).plan_compaction

    async def mistaken(request: Any) -> Any:
        if str(bad.topic.id) in request.target.path:
            raise ZeroDivisionError
        return await clean(request)

    def unreadable(log: Any, *arguments: Any) -> Any:
        if log is bad.log:
            raise OSError(5, "the disk is bad here")
        return plan(log, *arguments)

    if where == "clean":
        monkeypatch.setattr(compactor._cleaner, "clean", mistaken)
    else:
        monkeypatch.setattr(type(bad.log), "plan_compaction", unreadable)
    bench.broker.on_loop(compactor.look)
    assert good.log.clean_below == 2 and bad.log.clean_below == 0


def test_no_file_is_read_on_the_loop_to_see_what_is_due(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    (partition,) = two_topics(bench, "after-a-restart")
    threads: list[int] = []
    load = readable_log.load_indexes

    def noted(*arguments: Any) -> None:
        threads.append(threading.get_ident())
        load(*arguments)

    async def look() -> int:
        await bench.broker.broker.services.compactor.look()
        return threading.get_ident()

    monkeypatch.setattr(readable_log, "load_indexes", noted)
    for segment in partition.log.segments[:-1]:
        segment.described = False  # as after a start
    loop_thread = bench.broker.on_loop(look)
    assert threads and loop_thread not in threads and partition.log.clean_below == 2


def test_estimates_that_nobody_waits_for_any_more_do_not_pile_up() -> None:
    asked: list[asyncio.Future[Any]] = []

    class Slow:
        async def clean(self, request: object) -> Any:
            asked.append(asyncio.get_running_loop().create_future())
            return await asked[-1]

    async def scenario() -> None:
        cleaner, request = OneRequestAtATime(Slow()), cast(Any, "a request")
        for _ in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await cleaner.clean(request)
        assert len(asked) == 1  # which the worker goes on with, whoever has left
        asked[0].set_exception(CompactionFailed("nobody hears it"))
        later = [asyncio.create_task(cleaner.clean(request)) for _ in range(2)]
        for number in (1, 2):
            while len(asked) <= number:
                await asyncio.sleep(0)
            asked[number].set_result(number)
        assert await asyncio.gather(*later) == [1, 2]

    asyncio.run(scenario())
