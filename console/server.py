"""The console process: binds, says that it is ready, serves until told to stop, and ends with status 0.

It stops on SIGTERM, SIGINT, or when its lifeline (a pipe whose other end the supervisor holds) ends. What it reports to
`COLDSTREAM_READY_FD` is one JSON line: `{"ready": "HOST:PORT"}` or `{"error": "…"}`.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import uvicorn

from ..tenants.database import Database
from ..tenants.errors import TenancyError
from .app import build_app
from .config import ConsoleConfig
from .kafka import BrokerClient
from .sampler import Sampler
from .waits import Waits

log = logging.getLogger(__name__)

CONNECTIONS_MAX = 512
IDLE_S = 20
STOP_S = 10


def report(**what: str) -> None:
    """Tells whoever started us how the start went; says nothing when nobody asked."""
    if fd := os.environ.pop("COLDSTREAM_READY_FD", None):
        with contextlib.suppress(OSError), os.fdopen(int(fd), "wb") as pipe:
            pipe.write(json.dumps(what).encode() + b"\n")


def run(config: ConsoleConfig) -> int:
    """Serves until told to stop; the exit status."""
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # its start and stop are ours to tell
    try:
        listener = listen(config.listen_host, config.listen_port)
    except OSError as error:
        return refuse(f"cannot listen on {config.listen_host}:{config.listen_port} ({error.strerror or error})")
    with listener:
        try:
            return asyncio.run(_serve(config, listener))
        except TenancyError as error:
            return refuse(str(error))


def refuse(reason: str) -> int:
    """Ends a start that cannot go on: one line for the person, one report for the supervisor."""
    supervised = "COLDSTREAM_READY_FD" in os.environ
    report(error=reason)
    if not supervised:
        print(f"coldstream: {reason}", file=sys.stderr)
    return 1


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to us (its own way ends the process by the signal) and says when it serves."""

    address = ""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            report(ready=self.address)
            log.info("console serves", extra={"address": self.address})


async def _serve(config: ConsoleConfig, listener: socket.socket) -> int:
    database = Database.open(config.database)
    broker = BrokerClient(config.broker_host, config.broker_port, config.cluster_secret_path, config.tls_cert)
    sampler, waits = Sampler(database, broker), Waits()
    try:
        await database.check_database()
        server = _Server(
            uvicorn.Config(
                build_app(config, database, broker, sampler, waits),
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=CONNECTIONS_MAX,
                timeout_keep_alive=IDLE_S,
                timeout_graceful_shutdown=STOP_S,
            )
        )
        host, port = listener.getsockname()[:2]
        server.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

        def stop() -> None:
            server.should_exit = True
            waits.close()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        if lifeline := os.environ.pop("COLDSTREAM_LIFELINE_FD", None):
            loop.add_reader(int(lifeline), _lifeline_ended, loop, int(lifeline), stop)
        sampler.start()
        await server.serve([listener])
    finally:
        await sampler.stop()
        await database.dispose()
    return 0


def _lifeline_ended(loop: asyncio.AbstractEventLoop, fd: int, stop: Callable[[], None]) -> None:
    loop.remove_reader(fd)
    log.warning("supervisor is gone, stopping")
    stop()
