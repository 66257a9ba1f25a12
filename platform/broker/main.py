"""The broker process: builds every part, in order, in one function; serves; takes it all down in reverse.

Always true: the ready line is written only when clients can sign in, produce and consume; after a failed fsync the
process ends without acknowledging anything more, and its next start re-reads what may not be on disk.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...storage.cold_reader import ColdReader
from ...storage.commit_rounds import CommitRounds
from ...storage.disk import Disk, OsDisk
from ...storage.open_files import OpenFiles
from ...tenants.catalogue import versions
from ...tenants.database import Database
from .. import logs as log_lines
from ..cluster.manifests import SqlManifest
from ..cluster.membership import BrokerRegistration, register_broker
from ..data_dir import DataDirError, DataDirLock
from ..groups.coordinator import Coordinator
from ..groups.limits import GroupLimits
from ..groups.seams import LoopClock
from ..settings import Address, Settings, SettingsError
from ..worker.client import ColdWorkerProcess
from ..worker.messages import Configure
from . import apis  # noqa: F401 - fills the registry
from .authentication import Authentication
from .cannot_start import CannotStart, is_mistake, sentence
from .catalogue_follower import CatalogueFollower
from .compactor import Compactor
from .connection import Connection
from .group_log import GroupLogs
from .housekeeping import Housekeeping
from .identity import confirm, load_identity
from .lease import keep_lease
from .metrics import BrokerCollector, BrokerMetrics
from .metrics_server import MetricsServer
from .partition_logs import PartitionLogs
from .producer_ids import ProducerIds
from .services import Services
from .slow_reads import SlowReads
from .tiering import Tiering
from .tls_listener import TlsListener
from .watch import DatabaseWatch, close_expired

log = logging.getLogger("coldstream.broker")

SHUTDOWN_DRAIN_S = 2.0
SHUTDOWN_CLOSE_S = 1.0  # for what clients have still to read
SHUTDOWN_TASKS_S = 1.0
CLUSTER_SECRET_BYTES_MIN = 16
LISTEN_BACKLOG = 1024
STATUS_STORAGE_FAILED = 70


class Broker:
    """One running broker: `start` builds it, `stop` takes it down. Tests run it on a disk of their own."""

    def __init__(self, settings: Settings, disk: Disk | None = None) -> None:
        self.settings = settings
        self.disk: Disk = disk if disk is not None else OsDisk()
        self.failed: asyncio.Future[BaseException] | None = None
        self.address = settings.kafka
        self.services: Services
        self._server: asyncio.Server | TlsListener
        self._background: list[asyncio.Task[None]] = []
        self._undo: list[Callable[[], object]] = []

    async def start(self) -> None:
        """Build everything and listen. Raises CannotStart and the others that `cannot_start` knows."""
        settings = self.settings
        loop = asyncio.get_running_loop()
        self.failed = loop.create_future()
        metrics = BrokerMetrics()
        starting = asyncio.create_task(ColdWorkerProcess.start(worker_configuration(settings)))  # beside the rest
        database = Database.open(settings.database)
        await database.check_database()
        seen = await versions(database)
        registration = await self._register(database)
        files = OpenFiles(self.disk)
        rounds = CommitRounds(self.disk, settings.data_dir, loop)
        rounds.on_failed = self._storage_failed
        logs = PartitionLogs(settings.data_dir, self.disk, files, rounds.dirty)
        group_logs = GroupLogs.open(settings.data_dir, self.disk, files, rounds, registration.epoch, Services.now_ms)
        worker = await starting
        coordinator = Coordinator(
            group_logs,
            LoopClock(loop),
            GroupLimits(initial_rebalance_delay_ms=settings.group_initial_rebalance_delay_ms),
        )
        manifest = SqlManifest(database, registration.cluster_id)

        follower = CatalogueFollower(
            database, registration, logs, Services.now_ms, coordinator.drop_topics, coordinator.drop_namespaces
        )
        cold = ColdReader(worker)
        tiering = Tiering(
            database,
            registration,
            manifest,
            worker,
            logs,
            follower,
            metrics,
            Services.now_ms,
            settings.offload_interval_ms,
        )
        self.services = services = Services(
            settings=settings,
            loop=loop,
            database=database,
            broker_id=registration.broker_id,
            metrics=metrics,
            rounds=rounds,
            logs=logs,
            follower=follower,
            coordinator=coordinator,
            group_log=group_logs,
            authentication=Authentication(
                database, follower.find_namespace, read_secret(settings.cluster_secret_path), Services.now_ms
            ),
            cold=cold,
            slow_reads=SlowReads(cold, metrics),
            tiering=tiering,
            compactor=Compactor(worker, logs, tiering, metrics, Services.now_ms),
            producer_ids=ProducerIds(database),
            worker=worker,
        )
        await logs.finish_removals()
        await asyncio.gather(follower.start(), coordinator.load())
        drop_what_is_gone(coordinator, follower)
        await tiering.load()
        await self._listen(services)
        metrics_server = MetricsServer(settings.broker_metrics, BrokerCollector(services), self._trouble)
        self._undo.append(metrics_server.close)
        for name, coroutine in (
            ("database watch", DatabaseWatch(services, seen).run()),
            ("key expiry", close_expired(services)),
            ("lease", keep_lease(database, registration, self._storage_failed)),
            ("housekeeping", Housekeeping(services).run()),
            ("tiering", tiering.run()),
            ("compaction", services.compactor.run()),
            ("jobs", services.jobs.run()),
        ):
            task = asyncio.create_task(coroutine, name=name)
            task.add_done_callback(self._background_ended)
            self._background.append(task)

    async def _register(self, database: Database) -> BrokerRegistration:
        identity = load_identity(self.settings.data_dir)
        registration = await register_broker(database, identity.data_dir_id, str(self.settings.advertised))
        confirm(self.settings.data_dir, identity, registration)
        return registration

    async def _listen(self, services: Services) -> None:
        settings = self.settings
        listening = bind(settings.kafka)
        bound: int = listening.getsockname()[1]
        self.address = Address(settings.kafka.host, bound)
        advertised = settings.advertised
        services.advertised = Address(advertised.host, advertised.port or bound)
        context = tls_context(settings)
        if context is not None:
            listening.listen(LISTEN_BACKLOG)
            listening.setblocking(False)
            self._server = TlsListener(listening, context, lambda: Connection(services))
        else:
            self._server = await services.loop.create_server(
                lambda: Connection(services), sock=listening, backlog=LISTEN_BACKLOG
            )

    def _trouble(self) -> str | None:
        return "the broker cannot go on" if self.failed is not None and self.failed.done() else None

    def _storage_failed(self, error: BaseException) -> None:
        if self.failed is not None and not self.failed.done():
            self.failed.set_result(error)

    def _background_ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background work ended", extra={"work": task.get_name(), "error": repr(error)}, exc_info=error)
            self._storage_failed(error)

    async def stop(self) -> None:
        """Stop taking requests, let answers out, close every log cleanly."""
        services = self.services
        services.stopping = True  # from now on connections take no more requests
        self._server.close()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        services.coordinator.close()
        await self._drain(services)
        for undo in self._undo:
            undo()
        await services.end_tasks(SHUTDOWN_TASKS_S)
        services.slow_reads.close()
        services.key_checks.close()
        await services.rounds.drain()
        await asyncio.to_thread(services.logs.close_all)
        await asyncio.to_thread(services.group_log.close)
        services.rounds.close()
        await services.worker.close()
        await services.database.dispose()

    async def _drain(self, services: Services) -> None:
        """Wait for answers that are under way, then close every connection."""
        deadline_s = services.loop.time() + SHUTDOWN_DRAIN_S
        while services.loop.time() < deadline_s and any(each.owes_an_answer for each in services.connections):
            await asyncio.sleep(0.01)
        for connection in tuple(services.connections):
            connection.close("the broker is shutting down", expected=True)
        deadline_s = services.loop.time() + SHUTDOWN_CLOSE_S
        while services.connections and services.loop.time() < deadline_s:
            await asyncio.sleep(0.01)
        for connection in tuple(services.connections):
            connection.abort()


def bind(address: Address) -> socket.socket:
    """A listening socket's address, taken. Raises CannotStart."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise CannotStart(f"cannot listen on {address} (setting kafka): {error.strerror}") from None
    family, kind, protocol, _, where = found[0]
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(where)
    except OSError as error:
        listening.close()
        raise CannotStart(f"cannot listen on {address} (setting kafka): {error.strerror}") from None
    return listening


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """TLS for the Kafka port, when a certificate is given."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except OSError as error:  # ssl.SSLError is one
        files = f"{settings.tls_cert} and {settings.tls_key} (settings tls_cert, tls_key)"
        raise CannotStart(f"{files} are no certificate and its key: {error}") from None
    return context


def drop_what_is_gone(coordinator: Coordinator, follower: CatalogueFollower) -> None:
    """Forget group state of topics and namespaces that were deleted while no broker ran here."""
    coordinator.drop_topics([topic_id for topic_id in coordinator.topic_ids() if not follower.knows_topic(topic_id)])
    coordinator.drop_namespaces([each for each in coordinator.namespace_ids() if follower.namespace(each) is None])


def worker_configuration(settings: Settings) -> Configure:
    """What the cold worker is started for."""
    return Configure(
        store_url=settings.object_store,
        directory=str(settings.cache_dir),
        cache_bytes_max=settings.cache_bytes_max,
        cache_files_max=settings.cache_files_max,
        log_level=settings.log_level,
    )


def read_secret(path: Path) -> bytes:
    """The secret that signs the console's tokens. Raises CannotStart."""
    try:
        secret = bytes.fromhex(path.read_text().strip())
        if len(secret) >= CLUSTER_SECRET_BYTES_MIN:
            return secret
        why = f"{len(secret)} bytes are too few"
    except (OSError, ValueError) as error:
        why = str(error)
    raise CannotStart(
        f"the cluster secret {path} cannot be used ({why}): `coldstream up` makes it, as bytes in hex; "
        "copy it from the console's data directory, or remove it and start both again"
    )


async def serve(settings: Settings, report: Callable[[dict[str, str]], None], lifeline_fd: int | None) -> int:
    """Run a broker until a signal, the end of the lifeline, or a failure of its storage; the exit status."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def lifeline_ended(fd: int) -> None:
        loop.remove_reader(fd)  # the end of a pipe would be told again and again
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if lifeline_fd is not None:
        loop.add_reader(lifeline_fd, lifeline_ended, lifeline_fd)
    broker = Broker(settings)
    try:
        await broker.start()
    except Exception as error:
        why = sentence(error)
        log.error("the broker cannot start", extra={"error": why}, exc_info=error if is_mistake(error) else None)
        report({"error": why})
        return 1
    report({"ready": str(broker.address)})
    log.info("listening", extra={"kafka": str(broker.address), "advertised": str(broker.services.advertised)})
    assert broker.failed is not None
    stopped = asyncio.ensure_future(stop.wait())
    waited_for: set[asyncio.Future[Any]] = {stopped, broker.failed}
    await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
    if broker.failed.done():
        # Nothing may be acknowledged any more, and a clean close would claim that it is all on disk: end here.
        log.critical("the broker cannot go on and ends at once", extra={"error": repr(broker.failed.result())})
        logging.shutdown()
        os._exit(STATUS_STORAGE_FAILED)
    await broker.stop()
    log.info("stopped")
    return 0


def report_to(fd: int | None) -> Callable[[dict[str, str]], None]:
    """How a start is reported: one JSON line to the supervisor's pipe, or to stdout when run by hand."""

    def report(said: dict[str, str]) -> None:
        line = json.dumps(said) + "\n"
        if fd is None:
            print(line, end="", flush=True)
        else:
            with contextlib.suppress(BrokenPipeError):  # a supervisor that has gone is noticed by its lifeline
                os.write(fd, line.encode())
            os.close(fd)

    return report


def run() -> int:
    """The process's entry."""
    ready_fd, lifeline_fd = (
        int(fd) if (fd := os.environ.get(name)) else None for name in ("COLDSTREAM_READY_FD", "COLDSTREAM_LIFELINE_FD")
    )
    report = report_to(ready_fd)
    try:
        settings = Settings.from_environ()
        log_lines.configure(settings.log_level, process="broker")
        lock = None if ready_fd is not None else DataDirLock.acquire(settings)  # a supervisor holds it for its children
    except (SettingsError, DataDirError) as error:
        print(f"coldstream: {error}", file=sys.stderr)
        return 1
    import uvloop

    try:
        return uvloop.run(serve(settings, report, lifeline_fd))
    finally:
        if lock is not None:
            lock.release()
