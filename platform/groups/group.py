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

from collections.abc import Mapping, Sequence
from typing import Final

from ..wire.errors import ErrorCode
from .effects import AnswerJoin, AnswerSync, Effect, GenerationStarted, MembersExpired
from .exchange import (
    JoinAnswer,
    JoinRequest,
    JoinResult,
    LeavingMember,
    SyncAnswer,
    SyncRequest,
    SyncResult,
)
from .group_body import (
    GROUP_BYTES,
    AssignmentOnItsWay,
    GroupBody,
    InitialDelay,
    ReplacementOnItsWay,
    asked_rebalance_timeout_ms,
)
from .limits import utf8_bytes
from .roster import MEMBER_BYTES, NEVER_MS, Member, Roster, distinct
from .states import COMMIT, COMPLETING, DEAD, EMPTY, HEARTBEAT, PREPARING, REJOIN, STABLE, Rejoin, Rejoiner

MEMBER_ID_PREFIX_CHARS: Final = 255  # of the client id, in a member id that we make


class Group(GroupBody):
    # -- events ------------------------------------------------------------------------------------------------------

    def join(self, request: JoinRequest, answer: JoinAnswer, now_ms: int) -> list[Effect]:
        """JoinGroup, its group id and session timeout already checked."""
        member_id = request.member_id
        if self.state is DEAD:
            self._refuse_join(answer, "", ErrorCode.COORDINATOR_NOT_AVAILABLE)
        elif not self._has_room_for(request):
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
        if isinstance(storing, AssignmentOnItsWay):
            self._side_bytes -= storing.size_bytes
            if self.state is COMPLETING and self.generation == storing.generation:
                self._assignment_stored(storing, now_ms, durable=durable)
        elif (
            isinstance(storing, ReplacementOnItsWay)
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
        self._side_bytes = GROUP_BYTES + utf8_bytes(self.group_id)
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

    # -- joining -----------------------------------------------------------------------------------------------------

    def _has_room_for(self, request: JoinRequest) -> bool:
        """While a rebalance gathers members, those who have joined again count: the last ones lose when the limit
        was lowered (as in Kafka). A static member that comes back takes its own place."""
        limit = self._limits.members_max
        holder = self.members.holder_of(request.instance_id) if request.instance_id is not None else None
        member = self.members.get(request.member_id or holder or "")
        if self.state is EMPTY or member is None:
            waiting = len(self.pending) if not request.member_id else 0
            return waiting < limit and (self._joined if self.state is PREPARING else len(self.members)) < limit
        return self.state is not PREPARING or member.join_answer is not None or self._joined < limit

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
            self._side_bytes += MEMBER_BYTES + utf8_bytes(member_id)
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
            rebalance_timeout_ms=asked_rebalance_timeout_ms(request),
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
            replacement = ReplacementOnItsWay(self.generation, new_id, leader_before, request.may_skip_assignment)
            self._store(replacement, {each.member_id: each.assignment for each in self.members})
        else:  # a leader that is working out an assignment knows only the old id: that takes a rebalance as well
            self._rebalance(now_ms, f"static member {request.instance_id} came back")

    def _replacement_stored(
        self, member: Member, replacement: ReplacementOnItsWay, now_ms: int, *, durable: bool
    ) -> None:
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
            self._initial = InitialDelay(delay_ms, max(wait_ms - delay_ms, 0))
            wait_ms = delay_ms
        if wait_ms <= 0:
            self._complete_join(now_ms)
        else:
            self._join_deadline_ms = now_ms + wait_ms
            self._wake_by(self._join_deadline_ms)

    def _complete_join_if_all_joined(self, now_ms: int) -> None:
        if self.state is not PREPARING or self._initial is not None:
            return
        if self._joined == len(self.members) and not self.pending:
            self._complete_join(now_ms)

    def _join_deadline_passed(self, now_ms: int) -> None:
        initial = self._initial
        if initial is not None and initial.member_added and initial.remaining_ms > 0:
            delay_ms = min(self._limits.initial_rebalance_delay_ms, initial.remaining_ms)
            self._initial = InitialDelay(delay_ms, initial.remaining_ms - delay_ms)
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

    def _store_assignment(self, asked: Mapping[str, bytes]) -> None:
        """Members that the leader left out get nothing; names that are no members are dropped."""
        by_member = {member_id: asked.get(member_id, b"") for member_id in self.members.ids()}
        size = sum(map(len, by_member.values()))
        self._side_bytes += size
        self._store(AssignmentOnItsWay(self.generation, by_member, size), by_member)

    def _assignment_stored(self, assignment: AssignmentOnItsWay, now_ms: int, *, durable: bool) -> None:
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
