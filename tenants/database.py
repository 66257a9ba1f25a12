"""The metadata database: sessions, transactions, its clock, and whether it can keep our promises.

Always true: a write is one transaction that either commits whole or leaves nothing; on SQLite it holds the write lock
from its first statement (BEGIN IMMEDIATE: a deferred transaction that upgrades fails at once with SQLITE_BUSY_SNAPSHOT
whatever the timeout) and is fsynced before the block ends. Schema changes are in `migrations/`, never here.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, Connection, Engine, event, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from .change_watch import ChangeWatch, DataVersionWatch, NotificationWatch
from .database_url import DatabaseUrl, parse_database_url
from .errors import DatabaseUnfit

SQLITE_BUSY_TIMEOUT_MS = 10_000
SQLITE_CONNECTIONS_MAX = 8  # each is a thread
POSTGRESQL_CONNECTIONS_MAX = 10
# A cut-off broker must not hold row locks for longer than its successor is ready to wait.
POSTGRESQL_SETTINGS = {
    "application_name": "coldstream",
    "idle_in_transaction_session_timeout": "5000",
    "lock_timeout": "10000",
    "tcp_keepalives_idle": "2",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "6000",
}
NETWORK_FILE_SYSTEMS = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "ceph",
    "glusterfs",
    "lustre",
    "afs",
    "fuse.sshfs",
}
WRITES = "coldstream_writes"  # execution option: this connection begins IMMEDIATE
_CLOCK = "coldstream_clock"


def system_now_ms() -> int:
    return time.time_ns() // 1_000_000


class Database:
    """One process's access to the metadata database. Make it inside the event loop that will use it."""

    def __init__(self, url: DatabaseUrl, engine: AsyncEngine, clock: Callable[[], int] | None) -> None:
        self.url = url
        self._engine = engine
        self._writing_engine = engine.execution_options(**{WRITES: True})
        # Within a process writers take turns here, in order, instead of polling for SQLite's lock.
        self._turn: AbstractAsyncContextManager[object] = asyncio.Lock() if url.is_sqlite else nullcontext()
        self._writers: set[object] = set()  # tasks inside `write`
        self._clock = clock or (system_now_ms if url.is_sqlite else None)
        self._watch: ChangeWatch | None = None

    @classmethod
    def open(cls, url: str, *, clock: Callable[[], int] | None = None) -> Self:
        """Connects lazily. `clock` replaces the database's own time, in milliseconds, for tests.

        Raises InvalidDatabaseUrl.
        """
        parsed = parse_database_url(url)
        if parsed.is_sqlite:
            engine = create_async_engine(engine_url(parsed), pool_size=SQLITE_CONNECTIONS_MAX, max_overflow=0)
            prepare_sqlite(engine.sync_engine)
        else:
            engine = create_async_engine(
                engine_url(parsed),
                pool_size=POSTGRESQL_CONNECTIONS_MAX,
                max_overflow=0,
                pool_pre_ping=True,
                connect_args={"server_settings": POSTGRESQL_SETTINGS, "timeout": 10},
            )
        return cls(parsed, engine, clock)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session for queries; what it changes is rolled back. Takes no lock that a writer would wait for."""
        async with AsyncSession(self._engine, expire_on_commit=False, info={_CLOCK: self._clock}) as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A session whose changes are one transaction, committed when the block ends without an exception."""
        task = asyncio.current_task()
        assert task not in self._writers, "a write within a write of the same task would wait for itself for ever"
        info = {_CLOCK: self._clock}
        self._writers.add(task)
        try:
            async with (
                self._turn,
                AsyncSession(self._writing_engine, expire_on_commit=False, info=info) as session,
                session.begin(),
            ):
                yield session
        finally:
            self._writers.discard(task)

    async def now_ms(self) -> int:
        """Database time, milliseconds since the epoch."""
        if self._clock is not None:
            return self._clock()
        async with self.read() as session:
            return await session_now_ms(session)

    async def changed(self) -> bool:
        """Whether anything may have been committed since the last call; cheap, takes no locks, first answer yes."""
        if self._watch is None:
            path = self.url.path
            self._watch = DataVersionWatch(path) if path is not None else NotificationWatch(self.url.dsn())
        return await self._watch.changed()

    async def check_database(self) -> None:
        """Refuses a database that would lose what it acknowledged. Raises DatabaseUnfit."""
        async with self.read() as session:
            connection = await session.connection()
            if self.url.path is not None:
                await _check_sqlite(connection.exec_driver_sql, self.url.path)
            else:
                await _check_postgresql(connection.exec_driver_sql)

    async def dispose(self) -> None:
        if self._watch is not None:
            await self._watch.close()
            self._watch = None
        await self._engine.dispose()


def is_postgresql(session: AsyncSession) -> bool:
    return session.get_bind().dialect.name == "postgresql"


async def session_now_ms(session: AsyncSession) -> int:
    """Database time now, not at the start of the transaction: it may have waited for a lock since."""
    clock: Callable[[], int] | None = session.info.get(_CLOCK)
    if clock is not None:
        return clock()
    now_ms = await session.scalar(text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"))
    assert isinstance(now_ms, int)
    return now_ms


def engine_url(url: DatabaseUrl, *, asynchronous: bool = True) -> URL:
    """What SQLAlchemy connects to; PostgreSQL has only the asynchronous driver."""
    if url.path is not None:
        return URL.create("sqlite+aiosqlite" if asynchronous else "sqlite", database=str(url.path))
    return make_url(f"postgresql+asyncpg:{url.location}")


def prepare_sqlite(engine: Engine) -> None:
    """Settings of every connection, and transactions begun by us: the driver's own way cannot begin IMMEDIATE."""

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {SQLITE_BUSY_TIMEOUT_MS}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "cache_size = -1024",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "invalidate")
    def roll_back(connection: Any, _: object, __: object) -> None:
        # SQLAlchemy stops the connection of a cancelled task while its cursors still live, and SQLite keeps the write
        # lock until they are collected. So a rollback is queued first, on the connection's own thread, behind what it
        # is doing: `send` runs the coroutine just far enough for that.
        with contextlib.suppress(StopIteration, ValueError):
            connection.driver_connection.rollback().send(None)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


async def _check_sqlite(run: Callable[[str], Any], path: Path) -> None:
    for pragma, expected, wrong in (
        ("journal_mode", "wal", "journal_mode is {}, write-ahead logging is needed"),
        ("synchronous", 2, "synchronous is {}, FULL (2) is needed"),
        ("foreign_keys", 1, "foreign_keys is {}, it must be on"),
    ):
        value = (await run(f"PRAGMA {pragma}")).scalar()
        if value != expected:
            raise DatabaseUnfit(f"{path}: {wrong.format(value)}; is the file on a file system without shared memory?")
    kind = await asyncio.to_thread(lambda: file_system_of(path.resolve(), Path("/proc/self/mounts")))
    if kind in NETWORK_FILE_SYSTEMS:
        raise DatabaseUnfit(
            f"{path} is on a network file system ({kind}), whose locks SQLite cannot trust: "
            "put the data directory on a local disk, or use --database postgresql://…"
        )


async def _check_postgresql(run: Callable[[str], Any]) -> None:
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        value = (await run(f"SHOW {setting}")).scalar()
        if value == "off":
            raise DatabaseUnfit(f"PostgreSQL runs with {setting} = off and may lose what it committed: turn it on")
    if (await run("SELECT pg_is_in_recovery()")).scalar():
        raise DatabaseUnfit("this PostgreSQL is a standby and takes no writes: name the primary in --database")


def file_system_of(path: Path, mounts: Path) -> str:
    """The file system type of the longest mount point above `path`; empty when it cannot be told."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return ""
    found, kind = Path("/"), ""
    for line in lines:
        _, mount_point, file_system, *_ = line.split(" ")
        mounted = Path(mount_point.replace("\\040", " "))
        if path.is_relative_to(mounted) and len(mounted.parts) >= len(found.parts):
            found, kind = mounted, file_system
    return kind
