"""One group and the clock: sessions, rebalances that do not complete, members that never sync, the initial delay."""

from coldstream.platform.groups.exchange import GroupState
from coldstream.platform.groups.limits import GroupLimits
from coldstream.platform.wire.errors import ErrorCode

from .harness import OK, REBALANCE_MS, SESSION_MS, GroupBench

LONG_MS = 1_000_000


def test_a_member_that_is_not_heard_of_is_removed_and_the_others_rebalance() -> None:
    bench = GroupBench()
    leader, follower = bench.members("a", "b")
    bench.advance(SESSION_MS - 1)
    assert bench.heartbeat(leader) is OK
    bench.advance(1)
    assert bench.heartbeat(follower) is ErrorCode.UNKNOWN_MEMBER_ID
    assert bench.heartbeat(leader) is ErrorCode.REBALANCE_IN_PROGRESS


def test_heartbeats_and_commits_keep_a_session_alive() -> None:
    bench = GroupBench()
    (member,) = bench.members("a")
    for _ in range(5):
        bench.advance(SESSION_MS - 1)
        assert bench.heartbeat(member) is OK
        bench.advance(SESSION_MS - 1)
        assert bench.commit(member) is OK


def test_a_group_whose_members_all_vanish_becomes_empty_and_says_so_on_disk() -> None:
    bench = GroupBench()
    bench.members("a", "b")
    bench.advance(SESSION_MS)
    assert bench.group.state is GroupState.EMPTY
    assert bench.stored[-1].stored.members == ()
    assert bench.stored[-1].stored.state_since_ms == bench.now_ms
    assert bench.stored[-1].stored.protocol_type == "consumer"


def test_members_that_do_not_join_again_in_time_are_left_behind() -> None:
    bench = GroupBench()
    stays, late = bench.members("a", "b", session_timeout_ms=LONG_MS)
    waiting = bench.join(stays.member_id, session_timeout_ms=LONG_MS)
    bench.advance(REBALANCE_MS - 1)
    assert bench.heartbeat(late) is ErrorCode.REBALANCE_IN_PROGRESS
    assert not waiting.answered
    bench.advance(1)
    assert [m.member_id for m in waiting.result.members] == [stays.member_id]
    assert bench.heartbeat(late) is ErrorCode.UNKNOWN_MEMBER_ID


def test_waiting_for_a_rebalance_counts_as_being_alive() -> None:
    bench = GroupBench()
    patient, busy = bench.members("a", "b")
    waiting = bench.join(patient.member_id)
    for _ in range(5):
        bench.advance(SESSION_MS - 1)
        assert bench.heartbeat(busy) is ErrorCode.REBALANCE_IN_PROGRESS
    assert not waiting.answered
    bench.join(busy.member_id)
    assert {m.member_id for m in waiting.result.members} == {patient.member_id, busy.member_id}


def test_a_new_member_whose_client_went_away_does_not_wait_for_ever() -> None:
    bench = GroupBench()
    long = {"session_timeout_ms": LONG_MS, "rebalance_timeout_ms": LONG_MS}
    bench.members("a", **long)
    abandoned = bench.join(**long)
    bench.advance(GroupLimits().new_member_join_timeout_ms - 1)
    assert not abandoned.answered
    bench.advance(1)
    assert (abandoned.result.error, abandoned.result.member_id) == (ErrorCode.UNKNOWN_MEMBER_ID, "")
    assert len(bench.group.members) == 1


def test_a_leader_that_never_syncs_is_removed_whatever_its_heartbeats_say() -> None:
    bench = GroupBench()
    leader = bench.join(client_id="a").result
    follower = bench.join(client_id="b")
    leader = bench.join(leader.member_id).result
    waiting = bench.sync(follower.result)
    for _ in range(REBALANCE_MS // (SESSION_MS // 2) - 1):
        bench.advance(SESSION_MS // 2)
        assert bench.heartbeat(leader) is OK
        assert not waiting.answered
    bench.advance(SESSION_MS // 2)
    assert waiting.result.error is ErrorCode.REBALANCE_IN_PROGRESS
    assert bench.heartbeat(leader) is ErrorCode.UNKNOWN_MEMBER_ID
    assert bench.join(follower.result.member_id).result.leader_id == follower.result.member_id


def test_a_follower_that_never_syncs_is_removed_from_a_stable_group() -> None:
    bench = GroupBench()
    leader = bench.join(client_id="a").result
    follower = bench.join(client_id="b")
    leader = bench.join(leader.member_id).result
    bench.sync(leader, {leader.member_id: b"all"})
    assert bench.group.state is GroupState.STABLE
    for _ in range(REBALANCE_MS // (SESSION_MS // 2)):
        bench.heartbeat(follower.result)
        bench.heartbeat(leader)
        bench.advance(SESSION_MS // 2)
    assert bench.heartbeat(follower.result) is ErrorCode.UNKNOWN_MEMBER_ID
    assert bench.heartbeat(leader) is ErrorCode.REBALANCE_IN_PROGRESS


def test_members_that_all_synced_have_nothing_left_to_miss() -> None:
    bench = GroupBench()
    (member,) = bench.members("a", session_timeout_ms=LONG_MS)
    bench.advance(2 * REBALANCE_MS)
    assert bench.heartbeat(member) is OK


def test_an_initial_delay_lets_members_start_together() -> None:
    bench = GroupBench(initial_rebalance_delay_ms=3_000)
    first = bench.join(client_id="a")
    bench.advance(2_000)
    second = bench.join(client_id="b")
    bench.advance(1_000)
    assert not first.answered  # a member came, so it waits once more
    bench.advance(2_999)
    assert not second.answered
    bench.advance(1)
    assert first.result.generation == second.result.generation == 1
    assert bench.generations == [1]


def test_the_initial_delay_ends_with_the_rebalance_timeout() -> None:
    bench = GroupBench(initial_rebalance_delay_ms=3_000)
    first = bench.join(rebalance_timeout_ms=10_000)
    for _ in range(4):
        bench.advance(2_500)
        assert not first.answered or bench.now_ms == 1_010_000
        if not first.answered:
            bench.join(rebalance_timeout_ms=10_000)
    assert first.answered


def test_a_member_alone_waits_out_the_initial_delay_only() -> None:
    bench = GroupBench(initial_rebalance_delay_ms=3_000)
    first = bench.join()
    bench.advance(2_999)
    assert not first.answered
    bench.advance(1)
    assert first.answered


def test_an_id_that_is_never_used_holds_a_rebalance_up_only_until_it_lapses() -> None:
    bench = GroupBench()
    (first,) = bench.members("a", session_timeout_ms=LONG_MS)
    bench.join(member_id_required=True)
    waiting = bench.join(first.member_id, session_timeout_ms=LONG_MS)
    bench.advance(SESSION_MS - 1)
    assert not waiting.answered
    bench.advance(1)
    assert waiting.answered


def test_a_rebalance_timeout_of_zero_still_lets_members_answer() -> None:
    bench = GroupBench()
    (member,) = bench.members("a", rebalance_timeout_ms=0)
    bench.join(rebalance_timeout_ms=0)
    assert bench.heartbeat(member) is ErrorCode.REBALANCE_IN_PROGRESS
    bench.advance(999)
    assert bench.join(member.member_id, rebalance_timeout_ms=0).result.error is OK


def test_without_a_rebalance_timeout_the_session_timeout_counts() -> None:
    bench = GroupBench()
    bench.members("a", rebalance_timeout_ms=-1)
    assert [member.rebalance_timeout_ms for member in bench.group.members] == [SESSION_MS]
