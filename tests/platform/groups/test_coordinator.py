"""The coordinator: what handlers see, namespaces apart, limits, deletion and expiry."""

import asyncio
from uuid import UUID

import pytest
from coldstream.platform.groups.coordinator import Coordinator
from coldstream.platform.groups.exchange import (
    CommittedRow,
    FetchedOffset,
    GroupState,
    JoinRequest,
    JoinResult,
    LeaveResult,
    LeavingMember,
    OffsetToCommit,
)
from coldstream.platform.groups.limits import GroupLimits
from coldstream.platform.groups.registry import partition_of
from coldstream.platform.groups.seams import LoopClock
from coldstream.platform.wire.errors import ErrorCode

from .harness import NS, OK, OTHER_NS, OTHER_TOPIC, REBALANCE_MS, SESSION_MS, TOPIC, MemoryLog, Platform, Waiting

HERE = OffsetToCommit(TOPIC, 0, 42, 3, "note")
THERE = OffsetToCommit(OTHER_TOPIC, 1, 7)
DAY_MS = 86_400_000


def test_a_group_from_join_to_leave() -> None:
    platform = Platform().load()
    joined = platform.member(client_id="app")
    assert platform.heartbeat(joined) is OK
    assert platform.commit(HERE, by=joined).result.errors == (OK,)
    assert platform.coordinator.fetch(NS, "g", [(TOPIC, 0), (TOPIC, 1)]).offsets == (
        FetchedOffset(TOPIC, 0, 42, 3, "note"),
        FetchedOffset(TOPIC, 1, -1, -1, ""),
    )
    described = platform.coordinator.describe(NS, "g")
    assert (described.state, described.protocol_type, described.protocol_name) == ("Stable", "consumer", "range")
    assert [(m.member_id, m.assignment) for m in described.members] == [(joined.member_id, b"all")]
    assert (platform.coordinator.group_count, platform.coordinator.member_count) == (1, 1)
    left = platform.coordinator.leave(NS, "g", [LeavingMember(joined.member_id)])
    assert left == LeaveResult(error=OK, members=(OK,)) and left.first is OK
    assert platform.coordinator.describe(NS, "g").state is GroupState.EMPTY
    assert platform.coordinator.member_count == 0 and platform.coordinator.rebalances == 2
    assert platform.committed() == {(TOPIC, 0): 42}


def test_groups_that_do_not_exist_are_answered_as_kafka_does() -> None:
    platform = Platform().load()
    nobody = JoinResult(error=OK, member_id="m", generation=1)
    assert platform.join("m").result.error is ErrorCode.UNKNOWN_MEMBER_ID
    assert platform.sync(nobody).result.error is ErrorCode.UNKNOWN_MEMBER_ID
    assert platform.heartbeat(nobody) is ErrorCode.UNKNOWN_MEMBER_ID
    left = platform.coordinator.leave(NS, "g", [LeavingMember("m")])
    assert (left.error, left.first) == (OK, ErrorCode.UNKNOWN_MEMBER_ID)
    assert platform.commit(HERE, by=nobody).result.errors == (ErrorCode.ILLEGAL_GENERATION,)
    assert platform.coordinator.fetch(NS, "g", [(TOPIC, 0)]).offsets == (FetchedOffset(TOPIC, 0),)
    assert platform.coordinator.fetch(NS, "g", None).offsets == ()
    described = platform.coordinator.describe(NS, "g")
    assert (described.error, described.state) == (OK, GroupState.DEAD)
    assert platform.coordinator.describe(NS, "g", missing_is_error=True).error is ErrorCode.GROUP_ID_NOT_FOUND
    assert platform.coordinator.group_count == 0


@pytest.mark.parametrize("session_timeout_ms", [5_999, 1_800_001, 0, -1])
def test_session_timeouts_out_of_bounds_are_refused(session_timeout_ms: int) -> None:
    result = Platform().load().join(session_timeout_ms=session_timeout_ms).result
    assert result.error is ErrorCode.INVALID_SESSION_TIMEOUT
    assert "6000 to 1800000" in result.why


def test_the_bounds_of_session_timeouts_are_settings() -> None:
    platform = Platform(session_timeout_min_ms=1_000, session_timeout_max_ms=2_000).load()
    assert platform.join(session_timeout_ms=1_000).result.error is OK
    assert platform.join(session_timeout_ms=2_001).result.error is ErrorCode.INVALID_SESSION_TIMEOUT


def test_members_need_a_group_id_and_commits_do_not() -> None:
    platform = Platform().load()
    assert platform.join(group_id="").result.error is ErrorCode.INVALID_GROUP_ID
    assert platform.coordinator.leave(NS, "", [LeavingMember("m")]).error is ErrorCode.INVALID_GROUP_ID
    assert platform.coordinator.heartbeat(NS, "", 1, "m") is ErrorCode.INVALID_GROUP_ID
    assert platform.commit(HERE, group_id="").result.errors == (OK,)
    assert platform.committed(group_id="") == {(TOPIC, 0): 42}
    assert platform.join(group_id="x" * 40_000).result.error is ErrorCode.INVALID_GROUP_ID


def test_a_consumer_without_a_group_commits_by_itself() -> None:
    platform = Platform().load()
    assert platform.commit(HERE, THERE).result.errors == (OK, OK)
    assert platform.committed() == {(TOPIC, 0): 42, (OTHER_TOPIC, 1): 7}
    assert platform.coordinator.describe(NS, "g").state is GroupState.EMPTY
    joined = platform.member()
    assert platform.commit(HERE).result.errors == (ErrorCode.UNKNOWN_MEMBER_ID,)
    assert platform.commit(OffsetToCommit(TOPIC, 0, 50), by=joined).result.errors == (OK,)
    assert platform.committed()[TOPIC, 0] == 50


def test_metadata_that_is_too_large_refuses_only_its_own_offset() -> None:
    platform = Platform().load()
    largest = OffsetToCommit(TOPIC, 1, 1, metadata="x" * 4096)
    too_large = OffsetToCommit(TOPIC, 2, 1, metadata="x" * 4097)
    absent = OffsetToCommit(TOPIC, 3, 9, metadata=None)
    result = platform.commit(largest, too_large, absent).result
    assert result.errors == (OK, ErrorCode.OFFSET_METADATA_TOO_LARGE, OK)
    assert platform.committed() == {(TOPIC, 1): 1, (TOPIC, 3): 9}
    assert platform.commit(too_large, group_id="other").result.errors == (ErrorCode.OFFSET_METADATA_TOO_LARGE,)
    assert platform.coordinator.describe(NS, "other").state is GroupState.DEAD


def test_an_empty_commit_is_checked_and_answered() -> None:
    platform = Platform().load()
    assert platform.commit().result.error is OK
    joined = platform.member()
    assert platform.commit(by=joined).result.error is OK
    assert platform.commit().result.error is ErrorCode.UNKNOWN_MEMBER_ID


def test_timers_run_through_the_coordinator() -> None:
    platform = Platform().load()
    first = platform.member()
    second = platform.join()
    platform.clock.advance(SESSION_MS - 1)
    assert not second.answered
    platform.clock.advance(1)
    assert second.result.leader_id == second.result.member_id
    assert platform.coordinator.members_expired == 1
    assert platform.heartbeat(first) is ErrorCode.UNKNOWN_MEMBER_ID
    platform.clock.advance(SESSION_MS)
    assert platform.coordinator.describe(NS, "g").state is GroupState.EMPTY


def test_heartbeats_put_the_timer_off() -> None:
    platform = Platform().load()
    joined = platform.member()
    for _ in range(20):
        platform.clock.advance(SESSION_MS - 1)
        assert platform.heartbeat(joined) is OK


def test_many_groups_share_one_timer_and_expire_each_in_its_time() -> None:
    platform = Platform().load()
    for number in range(50):
        platform.member(group_id=f"g{number}", session_timeout_ms=SESSION_MS + 10 * (number % 7))
    platform.clock.advance(SESSION_MS + 5)
    assert platform.coordinator.member_count == sum(1 for n in range(50) if n % 7)
    platform.clock.advance(100)
    assert platform.coordinator.member_count == 0


def test_listing_filters_by_state_and_type_whatever_their_case() -> None:
    platform = Platform().load()
    platform.member(group_id="stable")
    platform.commit(HERE, group_id="simple")

    def listed(**filters: list[str]) -> list[str]:
        return sorted(group.group_id for group in platform.coordinator.list_groups(NS, **filters).groups)

    assert listed() == ["simple", "stable"]
    assert listed(states=["stable"]) == ["stable"]
    assert listed(states=["EMPTY", "Stable"]) == ["simple", "stable"]
    assert listed(states=["nonsense"]) == []
    assert listed(types=["Classic"], states=["Empty"]) == ["simple"]
    assert listed(types=["consumer"]) == []
    by_id = {group.group_id: group for group in platform.coordinator.list_groups(NS).groups}
    assert (by_id["stable"].protocol_type, by_id["simple"].protocol_type) == ("consumer", "")
    assert by_id["stable"].group_type == "classic"


def test_the_same_group_id_in_two_namespaces_is_two_groups() -> None:
    platform = Platform().load()
    ours, theirs = platform.member(), platform.member(ns=OTHER_NS)
    assert platform.heartbeat(ours, ns=OTHER_NS) is ErrorCode.UNKNOWN_MEMBER_ID
    assert platform.join(ours.member_id, ns=OTHER_NS).result.error is ErrorCode.UNKNOWN_MEMBER_ID
    assert platform.commit(HERE, by=ours, ns=OTHER_NS).result.errors == (ErrorCode.UNKNOWN_MEMBER_ID,)
    platform.commit(HERE, by=ours)
    assert platform.committed(ns=OTHER_NS) == {}
    assert len(platform.coordinator.list_groups(OTHER_NS).groups) == 1
    assert platform.coordinator.leave(OTHER_NS, "g", [LeavingMember(ours.member_id)]).first is not OK
    platform.coordinator.leave(NS, "g", [LeavingMember(ours.member_id)])
    assert platform.heartbeat(theirs, ns=OTHER_NS) is OK
    assert platform.coordinator.describe(OTHER_NS, "g").state is GroupState.STABLE
    platform.coordinator.drop_namespaces([NS])
    assert platform.heartbeat(theirs, ns=OTHER_NS) is OK
    assert platform.coordinator.namespace_ids() == (OTHER_NS,)


def test_a_namespace_at_its_limits_costs_another_nothing() -> None:
    platform = Platform(groups_max=2).load()
    assert platform.commit(HERE, group_id="a").result.errors == (OK,)
    platform.member(group_id="b")
    refused = platform.join(group_id="c").result
    assert refused.error is ErrorCode.GROUP_MAX_SIZE_REACHED and "2 groups" in refused.why
    too_many = platform.commit(HERE, group_id="c").result
    assert too_many.errors == (ErrorCode.INVALID_COMMIT_OFFSET_SIZE,) and "2 groups" in too_many.why
    assert platform.commit(HERE, group_id="a").result.errors == (OK,)
    platform.member(group_id="c", ns=OTHER_NS)
    assert platform.coordinator.refused_by_limit == 2


def test_joins_that_came_to_nothing_leave_no_group() -> None:
    platform = Platform().load()
    assert platform.join(protocols=()).result.error is ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert platform.coordinator.group_count == 0
    assert platform.join(member_id_required=True).result.error is ErrorCode.MEMBER_ID_REQUIRED
    assert platform.coordinator.group_count == 1
    platform.clock.advance(SESSION_MS)
    assert platform.coordinator.group_count == 0


def test_a_group_is_bounded_in_bytes() -> None:
    platform = Platform(group_bytes_max=10_000).load()
    assert platform.join(protocols=(("range", b"x" * 10_000),)).result.error is ErrorCode.GROUP_MAX_SIZE_REACHED
    joined = platform.join().result
    synced = platform.sync(joined, {joined.member_id: b"x" * 9_500}).result
    assert synced.error is ErrorCode.INVALID_REQUEST and "10000 bytes" in synced.why
    assert platform.sync(joined, {joined.member_id: b"x" * 5_000}).result.error is OK
    many = [OffsetToCommit(TOPIC, n, 1) for n in range(100)]
    assert set(platform.commit(*many, by=joined).result.errors) == {ErrorCode.INVALID_COMMIT_OFFSET_SIZE}
    assert platform.commit(HERE, by=joined).result.errors == (OK,)
    # A rebalance gives the old assignments' room back.
    again = platform.join(joined.member_id).result
    assert platform.sync(again, {again.member_id: b"x" * 5_000}).result.error is OK


def test_a_namespace_is_bounded_in_bytes_and_gets_them_back() -> None:
    platform = Platform(namespace_bytes_max=20_000).load()
    big = OffsetToCommit(TOPIC, 0, 1, metadata="x" * 4_000)
    accepted = [platform.commit(big, group_id=f"g{n}").result.errors[0] for n in range(6)]
    assert accepted == [OK] * 4 + [ErrorCode.INVALID_COMMIT_OFFSET_SIZE] * 2
    assert platform.commit(big, group_id="g0").result.errors == (OK,)  # no growth
    assert platform.commit(big, group_id="g", ns=OTHER_NS).result.errors == (OK,)
    platform.coordinator.drop_topics([TOPIC])
    assert platform.commit(big, group_id="g5").result.errors == (OK,)


def test_commits_on_their_way_count_against_the_limit() -> None:
    platform = Platform(namespace_bytes_max=10_000).load()
    platform.log.hold = True
    big = [OffsetToCommit(TOPIC, n, 1, metadata="x" * 4_000) for n in range(3)]
    waiting = [platform.commit(offset) for offset in big]
    assert waiting[2].result.errors == (ErrorCode.INVALID_COMMIT_OFFSET_SIZE,)
    platform.log.release()
    assert [each.result.errors for each in waiting[:2]] == [(OK,), (OK,)]


def test_an_offset_named_twice_in_a_commit_is_the_last_one() -> None:
    platform = Platform().load()
    assert platform.commit(OffsetToCommit(TOPIC, 0, 1), OffsetToCommit(TOPIC, 0, 2)).result.errors == (OK, OK)
    assert platform.committed() == {(TOPIC, 0): 2}
    assert sum(map(len, platform.log.durable)) == 1


def test_no_append_is_larger_than_the_log_has_to_allow() -> None:
    platform = Platform(group_bytes_max=100_000).load()
    members = [platform.join(client_id="ü" * 100, group_id="g" * 3_000).result]
    for number in range(40):
        platform.commit(
            *(OffsetToCommit(TOPIC, partition, 1, metadata="ü" * 900) for partition in range(number)),
            group_id="g" * 3_000,
            ns=OTHER_NS,
        )
    platform.sync(members[0], {members[0].member_id: b"x" * 90_000}, group_id="g" * 3_000)
    platform.coordinator.drop_namespaces([NS, OTHER_NS])
    sizes = [sum(len(r.key) + len(r.value or b"") + 20 for r in batch) for batch in platform.log.appends]
    assert 80_000 < max(sizes) < 100_000 < platform.coordinator.limits.record_bytes_max


def test_offsets_go_with_their_topic() -> None:
    platform = Platform().load()
    joined = platform.member()
    platform.commit(HERE, THERE, by=joined)
    platform.commit(HERE, group_id="other", ns=OTHER_NS)
    assert platform.coordinator.topic_ids() == {TOPIC, OTHER_TOPIC}
    platform.coordinator.drop_topics([TOPIC])
    assert platform.committed() == {(OTHER_TOPIC, 1): 7}
    assert platform.committed(group_id="other", ns=OTHER_NS) == {}
    assert platform.heartbeat(joined) is OK
    assert platform.restarted().committed() == {(OTHER_TOPIC, 1): 7}


def test_a_dropped_topic_takes_a_commit_on_its_way_with_it() -> None:
    platform = Platform().load()
    platform.log.hold = True
    waiting = platform.commit(HERE)
    platform.coordinator.drop_topics([TOPIC])
    platform.log.release()
    assert waiting.result.errors == (OK,)
    assert platform.committed() == {} and platform.restarted().committed() == {}


def test_lag_can_be_read_over_all_groups() -> None:
    platform = Platform().load()
    platform.commit(HERE)
    platform.commit(THERE, ns=OTHER_NS, group_id="h")
    rows = platform.coordinator.committed_offsets()
    first = next(rows)
    platform.commit(THERE)  # the iterator does not mind
    assert [first, *rows] == [CommittedRow(NS, "g", TOPIC, 0, 42), CommittedRow(OTHER_NS, "h", OTHER_TOPIC, 1, 7)]


def test_groups_without_members_can_be_deleted() -> None:
    platform = Platform().load()
    platform.member(group_id="busy")
    platform.commit(HERE, group_id="idle")
    waiting: Waiting[tuple[ErrorCode, ...]] = Waiting()
    platform.log.hold = True
    platform.coordinator.delete_groups(NS, ["busy", "idle", "none", "idle"], waiting)
    assert not waiting.answered
    assert platform.join(group_id="idle").result.error is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert platform.coordinator.leave(NS, "idle", []).error is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert [group.group_id for group in platform.coordinator.list_groups(NS).groups] == ["busy"]
    platform.log.release()
    assert waiting.result == (ErrorCode.NON_EMPTY_GROUP, OK, ErrorCode.GROUP_ID_NOT_FOUND, OK)
    platform.log.hold = False
    assert platform.committed(group_id="idle") == {}
    assert platform.member(group_id="idle").generation == 1
    assert platform.restarted().committed(group_id="idle") == {}


def test_a_deletion_that_fails_leaves_the_group_as_it_was() -> None:
    platform = Platform().load()
    platform.commit(HERE)
    waiting: Waiting[tuple[ErrorCode, ...]] = Waiting()
    platform.log.fail = OSError("disk")
    platform.coordinator.delete_groups(NS, ["g"], waiting)
    assert waiting.result == (ErrorCode.COORDINATOR_NOT_AVAILABLE,)
    platform.log.fail = None
    assert platform.committed() == {(TOPIC, 0): 42}
    assert platform.member().generation == 1


def test_dropping_a_namespace_ends_its_groups_with_their_members() -> None:
    platform = Platform().load()
    platform.member()
    waiting = platform.join()
    platform.commit(HERE, group_id="other")
    platform.coordinator.drop_namespaces([NS, UUID(int=77)])
    assert waiting.result.error is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert (platform.coordinator.group_count, platform.coordinator.member_count) == (0, 0)
    after = platform.restarted()
    assert after.coordinator.group_count == 0


def test_offsets_and_groups_expire_after_a_week_without_members() -> None:
    platform = Platform().load()
    joined = platform.member()
    platform.commit(HERE, by=joined)
    platform.coordinator.leave(NS, "g", [LeavingMember(joined.member_id)])
    platform.clock.advance(7 * DAY_MS - 1)
    assert platform.committed() == {(TOPIC, 0): 42}
    platform.clock.advance(700_000)
    assert platform.committed() == {}
    assert (platform.coordinator.group_count, platform.coordinator.offsets_expired) == (0, 1)
    assert platform.restarted().coordinator.group_count == 0


def test_offsets_of_a_group_with_members_do_not_expire() -> None:
    platform = Platform(offsets_retention_ms=3_600_000, session_timeout_max_ms=10 * DAY_MS).load()
    joined = platform.member(session_timeout_ms=10 * DAY_MS)
    platform.commit(HERE, by=joined)
    platform.clock.advance(9 * DAY_MS)
    assert platform.committed() == {(TOPIC, 0): 42}


def test_offsets_of_a_simple_consumer_expire_each_by_its_own_commit() -> None:
    platform = Platform().load()
    platform.commit(HERE)
    platform.clock.advance(3 * DAY_MS)
    platform.commit(THERE)
    platform.clock.advance(5 * DAY_MS)
    assert platform.committed() == {(OTHER_TOPIC, 1): 7}
    platform.clock.advance(3 * DAY_MS)
    assert platform.coordinator.group_count == 0


def test_a_retention_named_by_an_old_client_is_kept() -> None:
    platform = Platform().load()
    platform.commit(HERE, retention_ms=60_000)
    platform.commit(THERE, retention_ms=2**63 - 1)
    platform.clock.advance(700_000)
    assert platform.committed() == {(OTHER_TOPIC, 1): 7}


def test_an_empty_group_without_offsets_goes_at_the_next_check() -> None:
    platform = Platform().load()
    joined = platform.member()
    platform.coordinator.leave(NS, "g", [LeavingMember(joined.member_id)])
    assert platform.coordinator.group_count == 1
    platform.clock.advance(600_000)
    assert platform.coordinator.group_count == 0
    assert platform.restarted().coordinator.group_count == 0


def test_expiry_looks_at_many_groups_in_slices() -> None:
    platform = Platform(expiry_check_ms=DAY_MS).load()
    for number in range(1_200):
        platform.commit(HERE, group_id=str(number))
    platform.clock.advance(8 * DAY_MS)
    assert (platform.coordinator.group_count, platform.coordinator.offsets_expired) == (0, 1_200)


def test_the_partition_of_a_group_is_fixed() -> None:
    assert [partition_of(NS, group, 50) for group in ("a", "b", "naïve")] == [4, 20, 7]
    assert partition_of(NS, "g", 50) != partition_of(OTHER_NS, "g", 50)


def test_while_a_partition_loads_its_groups_ask_for_patience() -> None:
    platform = Platform()
    error = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    joined = JoinResult(error=OK, member_id="m", generation=1)
    assert platform.join().result.error is error
    assert platform.sync(joined).result.error is error
    assert platform.heartbeat(joined) is error
    assert platform.commit(HERE).result.errors == (error,)
    assert platform.coordinator.leave(NS, "g", [LeavingMember("m")]).first is error
    assert platform.coordinator.fetch(NS, "g", None).error is error
    assert platform.coordinator.describe(NS, "g").error is error
    assert platform.coordinator.list_groups(NS).error is error
    waiting: Waiting[tuple[ErrorCode, ...]] = Waiting()
    platform.coordinator.delete_groups(NS, ["g"], waiting)
    assert waiting.result == (error,)


def test_closing_answers_whoever_waits_and_everybody_after() -> None:
    platform = Platform().load()
    joined = platform.member()
    waiting = platform.join()
    platform.coordinator.close()
    error = ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert waiting.result.error is error
    assert platform.join().result.error is error
    assert platform.heartbeat(joined) is error
    assert platform.coordinator.list_groups(NS).error is error
    platform.clock.advance(10 * REBALANCE_MS)
    assert platform.restarted().heartbeat(joined) is OK


def test_a_caller_that_breaks_does_not_break_the_others() -> None:
    platform = Platform().load()
    first = platform.join().result

    def broken(result: JoinResult) -> None:
        raise RuntimeError("connection lost")

    request = JoinRequest(
        group_id="g",
        member_id="",
        session_timeout_ms=SESSION_MS,
        protocol_type="consumer",
        protocols=(("range", b""),),
        member_id_required=False,
    )
    platform.coordinator.join(NS, request, broken)
    other = platform.join()
    assert platform.join(first.member_id).result.generation == 2
    assert other.result.generation == 2


def test_it_runs_on_a_real_loop() -> None:
    async def scenario() -> tuple[int, GroupState]:
        loop = asyncio.get_running_loop()
        limits = GroupLimits(session_timeout_min_ms=10)
        coordinator = Coordinator(MemoryLog(), LoopClock(loop), limits)
        await coordinator.load()
        answered: asyncio.Future[JoinResult] = loop.create_future()
        request = JoinRequest(
            group_id="g",
            member_id="",
            session_timeout_ms=20,
            protocol_type="consumer",
            protocols=(("range", b""),),
            member_id_required=False,
        )
        coordinator.join(NS, request, answered.set_result)
        joined = await answered
        assert len(joined.member_id) == 37
        for _ in range(200):
            if coordinator.describe(NS, "g").state is GroupState.EMPTY:
                break
            await asyncio.sleep(0.005)
        return coordinator.members_expired, coordinator.describe(NS, "g").state

    assert asyncio.run(scenario()) == (1, GroupState.EMPTY)


def test_a_deleted_group_gives_its_bytes_back() -> None:
    platform = Platform(namespace_bytes_max=10_000).load()
    big = OffsetToCommit(TOPIC, 0, 1, metadata="x" * 4_000)
    assert [platform.commit(big, group_id=f"g{n}").result.errors for n in range(2)] == [(OK,), (OK,)]
    waiting: Waiting[tuple[ErrorCode, ...]] = Waiting()
    platform.coordinator.delete_groups(NS, ["g0"], waiting)
    assert platform.commit(big, group_id="g2").result.errors == (OK,)
    assert platform.commit(big, group_id="g3").result.errors == (ErrorCode.INVALID_COMMIT_OFFSET_SIZE,)


def test_a_commit_on_its_way_keeps_an_otherwise_expired_group() -> None:
    platform = Platform().load()
    platform.commit(HERE)
    platform.clock.advance(7 * DAY_MS - 1)
    platform.log.hold = True
    waiting = platform.commit(THERE)
    platform.clock.advance(700_000)
    platform.log.release()
    assert waiting.result.errors == (OK,)
    assert platform.committed() == platform.restarted().committed() == {(OTHER_TOPIC, 1): 7}


def test_a_heartbeat_that_brings_a_deadline_forward_is_noticed() -> None:
    platform = Platform().load()
    long_ms = 100_000
    platform.member(session_timeout_ms=long_ms, rebalance_timeout_ms=long_ms)
    asked = platform.join(member_id_required=True).result
    waiting = platform.join(asked.member_id)  # new: it has five minutes
    early = JoinResult(error=OK, member_id=asked.member_id, generation=1)
    assert platform.heartbeat(early) is ErrorCode.REBALANCE_IN_PROGRESS  # now it has a session, like others
    platform.clock.advance(SESSION_MS)
    assert waiting.result.error is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_group_above_a_limit_that_was_lowered_can_still_do_what_does_not_grow_it() -> None:
    platform = Platform().load()
    joined = platform.member()
    platform.commit(HERE, by=joined)
    after = Platform(platform.log.crashed(), platform.clock, group_bytes_max=100, groups_max=0).load()
    assert after.commit(HERE, by=joined).result.errors == (OK,)
    assert after.join(joined.member_id).result.error is OK
    assert after.commit(THERE, by=joined).result.errors != (OK,)
