"""The task that looks at every namespace: what a page gets from it, and that nothing ends it."""

import asyncio
import shutil
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from coldstream.console import sampler as module
from coldstream.console.figures import GroupFigures, NamespaceFigures, PartitionFigures, TopicFigures
from coldstream.console.kafka import BrokerClient, BrokerRefused, BrokerUnavailable
from coldstream.console.sampler import GONE, SUSPENDED, Sampler
from coldstream.tenants.actor import Actor
from coldstream.tenants.database import Database
from coldstream.tenants.scope import namespace_scope
from coldstream.tenants.tenancy import create_namespace, delete_namespace, suspend_tenant
from coldstream.tenants.topics import create_topic, delete_topic
from coldstream.tests.console.live_broker import LiveBroker, batch_of, live_broker
from coldstream.tests.console.world import template

NOW_MS = 1_700_000_040_000
LOCAL = Actor.local()


class TableBroker(BrokerClient):
    """Every topic has as many records in each partition as `ends` says, ten bytes each."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1", 1, Path("/nowhere"))
        self.ends: dict[str, int] = {}
        self.fails: Exception | None = None
        self.asked: list[dict[str, int]] = []
        self.holds: asyncio.Event | None = None
        self.looks_until_it_listens = 0

    async def accepts(self) -> bool:
        self.looks_until_it_listens -= 1
        return self.looks_until_it_listens < 0

    async def namespace_figures(
        self, namespace_id: UUID, topics: Mapping[str, int], known: NamespaceFigures | None = None
    ) -> NamespaceFigures:
        self.asked.append(dict(topics))
        if self.holds is not None:
            await self.holds.wait()
        if self.fails is not None:
            raise self.fails
        partitions = {name: PartitionFigures(0, 0, end, end * 10, 0) for name, end in self.ends.items()}
        return NamespaceFigures(
            {name: TopicFigures((partitions[name],) * count) for name, count in topics.items()}, (), None, 0.01
        )


class Scene:
    """A database with namespace default/default, a broker that answers from a table, a clock, and the sampler."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.broker = TableBroker()
        self.now_ms = NOW_MS
        self.sampler = Sampler(database, self.broker, now_ms=lambda: self.now_ms)

    async def make_topic(self, name: str, partitions: int = 1, end: int = 0, namespace: str = "default") -> UUID:
        self.broker.ends[name] = end
        async with self.database.write() as session:
            scope = await namespace_scope(session, "default", namespace)
            return (await create_topic(session, LOCAL, scope.id, name, partitions, {})).id

    async def namespace_id(self, name: str = "default") -> UUID:
        async with self.database.read() as session:
            return (await namespace_scope(session, "default", name)).id

    async def look(self, after_s: float = 0) -> float:
        self.now_ms += int(after_s * 1000)
        return await self.sampler.look_at_all()


def on_scene(directory: Path, scenario: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    shutil.copy(template()[0], directory / "coldstream.db")

    async def run() -> None:
        database = Database.open(f"sqlite:///{directory / 'coldstream.db'}")
        scene = Scene(database)
        try:
            await scenario(scene)
        finally:
            await scene.sampler.stop()
            await database.dispose()

    asyncio.run(run())


def test_a_round_samples_every_namespace_and_the_next_gives_rates(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        orders, namespace_id = await scene.make_topic("orders", 2, end=100), await scene.namespace_id()
        assert scene.sampler.latest(namespace_id) is None
        assert await scene.look() >= 0.01
        scene.broker.ends["orders"] = 150
        await scene.look(after_s=10)
        sample = scene.sampler.latest(namespace_id)
        assert sample is not None
        assert (sample.as_of_ms, sample.missing_because) == (NOW_MS + 10_000, None)
        topic = sample.topics[orders]
        assert (topic.name, topic.records, topic.records_per_s, topic.hot_bytes) == ("orders", 300, 10.0, 3_000)

    on_scene(tmp_path, scenario)


def test_topics_come_and_go_with_the_catalogue(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        namespace_id = await scene.namespace_id()
        first = await scene.make_topic("orders", end=5)
        await scene.look()
        async with scene.database.write() as session:
            await delete_topic(session, LOCAL, namespace_id, "orders")
        again = await scene.make_topic("orders", end=7)
        await scene.look(after_s=10)
        sample = scene.sampler.latest(namespace_id)
        assert sample is not None
        assert first not in sample.topics
        assert sample.topics[again].records_per_s is None
        assert scene.broker.asked[-1] == {"orders": 1}

    on_scene(tmp_path, scenario)


def test_a_namespace_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        async with scene.database.write() as session:
            await create_namespace(session, LOCAL, "default", "brief")
        brief = await scene.namespace_id("brief")
        await scene.look()
        assert scene.sampler.latest(brief) is not None
        async with scene.database.write() as session:
            await delete_namespace(session, LOCAL, "default", "brief")
        await scene.look()
        assert scene.sampler.latest(brief) is None
        assert (await scene.sampler.refreshed(brief, 0)).missing_because == GONE
        assert (await scene.sampler.refreshed(uuid4(), 0)).missing_because == GONE

    on_scene(tmp_path, scenario)


def test_a_suspended_namespace_is_not_asked_for_and_keeps_what_is_known(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        orders, namespace_id = await scene.make_topic("orders", end=5), await scene.namespace_id()
        await scene.look()
        async with scene.database.write() as session:
            await suspend_tenant(session, LOCAL, "default")
        scene.broker.asked.clear()
        await scene.look(after_s=10)
        sample = scene.sampler.latest(namespace_id)
        assert sample is not None
        assert (sample.missing_because, sample.as_of_ms, sample.topics[orders].records) == (SUSPENDED, NOW_MS, 5)
        assert scene.broker.asked == []

    on_scene(tmp_path, scenario)


def test_a_broker_that_is_away_is_asked_once_and_is_the_reason_everywhere(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        async with scene.database.write() as session:
            await create_namespace(session, LOCAL, "default", "other")
        await scene.look()
        scene.broker.asked.clear()
        scene.broker.fails = BrokerUnavailable("the broker cannot be reached (refused)")
        await scene.look(after_s=10)
        assert len(scene.broker.asked) == 1
        for name in ("default", "other"):
            sample = scene.sampler.latest(await scene.namespace_id(name))
            assert sample is not None
            assert sample.missing_because == "the broker cannot be reached (refused)"
        scene.broker.fails = None
        await scene.look(after_s=10)
        sample = scene.sampler.latest(await scene.namespace_id())
        assert sample is not None
        assert sample.missing_because is None

    on_scene(tmp_path, scenario)


@pytest.mark.parametrize("failure", [BrokerRefused("the broker refuses the console: X"), RuntimeError("a bug")])
def test_what_fails_for_one_namespace_does_not_keep_others_from_being_looked_at(
    tmp_path: Path, failure: Exception
) -> None:
    async def scenario(scene: Scene) -> None:
        async with scene.database.write() as session:
            await create_namespace(session, LOCAL, "default", "other")
        scene.broker.fails = failure
        await scene.look()
        assert len(scene.broker.asked) == 2
        sample = scene.sampler.latest(await scene.namespace_id())
        assert sample is not None
        assert sample.missing_because
        assert sample.topics == {}

    on_scene(tmp_path, scenario)


def test_a_fresh_sample_is_answered_and_an_old_one_is_looked_for_once_for_all_who_ask(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        namespace_id = await scene.namespace_id()
        await scene.look()
        made = await scene.make_topic("just-made", end=3)
        scene.now_ms += 2_000
        assert made not in (await scene.sampler.refreshed(namespace_id, max_age_s=2)).topics
        scene.now_ms += 1
        scene.broker.asked.clear()
        samples = await asyncio.gather(*(scene.sampler.refreshed(namespace_id, max_age_s=2) for _ in range(5)))
        assert [sample.topics[made].records for sample in samples] == [3] * 5
        assert len(scene.broker.asked) == 1

    on_scene(tmp_path, scenario)


def test_a_page_waits_only_so_long_for_a_slow_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REFRESH_S_MAX", 0.05)

    async def scenario(scene: Scene) -> None:
        orders, namespace_id = await scene.make_topic("orders", end=5), await scene.namespace_id()
        scene.broker.holds = asyncio.Event()
        assert (await scene.sampler.refreshed(namespace_id, 0)).missing_because == module.SLOW
        scene.broker.holds.set()  # the look went on meanwhile
        sample = await scene.sampler.refreshed(namespace_id, 60)
        assert (sample.missing_because, sample.topics[orders].records) == (None, 5)
        assert len(scene.broker.asked) == 1

    on_scene(tmp_path, scenario)


def test_the_task_outlives_a_database_that_fails_and_paces_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def scenario(scene: Scene) -> None:
        rounds = iter([RuntimeError("the database is away"), 0.05, 0.9, 3_600.0])
        ended = asyncio.Event()

        async def look_at_all() -> float:
            outcome = next(rounds)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        async def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 4:
                ended.set()
                await asyncio.Event().wait()

        monkeypatch.setattr(scene.sampler, "look_at_all", look_at_all)
        monkeypatch.setattr(module, "sleep", pause)
        scene.sampler.start()
        await asyncio.wait_for(ended.wait(), 5)

    on_scene(tmp_path, scenario)
    assert pauses == pytest.approx([10.0, 10.0, 45.0, 300.0])


@pytest.mark.parametrize(("looks", "pauses"), [(2, [0.25, 0.25, 10.0]), (10**6, [0.25] * 60 + [10.0])])
def test_a_broker_that_is_still_starting_is_not_taken_for_one_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: int, pauses: list[float]
) -> None:
    paused: list[float] = []

    async def scenario(scene: Scene) -> None:
        scene.broker.looks_until_it_listens = looks
        looked = asyncio.Event()

        async def pause(seconds: float) -> None:
            paused.append(seconds)
            if seconds == module.SAMPLE_EVERY_S:
                looked.set()
                await asyncio.Event().wait()
            assert scene.broker.asked == [], "it is asked for nothing before it listens, or for good after a while"

        monkeypatch.setattr(module, "sleep", pause)
        scene.sampler.start()
        await asyncio.wait_for(looked.wait(), 5)
        assert len(scene.broker.asked) == 1

    on_scene(tmp_path, scenario)
    assert paused == pauses


# and with a real broker


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveBroker]:
    with live_broker(tmp_path_factory.mktemp("sampler")) as broker:
        yield broker


def sampling(live: LiveBroker, scenario: Callable[[Sampler], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        database = Database.open(live.database_url)
        sampler = Sampler(database, live.client)
        try:
            await scenario(sampler)
        finally:
            await sampler.stop()
            await database.dispose()

    asyncio.run(run())


def test_a_real_broker_is_sampled_with_times_rates_and_lag(live: LiveBroker) -> None:
    live.make_topic("orders", 3)
    live.make_topic("quiet", 1)
    now_ms = int(time.time() * 1000)
    live.produce("orders", batch_of([b"x" * 100] * 10, first_ms=now_ms - 10), partition=1)

    async def commit() -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=live.running.address, group_id="billing", enable_auto_commit=False
        )
        consumer.subscribe(["orders"])
        await consumer.start()
        try:
            while not consumer.assignment():
                await asyncio.sleep(0.05)
            await consumer.commit({TopicPartition("orders", 1): 4, TopicPartition("orders", 0): 0})
            groups = await live.client.groups(live.namespace_id)
            assert groups == [GroupFigures("billing", "Stable", 1, 6, {"orders": 6}, 2)]
        finally:
            await consumer.stop()

    async def scenario(sampler: Sampler) -> None:
        await commit()
        await sampler.look_at_all()
        sample = sampler.latest(live.namespace_id)
        assert sample is not None
        assert sample.missing_because is None
        assert sample.groups == (GroupFigures("billing", "Empty", 0, 6, {"orders": 6}, 2),)
        topics = {topic.name: topic for topic in sample.topics.values()}
        orders, quiet = topics["orders"], topics["quiet"]
        assert (orders.records, orders.cold_bytes, orders.last_record_at_ms) == (10, 0, now_ms - 1)
        assert orders.hot_bytes is not None
        assert orders.hot_bytes > 1_000
        assert (quiet.records, quiet.hot_bytes, quiet.last_record_at_ms) == (0, 0, None)

        await asyncio.to_thread(live.produce, "orders", batch_of([b"y"] * 5, first_ms=now_ms + 7))
        later = await sampler.refreshed(live.namespace_id, 0)
        orders = next(topic for topic in later.topics.values() if topic.name == "orders")
        assert (orders.records, orders.last_record_at_ms) == (15, now_ms + 11)
        assert orders.records_per_s is not None
        assert orders.records_per_s > 0
        assert sum(orders.spark) > 0

    sampling(live, scenario)


def test_the_console_asks_as_a_viewer_of_its_own_namespace(live: LiveBroker) -> None:
    async def scenario(sampler: Sampler) -> None:
        with pytest.raises(BrokerRefused, match="SASL_AUTHENTICATION_FAILED"):
            await live.client.namespace_figures(uuid4(), {})

    sampling(live, scenario)
