"""A real console on a thread of this process, for commands that run in this process too: no start-up to wait for."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from coldstream.console.app import build_app
from coldstream.console.server import listen
from coldstream.tenants.database import Database
from coldstream.tests.console.world import Broker, console_for, template


@contextmanager
def console_on_a_thread(directory: Path) -> Iterator[Broker]:
    """Serves the database in `directory`, which is made to look like the data directory of a running platform."""
    path, token = template()
    (directory / "coldstream.db").write_bytes(path.read_bytes())
    (directory / "admin-token").write_text(token + "\n")
    config, broker = console_for(directory)
    listener = listen("127.0.0.1", 0)
    servers: list[uvicorn.Server] = []

    def serve() -> None:
        async def run() -> None:
            database = Database.open(config.database)
            app = build_app(config, database, broker)
            servers.append(uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none")))
            await servers[0].serve([listener])
            await database.dispose()

        asyncio.run(run())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    while not servers or not servers[0].started:
        time.sleep(0.005)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    (directory / "endpoints.json").write_text(json.dumps({"console": url}))
    try:
        yield broker
    finally:
        servers[0].should_exit = True
        thread.join()
        listener.close()
