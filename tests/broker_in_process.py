"""A whole broker in this process, on its own loop and thread, on whatever disk a test hands it."""

import asyncio
import os
import secrets
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import uvloop
from coldstream.migrations.upgrade import upgrade
from coldstream.platform.broker.main import Broker
from coldstream.platform.settings import Address, Settings
from coldstream.storage.disk import Disk
from coldstream.tenants.actor import Actor
from coldstream.tenants.bootstrap import bootstrap
from coldstream.tenants.database import Database
from coldstream.tenants.key_service import create_key, revoke_key
from coldstream.tenants.scope import namespace_scope
from coldstream.tenants.tenancy import create_namespace

T = TypeVar("T")
START_S = 30


def prepare(data_dir: Path) -> None:
    """What the supervisor does before a broker's first start."""
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / "cluster-secret").write_text(secrets.token_hex(32))
    upgrade(settings_for(data_dir).database)
    with_database(data_dir, bootstrap)


def with_database(data_dir: Path, work: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
    """Run something against the metadata database, beside a broker or without one."""

    async def run() -> T:
        database = Database.open(settings_for(data_dir).database)
        try:
            return await work(database)
        finally:
            await database.dispose()

    return asyncio.run(run())


def make_key(
    data_dir: Path, role: str, *, topic: str = "*", group: str = "*", namespace: str = "default"
) -> tuple[str, str]:
    """Id and secret of a new key of a namespace of tenant default, which is made if there is none."""

    async def make(database: Database) -> tuple[str, str]:
        async with database.write() as session:
            if namespace != "default":
                await create_namespace(session, Actor.local(), "default", namespace)
            scope = await namespace_scope(session, "default", namespace)
            name = f"{role}-{secrets.token_hex(4)}"
            key = await create_key(
                session, Actor.local(), scope.id, name, role, topic_pattern=topic, group_pattern=group
            )
            return key.id, key.secret

    return with_database(data_dir, make)


def revoke(data_dir: Path, key_id: str) -> None:
    """Revoke a key of default/default."""

    async def end(database: Database) -> None:
        async with database.write() as session:
            scope = await namespace_scope(session, "default", "default")
            await revoke_key(session, Actor.local(), scope.id, key_id)

    with_database(data_dir, end)


def last_used_at_ms(data_dir: Path, key_id: str) -> int | None:
    """When a key of default/default last signed in."""

    async def look(database: Database) -> int | None:
        async with database.read() as session:
            key, _ = await (await namespace_scope(session, "default", "default")).key(key_id)
            return key.last_used_at_ms

    return with_database(data_dir, look)


def settings_for(data_dir: Path, anonymous: str | None = "default/default", port: int = 0) -> Settings:
    """Free ports on loopback; anonymous clients reach default/default."""
    return Settings(
        data_dir=data_dir,
        kafka=Address("127.0.0.1", port),
        broker_metrics=Address("127.0.0.1", 0),
        anonymous=anonymous,
        offload_interval_ms=500,
    )


class InProcessBroker:
    """`with InProcessBroker(data_dir, disk) as broker:`; `broker.address` is where it listens."""

    def __init__(
        self,
        data_dir: Path,
        disk: Disk | None = None,
        *,
        anonymous: str | None = "default/default",
        port: int = 0,
    ) -> None:
        self._broker = Broker(settings_for(data_dir, anonymous, port), disk)
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
        """As if the power went: from one callback of the loop on nobody is answered and nothing is synced or closed.

        What was only in memory is gone; files are as they are, for the test's disk to take away what was not synced.
        """
        self.on_loop(self._cut)
        self._end()

    async def _cut(self) -> None:
        services = self._broker.services
        services.rounds.on_completed = lambda number, logs: None
        services.stopping = True
        for connection in tuple(services.connections):
            connection._close_reason = "the power went"
            connection._transport.abort()
        self._broker._server.close()
        for task in self._broker._background:
            task.cancel()
        for undo in self._broker._undo:
            undo()
        if services.worker.pid is not None:
            os.kill(services.worker.pid, signal.SIGKILL)
        await services.worker.close()
        await asyncio.to_thread(services.rounds.close)  # a sync under way may still reach the disk, or may not
        await services.database.dispose()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
