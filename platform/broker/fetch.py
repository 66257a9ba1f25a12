"""Fetch (key 1), versions 4 to 18: hot reads at once, a long poll when there is too little, cold reads by a task.

v4  isolation level and last stable offset     v7  fetch sessions (KIP-227): none is ever given out, clients fetch whole
v5  log start offset                           v9  leader epochs are checked (KIP-320)
v12 flexible                                   v13 topic ids instead of names
v15 replica state moves into a tagged field: followers are refused whatever they claim
"""

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from ...storage.errors import BelowLocalStart, LogError, WouldBlock
from ...tenants.permissions import Operation, ResourceType
from ..wire.api import ApiKey
from ..wire.errors import ErrorCode
from ..wire.fetch import FetchPartition, FetchRequest, encode_fetch_response, parse_fetch
from ..wire.header import RequestHeader
from .context import Caller
from .log_errors import fetch_error
from .namespace import Partition

if TYPE_CHECKING:
    from .connection import Connection

VERSION_WITH_IDS_MIN = 13
RESPONSE_BYTES_MAX = 55 * 2**20  # Kafka's fetch.max.bytes of a broker
SLOW_PARTS_MAX = 8  # partitions of one fetch that are read from the cold tier or by a thread; the others come next time
WAIT_MS_MAX = 300_000
NO_OFFSET = -1
CONSUMER_REPLICA_IDS = (-1, -2)  # an ordinary consumer, and Kafka's debugging consumer: both read as consumers here


class Part:
    """One partition of one fetch: what was asked, where it stands, what was read."""

    __slots__ = ("asked", "data", "error", "partition")

    def __init__(self, asked: FetchPartition, partition: Partition | None, error: int) -> None:
        self.asked = asked
        self.partition = partition
        self.error = error
        self.data: bytes | bytearray = b""


class SlowRead(NamedTuple):
    """A part to be read in a thread or from the cold tier. `whole_first`: one batch, however large (KIP-74)."""

    part: Part
    max_bytes: int
    whole_first: bool


class FetchJob:
    """One fetch, from its arrival to its answer. While it waits it is known to its partitions and its timer."""

    __slots__ = (
        "_began_s",
        "_caller",
        "_parts",
        "_rotation",
        "_timer",
        "_version_and_id",
        "connection",
        "request",
        "waits",
    )

    def __init__(self, connection: "Connection", caller: Caller, header: RequestHeader, request: FetchRequest) -> None:
        self.connection = connection
        self._caller = caller
        self._version_and_id = (header.api_version, header.correlation_id)
        self._began_s = connection.read_began_s
        self.request = request
        connection.fetch_rotation += 1
        self._rotation = connection.fetch_rotation
        self._parts = [resolve(caller, header.api_version, request, asked) for asked in request.partitions]
        if len(self._parts) > 1:
            refuse_repeated(self._parts)
        self._timer: asyncio.TimerHandle | None = None
        self.waits = False

    @classmethod
    def begin(cls, connection: "Connection", caller: Caller, header: RequestHeader, view: memoryview, end: int) -> None:
        """Answer a fetch now, or see to it that it is answered. Raises Malformed."""
        request = parse_fetch(view, header.body_start, end, header.api_version)
        job = cls(connection, caller, header, request)
        if request.session_id:
            job._answer(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)  # we never gave one out: the client starts over, whole
            return
        elsewhere = job.read_hot()
        if elsewhere:
            connection.hold()
            connection.services.keep(asyncio.ensure_future(job._read_elsewhere(elsewhere)))
        elif job._is_enough():
            job._answer()
        else:
            job._wait()

    @property
    def _bytes_max(self) -> int:
        return min(self.request.max_bytes, RESPONSE_BYTES_MAX, self.connection.services.unread.room_bytes())

    # reading

    def read_hot(self) -> list[SlowRead]:
        """Read what local disk has in memory; what has to be read in a thread or from the cold tier.

        Each part takes its room in the answer in turn, so that neither tier starves the other. Only the first may be
        larger than its room.
        """
        slow: list[SlowRead] = []
        left_bytes = self._bytes_max
        first = True
        for part in rotated(self._parts, self._rotation):
            part.data = b""
            if part.error or part.partition is None or (left_bytes <= 0 and not first):
                continue
            max_bytes = max(0, min(part.asked.max_bytes, left_bytes))
            try:
                part.data = part.partition.log.read(part.asked.fetch_offset, max_bytes, at_least_one=first)
            except (WouldBlock, BelowLocalStart):
                if len(slow) < SLOW_PARTS_MAX:
                    slow.append(SlowRead(part, max_bytes, first))
                    first = False
                    left_bytes -= max_bytes
            except LogError as error:
                part.error = fetch_error(error)
            if part.data:
                first = False
                left_bytes -= len(part.data)
        return slow

    async def _read_elsewhere(self, slow: list[SlowRead]) -> None:
        """Read from disk by a thread, and from the cold tier, beside each other; then answer."""
        connection = self.connection
        slow_reads = connection.services.slow_reads
        try:
            await asyncio.gather(*(slow_reads.read(self._caller, each) for each in slow))
            self._answer()
        except Exception as error:
            connection.close(connection.failure(error))  # with no answer to this fetch, none may follow it
        except asyncio.CancelledError:
            connection.close("the broker gave up reading")
            raise
        connection.wake()

    # waiting

    def _is_enough(self) -> bool:
        request = self.request
        if request.max_wait_ms <= 0 or any(part.error for part in self._parts) or not self._parts:
            return True
        return sum(len(part.data) for part in self._parts) >= min(request.min_bytes, self._bytes_max)

    def _wait(self) -> None:
        self.waits = True
        self.connection.hold()
        self.connection.waiting_fetch = self
        for part in self._parts:
            if part.partition is not None:
                part.partition.waiting.add(self)
        wait_s = min(self.request.max_wait_ms, WAIT_MS_MAX) / 1000
        self._timer = self.connection.services.loop.call_later(wait_s, self.finish)

    def poke(self) -> None:
        """A partition of this fetch has new visible records: answer if that is enough."""
        wanted_bytes = max(min(self.request.min_bytes, self._bytes_max), 1)
        available_bytes = 0
        for part in self._parts:
            if part.partition is not None and not part.error:
                readable_bytes = part.partition.log.readable_bytes(part.asked.fetch_offset)
                available_bytes += min(
                    readable_bytes, max(part.asked.max_bytes, 1)
                )  # one batch comes whatever the limit
                if available_bytes >= wanted_bytes:
                    self.finish()
                    return

    def finish(self) -> None:
        """Stop waiting and answer with what there is."""
        if not self.waits:
            return
        self.leave()
        elsewhere = self.read_hot()
        if elsewhere:
            self.connection.services.keep(asyncio.ensure_future(self._read_elsewhere(elsewhere)))
            return
        self._answer()
        self.connection.wake()

    def leave(self) -> None:
        """Forget the wait: its timer, and its place at each partition."""
        self.waits = False
        self.connection.waiting_fetch = None
        if self._timer is not None:
            self._timer.cancel()
        for part in self._parts:
            if part.partition is not None:
                part.partition.waiting.discard(self)

    # answering

    def _answer(self, error: int = ErrorCode.NONE) -> None:
        version, correlation_id = self._version_and_id
        metrics = self.connection.services.metrics
        topics: list[tuple[bytes, list[tuple[int, int, int, int, int, None, int, bytes | bytearray]]]] = []
        last_topic: bytes | None = None
        for part in self._parts if not error else ():
            if part.asked.topic != last_topic:
                last_topic = part.asked.topic
                topics.append((last_topic, []))
            topics[-1][1].append(partition_answer(part))
            if part.error:
                metrics.failed(ApiKey.FETCH, part.error)
        buffers = encode_fetch_response(version, correlation_id, 0, error, 0, topics)
        metrics.fetched(self._began_s, waited=self._timer is not None)
        size_bytes = sum(map(len, buffers))
        self.connection.services.unread.took(size_bytes)
        self.connection.respond(buffers, size_bytes)


def partition_answer(part: Part) -> tuple[int, int, int, int, int, None, int, bytes | bytearray]:
    """index, error, high watermark, last stable offset, log start, aborted, preferred replica, records."""
    if part.partition is None:
        return (part.asked.index, part.error, NO_OFFSET, NO_OFFSET, NO_OFFSET, None, -1, b"")
    log = part.partition.log
    return (part.asked.index, part.error, log.durable, log.last_stable, log.log_start, None, -1, part.data)


def refuse_repeated(parts: list[Part]) -> None:
    """Read a partition once, whatever the request says: what follows costs as much as there are parts."""
    seen: set[Partition] = set()
    for part in parts:
        if part.partition is None:
            continue
        if part.partition in seen:
            part.partition, part.error = None, ErrorCode.INVALID_REQUEST
        else:
            seen.add(part.partition)


def rotated(parts: list[Part], rotation: int) -> list[Part]:
    """Another part first each time, so that one busy partition cannot starve those behind it."""
    at = rotation % len(parts) if parts else 0
    return parts[at:] + parts[:at] if at else parts


def resolve(caller: Caller, version: int, request: FetchRequest, asked: FetchPartition) -> Part:
    """The partition that was asked for, through the caller's own namespace, or the error."""
    if request.replica_id not in CONSUMER_REPLICA_IDS:
        return Part(asked, None, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    namespace, permissions = caller.namespace, caller.permissions
    if version >= VERSION_WITH_IDS_MIN:
        topic = namespace.topic_by_id(asked.topic)
        if topic is None:
            return Part(asked, None, ErrorCode.UNKNOWN_TOPIC_ID)
        if not permissions.allows(Operation.READ, ResourceType.TOPIC, topic.name):
            return Part(asked, None, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    else:
        try:
            name = str(asked.topic, "utf-8")
        except UnicodeDecodeError:
            return Part(asked, None, ErrorCode.INVALID_TOPIC_EXCEPTION)
        if not permissions.allows(Operation.READ, ResourceType.TOPIC, name):
            return Part(asked, None, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
        topic = namespace.topic(asked.topic)
        if topic is None:
            return Part(asked, None, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    partition = topic.partition(asked.index)
    if partition is None:
        return Part(asked, None, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    return Part(asked, partition, epoch_error(asked.current_leader_epoch, partition.leader_epoch))


def epoch_error(asked_epoch: int, leader_epoch: int) -> int:
    """KIP-320: a client that knows another leader epoch than ours has to look again."""
    if asked_epoch < 0 or asked_epoch == leader_epoch:
        return ErrorCode.NONE
    return ErrorCode.FENCED_LEADER_EPOCH if asked_epoch < leader_epoch else ErrorCode.UNKNOWN_LEADER_EPOCH
