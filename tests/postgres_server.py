"""A real PostgreSQL for tests, and metadata databases at head on it and on SQLite.

One server per test process, started when first asked for and stopped at exit. A test finds its database as the first
migration left it and has it alone; one test process uses one PostgreSQL database at a time. Where PostgreSQL's
binaries are missing the test is skipped with the reason, or failed where `COLDSTREAM_REQUIRE_PARTS=1` says that
everything must be there.
"""

import asyncio
import atexit
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from coldstream.migrations.upgrade import metadata, upgrade

KINDS = ("sqlite", "postgresql")
BINARIES = ("initdb", "postgres")
START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 15.0
PR_SET_PDEATHSIG = 1
OTHER_CONNECTIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
# Nothing here has to survive the machine, and an fsync per commit would be most of the tests' time.
SETTINGS = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nlisten_addresses = '127.0.0.1'\n"


class MissingPart(Exception):
    """PostgreSQL cannot be started here; the message says what to install."""


def fresh_database(kind: str, folder: Path) -> str:
    """The URL of a metadata database at head that nobody else uses; or skips."""
    return _fresh_sqlite(folder) if kind == "sqlite" else _fresh_postgresql()


def empty_postgresql() -> str:
    """The URL of a PostgreSQL database without any table; or skips."""
    return _create(_server_or_skip())


def _fresh_sqlite(folder: Path) -> str:
    variable = f"_COLDSTREAM_TEST_SQLITE_{os.getpid()}"
    if variable not in os.environ:
        home = Path(tempfile.mkdtemp(prefix="coldstream-sqlite-"))
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        upgrade(f"sqlite:///{home}/template.db")
        os.environ[variable] = f"{home}/template.db"
    path = folder / f"{uuid4().hex}.db"
    shutil.copyfile(os.environ[variable], path)
    return f"sqlite:///{path}"


def _fresh_postgresql() -> str:
    """One database per process, emptied before each use: making one costs more than most tests."""
    server = _server_or_skip()
    variable = f"_COLDSTREAM_TEST_POSTGRESQL_DATABASE_{os.getpid()}"
    if variable not in os.environ:
        made = _create(server)
        upgrade(made)
        os.environ[variable] = made
    asyncio.run(_empty(os.environ[variable]))
    return os.environ[variable]


async def _empty(url: str) -> None:
    """As the first migration left it: only the rows of which there is exactly one."""
    single = {"versions", "cluster", "alembic_version"}
    statements = [f'DELETE FROM "{table}"' for table in metadata().tables if table not in single]
    statements.append("UPDATE versions SET catalogue = 0, catalogue_floor = 0, policy = 0, revocations = 0, jobs = 0")
    connection = await asyncpg.connect(url)
    try:
        deadline = time.monotonic() + STOP_DEADLINE_S
        while left := await connection.fetchval(OTHER_CONNECTIONS):  # a closed one takes the server a moment
            assert time.monotonic() < deadline, (
                f"{left} connections of an earlier test are open: dispose of its Database"
            )
            await asyncio.sleep(0.01)
        await connection.execute("SET session_replication_role = replica;" + ";".join(statements))
    finally:
        await connection.close()


def _create(server: str) -> str:
    name = f"t{uuid4().hex}"

    async def create() -> None:
        connection = await asyncpg.connect(f"{server}/postgres")
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()

    asyncio.run(create())
    return f"{server}/{name}"


def _server_or_skip() -> str:
    variable = f"_COLDSTREAM_TEST_POSTGRESQL_{os.getpid()}"
    if variable not in os.environ:
        try:
            running = postgres_server()
            os.environ[variable] = running.__enter__()
        except MissingPart as missing:
            if os.environ.get("COLDSTREAM_REQUIRE_PARTS") == "1":
                pytest.fail(f"{missing} (COLDSTREAM_REQUIRE_PARTS=1 says that it must be there)")
            pytest.skip(str(missing))
        atexit.register(running.__exit__, None, None, None)
    return os.environ[variable]


@contextmanager
def postgres_server() -> Iterator[str]:
    """A server with no data; its URL without a database name. Raises MissingPart."""
    binaries = find_binaries()
    # Not below pytest's folders, which only their owner may enter: the server runs as another user when we are root.
    home = Path(tempfile.mkdtemp(prefix="coldstream-postgresql-"))
    try:
        home.chmod(0o755)
        data, sockets = home / "data", home / "sockets"
        for folder in (data, sockets):
            folder.mkdir(mode=0o700)
            if os.geteuid() == 0:
                shutil.chown(folder, _server_user()[0])
        initialise = [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(
            [*initialise, "--locale=C.UTF-8"], check=True, capture_output=True, cwd=home, **_as_server_user()
        )
        port = _free_port()
        command = [str(binaries / "postgres"), "-D", str(data), "-p", str(port)]
        with (data / "postgresql.conf").open("a") as conf:  # a file, so that a test may turn things on for a while
            conf.write(f"{SETTINGS}unix_socket_directories = '{sockets}'\n")
        log = (home / "server.log").open("ab")
        with log:
            server = subprocess.Popen(
                command, cwd=home, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                preexec_fn=_die_with_parent, **_as_server_user(),
            )  # fmt: skip
        try:
            url = f"postgresql://postgres@127.0.0.1:{port}"
            _wait_until_ready(server, url, home / "server.log")
            yield url
        finally:
            server.send_signal(signal.SIGINT)  # fast shutdown
            try:
                server.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def find_binaries() -> Path:
    """The folder of the newest PostgreSQL here. Raises MissingPart."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    on_path = [Path(path).resolve().parent for name in BINARIES[:1] if (path := shutil.which(name))]
    for folder in (*reversed(installed), *on_path):
        if all((folder / name).exists() for name in BINARIES):
            return folder
    raise MissingPart("no PostgreSQL server binaries here: apt-get install postgresql")


def _server_user() -> tuple[str, str]:
    """Whom the server runs as, since it refuses to run as root."""
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return name, str(pwd.getpwnam(name).pw_gid)
    raise MissingPart("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


def _as_server_user() -> dict[str, object]:
    if os.geteuid() != 0:
        return {}
    name, group = _server_user()
    return {"user": name, "group": int(group), "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    async def connect() -> None:
        connection = await asyncpg.connect(f"{url}/postgres", timeout=2)
        await connection.close()

    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        try:
            return asyncio.run(connect())
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {error}\n{log.read_text()[-2000:]}") from error
            time.sleep(0.03)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
