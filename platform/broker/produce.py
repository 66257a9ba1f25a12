"""Produce (key 0): the hot path from frames to log appends.

Always true: the batches of one read are queued on their logs as frames are parsed, written with one writev per log when
the read ends, and only then answered; records are never decoded; no task, no await, no SQL.

Versions 3 to 13 are served. Versions 0 to 2 are offered, because older librdkafka turns compression off unless they are
(KAFKA-18659), and answered with UNSUPPORTED_VERSION: their message formats are not kept here.
"""

import logging
import struct
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from ...storage.errors import LogError
from ...storage.log import Log
from ...tenants.permissions import Operation, ResourceType
from ..cluster.producer_ids import BLOCK_IDS
from ..wire.api import ApiKey
from ..wire.errors import ErrorCode
from ..wire.header import RequestHeader
from ..wire.produce import encode_produce_response, parse_produce
from .context import Caller
from .log_errors import produce_error
from .namespace import Topic

if TYPE_CHECKING:
    from .connection import Connection

log = logging.getLogger("coldstream.produce")

ACKS_ALL, ACKS_NONE = -1, 0
VERSION_SERVED_MIN = 3
VERSION_WITH_IDS_MIN = 13
PRODUCER_ID = struct.Struct(">q")
PRODUCER_ID_AT = 43  # in a v2 batch: 8 offset, 4 length, 4 epoch, 1 magic, 4 crc, 2 attributes, 4 delta, 16 timestamps
BATCH_HEADER_BYTES = 61

Outcome = tuple[int, int, int, int, int, str | None]  # index, error, base offset, append time, log start, message


class Pending(NamedTuple):
    """A parsed request whose batches are queued on their logs. `logs` runs along `outcomes`, flattened."""

    version: int
    correlation_id: int
    acks: int
    topics: list[tuple[bytes, list[Outcome]]]
    logs: list[Log | None]


class ProduceRound:
    """The produce requests of one read of one connection."""

    __slots__ = ("_cache_key", "_connection", "_pending", "_touched", "_writable")

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._pending: list[Pending] = []
        self._touched: dict[Log, None] = {}
        self._writable: dict[tuple[bool, bytes], Topic] = {}  # (is an id, name or id) that this caller may write to
        self._cache_key: tuple[object, int] | None = None

    def handle(self, caller: Caller, header: RequestHeader, view: memoryview, end: int) -> None:
        """Parse one request and queue its batches. Raises Malformed."""
        version = header.api_version
        request = parse_produce(view, header.body_start, end, version)
        self._refresh_cache(caller)
        now_ms = self._connection.services.now_ms()
        topics: list[tuple[bytes, list[Outcome]]] = []
        logs: list[Log | None] = []
        refusal = refuse_request(version, request.acks, request.transactional_id)
        by_id = version >= VERSION_WITH_IDS_MIN
        last_key: bytes | None = None
        outcome: Outcome
        for key, index, start, stop in request.partitions:
            if key != last_key:
                outcomes: list[Outcome] = []
                topics.append((key, outcomes))
                last_key = key
            if refusal is not None:
                outcome, appended_to = (index, refusal[0], -1, -1, -1, refusal[1]), None
            else:
                outcome, appended_to = self._append(caller, (by_id, key), index, view, start, stop, now_ms)
            outcomes.append(outcome)
            logs.append(appended_to)
        self._pending.append(Pending(version, header.correlation_id, request.acks, topics, logs))

    def _refresh_cache(self, caller: Caller) -> None:
        key = (caller.permissions, caller.namespace.version)
        if key != self._cache_key:
            self._writable.clear()
            self._cache_key = key

    def _append(
        self, caller: Caller, key: tuple[bool, bytes], index: int, view: memoryview, start: int, stop: int, now_ms: int
    ) -> tuple[Outcome, Log | None]:
        topic = self._writable.get(key)
        if topic is None:
            found = resolve(caller, key[1], key[0])
            if not isinstance(found, Topic):
                return (index, found, -1, -1, -1, None), None
            topic = self._writable[key] = found
        partition = topic.partition(index)
        if partition is None:
            return (index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1, -1, -1, None), None
        if stop - start >= BATCH_HEADER_BYTES:
            (producer_id,) = PRODUCER_ID.unpack_from(view, start + PRODUCER_ID_AT)
            if producer_id >= 0 and producer_id // BLOCK_IDS not in caller.namespace.producer_blocks:
                return (
                    index,
                    ErrorCode.INVALID_PRODUCER_ID_MAPPING,
                    -1,
                    -1,
                    -1,
                    "a producer id of another namespace",
                ), None
        elif start < 0:
            return (index, ErrorCode.INVALID_RECORD, -1, -1, -1, "no records"), None
        partition_log = partition.log
        try:
            appended = partition_log.append(view[start:stop], now_ms)
        except LogError as error:
            code, message = produce_error(error)
            return (index, code, -1, -1, partition_log.log_start, message), None
        self._touched[partition_log] = None
        return (
            index,
            0,
            appended.base_offset,
            appended.log_append_time_ms,
            partition_log.log_start,
            None,
        ), partition_log

    def finish(self) -> None:
        """Write what was queued, mark it dirty, and answer: at once, or behind the commit round that makes it durable."""
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        touched, self._touched = self._touched, {}
        rounds = self._connection.services.rounds
        failed: dict[Log, LogError] = {}
        ticket = 0
        for partition_log in touched:
            try:
                partition_log.flush()
            except LogError as error:
                failed[partition_log] = error
                continue
            ticket = rounds.dirty(partition_log)
        for request in pending:
            self._answer(with_failures(request, failed) if failed else request, ticket)

    def _answer(self, request: Pending, ticket: int) -> None:
        connection = self._connection
        metrics = connection.services.metrics
        metrics.answered(ApiKey.PRODUCE, perf_counter() - connection.read_began_s)
        errors = [outcome[1] for _, outcomes in request.topics for outcome in outcomes if outcome[1]]
        for error in errors:
            metrics.failed(ApiKey.PRODUCE, error)
        if request.acks == ACKS_NONE:
            if errors:
                # No answer can tell the client: as Kafka does, end the connection so that it asks for metadata again.
                connection.close(f"produce with acks=0 failed: {ErrorCode(errors[0]).name}")
            return
        frame = encode_produce_response(request.version, request.correlation_id, request.topics, 0)
        if request.acks == ACKS_ALL and ticket and any(written_to is not None for written_to in request.logs):
            connection.respond_after(ticket, (frame,))
        else:
            connection.respond((frame,))


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


def refuse_request(version: int, acks: int, transactional_id: str | None) -> tuple[int, str] | None:
    """Why nothing of a request may be appended, or None."""
    if version < VERSION_SERVED_MIN:
        return ErrorCode.UNSUPPORTED_VERSION, "message formats before v2 (Kafka 0.11) are not kept: upgrade the client"
    if acks not in (-1, 0, 1):
        return ErrorCode.INVALID_REQUIRED_ACKS, f"acks={acks}: only -1 (all), 0 and 1 are valid"
    if transactional_id is not None:
        return ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "transactions are not offered yet"
    return None


def with_failures(request: Pending, failed: dict[Log, LogError]) -> Pending:
    """The same request, with errors for the batches whose log could not be written."""
    logs = iter(request.logs)
    kept: list[Log | None] = []
    topics: list[tuple[bytes, list[Outcome]]] = []
    for key, outcomes in request.topics:
        told: list[Outcome] = []
        for outcome in outcomes:
            written_to = next(logs)
            if written_to in failed:
                code, message = produce_error(failed[written_to])
                outcome, written_to = (outcome[0], code, -1, -1, -1, message), None
            told.append(outcome)
            kept.append(written_to)
        topics.append((key, told))
    return request._replace(topics=topics, logs=kept)
