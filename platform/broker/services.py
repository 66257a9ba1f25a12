"""What every connection and handler of one broker shares; built once by `main`."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...storage.cold_reader import ColdReader
from ...storage.commit_rounds import CommitRounds
from ...storage.log import Log
from ...tenants.database import Database
from ...tenants.permissions import Permissions
from ..groups.coordinator import Coordinator
from ..settings import Address, Settings
from ..worker.client import ColdWorkerProcess
from .authentication import Authentication
from .catalogue_follower import CatalogueFollower
from .compactor import Compactor
from .context import Caller
from .group_log import GroupLogs
from .intake import ReceiveBuffer
from .jobs import BrokerJobs
from .key_checks import KeyChecks
from .metrics import BrokerMetrics
from .partition_logs import PartitionLogs
from .producer_ids import ProducerIds
from .slow_reads import SlowReads
from .tiering import Tiering
from .unread_answers import UnreadAnswers

if TYPE_CHECKING:
    from .connection import Connection
    from .fetch import FetchJob


log = logging.getLogger("coldstream.broker")

ANONYMOUS = "anonymous"
WRITE_FAILURES_SAID_EVERY_S = 1.0


class Services:
    """The parts of one running broker."""

    def __init__(
        self,
        *,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
        database: Database,
        broker_id: int,
        metrics: BrokerMetrics,
        rounds: CommitRounds,
        logs: PartitionLogs,
        follower: CatalogueFollower,
        coordinator: Coordinator,
        group_log: GroupLogs,
        authentication: Authentication,
        cold: ColdReader,
        slow_reads: SlowReads,
        tiering: Tiering,
        compactor: Compactor,
        producer_ids: ProducerIds,
        worker: ColdWorkerProcess,
    ) -> None:
        self.settings = settings
        self.loop = loop
        self.database = database
        self.broker_id = broker_id
        self.metrics = metrics
        self.rounds = rounds
        self.logs = logs
        self.follower = follower
        self.coordinator = coordinator
        self.group_log = group_log
        self.authentication = authentication
        self.cold = cold
        self.slow_reads = slow_reads
        self.tiering = tiering
        self.compactor = compactor
        self.jobs = BrokerJobs(self)
        self.key_checks = KeyChecks()
        self.producer_ids = producer_ids
        self.worker = worker
        self.receive = ReceiveBuffer()
        self.connections: set[Connection] = set()
        self.unread = UnreadAnswers(loop.time)
        self.waiting_acks: set[Connection] = set()
        self.advertised: Address = settings.advertised
        self.stopping = False
        self.rights_version = 0  # moves when keys, policies or namespaces may have changed
        self._write_failures_said_s = float("-inf")
        self._tasks: set[asyncio.Task[Any]] = set()
        rounds.on_completed = self._round_completed

    @staticmethod
    def now_ms() -> int:
        """Wall time in milliseconds, as record timestamps count it."""
        return time.time_ns() // 1_000_000

    def keep(self, task: "asyncio.Future[Any]") -> None:
        """Hold a reference to a task until it is done: the loop itself holds none."""
        if isinstance(task, asyncio.Task):
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def end_tasks(self, wait_s: float) -> None:
        """Let background tasks end by themselves for so long, then cancel what is left."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=wait_s)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def refuses_connections(self) -> str | None:
        """Why a new connection is not welcome, or none."""
        if self.stopping:
            return "the broker is shutting down"
        if len(self.connections) > self.settings.connections_max:
            return f"more than {self.settings.connections_max} connections (setting connections_max)"
        return None

    def anonymous_caller(self) -> Caller | None:
        """Who an unauthenticated client on loopback is, if the setting `anonymous` names a namespace."""
        if self.settings.anonymous is None:
            return None
        tenant, _, name = self.settings.anonymous.partition("/")
        view = self.follower.namespace_named(tenant, name)
        if view is None or view.suspended:
            return None
        return Caller(ANONYMOUS, None, view, Permissions.everything(), None, None)

    def homeless(self, caller: Caller) -> str | None:
        """Why a caller has no namespace any more, or none. That a key's namespace is suspended, its state says."""
        if self.follower.namespace(caller.namespace.id) is not caller.namespace:
            return "the namespace was deleted"
        if caller.name == ANONYMOUS and caller.key_id is None and caller.namespace.suspended:
            return "the namespace is suspended"
        return None

    def session_lifetime_ms(self, caller: Caller) -> int:
        """How long a sign-in lasts: until the key expires (KIP-368), else without limit (0)."""
        return max(1, caller.expires_at_ms - self.now_ms()) if caller.expires_at_ms is not None else 0

    def write_failed(self, partition_log: Log, error: Exception) -> None:
        """Say in the log what the client is not told, once in a while: a full disk fails thousands of requests."""
        now_s = self.loop.time()
        if now_s >= self._write_failures_said_s + WRITE_FAILURES_SAID_EVERY_S:
            self._write_failures_said_s = now_s
            log.error("a log cannot be written", extra={"log": repr(partition_log), "error": str(error)})

    def _round_completed(self, ticket: int, logs: Sequence[Log]) -> None:
        """A commit round is durable: send acknowledgements, then wake the fetches that wait for these logs."""
        self.metrics.commit_rounds += 1
        self.group_log.completed(ticket)
        for connection in tuple(self.waiting_acks):
            try:
                connection.release(ticket)
            except Exception as error:  # one connection must not keep others from their answers
                connection.close(connection.failure(error))
        for fetch in self._waiting_for(logs):
            try:
                fetch.poke()
            except Exception as error:
                fetch.connection.close(fetch.connection.failure(error))

    def _waiting_for(self, logs: Sequence[Log]) -> "set[FetchJob]":
        """Fetches that wait for any of these logs, each once however many of them it waits for."""
        fetches: set[FetchJob] = set()
        for partition_log in logs:
            partition = self.logs.partition_of.get(partition_log)
            if partition is not None:
                fetches |= partition.waiting
        return fetches
