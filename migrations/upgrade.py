"""Brings a metadata database to the schema of this release.

Always true: an upgrade is one transaction under a lock, so it happens once however many processes ask for it, and a
crash leaves the old schema; asking whether there is anything to do is one query and imports neither Alembic nor
SQLAlchemy.
"""

import asyncio
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..tenants.database_url import DatabaseUrl, parse_database_url
from ..tenants.errors import DatabaseUnfit

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection, MetaData

HEAD = "0002"  # the newest revision in versions/; a test compares it with what Alembic finds
LOCK_ID = 0x636F6C64  # PostgreSQL advisory lock of all who upgrade
CONNECT_TIMEOUT_S = 10


def upgrade(url: str) -> bool:
    """Creates or upgrades; whether there was anything to do. Not to be called from within an event loop.

    Raises InvalidDatabaseUrl, and DatabaseUnfit when a newer release has upgraded the database already.
    """
    parsed = parse_database_url(url)
    revision = _revision(parsed)
    if revision == HEAD:
        return False
    if revision is not None and revision not in _known_revisions():
        raise DatabaseUnfit(
            f"{parsed.without_password()} is at revision {revision!r}, which this release does not know: "
            "it was upgraded by a newer Coldstream; run that one"
        )
    if parsed.path is not None:
        _upgrade_sqlite(parsed, parsed.path)
    else:
        asyncio.run(_upgrade_postgresql(parsed))
    return True


def current_is_head(url: str) -> bool:
    """Whether `upgrade` has nothing to do. Not to be called from within an event loop. Raises InvalidDatabaseUrl."""
    return _revision(parse_database_url(url)) == HEAD


def metadata() -> "MetaData":
    """Every table of the metadata database, from whichever folder it comes."""
    from ..platform.cluster import tables
    from ..tenants import models
    from ..tenants.schema import METADATA

    assert models.Tenant.metadata is tables.Partition.metadata is METADATA
    return METADATA


def alembic_config(connection: "Connection | None" = None) -> "Config":
    """Alembic's settings, without an ini file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def run_revisions(connection: "Connection") -> None:
    """All that are missing, in the connection's transaction."""
    from alembic import command

    command.upgrade(alembic_config(connection), "head")


def _known_revisions() -> set[str]:
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}


def _revision(url: DatabaseUrl) -> str | None:
    """The database's revision; None for an empty or absent one."""
    return _sqlite_revision(url.path) if url.path is not None else asyncio.run(_postgresql_revision(url))


def _sqlite_revision(path: Path) -> str | None:
    if not path.exists():
        return None
    connection = sqlite3.connect(path, timeout=CONNECT_TIMEOUT_S)
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return None
        raise
    except sqlite3.DatabaseError as error:
        raise DatabaseUnfit(f"{path} cannot be read as a SQLite database: {error}") from None
    finally:
        connection.close()
    return row[0] if row else None


async def _postgresql_revision(url: DatabaseUrl) -> str | None:
    import asyncpg

    driver: Any = asyncpg  # untyped
    connection = await driver.connect(url.dsn(), timeout=CONNECT_TIMEOUT_S)
    try:
        revision = await connection.fetchval("SELECT version_num FROM alembic_version")
    except driver.UndefinedTableError:
        return None
    finally:
        await connection.close()
    return None if revision is None else str(revision)


def _upgrade_sqlite(url: DatabaseUrl, path: Path) -> None:
    from sqlalchemy import create_engine

    from ..tenants.database import WRITES, engine_url, prepare_sqlite

    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # names of keys and members are nobody else's business
    engine = create_engine(engine_url(url, asynchronous=False)).execution_options(**{WRITES: True})
    prepare_sqlite(engine)
    try:
        with engine.begin() as connection:
            run_revisions(connection)
    finally:
        engine.dispose()


async def _upgrade_postgresql(url: DatabaseUrl) -> None:
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    from ..tenants.database import engine_url

    engine = create_async_engine(engine_url(url), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK_ID})"))
            await connection.run_sync(run_revisions)
    finally:
        await engine.dispose()
