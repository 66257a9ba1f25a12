"""Records over HTTP from a real broker: the newest, those behind a position, and the next to come."""

import asyncio
import json
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from coldstream.console import first_record_routes
from coldstream.console.app import build_app
from coldstream.console.config import ConsoleConfig
from coldstream.console.waits import Waits
from coldstream.tenants.access_tokens import create_token
from coldstream.tenants.actor import Actor
from coldstream.tenants.database import Database
from coldstream.tenants.member_grants import grant_role, revoke_role
from coldstream.tenants.members import create_member
from coldstream.tenants.rights import MemberRole
from coldstream.tests.console.live_broker import LiveBroker, batch_of, live_broker
from coldstream.tests.console.test_server import console
from coldstream.tests.console.world import template

READER = MemberRole.VIEWER_DATA
ACTOR = Actor.system("test")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveBroker]:
    with live_broker(tmp_path_factory.mktemp("first-record")) as broker:
        yield broker


class Api:
    """The console's API on the broker's database, asked by somebody with the role `READER`."""

    def __init__(self, http: httpx.AsyncClient, database: Database, waits: Waits, name: str) -> None:
        self.http = http
        self.database = database
        self.waits = waits
        self.name = name

    async def records(self, topic: str, status: int = 200, **query: Any) -> Any:
        answer = await self.http.get(f"/api/v1/namespaces/default/default/topics/{topic}/records", params=query)
        assert answer.status_code == status, answer.text
        return answer.json()


def asking(live: LiveBroker, scenario: Callable[[Api], Awaitable[None]]) -> None:
    async def run() -> None:
        database, waits = Database.open(live.database_url), Waits()
        address = live.client.address
        config = ConsoleConfig(
            listen_host="127.0.0.1",
            listen_port=0,
            database=live.database_url,
            broker_host=address.host,
            broker_port=address.port,
            bootstrap=f"{address.host}:{address.port}",
            cluster_secret_path=address.cluster_secret_path,
        )
        name = f"reader-{time.monotonic_ns()}"
        async with database.write() as session:
            member = await create_member(session, ACTOR, name, None)
            await grant_role(session, ACTOR, "default", name, READER)
            token = (await create_token(session, ACTOR, member.id, "test")).secret
        transport = httpx.ASGITransport(build_app(config, database, live.client, waits=waits))
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://console", headers=headers) as http:
            try:
                await scenario(Api(http, database, waits, name))
            finally:
                await database.dispose()

    asyncio.run(run())


def values(answer: Any) -> list[str]:
    return [record["content"]["value"]["text"] for record in answer["records"]]


def test_the_newest_come_first_and_what_follows_them_is_waited_for(live: LiveBroker) -> None:
    live.make_topic("feed", 2)
    now_ms = int(time.time() * 1000)
    live.produce("feed", batch_of([b"1", b"2"], first_ms=now_ms - 9_000), partition=0)
    live.produce("feed", batch_of([b'{"id":3}'], first_ms=now_ms - 5_000), partition=1)

    async def scenario(api: Api) -> None:
        newest = await api.records("feed", limit=2)
        assert values(newest) == ['{"id":3}', "2"]
        assert newest["next"] == "0:2,1:1"
        first = newest["records"][0]
        assert (first["partition"], first["offset"], first["timestamp_ms"]) == (1, 0, now_ms - 5_000)
        assert first["content"]["value"]["encoding"] == "json" and first["content"]["key"]["text"] == "key"

        waiting = asyncio.create_task(api.records("feed", **{"from": newest["next"], "wait_ms": 20_000}))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await asyncio.to_thread(live.produce, "feed", batch_of([b"4"]), 0)
        came = await waiting
        assert values(came) == ["4"] and came["next"] == "0:3,1:1"
        assert values(await api.records("feed", **{"from": "0:1,1:1", "limit": 1})) == ["2"]

    asking(live, scenario)


def test_nothing_in_time_is_an_empty_answer_with_the_same_position(live: LiveBroker) -> None:
    live.make_topic("silent", 2)

    async def scenario(api: Api) -> None:
        assert (await api.records("silent"))["records"] == []
        began_s = time.monotonic()
        answer = await api.records("silent", wait_ms=300)
        assert (answer["records"], answer["next"]) == ([], "earliest")
        assert time.monotonic() - began_s >= 0.25
        assert (await api.records("silent", **{"from": "latest", "wait_ms": 100}))["records"] == []

    asking(live, scenario)


def test_a_topic_that_the_broker_has_not_met_yet_is_waited_for(live: LiveBroker) -> None:
    live.make_topic("brand-new", wait=False)

    async def scenario(api: Api) -> None:
        waiting = asyncio.create_task(api.records("brand-new", **{"from": "earliest", "wait_ms": 20_000}))
        await asyncio.to_thread(live.make_topic, "a-later-one")  # so the earlier one is there too
        await asyncio.to_thread(live.produce, "brand-new", batch_of([b"hello"]))
        assert values(await waiting) == ["hello"]

    asking(live, scenario)


def test_who_loses_the_right_while_waiting_is_shown_nothing(live: LiveBroker) -> None:
    live.make_topic("private")

    async def scenario(api: Api) -> None:
        waiting = asyncio.create_task(api.records("private", 404, **{"from": "earliest", "wait_ms": 20_000}))
        await asyncio.sleep(0.2)
        async with api.database.write() as session:
            await revoke_role(session, ACTOR, "default", api.name, READER)
        await asyncio.to_thread(live.produce, "private", batch_of([b"secret"]))
        assert "secret" not in json.dumps(await waiting)

    asking(live, scenario)


def test_a_console_that_stops_answers_whoever_waits(live: LiveBroker) -> None:
    live.make_topic("stopping")

    async def scenario(api: Api) -> None:
        waiting = asyncio.create_task(api.records("stopping", **{"from": "earliest", "wait_ms": 30_000}))
        await asyncio.sleep(0.2)
        api.waits.close()
        assert await asyncio.wait_for(waiting, 5) == {"records": [], "next": "earliest", "missing_because": None}

    asking(live, scenario)


def test_a_member_waits_four_times_and_no_more(live: LiveBroker) -> None:
    live.make_topic("crowded")

    async def scenario(api: Api) -> None:
        query = {"from": "earliest", "wait_ms": 20_000}
        waiting = [asyncio.create_task(api.records("crowded", **query)) for _ in range(4)]
        await asyncio.sleep(0.3)
        error = (await api.records("crowded", 429, **query))["error"]
        assert "close one" in error["hint"]
        api.waits.close()
        await asyncio.gather(*waiting)

    asking(live, scenario)


@pytest.mark.parametrize(
    ("query", "status"),
    [({"from": "0:"}, 422), ({"from": "soon"}, 422), ({"wait_ms": 30_001}, 422), ({"limit": 0}, 422), ({"x": 1}, 422)],
)
def test_what_cannot_be_asked_is_refused(live: LiveBroker, query: dict[str, Any], status: int) -> None:
    async def scenario(api: Api) -> None:
        await api.records("feed", status, **query)

    asking(live, scenario)


def test_a_broker_that_is_away_is_said(live: LiveBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    live.make_topic("away")
    monkeypatch.setattr(first_record_routes, "WAIT_MS_MAX", 1)

    async def scenario(api: Api) -> None:
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            port = nobody.getsockname()[1]
        object.__setattr__(live.client.address, "port", port)
        error = (await api.records("away", 503))["error"]
        assert error["code"] == "broker_unavailable" and "cannot be reached" in error["message"]

    port = live.client.address.port
    try:
        asking(live, scenario)
    finally:
        object.__setattr__(live.client.address, "port", port)


def test_pages_that_wait_do_not_hold_up_the_consoles_end(tmp_path: Path) -> None:
    """Its broker is away, so they wait for that, which is waiting too."""
    path, token = template()
    (tmp_path / "coldstream.db").write_bytes(path.read_bytes())
    with console(tmp_path) as (process, report, _):
        base = f"http://{report['ready']}"
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=base, headers=headers, timeout=10) as http:
            assert http.post(
                "/api/v1/namespaces/default/default/topics", json={"name": "t", "partitions": 1}
            ).is_success
            events = "/n/default/default/topics/t/first-record/events"
            with http.stream("GET", events) as one, http.stream("GET", events) as other:
                assert next(one.iter_lines()) == next(other.iter_lines()) == "retry: 2000"
                assert one.headers["content-type"].startswith("text/event-stream")
                process.send_signal(signal.SIGTERM)
                began_s = time.monotonic()
                assert process.wait(20) == 0
                assert time.monotonic() - began_s < 8
