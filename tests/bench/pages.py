"""How long the console takes for each of its pages when a namespace has many topics: server time, as it says itself.

Every answer carries `Server-Timing: app;dur=MS`, from the first byte of the request to the last of the answer.
"""

import asyncio
import json
import re
import statistics
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coldstream.console.pages.routes import PAGES
from coldstream.tenants.actor import Actor
from coldstream.tenants.database import Database
from coldstream.tenants.scope import namespace_scope
from coldstream.tenants.topics import create_topic
from coldstream.tests.console.seeded import NAMESPACE, TENANT, Seeded, seed
from coldstream.tests.platform_process import PlatformProcess
from coldstream.tests.virtual_cluster import HttpApi, Key, eventually
from confluent_kafka import Producer
from rich.table import Table

TOPICS = 1_000
SEEDED = 3  # of them are there before, by the seed
REQUESTS = 30
GOAL_MS = 150.0
BATCH = 100
OPEN_S = 120.0
_DURATION = re.compile(r"\bapp;dur=([0-9.]+)")


@dataclass(frozen=True, slots=True)
class PageTime:
    """Of one page, REQUESTS times in a row by a platform administrator."""

    name: str
    path: str
    median_ms: float
    slowest_ms: float
    body_bytes: int


def measure(directory: Path) -> list[PageTime]:
    """Every page of the route table, the slowest first."""
    with PlatformProcess.started(directory) as platform:
        world = asyncio.run(_fill(f"sqlite:///{platform.data_dir / 'coldstream.db'}"))
        _produce_everywhere(platform)
        _await_sample(platform)
        cookie = f"coldstream_session={world.people['root'].cookie}"
        times = [_time(platform.url, page.name, world.address(page), cookie) for page in PAGES]
    return sorted(times, key=lambda each: -each.median_ms)


def table(times: Sequence[PageTime]) -> Table:
    made = Table(
        title=f"server time of every page, {TOPICS:,} topics, median of {REQUESTS} (goal {GOAL_MS:.0f} ms)",
        title_justify="left",
    )
    made.add_column("page", no_wrap=True)
    for heading in ("median ms", "slowest ms", "KB"):
        made.add_column(heading, justify="right", no_wrap=True)
    for each in times:
        mark = " !" if each.median_ms >= GOAL_MS else ""
        made.add_row(
            each.name, f"{each.median_ms:.1f}{mark}", f"{each.slowest_ms:.1f}", f"{each.body_bytes / 1e3:,.0f}"
        )
    return made


async def _fill(url: str) -> Seeded:
    """The world that tests know, and topics up to the limit of a namespace."""
    database = Database.open(url)
    try:
        world = await seed(database)
        actor = Actor.system("bench")
        async with database.read() as session:
            namespace_id = (await namespace_scope(session, TENANT, NAMESPACE)).id
        made = SEEDED
        while made < TOPICS:
            async with database.write() as session:
                for number in range(made, min(made + BATCH, TOPICS)):
                    await create_topic(session, actor, namespace_id, _name(number), 1, {})
            made += BATCH
        return world
    finally:
        await database.dispose()


def _produce_everywhere(platform: PlatformProcess) -> None:
    """A record into each topic, once the broker has opened those that were made last."""
    api = HttpApi(platform.url, platform.token)
    path = f"/namespaces/{TENANT}/{NAMESPACE}"
    eventually(
        lambda: api("GET", f"{path}/topics/{_name(TOPICS - 1)}")["partitions"][0]["end"] is not None,
        "topics are open",
        OPEN_S,
    )
    made = api("POST", f"{path}/keys", {"name": "bench", "role": "admin"})
    producer = Producer({**Key(made["id"], made["secret"]).confluent(platform.bootstrap), "linger.ms": 50})
    for number in range(SEEDED, TOPICS):
        producer.produce(_name(number), b"x" * 100)
        producer.poll(0)
    assert producer.flush(OPEN_S) == 0


def _await_sample(platform: PlatformProcess) -> None:
    """Until the console has seen those records: pages show what it knows, and here that is everything."""
    api = HttpApi(platform.url, platform.token)

    def seen() -> bool:
        request = urllib.request.Request(
            f"{platform.url}/n/{TENANT}/{NAMESPACE}/home.json", headers={"Authorization": f"Bearer {api.token}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return (json.loads(answer.read())["records"] or 0) >= TOPICS - SEEDED

    eventually(seen, "the console has looked at every topic", OPEN_S)


def _name(number: int) -> str:
    return f"topic-{number:04}"


def _time(url: str, name: str, path: str, cookie: str) -> PageTime:
    durations_ms, size = [], 0
    for _ in range(REQUESTS):
        duration_ms, size = _ask(f"{url}{path}", cookie)
        durations_ms.append(duration_ms)
    return PageTime(name, path, statistics.median(durations_ms), max(durations_ms), size)


def _ask(url: str, cookie: str) -> tuple[float, int]:
    """Server time in milliseconds, and bytes of the body."""
    request = urllib.request.Request(url, headers={"Cookie": cookie})
    with urllib.request.urlopen(request, timeout=30) as answer:
        body = answer.read()
        timing = answer.headers["Server-Timing"] or ""
    found = _DURATION.search(timing)
    assert found is not None, f"{url} does not say how long it took: {timing!r}"
    return float(found[1]), len(body)
