"""A whole broker in this process, on its own loop and thread, on whatever disk a test hands it."""

import asyncio
import os
import secrets
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import uvloop
from coldstream.migrations.upgrade import upgrade
from coldstream.platform.broker.main import Broker
from coldstream.platform.settings import Address, Settings
from coldstream.storage.disk import Disk
from coldstream.tenants.bootstrap import bootstrap
from coldstream.tenants.database import Database

T = TypeVar("T")
START_S = 30


def prepare(data_dir: Path) -> None:
    """What the supervisor does before a broker's first start."""
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / "cluster-secret").write_text(secrets.token_hex(32))
    settings = settings_for(data_dir)
    upgrade(settings.database)

    async def first_start() -> None:
        database = Database.open(settings.database)
        await bootstrap(database, None)
        await database.dispose()

    asyncio.run(first_start())


def settings_for(data_dir: Path) -> Settings:
    """Free ports on loopback; anonymous clients reach default/default."""
    return Settings(
        data_dir=data_dir,
        kafka=Address("127.0.0.1", 0),
        broker_metrics=Address("127.0.0.1", 0),
        anonymous="default/default",
        offload_interval_ms=500,
    )


class InProcessBroker:
    """`with InProcessBroker(data_dir, disk) as broker:`; `broker.address` is where it listens."""

    def __init__(self, data_dir: Path, disk: Disk | None = None) -> None:
        self._broker = Broker(settings_for(data_dir), disk)
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="broker under test", daemon=True)

    def __enter__(self) -> "InProcessBroker":
        self._thread.start()
        self.on_loop(self._broker.start)
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self.on_loop(self._broker.stop)
            self._end()

    @property
    def address(self) -> str:
        return str(self._broker.address)

    @property
    def broker(self) -> Broker:
        return self._broker

    def on_loop(self, work: Callable[[], Awaitable[T]]) -> T:
        async def run() -> T:
            return await work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(START_S)

    def crash(self) -> None:
        """As if the power went: the loop stops between two callbacks, nothing is flushed, closed or answered."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        os.kill(self._broker.services.worker.pid, 9)
        for connection in tuple(self._broker.services.connections):
            connection.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
