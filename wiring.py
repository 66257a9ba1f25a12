"""Where the parts of a process are put together: the only code, beside tests, that may know every folder.

Each function is the start of one process. What needs SQLAlchemy or uvicorn is imported inside, so that the command line
and the supervisor can name these functions without loading any of it.
"""

import os
import sys

from .platform.data_dir import write_whole
from .platform.settings import Settings, SettingsError


def run_console() -> int:
    """The console process; the exit status."""
    from .console.server import refuse, run

    try:
        settings = Settings.from_environ()
    except SettingsError as error:
        return refuse(str(error))
    from .console.config import ConsoleConfig
    from .migrations.upgrade import current_is_head
    from .platform import logs

    logs.configure(settings.log_level, process="console")
    if not current_is_head(settings.database):
        return refuse("the database is not at this release's schema: run `coldstream migrate`")
    broker = settings.kafka_reachable
    return run(
        ConsoleConfig(
            listen_host=settings.console.host,
            listen_port=settings.console.port,
            database=settings.database,
            broker_host=broker.host,
            broker_port=broker.port,
            bootstrap=str(settings.advertised),
            cluster_secret_path=settings.cluster_secret_path,
            tls_cert=settings.tls_cert,
            public_url=settings.console_url or "",
            development=settings.console_development,
        )
    )


def is_prepared(settings: Settings) -> bool:
    """Whether a start finds everything made: schema, first tenant, this machine's token. Costs no SQLAlchemy."""
    return settings.admin_token_path.exists() and database_at_head(settings)


def database_at_head(settings: Settings) -> bool:
    """Whether the schema is this release's. Raises TenancyError, and whatever a driver does when it cannot connect."""
    from .migrations.upgrade import current_is_head

    return current_is_head(settings.database)


def prepare(settings: Settings) -> list[str]:
    """Brings the schema to this release and makes what a first start makes; what a person should know of it.

    Raises TenancyError, OSError.
    """
    import asyncio

    from .migrations.upgrade import upgrade

    upgrade(settings.database)
    return asyncio.run(_bootstrap(settings))


async def _bootstrap(settings: Settings) -> list[str]:
    from .tenants.bootstrap import ADMIN, bootstrap, renew_local_token
    from .tenants.database import Database

    notes = []
    database = Database.open(settings.database)
    try:
        await database.check_database()
        made = await bootstrap(database, os.environ.get("COLDSTREAM_ADMIN_PASSWORD") or None)
        token = made.token
        if made.password is not None:
            path = settings.initial_admin_password_path
            write_whole(path, made.password + "\n")
            notes.append(f"first start: member {ADMIN} can sign in with the password in {path}")
        if token is None and not settings.admin_token_path.exists():
            token = await renew_local_token(database)
            notes.append(f"{settings.admin_token_path} was missing: made a new access token, the lost one is revoked")
        if token is not None:
            write_whole(settings.admin_token_path, token + "\n")
    finally:
        await database.dispose()
    return notes


def run_migrate(settings: Settings) -> int:
    """`coldstream migrate`; the exit status."""
    from .tenants.errors import TenancyError

    try:
        notes = prepare(settings)
    except TenancyError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"{error.filename or settings.data_dir}: {error.strerror or error}")
    for note in notes:
        print(f"coldstream: {note}", file=sys.stderr)
    return 0


def _refuse(reason: str) -> int:
    print(f"coldstream: {reason}", file=sys.stderr)
    return 1
