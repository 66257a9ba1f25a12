"""Every page with hostile text in everything it shows: nothing of it runs, becomes an element, or goes unseen."""

from collections.abc import Callable, Iterator

import pytest
from coldstream.console.pages.routes import PAGES
from coldstream.tenants.database import Database
from coldstream.tests.browser.accessibility import overflow
from coldstream.tests.browser.chromium import chromium_or_skip
from coldstream.tests.browser.corpus import BYTES, MARK, everything, polyglot, unseen_in
from coldstream.tests.browser.inhabited import cluster_of, fill, in_thread, inhabit, read_some
from coldstream.tests.browser.visitor import NARROW, NARROW_WITHOUT_SCRIPTS, WIDE, Screen, Visitor
from coldstream.tests.console.hostile_rows import make_hostile
from coldstream.tests.console.seeded import TOPIC, Seeded
from coldstream.tests.platform_process import PlatformProcess
from coldstream.tests.virtual_cluster import VirtualCluster
from confluent_kafka import Producer

# Pages that show text of clients' choosing: keys' and members' names, browsers' names, groups, audit entries, records.
SHOWING = {"home", "keys", "key", "member", "namespace_audit", "sessions", "tokens", "topic_history", "topic_overview"}
GROUPS = 8  # of the corpus, as group ids; its first texts are those that would run


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformProcess]:
    """One of its own: what is done to its rows would spoil other files' tests."""
    with PlatformProcess.started(tmp_path_factory.mktemp("hostile"), offload_interval_ms=200) as running:
        yield running


@pytest.fixture(scope="module")
def world(platform: PlatformProcess) -> Seeded:
    chromium_or_skip()
    return inhabit(platform)


@pytest.fixture(scope="module")
def cluster(platform: PlatformProcess, world: Seeded) -> VirtualCluster:
    return cluster_of(platform, world)


@pytest.fixture(scope="module")
def hostile(platform: PlatformProcess, world: Seeded, cluster: VirtualCluster) -> Seeded:
    """The world with groups whose ids are the corpus, and then rows that are."""
    fill(cluster, TOPIC, 10)
    for text in everything()[:GROUPS]:
        read_some(cluster, TOPIC, text.replace("\0", ""), 5)
    in_thread(_spoil, f"sqlite:///{platform.data_dir / 'coldstream.db'}")
    return world


async def _spoil(url: str) -> None:
    database = Database.open(url)
    try:
        await make_hostile(database)
    finally:
        await database.dispose()


@pytest.mark.parametrize("screen", [WIDE, NARROW_WITHOUT_SCRIPTS], ids=str)
def test_a_record_that_arrives_is_shown_as_text(
    visit: Callable[..., Visitor], cluster: VirtualCluster, world: Seeded, screen: Screen
) -> None:
    """Put into a page that waits, as an event: key, value and headers are anything at all."""
    topic = cluster.topic()
    visitor = visit("root", screen)
    page = visitor.open(world.path("/n/{tenant}/{namespace}/topics/{topic}/first-record", topic=topic))
    page.locator(".waiting").wait_for()
    if screen.scripts:
        page.wait_for_timeout(500)  # until the page listens: what is there before is shown by the page itself
    producer = Producer(cluster.confluent())
    for number in (0, 7, 14):
        headers = [(polyglot(number)[:2000], polyglot(number + 3).encode()), ("bytes", BYTES["invalid utf-8"])]
        producer.produce(topic, polyglot(number).encode(), polyglot(number + 1).encode(), headers=headers)
    assert producer.flush(20) == 0
    if not screen.scripts:
        page.reload()
    page.locator(".arrival .record").first.wait_for()
    assert page.locator(f"[{MARK}]").count() == 0
    assert unseen_in(page.evaluate("document.documentElement.innerText")) == []
    assert "<script" in page.inner_text(".arrival"), "it is shown, as the text that it is"


def test_nothing_that_clients_chose_is_taken_for_ours(visit: Callable[..., Visitor], hostile: Seeded) -> None:
    """Nor makes a page wider than its screen."""
    visitor = visit("root", NARROW)
    wrong: list[str] = []
    showing: list[str] = []
    for page in PAGES:
        visitor.open(hostile.path(page.path))
        shown = visitor.page
        foreign = shown.locator(f"[{MARK}]").count()
        if foreign:
            wrong.append(f"{page.path}: {foreign} foreign elements")
        text = shown.evaluate("document.documentElement.innerText + document.title")
        showing += [page.name] if MARK in text else []
        wrong += [f"{page.path}: {fault}" for fault in overflow(shown)]
        if unseen := unseen_in(text):
            wrong.append(f"{page.path}: unseen characters {unseen}")
    assert wrong == [], "\n".join(wrong)
    assert set(showing) >= SHOWING, "else it is the corpus that is missing"
