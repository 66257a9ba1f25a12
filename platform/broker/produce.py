"""Produce (key 0): the hot path from frames to log appends.

Always true: the batches of one read are queued on their logs as frames are parsed, written with one writev per log when
the read ends, and only then answered; no task, no await, no SQL. Records are never decoded, but for compacted topics:
those are checked for keys (`key_checks`), and a request with many of them is set aside for that, with all that follows
on its connection behind it.

Versions 3 to 13 are served. Versions 0 to 2 are offered, because older librdkafka turns compression off unless they are
(KAFKA-18659), and answered with UNSUPPORTED_VERSION: their message formats are not kept here.
"""

import struct
from collections.abc import Mapping, Sequence
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, NamedTuple

from ...storage.batch import HEADER_BYTES
from ...storage.errors import LogError, StorageFailed
from ...storage.log import Log
from ...tenants.permissions import Operation, Permissions, ResourceType
from ..cluster.producer_ids import BLOCK_IDS
from ..wire.api import ApiKey
from ..wire.errors import ErrorCode
from ..wire.header import RequestHeader
from ..wire.produce import ProduceRequest, encode_produce_response, parse_produce
from .context import Caller
from .key_checks import check_here
from .log_errors import produce_error
from .namespace import Topic

if TYPE_CHECKING:
    from .connection import Connection

ACKS_ALL, ACKS_NONE = -1, 0
VERSION_SERVED_MIN = 3
VERSION_WITH_IDS_MIN = 13
PRODUCE = int(ApiKey.PRODUCE)
PRODUCER_ID = struct.Struct(">q").unpack_from
PRODUCER_ID_AT = 43  # in a v2 batch: 8 offset, 4 length, 4 epoch, 1 magic, 4 crc, 2 attributes, 4 delta, 16 timestamps
FOREIGN_PRODUCER = "a producer id that is not of this namespace"

# topic, partition, error, base offset, append time, log start, message, and the log it was queued on
Outcome = tuple[bytes, int, int, int, int, int, str | None, Log | None]


NO_REFUSALS: Mapping[int, str] = {}


class Wanted(NamedTuple):
    """A batch to be checked: its number in the request, and where it is."""

    number: int
    start: int
    stop: int


class Pending(NamedTuple):
    """A parsed request whose batches are queued on their logs."""

    version: int
    correlation_id: int
    acks: int
    outcomes: list[Outcome]


class ProduceRound:
    """The produce requests of one read of one connection."""

    __slots__ = ("_cache_permissions", "_cache_version", "_connection", "_pending", "_touched", "_writable")

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._pending: list[Pending] = []
        self._touched: dict[Log, None] = {}
        self._writable: dict[tuple[bool, bytes], Topic] = {}  # (is an id, name or id) that this caller may write to
        self._cache_permissions: Permissions | None = None
        self._cache_version = -1

    def handle(self, caller: Caller, header: RequestHeader, view: memoryview, end: int) -> None:
        """Parse one request and queue its batches. Raises Malformed."""
        version = header.api_version
        request = parse_produce(view, header.body_start, end, version)
        refusals = NO_REFUSALS
        if caller.namespace.has_compacted:
            wanted = self._to_check(caller, header, request)
            if wanted:
                problems = check_here([view[start:stop] for _, start, stop in wanted])
                if problems is None:
                    self._check_later(caller, header, view, end)
                    return
                refusals = refusals_of(wanted, problems)
        self._queue(caller, header, request, view, refusals)

    def _queue(
        self,
        caller: Caller,
        header: RequestHeader,
        request: ProduceRequest,
        view: memoryview,
        refusals: Mapping[int, str],
    ) -> None:
        """Queue the batches of one request, but for those that are refused."""
        version = header.api_version
        if caller.permissions is not self._cache_permissions or caller.namespace.version != self._cache_version:
            self._writable.clear()
            self._cache_permissions, self._cache_version = caller.permissions, caller.namespace.version
        acks = request.acks
        if version < VERSION_SERVED_MIN or not -1 <= acks <= 1 or request.transactional_id is not None:
            code, message = refuse_request(version, acks)
            outcomes: list[Outcome] = [
                (key, index, code, -1, -1, -1, message, None) for key, index, _, _ in request.partitions
            ]
        else:
            now_ms = time_ns() // 1_000_000
            by_id = version >= VERSION_WITH_IDS_MIN
            outcomes = []
            for number, (key, index, start, stop) in enumerate(request.partitions):
                if refusals and number in refusals:
                    outcomes.append((key, index, ErrorCode.INVALID_RECORD, -1, -1, -1, refusals[number], None))
                else:
                    outcomes.append(self._append(caller, by_id, key, index, view, start, stop, now_ms))
        self._pending.append(Pending(version, header.correlation_id, acks, outcomes))

    def _to_check(self, caller: Caller, header: RequestHeader, request: ProduceRequest) -> list[Wanted]:
        """The batches for compacted topics that the caller may write to."""
        by_id = header.api_version >= VERSION_WITH_IDS_MIN
        topic_of = caller.namespace.topic_by_id if by_id else caller.namespace.topic
        wanted: list[Wanted] = []
        for number, (key, _, start, stop) in enumerate(request.partitions):
            topic = topic_of(key)
            if topic is None or not topic.log_config.compacted or start < 0:
                continue  # nearly always: the rest is only for compacted topics
            if resolve(caller, key, by_id) is topic:
                wanted.append(Wanted(number, start, stop))
        return wanted

    def _check_later(self, caller: Caller, header: RequestHeader, view: memoryview, end: int) -> None:
        self.finish()  # what came before goes first, and its buffer is about to be used for something else
        body = memoryview(bytearray(view[header.body_start : end]))
        self._connection.work_later(self._checked(caller, header, body, self._connection.read_began_s))

    async def _checked(self, caller: Caller, header: RequestHeader, body: memoryview, began_s: float) -> None:
        request = parse_produce(body, 0, len(body), header.api_version)
        wanted = self._to_check(caller, header, request)
        problems = await self._connection.services.key_checks.check([body[start:stop] for _, start, stop in wanted])
        self._queue(self._connection.caller or caller, header, request, body, refusals_of(wanted, problems))
        self._connection.read_began_s = began_s
        self.finish()

    def _append(
        self, caller: Caller, by_id: bool, key: bytes, index: int, view: memoryview, start: int, stop: int, now_ms: int
    ) -> Outcome:
        topic = self._writable.get((by_id, key))
        if topic is None:
            found = resolve(caller, key, by_id)
            if not isinstance(found, Topic):
                return key, index, found, -1, -1, -1, None, None
            topic = self._writable[by_id, key] = found
        partition = topic.partition(index)
        if partition is None:
            return key, index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1, -1, -1, None, None
        if start < 0:
            return key, index, ErrorCode.INVALID_RECORD, -1, -1, -1, "no records", None
        if stop - start >= HEADER_BYTES:
            (producer_id,) = PRODUCER_ID(view, start + PRODUCER_ID_AT)
            if producer_id >= 0 and producer_id // BLOCK_IDS not in caller.namespace.producer_blocks:
                return key, index, ErrorCode.INVALID_PRODUCER_ID_MAPPING, -1, -1, -1, FOREIGN_PRODUCER, None
        log = partition.log
        try:
            base_offset, _, append_time_ms, _ = log.append(view[start:stop], now_ms)
        except LogError as error:
            code, message = produce_error(error)
            return key, index, code, -1, -1, log.log_start, message, None
        self._touched[log] = None
        return key, index, 0, base_offset, append_time_ms, log.log_start, None, log

    def finish(self) -> None:
        """Write what was queued, mark it dirty, and answer: at once, or behind the round that makes it durable."""
        if not self._pending and not self._touched:  # a request that failed half-way may have queued batches
            return
        pending, self._pending = self._pending, []
        touched, self._touched = self._touched, {}
        services = self._connection.services
        failed: dict[Log, LogError] = {}
        ticket = 0
        for log in touched:
            try:
                log.flush()
            except LogError as error:
                failed[log] = error
                services.write_failed(log, error)
                continue
            except Exception as error:
                # What is queued, nobody knows; it may point into a buffer that is about to hold other bytes.
                services.rounds.on_failed(error)
                failed[log] = StorageFailed(repr(error))
                continue
            ticket = services.rounds.dirty(log)
        for request in pending:
            self._answer(with_failures(request, failed) if failed else request, ticket)
        services.metrics.answered(PRODUCE, perf_counter() - self._connection.read_began_s, len(pending))

    def _answer(self, request: Pending, ticket: int) -> None:
        version, correlation_id, acks, outcomes = request
        appended = False
        for outcome in outcomes:
            if outcome[7] is not None:
                appended = True
            if outcome[2]:
                self._connection.services.metrics.failed(PRODUCE, outcome[2])
        if acks == ACKS_NONE:
            self._end_if_failed(outcomes)
            return
        frame = encode(version, correlation_id, outcomes)
        if acks == ACKS_ALL and appended:
            self._connection.respond_after(ticket, (frame,))
        else:
            self._connection.respond((frame,))

    def _end_if_failed(self, outcomes: list[Outcome]) -> None:
        """No answer can tell an `acks=0` client: as Kafka does, end the connection, so that it looks again."""
        error = next((outcome[2] for outcome in outcomes if outcome[2]), 0)
        if error:
            self._connection.close(f"produce with acks=0 failed: {ErrorCode(error).name}")


def encode(version: int, correlation_id: int, outcomes: list[Outcome]) -> bytes:
    """The response frame; one topic entry per run of outcomes with the same topic."""
    topics: list[tuple[bytes, list[tuple[int, int, int, int, int, str | None]]]] = []
    last_key: bytes | None = None
    for key, index, error, base_offset, append_time_ms, log_start, message, _ in outcomes:
        if key != last_key:
            topics.append((key, []))
            last_key = key
        topics[-1][1].append((index, error, base_offset, append_time_ms, log_start, message))
    return encode_produce_response(version, correlation_id, topics)


def resolve(caller: Caller, key: bytes, by_id: bool) -> Topic | ErrorCode:
    """The topic behind a name, or behind an id from version 13 on, that the caller may write to; or the error."""
    permissions, namespace = caller.permissions, caller.namespace
    if by_id:
        topic = namespace.topic_by_id(key)
        if topic is None:
            return ErrorCode.UNKNOWN_TOPIC_ID
        allowed = permissions.allows(Operation.WRITE, ResourceType.TOPIC, topic.name)
        return topic if allowed else ErrorCode.TOPIC_AUTHORIZATION_FAILED
    try:
        name = str(key, "utf-8")
    except UnicodeDecodeError:
        return ErrorCode.INVALID_TOPIC_EXCEPTION
    if not permissions.allows(Operation.WRITE, ResourceType.TOPIC, name):
        return ErrorCode.TOPIC_AUTHORIZATION_FAILED
    return namespace.topic(key) or ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def refuse_request(version: int, acks: int) -> tuple[ErrorCode, str]:
    """Why nothing of a request may be appended."""
    if version < VERSION_SERVED_MIN:
        return ErrorCode.UNSUPPORTED_VERSION, "message formats before v2 (Kafka 0.11) are not kept: upgrade the client"
    if not -1 <= acks <= 1:
        return ErrorCode.INVALID_REQUIRED_ACKS, f"acks={acks}: only -1 (all), 0 and 1 are valid"
    return ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "transactions are not offered yet"


def refusals_of(wanted: Sequence[Wanted], problems: Sequence[str | None]) -> dict[int, str]:
    """What is wrong with which batch of a request, by its number."""
    return {batch.number: problem for batch, problem in zip(wanted, problems, strict=True) if problem is not None}


def with_failures(request: Pending, failed: dict[Log, LogError]) -> Pending:
    """The same request, with errors for the batches whose log could not be written."""
    return request._replace(outcomes=[with_failure(outcome, failed) for outcome in request.outcomes])


def with_failure(outcome: Outcome, failed: dict[Log, LogError]) -> Outcome:
    """The same outcome, or the error of its log."""
    key, index, *_, log = outcome
    if log is None or log not in failed:
        return outcome
    code, message = produce_error(failed[log])
    return key, index, code, -1, -1, -1, message, None
