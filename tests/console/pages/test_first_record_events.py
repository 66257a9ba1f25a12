"""A page that waits: what it is told, to whom, and when it stops."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import cast
from uuid import UUID

import pytest
from coldstream.console import authorisation
from coldstream.console.cookies import Cookies
from coldstream.console.events import Event
from coldstream.console.failures import Failure
from coldstream.console.kafka import BrokerUnavailable
from coldstream.console.operations import Call, Caller, Services
from coldstream.console.pages import first_record_events
from coldstream.console.pages.first_record_events import Waiting
from coldstream.console.record_views import HeaderView, RecordView, payload
from coldstream.console.records import RecordReader
from coldstream.console.sampler import Sampler
from coldstream.console.scopes import scope_of
from coldstream.console.waits import Waits
from coldstream.tenants.actor import Actor
from coldstream.tenants.member_access import load_access
from coldstream.tenants.member_grants import grant_role, revoke_role
from coldstream.tenants.members import load_member
from coldstream.tenants.rights import Right
from coldstream.tenants.sessions import end_sessions
from coldstream.tenants.sign_in_limits import SignInLimits
from coldstream.tenants.topics import create_topic, delete_topic
from coldstream.tests.browser.corpus import polyglot
from coldstream.tests.browser.foreign import faults
from coldstream.tests.console.browsing import in_seeded_world, tab
from coldstream.tests.console.seeded import NAMESPACE, ROLES, TENANT, TOPIC, Seeded
from coldstream.tests.console.world import World

PATH = {"tenant": TENANT, "namespace": NAMESPACE, "topic": TOPIC}
SYSTEM = Actor.system("test")
RECORD = RecordView(
    1, 41, 1_700_000_000_000, payload(b"order-1"), payload(b'{"paid":true}'), (HeaderView("trace", payload(b"abc")),)
)


class Reader:
    """What a topic says, as the test tells it: `come` is what the next wait ends with."""

    def __init__(self) -> None:
        self.come: asyncio.Queue[list[RecordView] | Exception] = asyncio.Queue()
        self.refused: Exception | None = None
        self.asked: list[Mapping[int, int] | None] = []
        self.watching_now = 0

    @contextlib.asynccontextmanager
    async def watching(
        self,
        member_id: UUID,
        namespace_id: UUID,
        topic: str,
        partitions: int,
        offsets: Mapping[int, int] | None = None,
    ) -> AsyncIterator["Watch"]:
        self.asked.append(offsets)
        if self.refused is not None:
            refused, self.refused = self.refused, None
            raise refused
        with self.place(member_id):
            yield Watch(self, dict(offsets) if offsets is not None else dict.fromkeys(range(partitions), 7))

    @contextlib.contextmanager
    def place(self, member_id: UUID) -> Iterator[None]:
        """Counted as by the real one, which refuses too many."""
        self.watching_now += 1
        try:
            yield
        finally:
            self.watching_now -= 1


class Watch:
    def __init__(self, reader: Reader, positions: dict[int, int]) -> None:
        self._reader = reader
        self.positions = positions

    async def next(self, wait_s: float, count_max: int = 100) -> list[RecordView]:
        with contextlib.suppress(TimeoutError):
            found = await asyncio.wait_for(self._reader.come.get(), wait_s)
            if isinstance(found, Exception):
                raise found
            for record in found:
                self.positions[record.partition] = record.offset + 1
            return found
        return []


class Page:
    """The stream of one page, and what it has been told."""

    def __init__(self, world: World, seeded: Seeded) -> None:
        self.world = world
        self.seeded = seeded
        self.reader = Reader()
        self.waits = Waits()

    async def opened(self, who: str, position: str = "latest") -> Waiting:
        person = self.seeded.people[who]
        database = self.world.database
        async with database.read() as session:
            access = await load_access(session, await load_member(session, UUID(person.id)))
        services = Services(
            self.world.config,
            database,
            self.world.broker,
            Sampler(database, self.world.broker),
            Cookies(False, b"x" * 32),
            SignInLimits(),
            cast(RecordReader, self.reader),
            self.waits,
        )
        place = await authorisation.authorise(database, access, Right.NAMESPACE_VIEW, PATH)
        call = Call(services, Caller(access, cookie=person.cookie), place, PATH)
        async with database.read() as session:
            topic = await (await scope_of(session, call)).topic(TOPIC)
        return Waiting(call, topic, position)

    async def told(
        self, who: str, meanwhile: Callable[[], Awaitable[object]] | None = None, position: str = "latest"
    ) -> list[Event | None]:
        """Everything until the stream ends. `meanwhile` happens when the first event is out."""
        events: list[Event | None] = []
        async with asyncio.timeout(10), contextlib.aclosing((await self.opened(who, position)).events()) as stream:
            async for event in stream:
                events.append(event)
                if meanwhile is not None and len(events) == 1:
                    await meanwhile()
        assert self.reader.watching_now == 0
        return events

    async def come(self, *records: RecordView) -> None:
        self.reader.come.put_nowait(list(records))


def on_page(directory: Path, scenario: Callable[[Page], Awaitable[None]]) -> None:
    async def run(world: World, seeded: Seeded) -> None:
        await scenario(Page(world, seeded))

    in_seeded_world(directory, run)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_record_events, "RECHECK_S", 0.02)


def names(events: list[Event | None]) -> list[str]:
    return ["alive" if event is None else event.name for event in events]


def last(events: list[Event | None]) -> Event:
    event = events[-1]
    assert event is not None
    return event


def test_the_page_waits_and_turns_into_the_record(tmp_path: Path) -> None:
    async def scenario(page: Page) -> None:
        events = await page.told("developer", lambda: page.come(RECORD))
        assert names(events) == ["part", "end"]
        assert events[0] is not None and "Waiting for a record" in events[0].data
        shown = last(events)
        for text in ("order-1", "&#34;paid&#34;: true", "trace", "abc", ">41<", "Look at the topic"):
            assert text in shown.data
        assert page.reader.asked == [None]
        assert events[0].id == "0:7,1:7,2:7" and shown.id == "0:7,1:42,2:7"

    on_page(tmp_path, scenario)


def test_who_comes_back_goes_on_from_where_they_were(tmp_path: Path) -> None:
    async def scenario(page: Page) -> None:
        await page.told("developer", lambda: page.come(RECORD), position="1:41")
        assert page.reader.asked == [{0: 0, 1: 41, 2: 0}]

    on_page(tmp_path, scenario)


def test_who_may_not_see_records_sees_that_one_came(tmp_path: Path) -> None:
    async def scenario(page: Page) -> None:
        shown = last(await page.told("watcher", lambda: page.come(RECORD))).data
        assert "Your record is here" in shown and ">41<" in shown
        assert "You may not see what is in records here" in shown
        assert not any(text in shown for text in ("order-1", "paid", "trace", "abc"))

    on_page(tmp_path, scenario)


def test_whatever_a_record_holds_it_is_text_and_stays_in_its_event(tmp_path: Path) -> None:
    async def scenario(page: Page) -> None:
        for number in range(6):
            hostile = polyglot(number).encode("utf-8", "replace")
            header = HeaderView(polyglot(number + 1), payload(hostile))
            record = RecordView(0, number, -1, payload(hostile), payload(b"\xff" + hostile), (header,))
            event = last(await page.told("developer", lambda record=record: page.come(record)))  # type: ignore[misc]
            assert faults(event.data) == []
            assert event.encode().count(b"\n\n") == 1

    on_page(tmp_path, scenario)


def test_what_cannot_be_shown_says_why(tmp_path: Path) -> None:
    async def scenario(page: Page) -> None:
        broken = RecordView(0, 5, 0, last_offset=9, unreadable_because="the batch is encrypted <by> somebody")
        shown = last(await page.told("developer", lambda: page.come(broken))).data
        assert "the batch is encrypted &lt;by&gt; somebody" in shown

    on_page(tmp_path, scenario)


def test_more_records_than_are_shown_are_counted(tmp_path: Path) -> None:
    async def scenario(page: Page) -> None:
        shown = last(await page.told("developer", lambda: page.come(*[RECORD] * 5))).data
        assert shown.count('class="record"') == 3 and "and 2 more" in shown

    on_page(tmp_path, scenario)


def test_a_right_that_is_taken_away_ends_it_before_a_record_is_shown(tmp_path: Path) -> None:
    async def scenario(page: Page) -> None:
        async def taken() -> None:
            async with page.world.database.write() as session:
                name = page.seeded.people["developer"].name
                await revoke_role(session, SYSTEM, TENANT, name, ROLES["developer"])
            await page.come(RECORD)

        events = await page.told("developer", taken)
        assert names(events) == ["part", "end"]
        assert "or none that you may see" in last(events).data and "order-1" not in last(events).data

    on_page(tmp_path, scenario)


def test_the_right_to_see_records_is_that_of_the_moment(tmp_path: Path) -> None:
    async def scenario(page: Page) -> None:
        async def changed() -> None:
            async with page.world.database.write() as session:
                name = page.seeded.people["developer"].name
                await revoke_role(session, SYSTEM, TENANT, name, ROLES["developer"])
                await grant_role(session, SYSTEM, TENANT, name, ROLES["watcher"])
            await page.come(RECORD)

        assert "order-1" not in last(await page.told("developer", changed)).data

    on_page(tmp_path, scenario)


@pytest.mark.parametrize("again", [False, True])
def test_a_topic_that_is_deleted_ends_it_even_if_another_has_its_name(tmp_path: Path, again: bool) -> None:
    async def scenario(page: Page) -> None:
        async def deleted() -> None:
            namespace_id = UUID((await page.world.done("GET", f"/namespaces/{TENANT}/{NAMESPACE}"))["id"])
            async with page.world.database.write() as session:
                await delete_topic(session, SYSTEM, namespace_id, TOPIC)
                if again:
                    await create_topic(session, SYSTEM, namespace_id, TOPIC, 1, {})

        events = await page.told("developer", deleted)
        assert names(events) == ["part", "end"] and "There is no topic of this name" in last(events).data

    on_page(tmp_path, scenario)


def test_a_session_that_ends_ends_it_without_a_word(tmp_path: Path) -> None:
    """The browser connects again with its new id, or is told 401."""

    async def scenario(page: Page) -> None:
        async def signed_out() -> None:
            async with page.world.database.write() as session:
                await end_sessions(session, UUID(page.seeded.people["developer"].id))
            await page.come(RECORD)

        assert names(await page.told("developer", signed_out)) == ["part"]

    on_page(tmp_path, scenario)


def test_a_console_that_stops_ends_it_at_once(tmp_path: Path) -> None:
    async def scenario(page: Page) -> None:
        async def stop() -> None:
            page.waits.close()

        assert names(await page.told("developer", stop)) == ["part"]
        assert names(await page.told("developer")) == []

    on_page(tmp_path, scenario)


def test_after_its_time_it_offers_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_record_events, "STREAM_S", 0.1)

    async def scenario(page: Page) -> None:
        events = await page.told("developer")
        assert names(events) == ["part", "end"]
        assert "Go on waiting" in last(events).data and "position=0%3A7%2C1%3A7%2C2%3A7" in last(events).data

    on_page(tmp_path, scenario)


def test_while_nothing_comes_it_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_record_events, "STREAM_S", 0.3)
    monkeypatch.setattr(first_record_events, "KEEP_ALIVE_S", 0.05)

    async def scenario(page: Page) -> None:
        assert names(await page.told("developer"))[1] == "alive"

    on_page(tmp_path, scenario)


def test_a_broker_that_is_away_is_said_and_waited_for(tmp_path: Path) -> None:
    async def scenario(page: Page) -> None:
        page.reader.refused = BrokerUnavailable("the broker cannot be reached")

        async def back() -> None:
            page.reader.come.put_nowait(BrokerUnavailable("the broker is restarting"))
            await page.come(RECORD)

        events = await page.told("developer", back, position="1:41")
        assert names(events) == ["part", "part", "part", "part", "end"]
        said = [event.data for event in events if event is not None]
        assert "The broker cannot be reached. Trying again." in said[0]
        assert "The broker is restarting. Trying again." in said[2]
        assert "order-1" in said[4]
        assert page.reader.asked == [{0: 0, 1: 41, 2: 0}] * 3, "nothing is skipped"

    on_page(tmp_path, scenario)


def test_a_page_that_waits_for_the_broker_is_counted_as_one_that_waits_for_records(tmp_path: Path) -> None:
    """Else somebody opens as many as the process has connections while the broker is away."""

    async def scenario(page: Page) -> None:
        page.reader.refused = BrokerUnavailable("the broker cannot be reached")
        async with contextlib.aclosing((await page.opened("developer")).events()) as stream:
            assert "cannot be reached" in (await told_next(stream)).data
            assert page.reader.watching_now == 1
        assert page.reader.watching_now == 0

    on_page(tmp_path, scenario)


async def told_next(stream: AsyncIterator[Event | None]) -> Event:
    event = await anext(stream)
    assert event is not None
    return event


def test_one_page_too_many_is_told_what_to_do(tmp_path: Path) -> None:
    async def scenario(page: Page) -> None:
        page.reader.refused = Failure(429, "too_many_readers", "you have 4 pages waiting", "close one of them")
        events = await page.told("developer")
        assert names(events) == ["end"]
        assert "You have 4 pages waiting. Close one of them." in last(events).data

    on_page(tmp_path, scenario)


def test_it_is_not_there_for_whom_its_page_is_not(tmp_path: Path) -> None:
    async def scenario(world: World, seeded: Seeded) -> None:
        path = seeded.path(first_record_events.EVENTS_PATH)
        for who, status in (("nobody", 404), ("rival", 404)):
            answer = await tab(world, seeded, who).get(path)
            absent = await tab(world, seeded, who).get(path.replace(TENANT, "nowhere"))
            assert (answer.status_code, absent.status_code) == (status, status)
            assert answer.json()["error"]["message"] == absent.json()["error"]["message"]
        assert (await world.http.get(path)).status_code == 401
        assert (await tab(world, seeded, "developer").get(path.replace(TOPIC, "no-topic"))).status_code == 404
        assert (await tab(world, seeded, "developer").post(path)).status_code == 405

    in_seeded_world(tmp_path, scenario)
