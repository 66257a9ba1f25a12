"""Has anything in the metadata database changed since I last asked? Cheap enough for ten times a second.

A yes may be wrong (a commit of something else, a lost connection), a no is right up to the delay of delivery: callers
answer a yes by reading the versions row, and read it once a second anyway.
"""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any, Protocol
from urllib.request import pathname2url

CHANNEL = "coldstream_changed"
RECONNECT_WAIT_S, CONNECT_TIMEOUT_S = 1.0, 5.0

_log = logging.getLogger("coldstream.database")


class ChangeWatch(Protocol):
    async def changed(self) -> bool:
        """Whether somebody committed since the last call; the first call says yes."""

    async def close(self) -> None: ...


class DataVersionWatch:
    """SQLite's own counter of commits by *other* connections, read on a connection that writes nothing.

    The connection has a thread of its own, takes no write lock and never waits for one.
    """

    def __init__(self, path: Path) -> None:
        self._uri = f"file:{pathname2url(str(path))}?mode=ro"
        self._connection: Any = None
        self._seen: int | None = None

    async def changed(self) -> bool:
        import aiosqlite

        if self._connection is None:
            self._connection = await aiosqlite.connect(self._uri, uri=True, timeout=0)
        try:
            cursor = await self._connection.execute("PRAGMA data_version")
            (version,) = await cursor.fetchone()
            await cursor.close()
        except aiosqlite.OperationalError:  # busy during a recovery: let the caller look for itself
            return True
        was, self._seen = self._seen, version
        return bool(was != version)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None


class NotificationWatch:
    """PostgreSQL: a connection of its own that LISTENs; while it is down every answer is yes."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: Any = None
        self._connecting: asyncio.Task[None] | None = None
        self._tried_s = float("-inf")
        self._dirty = True

    async def changed(self) -> bool:
        if self._connection is None or self._connection.is_closed():
            if self._connecting is None and time.monotonic() - self._tried_s >= RECONNECT_WAIT_S:
                self._tried_s = time.monotonic()
                self._connecting = asyncio.create_task(self._connect(), name="database change watch")
            return True
        was, self._dirty = self._dirty, False
        return was

    async def _connect(self) -> None:
        import asyncpg

        driver: Any = asyncpg  # untyped
        try:
            connection = await driver.connect(
                self._dsn, timeout=CONNECT_TIMEOUT_S, server_settings={"application_name": "coldstream watch"}
            )
            await connection.add_listener(CHANNEL, self._notified)
            self._dirty = True  # what was notified before the LISTEN is unknown
            self._connection = connection
        except (OSError, TimeoutError, driver.PostgresError, driver.InterfaceError) as error:
            _log.warning("the watch for database changes cannot connect", extra={"error": str(error)})
        finally:
            self._connecting = None

    def _notified(self, *_: object) -> None:
        self._dirty = True

    async def close(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._connection is not None and not self._connection.is_closed():
            await self._connection.close(timeout=CONNECT_TIMEOUT_S)
        self._connection = None
