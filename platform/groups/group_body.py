"""What a group is, and the small steps that change it. Which step is due when is decided in `group`.

Always true: a member waits for at most one JoinGroup and one SyncGroup answer, `_joined` counts the former, and whoever
is answered has a fresh session; `deadline_ms` is never later than the earliest deadline of the group or of a member;
`size_bytes` is what the group would be charged if it were counted anew.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from ..wire.errors import ErrorCode
from .effects import AnswerJoin, AnswerSync, Effect, Store
from .exchange import (
    DescribedMember,
    GroupState,
    JoinAnswer,
    JoinedMember,
    JoinRequest,
    JoinResult,
    SyncRequest,
    SyncResult,
)
from .limits import GroupLimits, utf8_bytes
from .records import StoredGroup, StoredMember
from .roster import MEMBER_BYTES, NEVER_MS, Member, Roster, distinct, protocols_bytes
from .states import COMPLETING, EMPTY, NEXT, STABLE

GROUP_BYTES: Final = 512  # what a group costs beside its members and offsets, roughly
REBALANCE_TIMEOUT_MIN_MS: Final = 1_000  # 0 would expire every member before it could answer


@dataclass(frozen=True, slots=True)
class AssignmentOnItsWay:
    """Of one generation, on its way to the log."""

    generation: int
    by_member: Mapping[str, bytes]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ReplacementOnItsWay:
    """Of a static member in a stable group, on its way to the log."""

    generation: int
    member_id: str
    leader_before: str | None
    may_skip_assignment: bool


@dataclass(slots=True)
class InitialDelay:
    """A group that was empty waits for more members to come before its first generation."""

    delay_ms: int
    remaining_ms: int
    member_added: bool = False


class GroupBody:
    def __init__(self, group_id: str, limits: GroupLimits, new_id: Callable[[], str]) -> None:
        self.group_id = group_id
        self.state = EMPTY
        self.state_since_ms = 0  # of the latest change of state; 0 if there was none
        self.generation = 0
        self.protocol_type: str | None = None
        self.protocol_name: str | None = None
        self.members = Roster()
        self.pending: dict[str, int] = {}  # member ids given out (KIP-394), not used yet -> when they lapse
        self.deadline_ms = NEVER_MS
        self._limits = limits
        self._new_id = new_id
        self._joined = 0  # members that wait for a JoinGroup answer
        self._unsynced: set[str] = set()  # members of this generation that have not sent SyncGroup
        self._join_deadline_ms = NEVER_MS
        self._sync_deadline_ms = NEVER_MS
        self._initial: InitialDelay | None = None
        self._why = ""  # of the rebalance that is going on
        self._storing: dict[int, AssignmentOnItsWay | ReplacementOnItsWay] = {}
        self._store_id = 0
        self._side_bytes = GROUP_BYTES + utf8_bytes(
            group_id
        )  # beside the members: pending ids, assignments being stored
        self._effects: list[Effect] = []

    @classmethod
    def restored(
        cls, group_id: str, stored: StoredGroup | None, limits: GroupLimits, new_id: Callable[[], str], now_ms: int
    ) -> Self:
        """A group as it comes back from the log: Stable if it has members, each with a fresh session, so that a
        restart of the coordinator costs no rebalance."""
        group = cls(group_id, limits, new_id)
        if stored is None:
            return group
        group.generation = stored.generation
        group.state_since_ms = stored.state_since_ms
        group.protocol_type = stored.protocol_type
        group.protocol_name = stored.protocol_name
        for kept in stored.members:
            assert stored.protocol_name is not None, "checked when the record was decoded"
            member = Member(
                member_id=kept.member_id,
                instance_id=kept.instance_id,
                client_id=kept.client_id,
                client_host=kept.client_host,
                session_timeout_ms=kept.session_timeout_ms,
                rebalance_timeout_ms=kept.rebalance_timeout_ms,
                protocols=((stored.protocol_name, kept.subscription),),
                assignment=kept.assignment,
            )
            group.members.admit(member)
            group._restart_session(member, now_ms)
        group.members.leader_id = stored.leader_id if stored.members else None
        group.state = STABLE if stored.members else EMPTY
        return group

    # -- questions ---------------------------------------------------------------------------------------------------

    @property
    def size_bytes(self) -> int:
        return self.members.size_bytes + self._side_bytes

    @property
    def deserted(self) -> bool:
        """Nobody is here or on the way in."""
        return self.state is EMPTY and not self.pending

    @property
    def described_protocol(self) -> str | None:
        """What DescribeGroups names: nothing while it may still change."""
        return self.protocol_name if self.state is STABLE else None

    def described(self) -> tuple[DescribedMember, ...]:
        stable = self.state is STABLE
        return tuple(
            DescribedMember(
                member.member_id,
                member.instance_id,
                member.client_id,
                member.client_host,
                member.metadata(self.protocol_name) if stable else b"",
                member.assignment if stable else b"",
            )
            for member in self.members
        )

    def growth_of_join(self, request: JoinRequest) -> int:
        """Bytes that this JoinGroup would add at most; negative if the member sends less than before."""
        asked = protocols_bytes(request.protocols)
        member_id = request.member_id or self.members.holder_of(request.instance_id or "") or ""
        if (member := self.members.get(member_id)) is not None:
            return asked - protocols_bytes(member.protocols)
        ids = (request.client_id, request.client_id, request.instance_id or "", request.instance_id or "")
        return MEMBER_BYTES + sum(map(utf8_bytes, ids)) + utf8_bytes(request.client_host) + asked

    def growth_of_sync(self, request: SyncRequest) -> int:
        """Bytes that this SyncGroup would add at most: only the leader's counts, and only while it is awaited."""
        if self.state is not COMPLETING or request.member_id != self.members.leader_id:
            return 0
        return 0 if self._assignment_is_on_its_way() else sum(len(assigned) for _, assigned in request.assignments)

    # -- small steps -------------------------------------------------------------------------------------------------

    def _assignment_is_on_its_way(self) -> bool:
        """A leader's repeated SyncGroup must not store a second assignment for one generation."""
        return any(
            isinstance(storing, AssignmentOnItsWay) and storing.generation == self.generation
            for storing in self._storing.values()
        )

    def _store(
        self, storing: AssignmentOnItsWay | ReplacementOnItsWay | None, assignments: Mapping[str, bytes]
    ) -> None:
        self._store_id += 1
        if storing is not None:
            self._storing[self._store_id] = storing
        members = tuple(
            StoredMember(
                member.member_id,
                member.instance_id,
                member.client_id,
                member.client_host,
                member.session_timeout_ms,
                member.rebalance_timeout_ms,
                member.metadata(self.protocol_name),
                assignments[member.member_id],
            )
            for member in self.members
        )
        stored = StoredGroup(
            self.generation,
            self.state_since_ms,
            self.protocol_type,
            self.protocol_name,
            self.members.leader_id,
            members,
        )
        self._effects.append(Store(self._store_id, stored))

    def _rebalance_timeout_ms(self) -> int:
        """The longest that a member asked for; nothing to wait for without members."""
        longest_ms = max((member.rebalance_timeout_ms for member in self.members), default=0)
        return max(longest_ms, REBALANCE_TIMEOUT_MIN_MS) if self.members else 0

    def _check_generation(self, generation: int, member_id: str, instance_id: str | None) -> ErrorCode:
        error = self.members.check(member_id, instance_id)
        if error is ErrorCode.NONE and generation != self.generation:
            return ErrorCode.ILLEGAL_GENERATION
        return error

    def _become(self, state: GroupState, now_ms: int) -> None:
        assert state in NEXT[self.state], f"{self.state} -> {state}"
        self.state = state
        self.state_since_ms = now_ms

    def _update(self, member: Member, request: JoinRequest) -> None:
        self.members.offer(member, distinct(request.protocols))
        member.session_timeout_ms = request.session_timeout_ms
        member.rebalance_timeout_ms = asked_rebalance_timeout_ms(request)

    def _wait_for_join(self, member: Member, answer: JoinAnswer) -> None:
        if member.join_answer is not None:
            self._finish_join(member, self._join_error(member.member_id, ErrorCode.REBALANCE_IN_PROGRESS))
        member.join_answer = answer
        self._joined += 1

    def _expect_to_come_back(self, member: Member, now_ms: int) -> None:
        """It does not know its id before it is answered, so it cannot send heartbeats and cannot take up its wait
        after a broken connection: it has a limited time only."""
        member.new = True
        member.deadline_ms = now_ms + self._limits.new_member_join_timeout_ms
        self._wake_by(member.deadline_ms)

    def _forget_pending(self, member_id: str) -> None:
        if self.pending.pop(member_id, None) is not None:
            self._side_bytes -= MEMBER_BYTES + utf8_bytes(member_id)

    def _mark_synced(self, member_id: str) -> None:
        self._unsynced.discard(member_id)
        if not self._unsynced:
            self._sync_deadline_ms = NEVER_MS

    def _restart_session(self, member: Member, now_ms: int) -> None:
        member.deadline_ms = now_ms + member.session_timeout_ms
        if member.deadline_ms < self.deadline_ms:
            self.deadline_ms = member.deadline_ms

    def _wake_by(self, when_ms: int) -> None:
        self.deadline_ms = min(self.deadline_ms, when_ms)

    def _answer_join(self, member: Member, result: JoinResult, now_ms: int) -> None:
        self._finish_join(member, result)
        member.new = False
        self._restart_session(member, now_ms)

    def _answer_sync(self, member: Member, now_ms: int, error: ErrorCode = ErrorCode.NONE) -> None:
        if error is ErrorCode.NONE:
            result = SyncResult(
                error=error,
                protocol_type=self.protocol_type,
                protocol_name=self.protocol_name,
                assignment=member.assignment,
            )
        else:
            result = SyncResult(error=error)
        self._finish_sync(member, result)
        self._restart_session(member, now_ms)

    def _finish_join(self, member: Member, result: JoinResult) -> None:
        assert member.join_answer is not None
        self._effects.append(AnswerJoin(member.join_answer, result))
        member.join_answer = None
        self._joined -= 1

    def _finish_sync(self, member: Member, result: SyncResult) -> None:
        assert member.sync_answer is not None
        self._effects.append(AnswerSync(member.sync_answer, result))
        member.sync_answer = None

    def _refuse_join(self, answer: JoinAnswer, member_id: str, error: ErrorCode, why: str = "") -> None:
        self._effects.append(AnswerJoin(answer, self._join_error(member_id, error, why)))

    @staticmethod
    def _join_error(member_id: str, error: ErrorCode, why: str = "") -> JoinResult:
        return JoinResult(error=error, member_id=member_id, why=why)

    def _welcome(self, member: Member, *, skip_assignment: bool = False, leader_id: str | None = None) -> JoinResult:
        """The current generation, as this member is told of it. Only the leader is told who is in it."""
        leader_id = leader_id or self.members.leader_id or ""
        leads = member.member_id == leader_id
        everyone = (
            tuple(JoinedMember(m.member_id, m.instance_id, m.metadata(self.protocol_name)) for m in self.members)
            if leads
            else ()
        )
        return JoinResult(
            error=ErrorCode.NONE,
            member_id=member.member_id,
            generation=self.generation,
            protocol_type=self.protocol_type,
            protocol_name=self.protocol_name,
            leader_id=leader_id,
            skip_assignment=skip_assignment and leads,
            members=everyone,
        )

    def _take(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects


def asked_rebalance_timeout_ms(request: JoinRequest) -> int:
    return request.rebalance_timeout_ms if request.rebalance_timeout_ms >= 0 else request.session_timeout_ms
