"""The coordinator of every consumer group of the platform: who may ask, what is durable, when to wake.

One asyncio loop owns it; nothing here blocks or awaits except `load`. Every method takes the namespace id first, and
(namespace id, group id) is a group's whole identity: what one namespace does can neither be seen nor felt in another.

Answers come by callback, at once or later, exactly once, and no task is made per request. Answers that rest on a
record (SyncGroup, a static member's return, OffsetCommit, deletion) are given once it is durable, and only then can
what they promise be read (D4 in docs/durability.md).
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from uuid import UUID, uuid4

from ..wire.errors import ErrorCode
from .admission import Admission
from .effects import AnswerJoin, AnswerSync, Effect, GenerationStarted, MembersExpired, Store
from .exchange import (
    CommitAnswer,
    CommitRequest,
    CommitResult,
    CommittedRow,
    DeleteAnswer,
    FetchedOffset,
    FetchResult,
    GroupDescription,
    JoinAnswer,
    JoinRequest,
    JoinResult,
    LeaveResult,
    LeavingMember,
    ListedGroup,
    ListResult,
    SyncAnswer,
    SyncRequest,
    SyncResult,
)
from .expiry import Expiry
from .group import Group
from .journal import Journal
from .limits import GroupLimits
from .loading import Loaded, fold
from .offsets import Change, Committed, Offsets, TopicPartition
from .records import StoredGroup, group_record, offset_record
from .registry import Entry, Registry, partition_of
from .seams import Clock, GroupLog, Record
from .states import EMPTY
from .wakeups import Wakeups

Result = TypeVar("Result")
Then = Callable[[bool], None]

log = logging.getLogger("coldstream.groups")


@dataclass(frozen=True, slots=True)
class LoadReport:
    """`problems` names the first records that were skipped, `problem_count` counts all of them."""

    groups: int
    offsets: int
    records: int
    problem_count: int
    problems: tuple[str, ...]


def _new_id() -> str:
    return str(uuid4())


class Coordinator:
    """Counts for metrics: `group_count`, `member_count` now; `rebalances`, `members_expired`, `offsets_committed`,
    `offsets_expired`, `refused_by_limit`, `appends_failed` since the start."""

    def __init__(
        self, group_log: GroupLog, clock: Clock, limits: GroupLimits, *, new_id: Callable[[], str] = _new_id
    ) -> None:
        self.limits = limits
        self.rebalances = 0
        self.members_expired = 0
        self.offsets_committed = 0
        self.refused_by_limit = 0
        self._clock = clock
        self._new_id = new_id
        self._journal = Journal(group_log)
        self._registry = Registry()
        self._admission = Admission(limits, self._registry)
        self._wakeups = Wakeups(clock, self._tick)
        self._expiry = Expiry(self._registry, clock, limits, self._write_offsets, self._delete)
        self._loading = set(range(group_log.partitions))
        self._closed = False

    @property
    def group_count(self) -> int:
        return self._registry.group_count

    @property
    def member_count(self) -> int:
        return self._registry.member_count

    @property
    def offsets_expired(self) -> int:
        return self._expiry.offsets_expired

    @property
    def appends_failed(self) -> int:
        return self._journal.failed

    # -- start and end -----------------------------------------------------------------------------------------------

    async def load(self) -> LoadReport:
        """Replay every partition in a thread and take up its groups. Until a partition is there its groups answer
        COORDINATOR_LOAD_IN_PROGRESS. Raises what the log's replay raises."""
        groups = offsets = records = problem_count = 0
        problems: list[str] = []
        for partition in sorted(self._loading):
            loaded = await asyncio.to_thread(self._replay, partition)
            self._adopt(partition, loaded)
            groups += len(loaded.groups)
            offsets += sum(group.offsets.count for group in loaded.groups.values())
            records += loaded.record_count
            problem_count += loaded.problem_count
            problems += (f"partition {partition}: {problem}" for problem in loaded.problems)
        self._expiry.start()
        return LoadReport(groups, offsets, records, problem_count, tuple(problems))

    def close(self) -> None:
        """Answer whoever waits for a rebalance with COORDINATOR_NOT_AVAILABLE, and everybody from now on. Groups are
        left as they are. Commits on their way are still answered when the log is done with them."""
        self._closed = True
        self._expiry.stop()
        for entry in self._registry.entries():
            self._carry_out(entry, entry.group.abandon(ErrorCode.COORDINATOR_NOT_AVAILABLE))

    def _replay(self, partition: int) -> Loaded:
        return fold(self._journal.replay(partition))

    def _adopt(self, partition: int, loaded: Loaded) -> None:
        now_ms = self._clock.now_ms()
        for (namespace_id, group_id), found in loaded.groups.items():
            group = Group.restored(group_id, found.stored, self.limits, self._new_id, now_ms)
            entry = Entry(namespace_id, group_id, partition, group, found.offsets, found.stored)
            self._registry.add(entry)
            self._settle(entry)
        self._loading.discard(partition)

    # -- membership --------------------------------------------------------------------------------------------------

    def join(self, namespace_id: UUID, request: JoinRequest, answer: JoinAnswer) -> None:
        """JoinGroup. Waits until the group's next generation is complete, at most the longest rebalance timeout."""
        entry, error = self._find(namespace_id, request.group_id)
        if error is not ErrorCode.NONE:
            return self._refuse_join(request, answer, error)
        if why := self._admission.session_timeout(request.session_timeout_ms):
            return self._refuse_join(request, answer, ErrorCode.INVALID_SESSION_TIMEOUT, why)
        if entry is None and request.member_id:
            return self._refuse_join(request, answer, ErrorCode.UNKNOWN_MEMBER_ID)
        if entry is not None:
            why = self._admission.growth(entry, entry.group.growth_of_join(request))
        else:
            entry = self._new_entry(namespace_id, request.group_id)
            why = self._admission.new_group(namespace_id, entry.size_bytes + entry.group.growth_of_join(request))
        if why:
            self.refused_by_limit += 1
            return self._refuse_join(request, answer, ErrorCode.GROUP_MAX_SIZE_REACHED, why)
        self._keep(entry)
        return self._carry_out(entry, entry.group.join(request, answer, self._clock.now_ms()))

    def sync(self, namespace_id: UUID, request: SyncRequest, answer: SyncAnswer) -> None:
        """SyncGroup. Followers wait for the leader, at most the longest rebalance timeout, and all for the record."""
        entry, error = self._find(namespace_id, request.group_id)
        if error is not ErrorCode.NONE:
            return self._answer(answer, SyncResult(error=error))
        if entry is None:
            return self._answer(answer, SyncResult(error=ErrorCode.UNKNOWN_MEMBER_ID))
        if why := self._admission.growth(entry, entry.group.growth_of_sync(request)):
            self.refused_by_limit += 1
            return self._answer(answer, SyncResult(error=ErrorCode.INVALID_REQUEST, why=why))
        return self._carry_out(entry, entry.group.sync(request, answer, self._clock.now_ms()))

    def heartbeat(
        self, namespace_id: UUID, group_id: str, generation: int, member_id: str, instance_id: str | None = None
    ) -> ErrorCode:
        entry, error = self._find(namespace_id, group_id)
        if error is not ErrorCode.NONE:
            return error
        if entry is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        error = entry.group.heartbeat(generation, member_id, instance_id, self._clock.now_ms())
        self._wakeups.at(entry.group.deadline_ms, entry)
        return error

    def leave(self, namespace_id: UUID, group_id: str, members: Sequence[LeavingMember]) -> LeaveResult:
        """LeaveGroup: one error for each of `members`, in their order."""
        entry, error = self._find(namespace_id, group_id)
        if error is not ErrorCode.NONE:
            return LeaveResult(error=error)
        if entry is None:
            return LeaveResult(error=ErrorCode.NONE, members=(ErrorCode.UNKNOWN_MEMBER_ID,) * len(members))
        errors, effects = entry.group.leave(members, self._clock.now_ms())
        self._carry_out(entry, effects)
        return LeaveResult(error=ErrorCode.NONE, members=errors)

    # -- offsets -----------------------------------------------------------------------------------------------------

    def commit(self, namespace_id: UUID, request: CommitRequest, answer: CommitAnswer) -> None:
        """OffsetCommit. What can be stored is answered once it is durable, together with what cannot."""
        now_ms = self._clock.now_ms()
        entry, error = self._find(namespace_id, request.group_id, empty_id_allowed=True)
        if error is ErrorCode.NONE and entry is not None:
            error = entry.group.check_commit(request.generation, request.member_id, request.instance_id, now_ms)
            self._settle(entry)
        elif error is ErrorCode.NONE and request.generation >= 0:
            error = ErrorCode.ILLEGAL_GENERATION
        if error is not ErrorCode.NONE:
            return self._refuse_commit(request, answer, error)

        changes, errors = self._admission.offsets(request, now_ms)
        if not changes:
            return self._answer(answer, CommitResult(ErrorCode.NONE, errors))
        if entry is not None:
            growth_bytes = max(entry.offsets.growth_bytes(changes), 0)
            why = self._admission.growth(entry, growth_bytes)
        else:
            entry = self._new_entry(namespace_id, request.group_id)
            growth_bytes = entry.offsets.growth_bytes(changes)
            why = self._admission.new_group(namespace_id, entry.size_bytes + growth_bytes)
        if why:
            self.refused_by_limit += 1
            return self._refuse_commit(request, answer, ErrorCode.INVALID_COMMIT_OFFSET_SIZE, why)
        self._keep(entry)
        committed = partial(self._committed, len(changes), errors, answer)
        return self._write_offsets(entry, changes, committed, reserve_bytes=growth_bytes)

    def fetch(self, namespace_id: UUID, group_id: str, partitions: Sequence[tuple[UUID, int]] | None) -> FetchResult:
        """OffsetFetch: of `partitions`, in their order and with -1 for those that have none, or (None) of all that
        have one. Only what is durable. There are no transactional commits, so `require_stable` changes nothing."""
        entry, error = self._find(namespace_id, group_id, empty_id_allowed=True)
        if error is not ErrorCode.NONE:
            return FetchResult(error)
        if entry is None:
            found = [FetchedOffset(topic_id, partition) for topic_id, partition in partitions or ()]
        elif partitions is None:
            found = [_fetched(where, committed) for where, committed in entry.offsets]
        else:
            asked = [TopicPartition(topic_id, partition) for topic_id, partition in partitions]
            found = [_fetched(where, entry.offsets.get(where)) for where in asked]
        return FetchResult(ErrorCode.NONE, tuple(found))

    def committed_offsets(self) -> Iterator[CommittedRow]:
        """Every durable committed offset of the platform, for lag. Groups may change while the caller looks."""
        for entry in self._registry.entries():
            for where, committed in tuple(entry.offsets):
                yield CommittedRow(
                    entry.namespace_id, entry.group_id, where.topic_id, where.partition, committed.offset
                )

    # -- looking and deleting ----------------------------------------------------------------------------------------

    def describe(self, namespace_id: UUID, group_id: str, *, missing_is_error: bool = False) -> GroupDescription:
        """DescribeGroups, one group. `missing_is_error` from v6 on: GROUP_ID_NOT_FOUND instead of a Dead group."""
        entry, error = self._find(namespace_id, group_id, empty_id_allowed=True)
        if error is ErrorCode.NONE and entry is None and missing_is_error:
            error = ErrorCode.GROUP_ID_NOT_FOUND
        if error is not ErrorCode.NONE or entry is None:
            return GroupDescription(error=error, group_id=group_id)
        group = entry.group
        return GroupDescription(
            error=ErrorCode.NONE,
            group_id=group_id,
            state=group.state,
            protocol_type=group.protocol_type or "",
            protocol_name=group.described_protocol or "",
            members=group.described(),
        )

    def list_groups(self, namespace_id: UUID, states: Collection[str] = (), types: Collection[str] = ()) -> ListResult:
        """ListGroups: only those in one of `states` and of one of `types`, whatever their case, where any are named."""
        if self._closed:
            return ListResult(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        if self._loading:
            return ListResult(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        asked_states = {state.lower() for state in states}
        asked_types = {group_type.lower() for group_type in types}
        listed = (
            ListedGroup(entry.group_id, entry.group.protocol_type or "", entry.group.state)
            for entry in self._registry.entries_in(namespace_id)
            if not entry.deleting
        )
        return ListResult(
            ErrorCode.NONE,
            tuple(
                group
                for group in listed
                if (not asked_states or group.state.lower() in asked_states)
                and (not asked_types or group.group_type in asked_types)
            ),
        )

    def delete_groups(self, namespace_id: UUID, group_ids: Sequence[str], answer: DeleteAnswer) -> None:
        """DeleteGroups: groups without members go, with their offsets. Answers once that is durable, with one error
        for each of `group_ids`."""
        errors = {group_id: self._undeletable(namespace_id, group_id) for group_id in group_ids}
        going = [group_id for group_id, error in errors.items() if error is ErrorCode.NONE]
        left = len(going)

        def deleted(group_id: str, durable: bool) -> None:
            nonlocal left
            left -= 1
            if not durable:
                errors[group_id] = ErrorCode.COORDINATOR_NOT_AVAILABLE
            if not left:
                self._answer(answer, tuple(errors[each] for each in group_ids))

        for group_id in going:
            entry = self._registry.find(namespace_id, group_id)
            assert entry is not None
            self._delete(entry, partial(deleted, group_id))
        if not going:
            self._answer(answer, tuple(errors[each] for each in group_ids))

    def drop_namespaces(self, namespace_ids: Collection[UUID]) -> None:
        """These namespaces are gone: so are their groups, members or not. Harmless to repeat."""
        for namespace_id in namespace_ids:
            for entry in self._registry.entries_in(namespace_id):
                if not entry.deleting:
                    self._delete(entry)

    def drop_topics(self, topic_ids: Collection[UUID]) -> None:
        """These topics are gone: so are the offsets committed for them, in every group. Harmless to repeat."""
        topic_ids = frozenset(topic_ids)
        for entry in self._registry.entries():
            changes = entry.offsets.forgetting(topic_ids)
            if changes and not entry.deleting:
                self._write_offsets(entry, changes)

    def namespace_ids(self) -> tuple[UUID, ...]:
        """Those that have groups: after `load`, the broker drops the ones that no longer exist."""
        return self._registry.namespace_ids()

    def topic_ids(self) -> frozenset[UUID]:
        """Those with committed offsets: after `load`, the broker drops the ones that no longer exist."""
        return frozenset(topic_id for entry in self._registry.entries() for topic_id in entry.offsets.topic_ids())

    def snapshot(self, partition: int) -> Iterator[Record]:
        """The durable state of a partition as records, captured before this returns and encoded while the caller
        reads on, which may happen in a thread. `seams` says how it is stored and when the log may be cut."""
        assert partition not in self._loading, "a partition that is not loaded yet has no state to write"
        captured = [
            (entry.namespace_id, entry.group_id, entry.stored, tuple(entry.offsets))
            for entry in self._registry.entries()
            if entry.partition == partition
        ]
        return _encoded(captured)

    # -- finding -----------------------------------------------------------------------------------------------------

    def _find(
        self, namespace_id: UUID, group_id: str, *, empty_id_allowed: bool = False
    ) -> tuple[Entry | None, ErrorCode]:
        """The group if there is one, or why nobody may ask now."""
        if self._closed:
            return None, ErrorCode.COORDINATOR_NOT_AVAILABLE
        if not self._admission.group_id(group_id, empty_allowed=empty_id_allowed):
            return None, ErrorCode.INVALID_GROUP_ID
        if self._loading and partition_of(namespace_id, group_id, self._journal.partitions) in self._loading:
            return None, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        entry = self._registry.find(namespace_id, group_id)
        if entry is not None and entry.deleting:
            return None, ErrorCode.COORDINATOR_NOT_AVAILABLE
        return entry, ErrorCode.NONE

    def _undeletable(self, namespace_id: UUID, group_id: str) -> ErrorCode:
        entry, error = self._find(namespace_id, group_id, empty_id_allowed=True)
        if error is not ErrorCode.NONE:
            return error
        if entry is None:
            return ErrorCode.GROUP_ID_NOT_FOUND
        return ErrorCode.NONE if entry.group.state is EMPTY else ErrorCode.NON_EMPTY_GROUP

    # -- doing -------------------------------------------------------------------------------------------------------

    def _new_entry(self, namespace_id: UUID, group_id: str) -> Entry:
        partition = partition_of(namespace_id, group_id, self._journal.partitions)
        group = Group(group_id, self.limits, self._new_id)
        return Entry(namespace_id, group_id, partition, group, Offsets(len(group_id.encode())))

    def _keep(self, entry: Entry) -> None:
        if not self._registry.holds(entry):
            self._registry.add(entry)

    def _carry_out(self, entry: Entry, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case AnswerJoin(answer, result):
                    self._answer(answer, result)
                case AnswerSync(answer, sync_result):
                    self._answer(answer, sync_result)
                case Store(store_id, stored):
                    self._store(entry, store_id, stored)
                case GenerationStarted():
                    self.rebalances += 1
                case MembersExpired(count):
                    self.members_expired += count
        self._settle(entry)

    def _settle(self, entry: Entry) -> None:
        """After every change: charge the namespace, arm the timer, forget a group that came to nothing."""
        if not self._registry.holds(entry):
            return
        if entry.untouched:
            self._registry.remove(entry)
            return
        self._registry.settle(entry)
        self._wakeups.at(entry.group.deadline_ms, entry)

    def _tick(self, entry: Entry) -> None:
        if not self._closed and not entry.deleting and self._registry.holds(entry):
            self._carry_out(entry, entry.group.tick(self._clock.now_ms()))

    def _store(self, entry: Entry, store_id: int, stored: StoredGroup) -> None:
        def done(durable: bool) -> None:
            if durable:
                entry.stored = stored
            self._carry_out(entry, entry.group.stored(store_id, self._clock.now_ms(), durable=durable))

        self._journal.write(entry, [group_record(entry.namespace_id, entry.group_id, stored)], done)

    def _write_offsets(
        self, entry: Entry, changes: Sequence[Change], then: Then | None = None, *, reserve_bytes: int = 0
    ) -> None:
        def done(durable: bool) -> None:
            entry.reserved_bytes -= reserve_bytes
            entry.offsets.finish(changes, durable=durable)
            self._settle(entry)
            if then is not None:
                then(durable)

        entry.reserved_bytes += reserve_bytes
        entry.offsets.begin(changes)
        self._settle(entry)
        self._journal.write(entry, _offset_records(entry, changes), done)

    def _committed(self, count: int, errors: tuple[ErrorCode, ...], answer: CommitAnswer, durable: bool) -> None:
        if durable:
            self.offsets_committed += count
        else:
            failed = ErrorCode.COORDINATOR_NOT_AVAILABLE
            errors = tuple(failed if error is ErrorCode.NONE else error for error in errors)
        self._answer(answer, CommitResult(ErrorCode.NONE, errors))

    def _delete(self, entry: Entry, then: Then | None = None) -> None:
        """The group and its offsets go for good. While that is written, clients are told to look for the coordinator
        again; then they find the group gone or, had the write failed, as it was."""

        def done(durable: bool) -> None:
            entry.deleting = False
            entry.offsets.finish(changes, durable=durable)
            if durable:
                self._carry_out(entry, entry.group.die(ErrorCode.COORDINATOR_NOT_AVAILABLE))
                self._registry.remove(entry)
            self._settle(entry)
            if then is not None:
                then(durable)

        changes = entry.offsets.forgetting()
        entry.deleting = True
        entry.offsets.begin(changes)
        self._carry_out(entry, entry.group.abandon(ErrorCode.COORDINATOR_NOT_AVAILABLE))
        records = [*_offset_records(entry, changes), group_record(entry.namespace_id, entry.group_id, None)]
        self._journal.write(entry, records, done)

    def _refuse_join(self, request: JoinRequest, answer: JoinAnswer, error: ErrorCode, why: str = "") -> None:
        self._answer(answer, JoinResult(error=error, member_id=request.member_id, why=why))

    def _refuse_commit(self, request: CommitRequest, answer: CommitAnswer, error: ErrorCode, why: str = "") -> None:
        self._answer(answer, CommitResult(error, (error,) * len(request.offsets), why))

    def _answer(self, answer: Callable[[Result], None], result: Result) -> None:
        """A caller's mistake must not keep other members from their answers."""
        try:
            answer(result)
        except Exception:
            log.exception("an answer of a group could not be given")


def _offset_records(entry: Entry, changes: Sequence[Change]) -> list[Record]:
    return [offset_record(entry.namespace_id, entry.group_id, where, committed) for where, committed in changes]


def _fetched(where: TopicPartition, committed: Committed | None) -> FetchedOffset:
    if committed is None:
        return FetchedOffset(where.topic_id, where.partition)
    return FetchedOffset(where.topic_id, where.partition, committed.offset, committed.leader_epoch, committed.metadata)


_Captured = tuple[UUID, str, StoredGroup | None, tuple[tuple[TopicPartition, Committed], ...]]


def _encoded(captured: Sequence[_Captured]) -> Iterator[Record]:
    for namespace_id, group_id, stored, offsets in captured:
        if stored is not None:
            yield group_record(namespace_id, group_id, stored)
        for where, committed in offsets:
            yield offset_record(namespace_id, group_id, where, committed)
