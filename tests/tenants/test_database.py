"""Transactions, the two clocks, the change watch, and databases that must be refused."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from coldstream.tenants.catalogue import Counter, bump, versions
from coldstream.tenants.database import Database, file_system_of, system_now_ms
from coldstream.tenants.database_url import parse_database_url
from coldstream.tenants.errors import DatabaseUnfit
from coldstream.tenants.usage import PERIOD_MS, add_usage, usage_of
from coldstream.tests.postgres_server import fresh_database
from sqlalchemy import text

from .world import START_MS, World, in_world

SOON_S = 5.0


def with_two(url: str, scenario: Callable[[Database, Database], Awaitable[None]]) -> None:
    """Runs the scenario with the access of two processes to one database."""

    async def run() -> None:
        one, other = Database.open(url), Database.open(url)
        try:
            await scenario(one, other)
        finally:
            await one.dispose()
            await other.dispose()

    asyncio.run(run())


async def bumped(db: Database) -> int:
    async with db.write() as session:
        return (await bump(session, Counter.CATALOGUE)).catalogue


def test_a_block_that_raises_leaves_nothing(url: str) -> None:
    async def scenario(one: Database, other: Database) -> None:
        before = await versions(other)
        with pytest.raises(KeyError):
            async with one.write() as session:
                await bump(session, Counter.JOBS)
                raise KeyError("stop")
        assert await versions(other) == before

    with_two(url, scenario)


def test_a_cancelled_write_leaves_nothing_and_frees_the_lock(url: str) -> None:
    async def scenario(one: Database, other: Database) -> None:
        started = asyncio.Event()

        async def slow() -> None:
            async with one.write() as session:
                await bump(session, Counter.JOBS)
                started.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(slow())
        await started.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await asyncio.wait_for(bumped(other), SOON_S) == 1
        assert await asyncio.wait_for(bumped(one), SOON_S) == 2
        assert (await versions(one)).jobs == 0

    with_two(url, scenario)


def test_a_statement_cancelled_in_its_middle_frees_sqlites_lock_at_once(tmp_path: Path) -> None:
    """Even while whoever was cancelled still holds what refers to the connection's cursors."""
    url = fresh_database("sqlite", tmp_path)
    slow = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 2000000) SELECT count(*) FROM c"

    async def scenario() -> None:
        db = Database.open(url)
        kept: list[BaseException] = []

        async def write_slowly() -> None:
            try:
                async with db.write() as session:
                    await session.execute(text("UPDATE versions SET jobs = jobs + 100"))
                    await session.execute(text(slow))
            except asyncio.CancelledError as cancelled:
                kept.append(cancelled)
                raise

        task = asyncio.create_task(write_slowly())
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        before = await bumped(db)
        async with asyncio.timeout(5):  # the busy timeout of a lock that is not freed is ten seconds
            assert await bumped(db) == before + 1
        assert kept
        await db.dispose()

    gc.collect()
    gc.disable()
    try:
        asyncio.run(scenario())
    finally:
        gc.enable()


def test_writers_of_two_processes_queue_instead_of_failing(url: str) -> None:
    """On SQLite this breaks without BEGIN IMMEDIATE: who read before writing would meet SQLITE_BUSY_SNAPSHOT."""

    async def add(db: Database) -> None:
        async with db.write() as session:
            value = await session.scalar(text("SELECT jobs FROM versions" + for_update(db)))
            await asyncio.sleep(0.001)
            await session.execute(text("UPDATE versions SET jobs = :v").bindparams(v=(value or 0) + 1))

    def for_update(db: Database) -> str:
        return "" if db.url.is_sqlite else " FOR UPDATE"

    async def scenario(one: Database, other: Database) -> None:
        await asyncio.gather(*(add(db) for db in (one, other) * 8))
        assert (await versions(one)).jobs == 16

    with_two(url, scenario)


def test_readers_see_the_last_commit_while_somebody_writes(url: str) -> None:
    async def scenario(one: Database, other: Database) -> None:
        async with one.write() as session:
            await bump(session, Counter.JOBS)
            assert (await asyncio.wait_for(versions(other), SOON_S)).jobs == 0
            assert (await asyncio.wait_for(versions(one), SOON_S)).jobs == 0
        assert (await versions(other)).jobs == 1

    with_two(url, scenario)


def test_a_write_within_a_write_is_a_mistake_and_not_a_hang(url: str) -> None:
    async def scenario(one: Database, other: Database) -> None:
        async with one.write():
            with pytest.raises(AssertionError, match="within a write"):
                async with one.write():
                    pass
        assert await asyncio.wait_for(bumped(one), SOON_S) == 1

    with_two(url, scenario)


def test_what_a_read_session_changes_is_rolled_back(url: str) -> None:
    async def scenario(one: Database, other: Database) -> None:
        async with one.read() as session:
            await bump(session, Counter.JOBS)
        assert (await versions(other)).jobs == 0

    with_two(url, scenario)


def test_changed_tells_of_commits_of_any_process_once(url: str) -> None:
    async def quiet(db: Database) -> bool:
        """Waits until the watch is up and has delivered what was under way."""
        for _ in range(200):
            if not await db.changed():
                return True
            await asyncio.sleep(0.01)
        return False

    async def noticed(db: Database) -> bool:
        for _ in range(200):
            if await db.changed():
                return True
            await asyncio.sleep(0.01)
        return False

    async def scenario(one: Database, other: Database) -> None:
        assert await one.changed()  # what was before is unknown
        assert await quiet(one)
        await bumped(other)
        assert await noticed(one)
        assert await quiet(one)
        await bumped(one)  # its own commits too
        assert await noticed(one)
        assert await quiet(one)
        async with other.write() as session:
            await bump(session, Counter.CATALOGUE)
            assert not await asyncio.wait_for(one.changed(), SOON_S)  # takes no lock, sees no uncommitted change
        assert await noticed(one)

    with_two(url, scenario)


def test_changed_says_yes_while_the_watch_has_lost_its_connection(tmp_path: Path) -> None:
    url = fresh_database("postgresql", tmp_path)

    async def scenario() -> None:
        db = Database.open(url)
        try:
            for _ in range(200):
                if not await db.changed():
                    break
                await asyncio.sleep(0.01)
            assert not await db.changed()
            async with db.write() as session:
                killed = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name")
                await session.execute(killed.bindparams(name="coldstream watch"))
            for _ in range(200):
                if await db.changed():
                    break
                await asyncio.sleep(0.01)
            assert await db.changed()
            await asyncio.sleep(1.2)  # it tries again once a second
            for _ in range(200):
                if not await db.changed():
                    return
                await asyncio.sleep(0.01)
            raise AssertionError("the watch did not come back")
        finally:
            await db.dispose()

    asyncio.run(scenario())


def test_time_is_the_databases_own_or_the_given_one(url: str) -> None:
    async def scenario(one: Database, other: Database) -> None:
        assert abs(await one.now_ms() - system_now_ms()) < 5_000
        first = await one.now_ms()
        assert await other.now_ms() >= first - 1

    with_two(url, scenario)

    async def given(world: World) -> None:
        world.pass_time(7)
        assert await world.db.now_ms() == START_MS + 7

    in_world(url, given, empty=True)


def test_postgresql_without_fsync_is_refused_and_with_it_taken(tmp_path: Path) -> None:
    url = fresh_database("postgresql", tmp_path)

    async def scenario() -> None:
        db = Database.open(url)
        admin = await asyncpg.connect(url)
        settings = ("fsync", "synchronous_commit", "full_page_writes")
        try:
            for setting in settings:
                with pytest.raises(DatabaseUnfit, match=setting):
                    await db.check_database()
                await admin.execute(f"ALTER SYSTEM SET {setting} = on")
                await admin.execute("SELECT pg_reload_conf()")
                for _ in range(200):
                    if await admin.fetchval(f"SHOW {setting}") == "on":
                        break
                    await asyncio.sleep(0.01)
            await db.check_database()
        finally:
            for setting in settings:
                await admin.execute(f"ALTER SYSTEM RESET {setting}")
            await admin.execute("SELECT pg_reload_conf()")
            await admin.close()
            await db.dispose()

    asyncio.run(scenario())


def test_postgresql_sessions_cannot_hold_locks_for_long(tmp_path: Path) -> None:
    url = fresh_database("postgresql", tmp_path)

    async def scenario() -> None:
        db = Database.open(url)
        async with db.read() as session:
            shown = {
                name: await session.scalar(text(f"SHOW {name}"))
                for name in ("idle_in_transaction_session_timeout", "lock_timeout", "tcp_keepalives_idle")
            }
        await db.dispose()
        assert shown == {
            "idle_in_transaction_session_timeout": "5s",
            "lock_timeout": "10s",
            "tcp_keepalives_idle": "2",
        }

    asyncio.run(scenario())


def test_sqlite_is_as_durable_as_promised(tmp_path: Path) -> None:
    url = fresh_database("sqlite", tmp_path)

    async def scenario() -> None:
        db = Database.open(url)
        await db.check_database()
        for access in (db.read, db.write):
            async with access() as session:
                shown = [
                    await session.scalar(text(f"PRAGMA {name}"))
                    for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
                ]
                assert shown == ["wal", 2, 1, 10_000]
        await db.dispose()

    asyncio.run(scenario())


def test_the_file_system_of_a_path_is_its_longest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda1 / ext4 rw 0 0\nserver:/x /srv nfs4 rw 0 0\n"
        "tmpfs /srv/fast tmpfs rw 0 0\n//s/y /mnt/my\\040disk cifs rw 0 0\n"
    )
    for path, kind in {
        "/var/lib": "ext4",
        "/srv/data": "nfs4",
        "/srv/fast/data": "tmpfs",
        "/srv/faster": "nfs4",
        "/mnt/my disk/a": "cifs",
    }.items():
        assert file_system_of(Path(path), mounts) == kind
    assert file_system_of(Path("/x"), tmp_path / "absent") == ""


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://joe:secret@db:5432/cold?sslmode=require", "postgresql://joe@db:5432/cold"),
        ("postgres://db/cold", "postgresql://db/cold"),
        ("sqlite:////var/lib/x.db", "sqlite:////var/lib/x.db"),
    ],
)
def test_a_url_is_shown_without_its_password(given: str, shown: str) -> None:
    assert parse_database_url(given).without_password() == shown


def test_usage_adds_up_per_hour(url: str) -> None:
    async def scenario(world: World) -> None:
        hour = START_MS - START_MS % PERIOD_MS
        async with world.db.write() as session:
            await add_usage(session, world.namespace_id, {"produced_bytes": 5, "fetched_bytes": 1}, hour + 1)
            await add_usage(session, world.namespace_id, {"produced_bytes": 7}, hour + PERIOD_MS - 1)
            await add_usage(session, world.namespace_id, {"produced_bytes": 100}, hour + PERIOD_MS)
        async with world.db.read() as session:
            assert await usage_of(session, world.namespace_id, hour, hour + PERIOD_MS) == {
                "produced_bytes": 12,
                "fetched_bytes": 1,
            }
            assert (await usage_of(session, world.namespace_id, 0, 2**62))["produced_bytes"] == 112
            assert await usage_of(session, world.tenant_id, 0, 2**62) == {}

    in_world(url, scenario)
