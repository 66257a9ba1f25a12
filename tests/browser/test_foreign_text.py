"""Every page with hostile text in everything it shows: nothing of it runs, becomes an element, or goes unseen."""

from collections.abc import Callable, Iterator

import pytest
from coldstream.console.pages.routes import PAGES
from coldstream.tenants.database import Database
from coldstream.tests.browser.corpus import MARK, everything, unseen_in
from coldstream.tests.browser.inhabited import cluster_of, fill, in_thread, read_some
from coldstream.tests.browser.visitor import NARROW_WITHOUT_SCRIPTS, WIDE, Screen, Visitor
from coldstream.tests.console.hostile_rows import make_hostile
from coldstream.tests.console.seeded import TOPIC, Seeded
from coldstream.tests.platform_process import PlatformProcess

GROUPS = 12  # of the corpus, as group ids; its first texts are those that would run


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformProcess]:
    """One of its own: what is done to its rows would spoil other files' tests."""
    with PlatformProcess.started(tmp_path_factory.mktemp("hostile"), offload_interval_ms=200) as running:
        yield running


@pytest.fixture(scope="module")
def hostile(platform: PlatformProcess, world: Seeded) -> Seeded:
    """The world with groups whose ids are the corpus, and then rows that are."""
    cluster = cluster_of(platform, world)
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
def test_nothing_that_clients_chose_is_taken_for_ours(
    visit: Callable[..., Visitor], hostile: Seeded, screen: Screen
) -> None:
    visitor = visit("root", screen)
    wrong: list[str] = []
    for page in PAGES:
        visitor.open(hostile.path(page.path))
        shown = visitor.page
        foreign = shown.locator(f"[{MARK}]").count()
        if foreign:
            wrong.append(f"{page.path}: {foreign} foreign elements")
        if unseen := unseen_in(shown.evaluate("document.documentElement.innerText + document.title")):
            wrong.append(f"{page.path}: unseen characters {unseen}")
    assert wrong == [], "\n".join(wrong)
