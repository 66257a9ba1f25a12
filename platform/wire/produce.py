"""Produce (key 0), the tuned path: requests read in place, answers packed in one go.

Always true: nothing is copied but topic names; records stay where they were received and are given as positions;
every position returned lies within [start, end) of the request. Equal to the generic description in
`messages/produce.py` (a test holds it), which also has what is left out here: current-leader hints (tags of versions
10 and up) and per-record errors.

Versions: 0-2 no transactional id; v1 throttle time; v2 append time; v3 record batches v2 and transactional id; v5
log start; v8 error message; v9 flexible; v13 topic ids instead of names. Reading is optimistic: fixed fields may be
read from beyond `end` (never beyond the buffer) before the one check that refuses the request, so a caller sees
nothing of what lies there.
"""

from collections.abc import Sequence
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import TypeAlias

from .errors import Malformed
from .header import Buffer, skip_tagged_fields
from .varint import decode_uvarint, encode_uvarint

Topic: TypeAlias = bytes  # a UTF-8 name up to version 12, a 16-byte id from 13
PartitionRecords: TypeAlias = tuple[Topic, int, int, int]  # topic, partition, [start, end) of its records
PartitionResult: TypeAlias = tuple[int, int, int, int, int, str | None]

_ACKS_TIMEOUT = Struct(">hi").unpack_from
_INT16 = Struct(">h").unpack_from
_INT32 = Struct(">i").unpack_from
_INDEX_SIZE = Struct(">ii").unpack_from


class ProduceRequest:
    """`partitions` in request order, null records as (-1, -1). Times in milliseconds."""

    __slots__ = ("acks", "partitions", "timeout_ms", "transactional_id")

    def __init__(
        self, transactional_id: str | None, acks: int, timeout_ms: int, partitions: list[PartitionRecords]
    ) -> None:
        self.transactional_id = transactional_id
        self.acks = acks
        self.timeout_ms = timeout_ms
        self.partitions = partitions


def parse_produce(buf: Buffer, start: int, end: int, version: int) -> ProduceRequest:
    """Reads the body in buf[start:end], versions 0 to 13. Bytes after the request are ignored, as Kafka does. Raises
    Malformed."""
    try:
        if version >= 9:
            return _parse_flexible(buf, start, end, version >= 13)
        return _parse_fixed(buf, start, end, version >= 3)
    except (IndexError, StructError):
        raise Malformed("produce request", end, "the message ends within a field") from None
    except UnicodeDecodeError:
        raise Malformed("produce request.transactional_id", start, "not UTF-8") from None


def _parse_flexible(buf: Buffer, start: int, end: int, by_id: bool) -> ProduceRequest:
    transactional_id = None
    size, pos = (buf[start], start + 1) if buf[start] < 128 else decode_uvarint(buf, start, end, "transactional_id")
    if size:
        stop = pos + size - 1
        if stop > end:
            raise _too_long("transactional_id", pos, size - 1, end)
        transactional_id = str(buf[pos:stop], "utf-8")
        pos = stop
    acks, timeout_ms = _ACKS_TIMEOUT(buf, pos)
    pos += 6
    topics, pos = (buf[pos], pos + 1) if buf[pos] < 128 else decode_uvarint(buf, pos, end, "topic_data")
    if not 0 < topics <= end - pos:
        raise _bad_count("topic_data", pos, topics - 1, end)
    partitions: list[PartitionRecords] = []
    for _ in range(topics - 1):
        if by_id:
            stop = pos + 16
        else:
            size, pos = (buf[pos], pos + 1) if buf[pos] < 128 else decode_uvarint(buf, pos, end, "topic_data.name")
            if size == 0:
                raise _is_null("topic_data.name", pos)
            stop = pos + size - 1
        if stop > end:
            raise _too_long("topic_data.name", pos, stop - pos, end)
        topic = bytes(buf[pos:stop])
        count, pos = (
            (buf[stop], stop + 1) if buf[stop] < 128 else decode_uvarint(buf, stop, end, "topic_data.partition_data")
        )
        if not 0 < count <= end - pos:
            raise _bad_count("topic_data.partition_data", pos, count - 1, end)
        for _ in range(count - 1):
            (index,) = _INT32(buf, pos)
            pos += 4
            size = buf[pos]
            if size < 128:
                pos += 1
            elif (second := buf[pos + 1]) < 128:
                size += (second << 7) - 128
                pos += 2
            elif (third := buf[pos + 2]) < 128:
                size += (second << 7) + (third << 14) - 16512  # 16512 = the two continuation bits
                pos += 3
            else:
                size, pos = decode_uvarint(buf, pos, end, "topic_data.partition_data.records")
            if size:
                stop = pos + size - 1
                if stop > end:
                    raise _too_long("topic_data.partition_data.records", pos, size - 1, end)
                partitions.append((topic, index, pos, stop))
                pos = stop
            else:
                partitions.append((topic, index, -1, -1))
            pos = pos + 1 if buf[pos] == 0 else skip_tagged_fields(buf, pos, end, "topic_data.partition_data")
        pos = pos + 1 if buf[pos] == 0 else skip_tagged_fields(buf, pos, end, "topic_data")
    pos = pos + 1 if buf[pos] == 0 else skip_tagged_fields(buf, pos, end, "produce request")
    if pos > end:
        raise Malformed("produce request", end, "the message ends within a field")
    return ProduceRequest(transactional_id, acks, timeout_ms, partitions)


def _parse_fixed(buf: Buffer, start: int, end: int, has_transactional_id: bool) -> ProduceRequest:
    transactional_id = None
    pos = start
    if has_transactional_id:
        (size,) = _INT16(buf, pos)
        pos += 2
        if size >= 0:
            stop = pos + size
            if stop > end:
                raise _too_long("transactional_id", pos, size, end)
            transactional_id = str(buf[pos:stop], "utf-8")
            pos = stop
        elif size != -1:
            raise _too_long("transactional_id", pos, size, end)
    acks, timeout_ms = _ACKS_TIMEOUT(buf, pos)
    (topics,) = _INT32(buf, pos + 6)
    pos += 10
    if not 0 <= topics <= end - pos:
        raise _bad_count("topic_data", pos, topics, end)
    partitions: list[PartitionRecords] = []
    for _ in range(topics):
        (size,) = _INT16(buf, pos)
        pos += 2
        stop = pos + size
        if size < 0 or stop > end:
            raise _too_long("topic_data.name", pos, size, end)
        topic = bytes(buf[pos:stop])
        (count,) = _INT32(buf, stop)
        pos = stop + 4
        if not 0 <= count <= end - pos:
            raise _bad_count("topic_data.partition_data", pos, count, end)
        for _ in range(count):
            index, size = _INDEX_SIZE(buf, pos)
            pos += 8
            if size >= 0:
                stop = pos + size
                if stop > end:
                    raise _too_long("topic_data.partition_data.records", pos, size, end)
                partitions.append((topic, index, pos, stop))
                pos = stop
            elif size == -1:
                partitions.append((topic, index, -1, -1))
            else:
                raise _too_long("topic_data.partition_data.records", pos, size, end)
    if pos > end:
        raise Malformed("produce request", end, "the message ends within a field")
    return ProduceRequest(transactional_id, acks, timeout_ms, partitions)


def _too_long(field: str, pos: int, size: int, end: int) -> Malformed:
    return Malformed(f"produce request.{field}", pos, f"a length of {size}, {max(0, end - pos)} bytes are left")


def _bad_count(field: str, pos: int, count: int, end: int) -> Malformed:
    return Malformed(f"produce request.{field}", pos, f"a count of {count}, {max(0, end - pos)} bytes are left")


def _is_null(field: str, pos: int) -> Malformed:
    return Malformed(f"produce request.{field}", pos, "null, which it must not be")


def encode_produce_response(
    version: int, correlation_id: int, results: Sequence[tuple[Topic, Sequence[PartitionResult]]], throttle_ms: int = 0
) -> bytes:
    """The whole frame, its size in front.

    Each partition's result is (index, error, base offset, append time in ms or -1, log start, error message or None).
    """
    if len(results) == 1:
        topic, partitions = results[0]
        if len(partitions) == 1 and len(topic) < 127:
            index, error, base_offset, append_time_ms, log_start, message = partitions[0]
            if message is None:
                return encode_one_result(
                    version, correlation_id, topic, index, error, base_offset, append_time_ms, log_start, throttle_ms
                )
    return _encode_many(version, correlation_id, results, throttle_ms)


def encode_one_result(
    version: int,
    correlation_id: int,
    topic: Topic,
    index: int,
    error: int,
    base_offset: int,
    append_time_ms: int,
    log_start: int,
    throttle_ms: int = 0,
) -> bytes:
    """The whole frame for one partition without an error message: one pack. The topic must be shorter than 127
    bytes."""
    form = _ONE.get((version, len(topic)))
    if form is None:
        form = _ONE[version, len(topic)] = _one_result_form(version, len(topic))
    if version >= 13:
        return form.pack(
            form.size - 4, correlation_id, 0, 2, topic, 2,
            index, error, base_offset, append_time_ms, log_start, 1, 0, 0, 0, throttle_ms, 0,
        )  # fmt: skip
    if version >= 9:
        return form.pack(
            form.size - 4, correlation_id, 0, 2, len(topic) + 1, topic, 2,
            index, error, base_offset, append_time_ms, log_start, 1, 0, 0, 0, throttle_ms, 0,
        )  # fmt: skip
    if version == 8:
        return form.pack(
            form.size - 4, correlation_id, 1, len(topic), topic, 1,
            index, error, base_offset, append_time_ms, log_start, 0, -1, throttle_ms,
        )  # fmt: skip
    if version >= 5:
        return form.pack(
            form.size - 4, correlation_id, 1, len(topic), topic, 1,
            index, error, base_offset, append_time_ms, log_start, throttle_ms,
        )  # fmt: skip
    return _encode_many(
        version, correlation_id, [(topic, [(index, error, base_offset, append_time_ms, log_start, None)])], throttle_ms
    )


_ONE: dict[tuple[int, int], Struct] = {}  # (version, bytes of topic): bounded, topics here are shorter than 127 bytes


def _one_result_form(version: int, topic_bytes: int) -> Struct:
    """Size, correlation id, counts and topic; then index, error, three offsets and times; then what closes the
    version."""
    if version >= 13:
        return Struct(">iiBB16sBihqqqBBBBiB")
    if version >= 9:
        return Struct(f">iiBBB{topic_bytes}sBihqqqBBBBiB")
    if version == 8:
        return Struct(f">iiih{topic_bytes}siihqqqihi")
    return Struct(f">iiih{topic_bytes}siihqqqi")


_SIZE_CORRELATION = Struct(">ii")
_COUNT = Struct(">i").pack
_LENGTH = Struct(">h").pack
_RESULT_5 = Struct(">ihqqq").pack
_RESULT_2 = Struct(">ihqq").pack
_RESULT_0 = Struct(">ihq").pack


def _encode_many(
    version: int, correlation_id: int, results: Sequence[tuple[Topic, Sequence[PartitionResult]]], throttle_ms: int
) -> bytes:
    flexible = version >= 9
    out = bytearray(_SIZE_CORRELATION.pack(0, correlation_id))
    if flexible:
        out += b"\0"
    out += encode_uvarint(len(results) + 1) if flexible else _COUNT(len(results))
    for topic, partitions in results:
        if version < 13:
            out += encode_uvarint(len(topic) + 1) if flexible else _LENGTH(len(topic))
        out += topic
        out += encode_uvarint(len(partitions) + 1) if flexible else _COUNT(len(partitions))
        for index, error, base_offset, append_time_ms, log_start, message in partitions:
            if version >= 5:
                out += _RESULT_5(index, error, base_offset, append_time_ms, log_start)
            elif version >= 2:
                out += _RESULT_2(index, error, base_offset, append_time_ms)
            else:
                out += _RESULT_0(index, error, base_offset)
            if flexible:
                if message is None:
                    out += b"\1\0\0"  # no record errors, null message, no tags
                else:
                    raw = message.encode()
                    out += b"\1" + encode_uvarint(len(raw) + 1) + raw + b"\0"
            elif version == 8:
                raw = b"" if message is None else message.encode()
                out += _COUNT(0) + _LENGTH(-1 if message is None else len(raw)) + raw
        if flexible:
            out += b"\0"
    if version >= 1:
        out += _COUNT(throttle_ms)
    if flexible:
        out += b"\0"
    _SIZE_CORRELATION.pack_into(out, 0, len(out) - 4, correlation_id)
    return bytes(out)
