"""D4: answers only once durable, and a coordinator that comes back as it was."""

from collections.abc import Iterable

from coldstream.platform.groups.coordinator import Coordinator
from coldstream.platform.groups.exchange import GroupState, LeavingMember, OffsetToCommit
from coldstream.platform.groups.seams import Record
from coldstream.platform.wire.errors import ErrorCode

from .harness import NS, OK, OTHER_NS, SESSION_MS, TOPIC, MemoryLog, Platform

HERE = OffsetToCommit(TOPIC, 0, 42, 3, "note")


def test_a_commit_is_neither_answered_nor_seen_before_it_is_durable() -> None:
    platform = Platform().load()
    platform.log.hold = True
    first, second = platform.commit(HERE), platform.commit(OffsetToCommit(TOPIC, 0, 43))
    assert not first.answered and platform.committed() == {}
    platform.log.release(most=1)
    assert first.result.errors == (OK,) and not second.answered
    assert platform.committed() == {(TOPIC, 0): 42}
    platform.log.release()
    assert platform.committed() == {(TOPIC, 0): 43}


def test_a_commit_that_fails_is_retried_elsewhere_and_never_seen() -> None:
    platform = Platform().load()
    platform.log.fail = OSError("no space left")
    assert platform.commit(HERE).result.errors == (ErrorCode.COORDINATOR_NOT_AVAILABLE,)
    assert platform.committed() == {} and platform.coordinator.group_count == 0
    assert platform.coordinator.appends_failed == 1
    platform.log.fail = None
    assert platform.commit(HERE).result.errors == (OK,)


def test_a_log_that_raises_is_one_that_failed() -> None:
    platform = Platform().load()
    joined = platform.join().result
    platform.log.raise_at_once = OSError("closed")
    assert platform.sync(joined, {joined.member_id: b"all"}).result.error is ErrorCode.COORDINATOR_NOT_AVAILABLE
    too_large = OffsetToCommit(TOPIC, 1, 1, metadata="x" * 5_000)
    assert platform.commit(HERE, too_large, group_id="other").result.errors == (
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.OFFSET_METADATA_TOO_LARGE,
    )


def test_sync_waits_for_its_record() -> None:
    platform = Platform().load()
    joined = platform.join().result
    platform.log.hold = True
    waiting = platform.sync(joined, {joined.member_id: b"all"})
    assert not waiting.answered
    assert platform.coordinator.describe(NS, "g").state is GroupState.COMPLETING_REBALANCE
    platform.log.release()
    assert waiting.result.assignment == b"all"


def test_a_restart_costs_members_nothing() -> None:
    platform = Platform().load()
    one = platform.join(client_id="a").result
    two = platform.join(client_id="b")
    one = platform.join(one.member_id).result
    follower = platform.sync(two.result)
    platform.sync(one, {one.member_id: b"1", two.result.member_id: b"2"})
    platform.commit(HERE, by=one)
    after = platform.restarted()
    assert follower.result.assignment == b"2"
    assert after.heartbeat(one) is OK and after.heartbeat(two.result) is OK
    assert after.sync(two.result).result.assignment == b"2"
    assert after.committed() == {(TOPIC, 0): 42}
    assert after.commit(OffsetToCommit(TOPIC, 0, 50), by=two.result).result.errors == (OK,)
    assert after.coordinator.describe(NS, "g") == platform.coordinator.describe(NS, "g")
    assert (after.report.groups, after.report.offsets, after.report.problem_count) == (1, 1, 0)
    assert after.join(one.member_id).answered is False  # its leader still leads


def test_sessions_start_afresh_after_a_restart() -> None:
    platform = Platform().load()
    joined = platform.member()
    platform.clock.advance(SESSION_MS - 1)
    after = platform.restarted()
    platform.clock.advance(SESSION_MS - 1)
    assert after.heartbeat(joined) is OK
    platform.clock.advance(SESSION_MS)
    assert after.coordinator.describe(NS, "g").state is GroupState.EMPTY


def test_static_members_come_back_static() -> None:
    platform = Platform().load()
    one = platform.member(instance_id="one")
    after = platform.restarted()
    back = after.join(instance_id="one").result
    assert (back.generation, back.error) == (one.generation, OK)
    assert after.sync(back).result.assignment == b"all"
    assert after.coordinator.heartbeat(NS, "g", one.generation, one.member_id, "one") is ErrorCode.FENCED_INSTANCE_ID
    assert after.restarted().heartbeat(back) is OK


def test_a_rebalance_that_was_not_stored_never_happened() -> None:
    platform = Platform().load()
    joined = platform.member()
    platform.join()
    again = platform.join(joined.member_id).result
    after = platform.restarted()
    assert after.heartbeat(again) is ErrorCode.ILLEGAL_GENERATION
    assert after.heartbeat(joined) is OK


def test_an_assignment_that_was_not_durable_is_gone_after_a_crash() -> None:
    platform = Platform().load()
    joined = platform.join().result
    platform.log.hold = True
    platform.sync(joined, {joined.member_id: b"all"})
    assert platform.restarted().coordinator.describe(NS, "g").state is GroupState.DEAD


def test_an_empty_group_comes_back_empty_with_its_generation() -> None:
    platform = Platform().load()
    joined = platform.member()
    platform.coordinator.leave(NS, "g", [LeavingMember(joined.member_id)])
    platform.commit(HERE)
    after = platform.restarted()
    assert after.coordinator.describe(NS, "g").state is GroupState.EMPTY
    assert after.member().generation == 3


def busy() -> Platform:
    platform = Platform().load()
    joined = platform.member()
    platform.commit(HERE, OffsetToCommit(TOPIC, 1, 5), by=joined)
    platform.commit(HERE, ns=OTHER_NS, group_id="simple")
    left = platform.member(group_id="left")
    platform.coordinator.leave(NS, "left", [LeavingMember(left.member_id)])
    platform.commit(HERE, group_id="left")
    platform.coordinator.drop_topics([])
    return platform


def state(platform: Platform) -> object:
    coordinator = platform.coordinator
    return (
        sorted(coordinator.committed_offsets()),
        {
            (namespace_id, listed.group_id): coordinator.describe(namespace_id, listed.group_id)
            for namespace_id in coordinator.namespace_ids()
            for listed in coordinator.list_groups(namespace_id).groups
        },
    )


def replaced_by(platform: Platform, records: Iterable[Iterable[Record]]) -> Platform:
    log = MemoryLog(platform.log.partitions)
    log.durable = [list(partition) for partition in records]
    return Platform(log, platform.clock).load()


def snapshots(coordinator: Coordinator, partitions: int) -> list[list[Record]]:
    return [list(coordinator.snapshot(partition)) for partition in range(partitions)]


def test_a_snapshot_is_the_whole_state() -> None:
    platform = busy()
    taken = snapshots(platform.coordinator, platform.log.partitions)
    assert sum(map(len, taken)) < sum(map(len, platform.log.durable))
    assert state(replaced_by(platform, taken)) == state(platform) == state(platform.restarted())


def test_a_snapshot_and_a_tail_that_overlaps_it_are_the_state() -> None:
    platform = busy()
    positions = [max(len(partition) - 2, 0) for partition in platform.log.durable]
    taken = snapshots(platform.coordinator, platform.log.partitions)
    platform.member(group_id="later")
    platform.commit(OffsetToCommit(TOPIC, 0, 99), ns=OTHER_NS, group_id="simple")
    tails = [partition[at:] for partition, at in zip(platform.log.durable, positions, strict=True)]
    after = replaced_by(platform, [head + tail for head, tail in zip(taken, tails, strict=True)])
    assert state(after) == state(platform)


def test_a_snapshot_holds_only_what_is_durable_and_stays_as_it_was_taken() -> None:
    platform = busy()
    before = state(platform)
    platform.log.hold = True
    platform.commit(OffsetToCommit(TOPIC, 7, 1), group_id="g2")
    joined = platform.join(group_id="new").result
    platform.sync(joined, {joined.member_id: b"all"}, group_id="new")
    lazily = [platform.coordinator.snapshot(partition) for partition in range(platform.log.partitions)]
    platform.log.release()
    assert state(replaced_by(platform, lazily)) == before
    assert state(platform) != before


def test_a_snapshot_in_the_middle_of_a_rebalance_keeps_the_generation_before() -> None:
    platform = Platform().load()
    joined = platform.member()
    platform.join()
    platform.join(joined.member_id)
    after = replaced_by(platform, snapshots(platform.coordinator, platform.log.partitions))
    assert after.heartbeat(joined) is OK


def test_records_that_nobody_understands_are_reported_and_cost_only_themselves() -> None:
    platform = busy()
    for partition in platform.log.durable:
        partition.insert(0, Record(b"\0\x09what", b"?"))
    after = platform.restarted()
    assert state(after) == state(platform)
    assert after.report.problem_count == platform.log.partitions
    assert "partition 0: record 1 of the partition skipped: key of unknown kind 9" in after.report.problems
