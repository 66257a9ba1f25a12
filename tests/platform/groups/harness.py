"""A clock that moves by hand, a log in memory that can wait, fail and lose what was not durable, and members."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any, Generic, TypeVar
from uuid import UUID

from coldstream.platform.groups.coordinator import Coordinator
from coldstream.platform.groups.effects import AnswerJoin, AnswerSync, Effect, GenerationStarted, Store
from coldstream.platform.groups.exchange import (
    CommitRequest,
    CommitResult,
    JoinRequest,
    JoinResult,
    LeavingMember,
    OffsetToCommit,
    SyncRequest,
    SyncResult,
)
from coldstream.platform.groups.group import Group
from coldstream.platform.groups.limits import GroupLimits
from coldstream.platform.groups.seams import Record
from coldstream.platform.wire.errors import ErrorCode

NS, OTHER_NS = UUID(int=1), UUID(int=2)
TOPIC, OTHER_TOPIC = UUID(int=101), UUID(int=102)
OK = ErrorCode.NONE
SESSION_MS, REBALANCE_MS = 10_000, 60_000
Result = TypeVar("Result")
RANGE = (("range", b"subscription"),)


class ManualClock:
    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self.at_ms = now_ms
        self._calls: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()

    def now_ms(self) -> int:
        return self.at_ms

    def call_at(self, when_ms: int, call: Callable[[], None]) -> None:
        heappush(self._calls, (when_ms, next(self._order), call))

    def advance(self, by_ms: int) -> None:
        end_ms = self.at_ms + by_ms
        while self._calls and self._calls[0][0] <= end_ms:
            when_ms, _, call = heappop(self._calls)
            self.at_ms = max(self.at_ms, when_ms)
            call()
        self.at_ms = end_ms


class MemoryLog:
    """Durable at once; with `hold`, once `release` says so."""

    def __init__(self, partitions: int = 4) -> None:
        self.partitions = partitions
        self.durable: list[list[Record]] = [[] for _ in range(partitions)]
        self.waiting: list[tuple[int, Sequence[Record], Callable[[BaseException | None], None]]] = []
        self.appends: list[Sequence[Record]] = []
        self.hold = False
        self.fail: Exception | None = None
        self.raise_at_once: Exception | None = None

    def append(self, partition: int, records: Sequence[Record], done: Callable[[BaseException | None], None]) -> None:
        assert records and all(isinstance(record.key, bytes) for record in records)
        if self.raise_at_once is not None:
            raise self.raise_at_once
        self.waiting.append((partition, list(records), done))
        self.appends.append(records)
        if not self.hold:
            self.release()

    def release(self, *, fail: bool = False, most: int | None = None) -> None:
        for _ in range(len(self.waiting) if most is None else min(most, len(self.waiting))):
            partition, records, done = self.waiting.pop(0)
            error = self.fail or (OSError("disk") if fail else None)
            if error is None:
                self.durable[partition] += records
            done(error)

    def replay(self, partition: int) -> Iterator[Record]:
        return iter(list(self.durable[partition]))

    def crashed(self) -> "MemoryLog":
        """What another process finds: only what is durable."""
        after = MemoryLog(self.partitions)
        after.durable = [list(records) for records in self.durable]
        return after


def ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"{next(numbers):04}"


NEW_ID = ids()


def join_request(member_id: str = "", **changes: Any) -> JoinRequest:
    fields: dict[str, Any] = {
        "group_id": "g",
        "member_id": member_id,
        "client_id": "c",
        "client_host": "/127.0.0.1",
        "session_timeout_ms": SESSION_MS,
        "rebalance_timeout_ms": REBALANCE_MS,
        "protocol_type": "consumer",
        "protocols": RANGE,
        "member_id_required": False,
    }
    return JoinRequest(**(fields | changes))


class Waiting(Generic[Result]):
    """An answer's place: call it to answer, read `result` once it has been."""

    def __init__(self) -> None:
        self.results: list[Result] = []

    def __call__(self, result: Result) -> None:
        assert not self.results, f"answered twice: {self.results[0]} then {result}"
        self.results.append(result)

    @property
    def answered(self) -> bool:
        return bool(self.results)

    @property
    def result(self) -> Result:
        assert self.results, "not answered yet"
        return self.results[0]


class GroupBench:
    """One pure group: carries its effects out, with stores that wait for `release` when `hold` is set."""

    def __init__(self, **limits: int) -> None:
        self.limits = GroupLimits(**limits)
        self.group = Group("g", self.limits, ids())
        self.now_ms = 1_000_000
        self.stores: list[Store] = []
        self.stored: list[Store] = []
        self.hold = False
        self.generations: list[int] = []

    def _do(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case AnswerJoin(answer, result):
                    answer(result)
                case AnswerSync(answer, sync_result):
                    answer(sync_result)
                case Store():
                    self.stores.append(effect)
                case GenerationStarted(generation):
                    self.generations.append(generation)
        if not self.hold:
            self.release()

    def release(self, *, durable: bool = True) -> None:
        while self.stores:
            store = self.stores.pop(0)
            self.stored.append(store)
            self._do(self.group.stored(store.store_id, self.now_ms, durable=durable))

    def join(self, member_id: str = "", **changes: Any) -> Waiting[JoinResult]:
        waiting: Waiting[JoinResult] = Waiting()
        self._do(self.group.join(join_request(member_id, **changes), waiting, self.now_ms))
        return waiting

    def sync(
        self, joined: JoinResult, assignments: dict[str, bytes] | None = None, **changes: Any
    ) -> Waiting[SyncResult]:
        waiting: Waiting[SyncResult] = Waiting()
        fields: dict[str, Any] = {
            "group_id": "g",
            "generation": joined.generation,
            "member_id": joined.member_id,
            "assignments": tuple((assignments or {}).items()),
        }
        self._do(self.group.sync(SyncRequest(**(fields | changes)), waiting, self.now_ms))
        return waiting

    def heartbeat(self, joined: JoinResult, instance_id: str | None = None) -> ErrorCode:
        return self.group.heartbeat(joined.generation, joined.member_id, instance_id, self.now_ms)

    def leave(self, *leaving: LeavingMember) -> tuple[ErrorCode, ...]:
        errors, effects = self.group.leave(leaving, self.now_ms)
        self._do(effects)
        return errors

    def commit(self, joined: JoinResult, instance_id: str | None = None) -> ErrorCode:
        return self.group.check_commit(joined.generation, joined.member_id, instance_id, self.now_ms)

    def advance(self, by_ms: int) -> None:
        """As a coordinator does: ticks at each deadline on the way, and nowhere else."""
        end_ms = self.now_ms + by_ms
        while self.group.deadline_ms <= end_ms:
            self.now_ms = max(self.now_ms, self.group.deadline_ms)
            self._do(self.group.tick(self.now_ms))
            assert self.group.deadline_ms > self.now_ms, "a deadline that passed must be dealt with"
        self.now_ms = end_ms

    def members(self, *names: str, **changes: Any) -> list[JoinResult]:
        """A stable group of these: each assigned its own name."""
        first = self.join(client_id=names[0], **changes)
        joins = [first] + [self.join(client_id=name, **changes) for name in names[1:]]
        if len(names) > 1:
            joins[0] = self.join(first.result.member_id, client_id=names[0], **changes)
        results = [joined.result for joined in joins]
        return self.assign(results)

    def assign(self, results: list[JoinResult]) -> list[JoinResult]:
        """All sync, the leader with each member's id as its assignment."""
        plan = {result.member_id: result.member_id.encode() for result in results}
        for result in sorted(results, key=lambda each: each.leader_id == each.member_id):
            self.sync(result, plan if result.leader_id == result.member_id else None)
        return results


class Platform:
    """A coordinator with a log in memory and a clock moved by hand."""

    def __init__(self, log: MemoryLog | None = None, clock: ManualClock | None = None, **limits: int) -> None:
        self.log = log or MemoryLog()
        self.clock = clock or ManualClock()
        self.limits = limits
        self.coordinator = Coordinator(self.log, self.clock, GroupLimits(**limits), new_id=NEW_ID)

    def load(self) -> "Platform":
        self.report = asyncio.run(self.coordinator.load())
        return self

    def restarted(self) -> "Platform":
        """After a crash: another coordinator on what was durable."""
        return Platform(self.log.crashed(), self.clock, **self.limits).load()

    def join(self, member_id: str = "", *, ns: UUID = NS, **changes: Any) -> Waiting[JoinResult]:
        waiting: Waiting[JoinResult] = Waiting()
        self.coordinator.join(ns, join_request(member_id, **changes), waiting)
        return waiting

    def sync(
        self, joined: JoinResult, assignments: dict[str, bytes] | None = None, *, ns: UUID = NS, group_id: str = "g"
    ) -> Waiting[SyncResult]:
        waiting: Waiting[SyncResult] = Waiting()
        request = SyncRequest(
            group_id=group_id,
            generation=joined.generation,
            member_id=joined.member_id,
            assignments=tuple((assignments or {}).items()),
        )
        self.coordinator.sync(ns, request, waiting)
        return waiting

    def member(self, *, ns: UUID = NS, group_id: str = "g", **changes: Any) -> JoinResult:
        """A stable group of one."""
        joined = self.join(ns=ns, group_id=group_id, **changes).result
        assert self.sync(joined, {joined.member_id: b"all"}, ns=ns, group_id=group_id).result.error is OK
        return joined

    def heartbeat(self, joined: JoinResult, *, ns: UUID = NS, group_id: str = "g") -> ErrorCode:
        return self.coordinator.heartbeat(ns, group_id, joined.generation, joined.member_id)

    def commit(
        self,
        *offsets: OffsetToCommit,
        by: JoinResult | None = None,
        ns: UUID = NS,
        group_id: str = "g",
        retention_ms: int = -1,
    ) -> Waiting[CommitResult]:
        waiting: Waiting[CommitResult] = Waiting()
        request = CommitRequest(
            group_id=group_id,
            generation=by.generation if by is not None else -1,
            member_id=by.member_id if by is not None else "",
            retention_ms=retention_ms,
            offsets=offsets,
        )
        self.coordinator.commit(ns, request, waiting)
        return waiting

    def committed(self, *, ns: UUID = NS, group_id: str = "g") -> dict[tuple[UUID, int], int]:
        result = self.coordinator.fetch(ns, group_id, None)
        assert result.error is OK
        return {(each.topic_id, each.partition): each.offset for each in result.offsets}
