"""The console's application on a database of its own, asked without a socket."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from uuid import UUID

import httpx
from coldstream.console.app import build_app
from coldstream.console.config import ConsoleConfig
from coldstream.console.figures import NOTHING_KNOWN, NamespaceFigures, TopicFigures
from coldstream.console.kafka import BrokerClient, BrokerUnavailable, PartitionFigures
from coldstream.migrations.upgrade import upgrade
from coldstream.tenants.bootstrap import bootstrap
from coldstream.tenants.database import Database

NAMESPACE = "/namespaces/default/default"


class Broker(BrokerClient):
    """Answers for every partition as it is told to, without a network."""

    def __init__(self, cluster_secret_path: Path) -> None:
        super().__init__("127.0.0.1", 1, cluster_secret_path)
        self.known: dict[int, PartitionFigures] = {}
        self.unavailable: str | None = None

    async def accepts(self) -> bool:
        return self.unavailable is None

    async def figures(self, namespace_id: UUID, topic: str, partitions: int) -> dict[int, PartitionFigures]:
        if self.unavailable is not None:
            raise BrokerUnavailable(self.unavailable)
        return self.known

    async def namespace_figures(
        self, namespace_id: UUID, topics: Mapping[str, int], known: NamespaceFigures | None = None
    ) -> NamespaceFigures:
        """The same of every topic; no groups."""
        if self.unavailable is not None:
            raise BrokerUnavailable(self.unavailable)
        told = {
            name: TopicFigures(tuple(self.known.get(index, NOTHING_KNOWN) for index in range(count)))
            for name, count in topics.items()
        }
        return NamespaceFigures(told, ())


@dataclass(slots=True)
class World:
    """`ask` answers (status, document); tokens of others can be given."""

    config: ConsoleConfig
    database: Database
    broker: Broker
    http: httpx.AsyncClient
    token: str

    async def send(self, method: str, path: str, *, token: str | None = None, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token or self.token}"} | more.pop("headers", {})
        return await self.http.request(method, f"/api/v1{path}", headers=headers, **more)

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        sent = {} if body is None else {"json": body}
        answer = await self.send(method, path, **sent, **more)
        return answer.status_code, answer.json() if answer.content else None

    async def done(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The document of an answer that must be a success."""
        status, document = await self.ask(method, path, body, **more)
        assert status < 300, (status, document)
        return document

    async def refused(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, str, str]:
        """Status, code and message of an answer that must be a refusal."""
        status, document = await self.ask(method, path, body, **more)
        assert status >= 400, (status, document)
        error = document["error"]
        assert error["request_id"]
        return status, error["code"], error["message"]


@cache
def template() -> tuple[Path, str]:
    """A database after a first start, and its token: made once, copied for each test."""
    path = Path(mkdtemp(prefix="coldstream-console-")) / "coldstream.db"
    upgrade(f"sqlite:///{path}")

    async def first_start() -> str:
        database = Database.open(f"sqlite:///{path}")
        made = await bootstrap(database, "a password of the test")
        await database.dispose()
        assert made.token is not None
        return made.token

    return path, asyncio.run(first_start())


def remove_template() -> None:
    if template.cache_info().currsize:
        shutil.rmtree(template()[0].parent, ignore_errors=True)
        template.cache_clear()


@asynccontextmanager
async def running(directory: Path, first_start: tuple[Path, str], **settings: Any) -> AsyncIterator[World]:
    path, token = first_start
    shutil.copy(path, directory / "coldstream.db")
    config, broker = console_for(directory, **settings)
    database = Database.open(config.database)
    transport = httpx.ASGITransport(build_app(config, database, broker), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://console") as http:
        try:
            yield World(config, database, broker, http, token)
        finally:
            await database.dispose()


def console_for(directory: Path, **settings: Any) -> tuple[ConsoleConfig, Broker]:
    """Configuration of a console on the database in the directory, and a broker that says what it is told to."""
    secret = directory / "cluster-secret"
    secret.write_text(secrets.token_hex(32))
    config = ConsoleConfig(
        listen_host="127.0.0.1",
        listen_port=0,
        database=f"sqlite:///{directory / 'coldstream.db'}",
        broker_host="127.0.0.1",
        broker_port=1,
        bootstrap="kafka.example:9092",
        cluster_secret_path=secret,
        **settings,
    )
    return config, Broker(secret)


def in_world(directory: Path, scenario: Callable[[World], Awaitable[None]], **settings: Any) -> None:
    """Runs a scenario on a fresh console."""
    first_start = template()

    async def run() -> None:
        async with running(directory, first_start, **settings) as world:
            await scenario(world)

    asyncio.run(run())
