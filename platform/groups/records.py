"""How groups and committed offsets are written to the internal topic.

The fields are those of Kafka's OffsetCommitKey/Value and GroupMetadataKey/Value; the encoding is ours, with the
namespace id in every key and the topic id in place of its name. All integers are big-endian; strings and bytes are
length-prefixed (u32), a length of 2^32 - 1 being null.

    key, kind 1 (offset)   u16 kind, 16 bytes namespace id, 16 bytes topic id, i32 partition, string group id
    value, version 1       u16 version, i64 offset, i32 leader epoch, i64 committed at ms, i64 expires at ms,
                           string metadata
    key, kind 2 (group)    u16 kind, 16 bytes namespace id, string group id
    value, version 1       u16 version, i32 generation, i64 state since ms, string? protocol type, string? protocol,
                           string? leader, u32 members, each: string member id, string? instance id, string client id,
                           string client host, i32 session timeout ms, i32 rebalance timeout ms, bytes subscription,
                           bytes assignment

A record without a value deletes its key. Whatever is not exactly this raises CorruptRecord: loading reports and
skips it.
"""

from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Any, Final, NamedTuple
from uuid import UUID

from .offsets import Committed, TopicPartition
from .seams import Record

OFFSET_KIND: Final = 1
GROUP_KIND: Final = 2
OFFSET_VERSION: Final = 1
GROUP_VERSION: Final = 1
NULL_LENGTH: Final = 2**32 - 1

_U16 = Struct(">H")
_U32 = Struct(">I")
_OFFSET_KEY = Struct(">H16s16si")
_GROUP_KEY = Struct(">H16s")
_OFFSET_VALUE = Struct(">Hqiqq")
_GROUP_VALUE = Struct(">Hiq")
_TIMEOUTS = Struct(">ii")


class CorruptRecord(Exception):
    """A record of the internal topic that this version cannot understand."""


@dataclass(frozen=True, slots=True)
class StoredMember:
    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    subscription: bytes  # the metadata for the protocol that was chosen; the others are not kept, as in Kafka
    assignment: bytes


@dataclass(frozen=True, slots=True)
class StoredGroup:
    """A group as it stands between rebalances: Stable if it has members, else Empty."""

    generation: int
    state_since_ms: int
    protocol_type: str | None
    protocol_name: str | None
    leader_id: str | None
    members: tuple[StoredMember, ...]


class OffsetKey(NamedTuple):
    namespace_id: UUID
    group_id: str
    where: TopicPartition


class GroupKey(NamedTuple):
    namespace_id: UUID
    group_id: str


def offset_record(namespace_id: UUID, group_id: str, where: TopicPartition, committed: Committed | None) -> Record:
    key = _OFFSET_KEY.pack(OFFSET_KIND, namespace_id.bytes, where.topic_id.bytes, where.partition) + _string(group_id)
    if committed is None:
        return Record(key, None)
    offset, leader_epoch, metadata, committed_at_ms, expires_at_ms = committed
    value = _OFFSET_VALUE.pack(OFFSET_VERSION, offset, leader_epoch, committed_at_ms, expires_at_ms) + _string(metadata)
    return Record(key, value)


def group_record(namespace_id: UUID, group_id: str, stored: StoredGroup | None) -> Record:
    key = _GROUP_KEY.pack(GROUP_KIND, namespace_id.bytes) + _string(group_id)
    if stored is None:
        return Record(key, None)
    parts = [
        _GROUP_VALUE.pack(GROUP_VERSION, stored.generation, stored.state_since_ms),
        _string(stored.protocol_type),
        _string(stored.protocol_name),
        _string(stored.leader_id),
        _U32.pack(len(stored.members)),
    ]
    for member in stored.members:
        parts += (
            _string(member.member_id),
            _string(member.instance_id),
            _string(member.client_id),
            _string(member.client_host),
            _TIMEOUTS.pack(member.session_timeout_ms, member.rebalance_timeout_ms),
            _bytes(member.subscription),
            _bytes(member.assignment),
        )
    return Record(key, b"".join(parts))


def decode_key(key: bytes) -> OffsetKey | GroupKey:
    """Raises CorruptRecord."""
    reader = _Reader(key, "key")
    (kind,) = reader.fixed(_U16)
    if kind == OFFSET_KIND:
        namespace, topic, partition = reader.rest_of(_OFFSET_KEY)
        group_id = reader.string()
        reader.end()
        return OffsetKey(_uuid(namespace), group_id, TopicPartition(_uuid(topic), partition))
    if kind == GROUP_KIND:
        (namespace,) = reader.rest_of(_GROUP_KEY)
        group_id = reader.string()
        reader.end()
        return GroupKey(_uuid(namespace), group_id)
    raise CorruptRecord(f"key of unknown kind {kind}")


@lru_cache(maxsize=4096)
def _uuid(raw: bytes) -> UUID:
    """One object for each id: a partition names the same few in all its records."""
    return UUID(bytes=raw)


def decode_offset(value: bytes) -> Committed:
    """Raises CorruptRecord."""
    reader = _Reader(value, "offset")
    _expect_version(reader, OFFSET_VERSION)
    offset, leader_epoch, committed_at_ms, expires_at_ms = reader.rest_of(_OFFSET_VALUE)
    metadata = reader.string()
    reader.end()
    return Committed(offset, leader_epoch, metadata, committed_at_ms, expires_at_ms)


def decode_group(value: bytes) -> StoredGroup:
    """Raises CorruptRecord, also for a group that could not have been: members without leader or protocol."""
    reader = _Reader(value, "group")
    _expect_version(reader, GROUP_VERSION)
    generation, state_since_ms = reader.rest_of(_GROUP_VALUE)
    protocol_type, protocol_name, leader_id = (reader.string_or_null() for _ in range(3))
    (count,) = reader.fixed(_U32)
    members = []
    for _ in range(count):  # each takes bytes, so a hostile count ends at the end of the record
        member_id, instance_id = reader.string(), reader.string_or_null()
        client_id, client_host = reader.string(), reader.string()
        session_timeout_ms, rebalance_timeout_ms = reader.fixed(_TIMEOUTS)
        subscription, assignment = reader.blob(), reader.blob()
        members.append(
            StoredMember(
                member_id,
                instance_id,
                client_id,
                client_host,
                session_timeout_ms,
                rebalance_timeout_ms,
                subscription,
                assignment,
            )
        )
    reader.end()
    stored = StoredGroup(generation, state_since_ms, protocol_type, protocol_name, leader_id, tuple(members))
    _check_members(stored)
    return stored


def _check_members(stored: StoredGroup) -> None:
    ids = {member.member_id for member in stored.members}
    instances = [member.instance_id for member in stored.members if member.instance_id is not None]
    if len(ids) < len(stored.members) or len(set(instances)) < len(instances):
        raise CorruptRecord("group names a member twice")
    if ids and (stored.leader_id not in ids or stored.protocol_name is None or stored.protocol_type is None):
        raise CorruptRecord("group has members but no leader among them, or no protocol")


def _expect_version(reader: "_Reader", known: int) -> None:
    (version,) = reader.fixed(_U16)
    if version != known:
        raise CorruptRecord(f"{reader.what} of unknown version {version}")


def _bytes(value: bytes) -> bytes:
    return _U32.pack(len(value)) + value


def _string(value: str | None) -> bytes:
    return _U32.pack(NULL_LENGTH) if value is None else _bytes(value.encode())


class _Reader:
    def __init__(self, raw: bytes, what: str) -> None:
        self._raw = raw
        self._at = 0
        self.what = what

    def fixed(self, layout: Struct) -> tuple[Any, ...]:
        self._need(layout.size)
        values = layout.unpack_from(self._raw, self._at)
        self._at += layout.size
        return values

    def rest_of(self, layout: Struct) -> tuple[Any, ...]:
        """What follows the u16 that opens `layout` and was read already."""
        self._at -= _U16.size
        return self.fixed(layout)[1:]

    def blob(self) -> bytes:
        value = self._blob_or_null()
        if value is None:
            raise CorruptRecord(f"{self.what} has a null where none can be")
        return value

    def string(self) -> str:
        value = self.string_or_null()
        if value is None:
            raise CorruptRecord(f"{self.what} has a null where none can be")
        return value

    def string_or_null(self) -> str | None:
        raw = self._blob_or_null()
        try:
            return raw.decode() if raw is not None else None
        except UnicodeDecodeError as error:
            raise CorruptRecord(f"{self.what} has a string that is not UTF-8") from error

    def end(self) -> None:
        if self._at != len(self._raw):
            raise CorruptRecord(f"{self.what} goes on for {len(self._raw) - self._at} bytes after its end")

    def _blob_or_null(self) -> bytes | None:
        (length,) = self.fixed(_U32)
        if length == NULL_LENGTH:
            return None
        self._need(length)
        self._at += length
        return self._raw[self._at - length : self._at]

    def _need(self, size: int) -> None:
        if size > len(self._raw) - self._at:
            raise CorruptRecord(f"{self.what} ends after {len(self._raw)} bytes, in the middle of a field")
