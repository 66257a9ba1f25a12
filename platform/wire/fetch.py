"""Fetch (key 1), the tuned path: requests read in place, answers as buffers that are written without copying records.

Always true: every loop is bounded by the bytes that are left, and the request is refused when it ends beyond `end`.
Equal to the generic description in `messages/fetch.py` (a test holds it), which also has what is left out here: in
requests the follower's fields (last fetched epoch, cluster id, replica directory, high watermark), in answers the
tagged hints (diverging epoch, current leader, snapshot id, node endpoints).

Versions: v5 log start; v7 sessions; v9 leader epoch; v11 rack, preferred replica; v12 flexible; v13 topic ids
instead of names; v15 replica id moves into a tag. Reading is optimistic, as in `produce.py`.
"""

from collections.abc import Sequence
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import TypeAlias

from .errors import Malformed
from .header import Buffer, skip_tagged_fields
from .produce import Topic
from .varint import decode_uvarint, encode_uvarint

AbortedTransactions: TypeAlias = Sequence[tuple[int, int]]  # (producer id, first offset)
FetchedPartition: TypeAlias = tuple[int, int, int, int, int, AbortedTransactions | None, int, Buffer | None]
FetchBuffers: TypeAlias = list[bytes | bytearray | memoryview]

REPLICA_STATE_TAG = 1

_INT16 = Struct(">h").unpack_from
_INT32 = Struct(">i").unpack_from
_REPLICA_ID = _INT32
_HEAD_4 = Struct(">iiib")  # max wait, min bytes, max bytes, isolation
_HEAD_7 = Struct(">iiibii")  # and session id, session epoch
_PARTITION_4 = Struct(">iqi")
_PARTITION_5 = Struct(">iqqi")
_PARTITION_9 = Struct(">iiqqi")
_PARTITION_12 = Struct(">iiqiqiB")  # the last byte begins the tagged fields


class FetchPartition:
    __slots__ = ("current_leader_epoch", "fetch_offset", "index", "log_start_offset", "max_bytes", "topic")

    def __init__(
        self,
        topic: Topic,
        index: int,
        fetch_offset: int,
        max_bytes: int,
        current_leader_epoch: int,
        log_start_offset: int,
    ) -> None:
        self.topic = topic
        self.index = index
        self.fetch_offset = fetch_offset
        self.max_bytes = max_bytes
        self.current_leader_epoch = current_leader_epoch
        self.log_start_offset = log_start_offset


class FetchRequest:
    """`partitions` in request order; `forgotten` are topics with partitions to drop from the session."""

    __slots__ = (
        "forgotten",
        "isolation",
        "max_bytes",
        "max_wait_ms",
        "min_bytes",
        "partitions",
        "rack",
        "replica_id",
        "session_epoch",
        "session_id",
    )

    def __init__(self) -> None:
        self.replica_id = -1
        self.max_wait_ms = 0
        self.min_bytes = 0
        self.max_bytes = 0
        self.isolation = 0
        self.session_id = 0
        self.session_epoch = -1
        self.partitions: list[FetchPartition] = []
        self.forgotten: list[tuple[Topic, list[int]]] = []
        self.rack = ""


def parse_fetch(buf: Buffer, start: int, end: int, version: int) -> FetchRequest:
    """Reads the body in buf[start:end], versions 4 to 18. Bytes after the request are ignored, as Kafka does. Raises
    Malformed."""
    try:
        if version >= 12:
            return _parse_flexible(buf, start, end, version)
        return _parse_fixed(buf, start, end, version)
    except (IndexError, StructError):
        raise Malformed("fetch request", end, "the message ends within a field") from None
    except UnicodeDecodeError:
        raise Malformed("fetch request.rack_id", start, "not UTF-8") from None


def _parse_flexible(buf: Buffer, start: int, end: int, version: int) -> FetchRequest:
    request = FetchRequest()
    pos = start
    if version <= 14:
        (request.replica_id,) = _REPLICA_ID(buf, pos)
        pos += 4
    (
        request.max_wait_ms,
        request.min_bytes,
        request.max_bytes,
        request.isolation,
        request.session_id,
        request.session_epoch,
    ) = _HEAD_7.unpack_from(buf, pos)
    pos += 21
    by_id = version >= 13
    topics, pos = (buf[pos], pos + 1) if buf[pos] < 128 else decode_uvarint(buf, pos, end, "topics")
    if not 0 < topics <= end - pos + 1:
        raise _bad_count("topics", pos, topics - 1, end)
    append = request.partitions.append
    unpack = _PARTITION_12.unpack_from
    for _ in range(topics - 1):
        topic, pos = _compact_topic(buf, pos, end, by_id)
        count, pos = (buf[pos], pos + 1) if buf[pos] < 128 else decode_uvarint(buf, pos, end, "topics.partitions")
        if not 0 < count <= end - pos + 1:
            raise _bad_count("topics.partitions", pos, count - 1, end)
        for _ in range(count - 1):
            index, leader_epoch, fetch_offset, _, log_start, max_bytes, tags = unpack(buf, pos)
            pos = pos + 33 if tags == 0 else skip_tagged_fields(buf, pos + 32, end, "topics.partitions")
            append(FetchPartition(topic, index, fetch_offset, max_bytes, leader_epoch, log_start))
        pos = pos + 1 if buf[pos] == 0 else skip_tagged_fields(buf, pos, end, "topics")
    topics, pos = (buf[pos], pos + 1) if buf[pos] < 128 else decode_uvarint(buf, pos, end, "forgotten_topics_data")
    if not 0 < topics <= end - pos + 1:
        raise _bad_count("forgotten_topics_data", pos, topics - 1, end)
    for _ in range(topics - 1):
        topic, pos = _compact_topic(buf, pos, end, by_id)
        count, pos = decode_uvarint(buf, pos, end, "forgotten_topics_data.partitions")
        if not 0 < count <= (end - pos) // 4 + 1:
            raise _bad_count("forgotten_topics_data.partitions", pos, count - 1, end)
        request.forgotten.append((topic, list(Struct(f">{count - 1}i").unpack_from(buf, pos))))
        pos += 4 * (count - 1)
        pos = pos + 1 if buf[pos] == 0 else skip_tagged_fields(buf, pos, end, "forgotten_topics_data")
    size, pos = (buf[pos], pos + 1) if buf[pos] < 128 else decode_uvarint(buf, pos, end, "rack_id")
    if size != 1:
        stop = pos + size - 1
        if size == 0 or stop > end:
            raise _too_long("rack_id", pos, size - 1, end)
        request.rack = str(buf[pos:stop], "utf-8")
        pos = stop
    pos = pos + 1 if buf[pos] == 0 else _read_tags(request, buf, pos, end, version)
    if pos > end:
        raise Malformed("fetch request", end, "the message ends within a field")
    return request


def _compact_topic(buf: Buffer, pos: int, end: int, by_id: bool) -> tuple[Topic, int]:
    if by_id:
        stop = pos + 16
    else:
        size, pos = (buf[pos], pos + 1) if buf[pos] < 128 else decode_uvarint(buf, pos, end, "topics.topic")
        stop = pos + size - 1
    if not pos <= stop <= end:
        raise _too_long("topics.topic", pos, stop - pos, end)
    return bytes(buf[pos:stop]), stop


def _read_tags(request: FetchRequest, buf: Buffer, pos: int, end: int, version: int) -> int:
    """Tagged fields of the whole request: only the replica id (version 15 and up) says anything to us."""
    stop = skip_tagged_fields(buf, pos, end, "fetch request")
    if version >= 15:
        count, pos = decode_uvarint(buf, pos, stop, "fetch request")
        for _ in range(count):
            tag, pos = decode_uvarint(buf, pos, stop, "fetch request")
            size, pos = decode_uvarint(buf, pos, stop, "fetch request")
            if tag == REPLICA_STATE_TAG:
                if size < 13:  # replica id, replica epoch, tags
                    raise _too_long("replica_state", pos, size, end)
                (request.replica_id,) = _REPLICA_ID(buf, pos)
                if skip_tagged_fields(buf, pos + 12, pos + size, "replica_state") != pos + size:
                    raise Malformed("fetch request.replica_state", pos, "the tagged field is longer than its content")
            pos += size
    return stop


def _parse_fixed(buf: Buffer, start: int, end: int, version: int) -> FetchRequest:
    request = FetchRequest()
    (request.replica_id,) = _REPLICA_ID(buf, start)
    if version >= 7:
        (
            request.max_wait_ms,
            request.min_bytes,
            request.max_bytes,
            request.isolation,
            request.session_id,
            request.session_epoch,
        ) = _HEAD_7.unpack_from(buf, start + 4)
        pos = start + 25
    else:
        request.max_wait_ms, request.min_bytes, request.max_bytes, request.isolation = _HEAD_4.unpack_from(
            buf, start + 4
        )
        pos = start + 17
    (topics,) = _INT32(buf, pos)
    pos += 4
    if not 0 <= topics <= end - pos:
        raise _bad_count("topics", pos, topics, end)
    append = request.partitions.append
    for _ in range(topics):
        topic, pos = _fixed_topic(buf, pos, end)
        (count,) = _INT32(buf, pos)
        pos += 4
        if not 0 <= count <= end - pos:
            raise _bad_count("topics.partitions", pos, count, end)
        leader_epoch = log_start = -1
        for _ in range(count):
            if version >= 9:
                index, leader_epoch, fetch_offset, log_start, max_bytes = _PARTITION_9.unpack_from(buf, pos)
                pos += 28
            elif version >= 5:
                index, fetch_offset, log_start, max_bytes = _PARTITION_5.unpack_from(buf, pos)
                pos += 24
            else:
                index, fetch_offset, max_bytes = _PARTITION_4.unpack_from(buf, pos)
                pos += 16
            append(FetchPartition(topic, index, fetch_offset, max_bytes, leader_epoch, log_start))
    if version >= 7:
        (topics,) = _INT32(buf, pos)
        pos += 4
        if not 0 <= topics <= end - pos:
            raise _bad_count("forgotten_topics_data", pos, topics, end)
        for _ in range(topics):
            topic, pos = _fixed_topic(buf, pos, end)
            (count,) = _INT32(buf, pos)
            pos += 4
            if not 0 <= count <= (end - pos) // 4:
                raise _bad_count("forgotten_topics_data.partitions", pos, count, end)
            request.forgotten.append((topic, list(Struct(f">{count}i").unpack_from(buf, pos))))
            pos += 4 * count
    if version >= 11:
        (size,) = _INT16(buf, pos)
        pos += 2
        if size < 0 or pos + size > end:
            raise _too_long("rack_id", pos, size, end)
        request.rack = str(buf[pos : pos + size], "utf-8")
        pos += size
    if pos > end:
        raise Malformed("fetch request", end, "the message ends within a field")
    return request


def _fixed_topic(buf: Buffer, pos: int, end: int) -> tuple[Topic, int]:
    (size,) = _INT16(buf, pos)
    pos += 2
    stop = pos + size
    if size < 0 or stop > end:
        raise _too_long("topics.topic", pos, size, end)
    return bytes(buf[pos:stop]), stop


def _too_long(field: str, pos: int, size: int, end: int) -> Malformed:
    return Malformed(f"fetch request.{field}", pos, f"a length of {size}, {max(0, end - pos)} bytes are left")


def _bad_count(field: str, pos: int, count: int, end: int) -> Malformed:
    return Malformed(f"fetch request.{field}", pos, f"a count of {count}, {max(0, end - pos)} bytes are left")


_SIZE_CORRELATION = Struct(">ii")
_COUNT = Struct(">i").pack
_LENGTH = Struct(">h").pack
_FIRST_12 = Struct(">iiBihi").pack  # size, correlation id, header tags, throttle, error, session
_FIRST_7 = Struct(">iiihi").pack
_FIRST_4 = Struct(">iii").pack
_RESULT_12 = Struct(">ihqqqBi").pack
_RESULT_11 = Struct(">ihqqqiii").pack
_RESULT_5 = Struct(">ihqqqii").pack
_RESULT_4 = Struct(">ihqqii").pack
_ABORTED = Struct(">qq").pack


def encode_fetch_response(
    version: int,
    correlation_id: int,
    throttle_ms: int,
    error: int,
    session_id: int,
    topics: Sequence[tuple[Topic, Sequence[FetchedPartition]]],
) -> FetchBuffers:
    """Buffers that make up the whole frame, its size in front, to be written in order; records are the very objects
    handed in.

    Each partition is (index, error, high watermark, last stable offset, log start, aborted transactions or None,
    preferred read replica or -1, records or None). Give b"" rather than None when there are no records: some clients
    take null amiss.
    """
    flexible = version >= 12
    if flexible:
        head = bytearray(_FIRST_12(0, correlation_id, 0, throttle_ms, error, session_id))
        head += encode_uvarint(len(topics) + 1)
    elif version >= 7:
        head = bytearray(_FIRST_7(0, correlation_id, throttle_ms, error, session_id))
        head += _COUNT(len(topics))
    else:
        head = bytearray(_FIRST_4(0, correlation_id, throttle_ms))
        head += _COUNT(len(topics))
    first = head
    buffers: FetchBuffers = [head]
    size_bytes = 0  # of what is in `buffers` before `head`
    for topic, partitions in topics:
        if version >= 13:
            head += topic
            head += encode_uvarint(len(partitions) + 1)
        elif flexible:
            head += encode_uvarint(len(topic) + 1)
            head += topic
            head += encode_uvarint(len(partitions) + 1)
        else:
            head += _LENGTH(len(topic))
            head += topic
            head += _COUNT(len(partitions))
        for index, code, high_watermark, last_stable, log_start, aborted, preferred, records in partitions:
            length = -1 if records is None else len(records)
            if aborted:
                head += _result_with_aborted(
                    version, index, code, high_watermark, last_stable, log_start, aborted, preferred, length
                )
            elif flexible:
                none = 0 if aborted is None else 1
                head += _RESULT_12(index, code, high_watermark, last_stable, log_start, none, preferred)
                head += encode_uvarint(length + 1)
            else:
                none = -1 if aborted is None else 0
                if version >= 11:
                    head += _RESULT_11(index, code, high_watermark, last_stable, log_start, none, preferred, length)
                elif version >= 5:
                    head += _RESULT_5(index, code, high_watermark, last_stable, log_start, none, length)
                else:
                    head += _RESULT_4(index, code, high_watermark, last_stable, none, length)
            if records:
                size_bytes += len(head) + length
                head = bytearray()
                buffers += (records, head)
            if flexible:
                head += b"\0"
        if flexible:
            head += b"\0"
    if flexible:
        head += b"\0"
    size_bytes += len(head)
    if not head:
        buffers.pop()
    _SIZE_CORRELATION.pack_into(first, 0, size_bytes - 4, correlation_id)
    return buffers


def _result_with_aborted(
    version: int,
    index: int,
    code: int,
    high_watermark: int,
    last_stable: int,
    log_start: int,
    aborted: AbortedTransactions,
    preferred: int,
    length: int,
) -> bytes:
    """A partition's fields up to the length of its records, when transactions were aborted in what is sent."""
    out = bytearray(Struct(">ihqq").pack(index, code, high_watermark, last_stable))
    if version >= 5:
        out += Struct(">q").pack(log_start)
    out += encode_uvarint(len(aborted) + 1) if version >= 12 else _COUNT(len(aborted))
    for producer_id, first_offset in aborted:
        out += _ABORTED(producer_id, first_offset)
        if version >= 12:
            out += b"\0"
    if version >= 11:
        out += _COUNT(preferred)
    out += encode_uvarint(length + 1) if version >= 12 else _COUNT(length)
    return bytes(out)
