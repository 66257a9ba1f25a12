"""One classic consumer group: a state machine without sockets, timers or disk.

Methods are the events, each with the time handed in; they change the group and return effects for the coordinator to
carry out in order. Always true: a member waits for at most one JoinGroup and one SyncGroup answer, and both end, by
completion, by being superseded or by a deadline; `deadline_ms` is never later than the earliest of those; assignments
become readable only once the record that holds them is durable.

Follows Kafka's GroupCoordinator (KIP-345 static members, KIP-394 member ids, KIP-814 skipped assignment). Where it
differs: a request superseded by a repetition is answered (REBALANCE_IN_PROGRESS) instead of forgotten; a static member
whose new id could not be stored keeps it and is told to try again; a static member that did not join is not given a
fresh session by the rebalances of others; any new member may extend the initial delay.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..wire.errors import ErrorCode
from .effects import AnswerJoin, AnswerSync, Effect, GenerationStarted, MembersExpired, Store
from .exchange import (
    DescribedMember,
    GroupState,
    JoinAnswer,
    JoinedMember,
    JoinRequest,
    JoinResult,
    LeavingMember,
    SyncAnswer,
    SyncRequest,
    SyncResult,
)
from .limits import GroupLimits
from .records import StoredGroup, StoredMember
from .roster import MEMBER_BYTES, NEVER_MS, Member, Roster, distinct, protocols_bytes
from .states import COMMIT, COMPLETING, DEAD, EMPTY, HEARTBEAT, NEXT, PREPARING, REJOIN, STABLE, Rejoin, Rejoiner

GROUP_BYTES: Final = 512  # what a group costs beside its members and offsets, roughly
MEMBER_ID_PREFIX_CHARS: Final = 255  # of the client id, in a member id that we make
REBALANCE_TIMEOUT_MIN_MS: Final = 1_000  # 0 would expire every member before it could answer


@dataclass(frozen=True, slots=True)
class _Assignment:
    """Of one generation, on its way to the log."""

    generation: int
    by_member: Mapping[str, bytes]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Replacement:
    """Of a static member in a stable group, on its way to the log."""

    generation: int
    member_id: str
    leader_before: str | None
    may_skip_assignment: bool


@dataclass(slots=True)
class _InitialDelay:
    """A group that was empty waits for more members to come before its first generation."""

    delay_ms: int
    remaining_ms: int
    member_added: bool = False


class Group:
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
        self._initial: _InitialDelay | None = None
        self._why = ""  # of the rebalance that is going on
        self._storing: dict[int, _Assignment | _Replacement] = {}
        self._store_id = 0
        self._side_bytes = GROUP_BYTES + len(group_id)  # beside the members: pending ids, assignments being stored
        self._effects: list[Effect] = []

    @classmethod
    def restored(
        cls, group_id: str, stored: StoredGroup | None, limits: GroupLimits, new_id: Callable[[], str], now_ms: int
    ) -> "Group":
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

    # -- events ------------------------------------------------------------------------------------------------------

    def join(self, request: JoinRequest, answer: JoinAnswer, now_ms: int) -> list[Effect]:
        """JoinGroup, its group id and session timeout already checked."""
        member_id = request.member_id
        if self.state is DEAD:
            self._refuse_join(answer, "", ErrorCode.COORDINATOR_NOT_AVAILABLE)
        elif not self._has_room_for(member_id):
            self._refuse_join(answer, "", ErrorCode.GROUP_MAX_SIZE_REACHED, self._full())
            self._forget_pending(member_id)
            if member_id in self.members:
                self._remove(self.members[member_id], now_ms, "the group is full")
        elif not self._supports(request):
            self._refuse_join(answer, member_id, ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        elif not member_id:
            self._join_new(request, answer, now_ms)
        elif member_id in self.pending and request.instance_id is None:
            self._forget_pending(member_id)
            self._add(member_id, request, answer, now_ms)
        elif (error := self.members.check(member_id, request.instance_id)) is not ErrorCode.NONE:
            self._refuse_join(answer, member_id, error)
        else:
            self._rejoin(self.members[member_id], request, answer, now_ms)
        self._complete_join_if_all_joined(now_ms)
        return self._take()

    def sync(self, request: SyncRequest, answer: SyncAnswer, now_ms: int) -> list[Effect]:
        """SyncGroup. Followers wait for the leader's assignment, everybody for its record."""
        error = self._check_sync(request)
        if error is not ErrorCode.NONE:
            self._effects.append(AnswerSync(answer, SyncResult(error=error)))
            return self._take()
        member = self.members[request.member_id]
        self._mark_synced(member.member_id)
        if member.sync_answer is not None:
            self._finish_sync(member, SyncResult(error=ErrorCode.REBALANCE_IN_PROGRESS))
        member.sync_answer = answer
        if self.state is STABLE:
            self._answer_sync(member, now_ms)
        elif member.member_id == self.members.leader_id and not self._assignment_is_on_its_way():
            self._store_assignment(dict(request.assignments))
        return self._take()

    def heartbeat(self, generation: int, member_id: str, instance_id: str | None, now_ms: int) -> ErrorCode:
        if self.state is DEAD:
            return HEARTBEAT[DEAD]
        error = self._check_generation(generation, member_id, instance_id)
        if error is not ErrorCode.NONE:
            return error
        self._restart_session(self.members[member_id], now_ms)
        return HEARTBEAT[self.state]

    def leave(self, leaving: Sequence[LeavingMember], now_ms: int) -> tuple[tuple[ErrorCode, ...], list[Effect]]:
        """LeaveGroup, one error for each in `leaving`. An instance id without a member id is an administrator's."""
        errors = tuple(self._leave(one, now_ms) for one in leaving)
        self._complete_join_if_all_joined(now_ms)
        return errors, self._take()

    def check_commit(self, generation: int, member_id: str, instance_id: str | None, now_ms: int) -> ErrorCode:
        """Whether a commit may go ahead. It counts as a heartbeat. Generation -1 is an administrator or a consumer
        that manages its partitions itself, and allowed while the group has no members."""
        if self.state is DEAD:
            return COMMIT[DEAD]
        if generation < 0 and self.state is EMPTY:
            return COMMIT[EMPTY]
        error = self._check_generation(generation, member_id, instance_id)
        if error is not ErrorCode.NONE:
            return error
        self._restart_session(self.members[member_id], now_ms)
        return COMMIT[self.state]

    def tick(self, now_ms: int) -> list[Effect]:
        """Time has come to `now_ms`: end what is overdue, and find the next deadline."""
        self._expire_pending(now_ms)
        self._expire_sessions(now_ms)
        if self._join_deadline_ms <= now_ms:
            self._join_deadline_passed(now_ms)
        if self._sync_deadline_ms <= now_ms:
            self._sync_deadline_passed(now_ms)
        self._complete_join_if_all_joined(now_ms)
        self.deadline_ms = min(
            self._join_deadline_ms,
            self._sync_deadline_ms,
            min(self.pending.values(), default=NEVER_MS),
            min((member.deadline_ms for member in self.members if not member.excused), default=NEVER_MS),
        )
        return self._take()

    def stored(self, store_id: int, now_ms: int, *, durable: bool) -> list[Effect]:
        """What a Store asked for is durable now, or never will be. Events may have overtaken it."""
        storing = self._storing.pop(store_id, None)
        if isinstance(storing, _Assignment):
            self._side_bytes -= storing.size_bytes
            if self.state is COMPLETING and self.generation == storing.generation:
                self._assignment_stored(storing, now_ms, durable=durable)
        elif (
            isinstance(storing, _Replacement)
            and (member := self.members.get(storing.member_id)) is not None
            and self.state is STABLE
            and self.generation == storing.generation
        ):
            self._replacement_stored(member, storing, now_ms, durable=durable)
        return self._take()

    def die(self, error: ErrorCode) -> list[Effect]:
        """The group is deleted: whoever waits is told `error`, and nobody is let in any more."""
        effects = self.abandon(error)
        self.members = Roster()
        self.pending.clear()
        self._unsynced.clear()
        self._storing.clear()
        self._side_bytes = GROUP_BYTES + len(self.group_id)
        self.deadline_ms = self._join_deadline_ms = self._sync_deadline_ms = NEVER_MS
        self._initial = None
        self._become(DEAD, self.state_since_ms)
        return effects

    def abandon(self, error: ErrorCode) -> list[Effect]:
        """Answer whoever waits with `error` and change nothing else."""
        for member in self.members:
            if member.join_answer is not None:
                self._finish_join(member, JoinResult(error=error, member_id=member.member_id))
            if member.sync_answer is not None:
                self._finish_sync(member, SyncResult(error=error))
        return self._take()

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
        ids = 2 * len(request.client_id) + 2 * len(request.instance_id or "") + len(request.client_host)
        return MEMBER_BYTES + ids + asked

    def growth_of_sync(self, request: SyncRequest) -> int:
        """Bytes that this SyncGroup would add at most: only the leader's counts, and only while it is awaited."""
        if self.state is not COMPLETING or request.member_id != self.members.leader_id:
            return 0
        return 0 if self._assignment_is_on_its_way() else sum(len(assigned) for _, assigned in request.assignments)

    # -- joining -----------------------------------------------------------------------------------------------------

    def _has_room_for(self, member_id: str) -> bool:
        """While a rebalance gathers members, those who have joined again count: the last ones lose when the limit
        was lowered (as in Kafka)."""
        limit = self._limits.members_max
        if not member_id and len(self.pending) >= limit:
            return False
        if self.state is EMPTY:
            return True
        member = self.members.get(member_id)
        if self.state is PREPARING:
            return self._joined < limit or (member is not None and member.join_answer is not None)
        return member is not None or len(self.members) < limit

    def _full(self) -> str:
        return f"group {self.group_id!r} has reached the limit of {self._limits.members_max} members"

    def _supports(self, request: JoinRequest) -> bool:
        """Some protocol that the member offers must be one that every other member offers."""
        if not self.members:
            return bool(request.protocol_type) and bool(request.protocols)
        return request.protocol_type == self.protocol_type and self.members.supports(request.protocols)

    def _join_new(self, request: JoinRequest, answer: JoinAnswer, now_ms: int) -> None:
        instance_id = request.instance_id
        prefix = instance_id if instance_id is not None else request.client_id
        member_id = f"{prefix[:MEMBER_ID_PREFIX_CHARS]}-{self._new_id()}"
        if instance_id is not None and (holder := self.members.holder_of(instance_id)) is not None:
            self._replace(self.members[holder], member_id, request, answer, now_ms)
        elif instance_id is None and request.member_id_required:
            self.pending[member_id] = now_ms + request.session_timeout_ms
            self._side_bytes += MEMBER_BYTES + len(member_id)
            self._wake_by(self.pending[member_id])
            self._refuse_join(answer, member_id, ErrorCode.MEMBER_ID_REQUIRED)
        else:
            self._add(member_id, request, answer, now_ms)

    def _add(self, member_id: str, request: JoinRequest, answer: JoinAnswer, now_ms: int) -> None:
        member = Member(
            member_id=member_id,
            instance_id=request.instance_id,
            client_id=request.client_id,
            client_host=request.client_host,
            session_timeout_ms=request.session_timeout_ms,
            rebalance_timeout_ms=_rebalance_timeout_ms(request),
            protocols=distinct(request.protocols),
        )
        if not self.members:
            self.protocol_type = request.protocol_type
        self.members.admit(member)
        self._wait_for_join(member, answer)
        self._expect_to_come_back(member, now_ms)
        if self._initial is not None:
            self._initial.member_added = True
        self._rebalance(now_ms, f"member {member_id} joined")

    def _rejoin(self, member: Member, request: JoinRequest, answer: JoinAnswer, now_ms: int) -> None:
        same = member.protocols == distinct(request.protocols)
        rejoiner = Rejoiner.of(leader=member.member_id == self.members.leader_id, same=same)
        if REJOIN[self.state][rejoiner] is Rejoin.CURRENT:
            self._restart_session(member, now_ms)
            self._effects.append(AnswerJoin(answer, self._welcome(member)))
            return
        self._update(member, request)
        self._wait_for_join(member, answer)
        if member.new:
            self._expect_to_come_back(member, now_ms)
        self._rebalance(now_ms, f"member {member.member_id} joined again ({rejoiner.name.lower()})")

    def _replace(self, member: Member, new_id: str, request: JoinRequest, answer: JoinAnswer, now_ms: int) -> None:
        """A static member came back under a new id (KIP-345): its older self is fenced, its assignment goes on."""
        leader_before = self.members.leader_id
        if member.join_answer is not None:
            self._finish_join(member, self._join_error(member.member_id, ErrorCode.FENCED_INSTANCE_ID))
        if member.sync_answer is not None:
            self._finish_sync(member, SyncResult(error=ErrorCode.FENCED_INSTANCE_ID))
        self._mark_synced(member.member_id)
        self.members.rename(member, new_id)
        self._update(member, request)
        self._wait_for_join(member, answer)
        self._expect_to_come_back(member, now_ms)
        if self.state is STABLE and self.members.vote() == self.protocol_name:
            replacement = _Replacement(self.generation, new_id, leader_before, request.may_skip_assignment)
            self._store(replacement, {each.member_id: each.assignment for each in self.members})
        else:  # a leader that is working out an assignment knows only the old id: that takes a rebalance as well
            self._rebalance(now_ms, f"static member {request.instance_id} came back")

    def _replacement_stored(self, member: Member, replacement: _Replacement, now_ms: int, *, durable: bool) -> None:
        if not durable:
            result = self._join_error(member.member_id, ErrorCode.COORDINATOR_NOT_AVAILABLE)
        elif replacement.may_skip_assignment:
            result = self._welcome(member, skip_assignment=True)
        else:
            # Before KIP-814 a leader cannot be told to skip: naming its former id keeps it from assigning anything,
            # which a stable group would not take.
            result = self._welcome(member, leader_id=replacement.leader_before)
        self._answer_join(member, result, now_ms)

    # -- rebalancing -------------------------------------------------------------------------------------------------

    def _rebalance(self, now_ms: int, why: str) -> None:
        """Begin to gather members for the next generation, unless that is going on."""
        if self.state is PREPARING:
            return
        first = self.state is EMPTY
        self._why = why
        self._become(PREPARING, now_ms)
        self._unsynced.clear()
        self._sync_deadline_ms = NEVER_MS
        for member in self.members:
            self.members.assign(member, b"")
            if member.sync_answer is not None:
                self._answer_sync(member, now_ms, ErrorCode.REBALANCE_IN_PROGRESS)
        wait_ms = self._rebalance_timeout_ms()
        if first:
            delay_ms = self._limits.initial_rebalance_delay_ms
            self._initial = _InitialDelay(delay_ms, max(wait_ms - delay_ms, 0))
            wait_ms = delay_ms
        self._join_deadline_ms = now_ms + wait_ms
        self._wake_by(self._join_deadline_ms)
        if wait_ms <= 0:
            self._complete_join(now_ms)

    def _complete_join_if_all_joined(self, now_ms: int) -> None:
        if self.state is not PREPARING or self._initial is not None:
            return
        if self._joined == len(self.members) and not self.pending:
            self._complete_join(now_ms)

    def _join_deadline_passed(self, now_ms: int) -> None:
        initial = self._initial
        if initial is not None and initial.member_added and initial.remaining_ms > 0:
            delay_ms = min(self._limits.initial_rebalance_delay_ms, initial.remaining_ms)
            self._initial = _InitialDelay(delay_ms, initial.remaining_ms - delay_ms)
            self._join_deadline_ms = now_ms + delay_ms
        else:
            self._complete_join(now_ms)

    def _complete_join(self, now_ms: int) -> None:
        """The next generation: the members that joined, and static ones, which may still come back."""
        self._initial = None
        absent = [member for member in self.members if member.join_answer is None and member.instance_id is None]
        self._expire(absent)
        if self.members and not self.members.elect_leader():
            self._join_deadline_ms = now_ms + self._rebalance_timeout_ms()
            self._wake_by(self._join_deadline_ms)
            return
        self._join_deadline_ms = NEVER_MS
        self.generation += 1
        self._effects.append(GenerationStarted(self.generation, len(self.members), self._why))
        if not self.members:
            self.protocol_name = None
            self._become(EMPTY, now_ms)
            self._store(None, {})
            return
        self.protocol_name = self.members.vote()
        self._become(COMPLETING, now_ms)
        self._unsynced = set(self.members.ids())
        self._sync_deadline_ms = now_ms + self._rebalance_timeout_ms()
        self._wake_by(self._sync_deadline_ms)
        for member in self.members:
            if member.join_answer is not None:
                self._answer_join(member, self._welcome(member), now_ms)

    def _rebalance_timeout_ms(self) -> int:
        """The longest that a member asked for; nothing to wait for without members."""
        longest_ms = max((member.rebalance_timeout_ms for member in self.members), default=0)
        return max(longest_ms, REBALANCE_TIMEOUT_MIN_MS) if self.members else 0

    # -- assigning ---------------------------------------------------------------------------------------------------

    def _check_sync(self, request: SyncRequest) -> ErrorCode:
        if self.state is DEAD:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        error = self._check_generation(request.generation, request.member_id, request.instance_id)
        if error is not ErrorCode.NONE:
            return error
        if request.protocol_type is not None and request.protocol_type != self.protocol_type:
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        if request.protocol_name is not None and request.protocol_name != self.protocol_name:
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        return ErrorCode.REBALANCE_IN_PROGRESS if self.state is PREPARING else ErrorCode.NONE

    def _assignment_is_on_its_way(self) -> bool:
        """A leader's repeated SyncGroup must not store a second assignment for one generation."""
        return any(
            isinstance(storing, _Assignment) and storing.generation == self.generation
            for storing in self._storing.values()
        )

    def _store_assignment(self, asked: Mapping[str, bytes]) -> None:
        """Members that the leader left out get nothing; names that are no members are dropped."""
        by_member = {member_id: asked.get(member_id, b"") for member_id in self.members.ids()}
        size = sum(map(len, by_member.values()))
        self._side_bytes += size
        self._store(_Assignment(self.generation, by_member, size), by_member)

    def _assignment_stored(self, assignment: _Assignment, now_ms: int, *, durable: bool) -> None:
        if durable:
            for member in self.members:
                self.members.assign(member, assignment.by_member[member.member_id])
            self._become(STABLE, now_ms)
        error = ErrorCode.NONE if durable else ErrorCode.COORDINATOR_NOT_AVAILABLE
        for member in self.members:
            if member.sync_answer is not None:
                self._answer_sync(member, now_ms, error)
        if not durable:
            self._rebalance(now_ms, "the assignment could not be stored")

    def _store(self, storing: _Assignment | _Replacement | None, assignments: Mapping[str, bytes]) -> None:
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

    # -- leaving and expiring ----------------------------------------------------------------------------------------

    def _leave(self, leaving: LeavingMember, now_ms: int) -> ErrorCode:
        member_id = leaving.member_id
        if not member_id:
            holder = self.members.holder_of(leaving.instance_id) if leaving.instance_id is not None else None
            if holder is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            member_id = holder
        elif member_id in self.pending:
            self._forget_pending(member_id)
            return ErrorCode.NONE
        else:
            error = self.members.check(member_id, leaving.instance_id)
            if error is not ErrorCode.NONE:
                return error
        self._remove(self.members[member_id], now_ms, f"member {member_id} left")
        return ErrorCode.NONE

    def _remove(self, member: Member, now_ms: int, why: str) -> None:
        self._drop(member)
        if self.state in (COMPLETING, STABLE):
            self._rebalance(now_ms, why)

    def _drop(self, member: Member) -> None:
        """Whatever it waits for, it is told that it is no member any more, and joins anew if it still lives."""
        if member.join_answer is not None:
            self._finish_join(member, self._join_error("", ErrorCode.UNKNOWN_MEMBER_ID))
        if member.sync_answer is not None:
            self._finish_sync(member, SyncResult(error=ErrorCode.UNKNOWN_MEMBER_ID))
        self._mark_synced(member.member_id)
        self.members.drop(member)

    def _expire(self, overdue: Sequence[Member]) -> None:
        for member in overdue:
            self._drop(member)
        if overdue:
            self._effects.append(MembersExpired(len(overdue)))

    def _expire_pending(self, now_ms: int) -> None:
        for member_id in [member_id for member_id, lapses_ms in self.pending.items() if lapses_ms <= now_ms]:
            self._forget_pending(member_id)

    def _expire_sessions(self, now_ms: int) -> None:
        overdue = [member for member in self.members if member.deadline_ms <= now_ms and not member.excused]
        self._expire(overdue)
        if overdue and self.state in (COMPLETING, STABLE):
            self._rebalance(now_ms, f"the session of member {overdue[0].member_id} expired")

    def _sync_deadline_passed(self, now_ms: int) -> None:
        """Members that took a generation and never synced are stuck, whatever their heartbeats say (KAFKA-13435)."""
        overdue = [self.members[member_id] for member_id in sorted(self._unsynced)]
        self._sync_deadline_ms = NEVER_MS
        self._expire(overdue)
        if overdue:
            self._rebalance(now_ms, f"member {overdue[0].member_id} did not sync in time")

    # -- small steps -------------------------------------------------------------------------------------------------

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
        member.rebalance_timeout_ms = _rebalance_timeout_ms(request)

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
            self._side_bytes -= MEMBER_BYTES + len(member_id)

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


def _rebalance_timeout_ms(request: JoinRequest) -> int:
    return request.rebalance_timeout_ms if request.rebalance_timeout_ms >= 0 else request.session_timeout_ms
