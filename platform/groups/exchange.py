"""What handlers give the coordinator and get back: plain values, free of protocol versions.

A handler translates wire structs into these and back, and decides what a version lacks (JoinGroup v0 has no rebalance
timeout: -1 here; LeaveGroup v0 to v2 name one member). Topics are ids throughout: names are the handler's business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from ..wire.errors import ErrorCode

NO_GENERATION = -1
NO_OFFSET = -1
NO_LEADER_EPOCH = -1


class GroupState(StrEnum):
    """States of a classic group; the values are what DescribeGroups and ListGroups say."""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRequest:
    """JoinGroup. The reason of KIP-800 is for the handler's log and not asked for here."""

    group_id: str
    member_id: str  # "" = a new member
    instance_id: str | None = None  # group.instance.id (KIP-345), from v5
    client_id: str = ""
    client_host: str = ""
    session_timeout_ms: int
    rebalance_timeout_ms: int = -1  # v0 has none: the session timeout counts
    protocol_type: str
    protocols: tuple[tuple[str, bytes], ...]  # (name, metadata), the member's favourite first
    member_id_required: bool  # v4 and up (KIP-394)
    may_skip_assignment: bool = False  # v9 and up (KIP-814)


@dataclass(frozen=True, slots=True)
class JoinedMember:
    member_id: str
    instance_id: str | None
    metadata: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinResult:
    """`protocol_type` and `protocol_name` are None where v7 answers null and older versions the empty string."""

    error: ErrorCode
    member_id: str
    generation: int = NO_GENERATION
    protocol_type: str | None = None
    protocol_name: str | None = None
    leader_id: str = ""
    skip_assignment: bool = False
    members: tuple[JoinedMember, ...] = ()  # for the leader only
    why: str = ""  # for logs, where a limit refused the request: the protocol has no field for it


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRequest:
    group_id: str
    generation: int
    member_id: str
    instance_id: str | None = None
    protocol_type: str | None = None  # from v5; None is not checked
    protocol_name: str | None = None
    assignments: tuple[tuple[str, bytes], ...] = ()  # (member id, assignment), from the leader only


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncResult:
    error: ErrorCode
    protocol_type: str | None = None
    protocol_name: str | None = None
    assignment: bytes = b""
    why: str = ""


@dataclass(frozen=True, slots=True)
class LeavingMember:
    member_id: str  # "" with an instance id: an administrator removes whoever holds it
    instance_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveResult:
    """`members` are in the order asked for, and empty when `error` says that nobody was looked at.

    Versions 0 to 2 answer with `first`."""

    error: ErrorCode
    members: tuple[ErrorCode, ...] = ()

    @property
    def first(self) -> ErrorCode:
        return self.error if self.error is not ErrorCode.NONE or not self.members else self.members[0]


@dataclass(frozen=True, slots=True)
class OffsetToCommit:
    topic_id: UUID
    partition: int
    offset: int
    leader_epoch: int = NO_LEADER_EPOCH
    metadata: str | None = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRequest:
    group_id: str
    generation: int = NO_GENERATION  # -1 with an empty member id: a consumer that manages its partitions itself
    member_id: str = ""
    instance_id: str | None = None
    retention_ms: int = -1  # v2 to v4; -1 = the coordinator's own retention
    offsets: tuple[OffsetToCommit, ...]


@dataclass(frozen=True, slots=True)
class CommitResult:
    """`error` is the group's; `errors` answer each offset in the order asked for (all alike if the group refused).

    `why` is an explanation for logs where a limit refused the commit, else empty."""

    error: ErrorCode
    errors: tuple[ErrorCode, ...]
    why: str = ""


class FetchedOffset(NamedTuple):
    topic_id: UUID
    partition: int
    offset: int = NO_OFFSET
    leader_epoch: int = NO_LEADER_EPOCH
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class FetchResult:
    error: ErrorCode
    offsets: tuple[FetchedOffset, ...] = ()


@dataclass(frozen=True, slots=True)
class DescribedMember:
    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    metadata: bytes  # both empty unless the group is Stable, as in Kafka
    assignment: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDescription:
    """A group that does not exist is Dead with no error up to DescribeGroups v5, GROUP_ID_NOT_FOUND from v6."""

    error: ErrorCode
    group_id: str
    state: GroupState = GroupState.DEAD
    protocol_type: str = ""
    protocol_name: str = ""
    members: tuple[DescribedMember, ...] = ()


@dataclass(frozen=True, slots=True)
class ListedGroup:
    group_id: str
    protocol_type: str  # "" for groups that only commit offsets
    state: GroupState
    group_type: str = "classic"


@dataclass(frozen=True, slots=True)
class ListResult:
    error: ErrorCode
    groups: tuple[ListedGroup, ...] = ()


class CommittedRow(NamedTuple):
    """One durable committed offset, for lag."""

    namespace_id: UUID
    group_id: str
    topic_id: UUID
    partition: int
    offset: int


JoinAnswer = Callable[[JoinResult], None]
SyncAnswer = Callable[[SyncResult], None]
CommitAnswer = Callable[[CommitResult], None]
DeleteAnswer = Callable[[tuple[ErrorCode, ...]], None]
