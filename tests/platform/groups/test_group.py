"""One group of dynamic members: joining, rebalancing, assigning, leaving."""

import pytest
from coldstream.platform.groups.exchange import GroupState, LeavingMember
from coldstream.platform.groups.states import NEXT
from coldstream.platform.wire.errors import ErrorCode

from .harness import OK, RANGE, REBALANCE_MS, SESSION_MS, GroupBench

STICKY_RANGE = (("sticky", b"s"), ("range", b"r"))
RANGE_STICKY = (("range", b"r"), ("sticky", b"s"))


def test_first_member_leads_generation_one_at_once() -> None:
    bench = GroupBench()
    joined = bench.join(client_id="app").result
    assert (joined.error, joined.generation, joined.leader_id) == (OK, 1, joined.member_id)
    assert (joined.protocol_type, joined.protocol_name) == ("consumer", "range")
    assert [(m.member_id, m.metadata) for m in joined.members] == [(joined.member_id, b"subscription")]
    assert joined.member_id == "app-0001"
    assert bench.group.state is GroupState.COMPLETING_REBALANCE


def test_only_the_leader_is_told_who_is_in_the_group() -> None:
    leader, follower = GroupBench().members("a", "b")
    assert {m.member_id for m in leader.members} == {leader.member_id, follower.member_id}
    assert follower.members == () and follower.leader_id == leader.member_id
    assert leader.generation == follower.generation == 2


def test_every_member_gets_its_part_of_the_leaders_assignment() -> None:
    bench = GroupBench()
    first = bench.join(client_id="a").result
    other = bench.join(client_id="b")
    first = bench.join(first.member_id, client_id="a").result
    waiting = bench.sync(other.result)
    assert not waiting.answered
    leading = bench.sync(first, {first.member_id: b"one", other.result.member_id: b"two", "stranger": b"three"})
    assert (leading.result.assignment, waiting.result.assignment) == (b"one", b"two")
    assert leading.result.protocol_name == "range"
    assert bench.group.state is GroupState.STABLE
    assert "stranger" not in str(bench.stored[-1].stored)


def test_a_member_that_the_leader_forgot_is_assigned_nothing() -> None:
    bench = GroupBench()
    first = bench.join(client_id="a").result
    other = bench.join(client_id="b")
    first = bench.join(first.member_id).result
    bench.sync(first, {first.member_id: b"everything"})
    assert bench.sync(other.result).result.assignment == b""


def test_sync_in_a_stable_group_repeats_the_assignment() -> None:
    bench = GroupBench()
    leader, follower = bench.members("a", "b")
    assert bench.sync(follower).result.assignment == follower.member_id.encode()
    assert bench.sync(leader, {leader.member_id: b"ignored now"}).result.assignment == leader.member_id.encode()
    assert len(bench.generations) == 2


def test_assignments_are_answered_and_readable_only_once_stored() -> None:
    bench = GroupBench()
    bench.hold = True
    joined = bench.join().result
    waiting = bench.sync(joined, {joined.member_id: b"all"})
    assert not waiting.answered
    assert bench.group.state is GroupState.COMPLETING_REBALANCE
    assert [member.assignment for member in bench.group.described()] == [b""]
    bench.release()
    assert waiting.result.assignment == b"all"
    assert [member.assignment for member in bench.group.described()] == [b"all"]


def test_a_leaders_repeated_sync_does_not_store_twice() -> None:
    bench = GroupBench()
    bench.hold = True
    joined = bench.join().result
    lost = bench.sync(joined, {joined.member_id: b"first"})
    again = bench.sync(joined, {joined.member_id: b"second"})
    assert lost.result.error is ErrorCode.REBALANCE_IN_PROGRESS
    bench.release()
    assert again.result.assignment == b"first"
    assert [store.stored.members[0].assignment for store in bench.stored] == [b"first"]


def test_a_store_that_fails_sends_everybody_back_to_join() -> None:
    bench = GroupBench()
    joined = bench.join().result
    bench.hold = True
    waiting = bench.sync(joined, {joined.member_id: b"all"})
    bench.release(durable=False)
    assert waiting.result.error is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert bench.group.state is GroupState.PREPARING_REBALANCE
    assert bench.join(joined.member_id).result.generation == joined.generation + 1


def test_a_store_overtaken_by_a_rebalance_assigns_nothing() -> None:
    bench = GroupBench()
    first = bench.join().result
    bench.hold = True
    waiting = bench.sync(first, {first.member_id: b"stale"})
    bench.join()
    assert waiting.result.error is ErrorCode.REBALANCE_IN_PROGRESS
    bench.release()
    assert bench.group.state is GroupState.PREPARING_REBALANCE
    assert {member.assignment for member in bench.group.members} == {b""}


def test_an_assignment_that_is_durable_too_late_is_not_the_next_generations() -> None:
    bench = GroupBench()
    first = bench.join().result
    bench.hold = True
    bench.sync(first, {first.member_id: b"generation one"})
    second = bench.join()
    again = bench.join(first.member_id).result
    assert again.generation == first.generation + 1
    bench.release()
    assert bench.group.state is GroupState.COMPLETING_REBALANCE
    follower = bench.sync(second.result)
    bench.sync(again, {second.result.member_id: b"generation two"})
    assert not follower.answered
    bench.release()
    assert follower.result.assignment == b"generation two"


def test_heartbeats_tell_of_a_rebalance_until_the_member_has_joined_again() -> None:
    bench = GroupBench()
    (first,) = bench.members("a")
    assert bench.heartbeat(first) is OK
    second = bench.join(client_id="b")
    assert bench.heartbeat(first) is ErrorCode.REBALANCE_IN_PROGRESS
    again = bench.join(first.member_id).result
    assert bench.heartbeat(again) is OK  # CompletingRebalance
    assert bench.heartbeat(first) is ErrorCode.ILLEGAL_GENERATION
    assert bench.heartbeat(second.result) is OK


def test_strangers_and_old_generations_are_refused() -> None:
    bench = GroupBench()
    (joined,) = bench.members("a")
    stranger = bench.join("nobody-1")
    assert stranger.result.error is ErrorCode.UNKNOWN_MEMBER_ID
    assert stranger.result.member_id == "nobody-1" and stranger.result.generation == -1
    old = bench.sync(joined, generation=joined.generation - 1)
    assert old.result.error is ErrorCode.ILLEGAL_GENERATION
    assert bench.sync(joined, member_id="nobody-1").result.error is ErrorCode.UNKNOWN_MEMBER_ID
    assert bench.leave(LeavingMember("nobody-1")) == (ErrorCode.UNKNOWN_MEMBER_ID,)


@pytest.mark.parametrize("changes", [{"protocol_type": "connect"}, {"protocol_name": "sticky"}])
def test_sync_that_names_another_protocol_is_inconsistent(changes: dict[str, str]) -> None:
    bench = GroupBench()
    joined = bench.join().result
    assert bench.sync(joined, **changes).result.error is ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert bench.sync(joined, protocol_type="consumer", protocol_name="range").result.error is OK


@pytest.mark.parametrize(
    ("first", "second", "chosen"),
    [
        (RANGE_STICKY, STICKY_RANGE, "range"),  # one vote each: the older member's favourite
        (STICKY_RANGE, RANGE_STICKY, "sticky"),
        (STICKY_RANGE, RANGE, "range"),  # the only one that both offer
        ((("new", b""), *RANGE_STICKY), STICKY_RANGE, "range"),
    ],
)
def test_the_protocol_is_voted_among_those_that_all_offer(
    first: tuple[tuple[str, bytes], ...], second: tuple[tuple[str, bytes], ...], chosen: str
) -> None:
    bench = GroupBench()
    one = bench.join(protocols=first).result
    two = bench.join(protocols=second)
    leader = bench.join(one.member_id, protocols=first).result
    assert leader.protocol_name == two.result.protocol_name == chosen
    assert [m.metadata for m in leader.members] == [dict(first)[chosen], dict(second)[chosen]]


def test_the_majority_wins_over_the_oldest() -> None:
    bench = GroupBench()
    one = bench.join(protocols=RANGE_STICKY).result
    bench.join(protocols=STICKY_RANGE)
    bench.join(protocols=STICKY_RANGE)
    assert bench.join(one.member_id, protocols=RANGE_STICKY).result.protocol_name == "sticky"


@pytest.mark.parametrize(
    "changes",
    [
        {"protocols": ()},
        {"protocol_type": ""},
        {"protocol_type": "", "protocols": ()},
    ],
)
def test_an_empty_group_refuses_members_without_protocol(changes: dict[str, object]) -> None:
    assert GroupBench().join(**changes).result.error is ErrorCode.INCONSISTENT_GROUP_PROTOCOL


@pytest.mark.parametrize(
    "changes", [{"protocols": ()}, {"protocol_type": "connect"}, {"protocols": (("sticky", b""),)}]
)
def test_a_group_refuses_members_that_have_no_protocol_in_common(changes: dict[str, object]) -> None:
    bench = GroupBench()
    (member,) = bench.members("a")
    assert bench.join(**changes).result.error is ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert bench.heartbeat(member) is OK


def test_a_group_that_emptied_may_change_its_protocol_type() -> None:
    bench = GroupBench()
    (member,) = bench.members("a")
    assert bench.leave(LeavingMember(member.member_id)) == (OK,)
    assert bench.group.state is GroupState.EMPTY and bench.group.protocol_name is None
    joined = bench.join(protocol_type="connect", protocols=(("default", b""),)).result
    assert (joined.protocol_type, joined.generation) == ("connect", 3)


def test_a_follower_that_joins_again_unchanged_gets_the_current_generation() -> None:
    bench = GroupBench()
    leader, follower = bench.members("a", "b")
    again = bench.join(follower.member_id).result
    assert (again.generation, again.leader_id, again.members) == (leader.generation, leader.member_id, ())
    assert bench.group.state is GroupState.STABLE


@pytest.mark.parametrize("which", ["leader unchanged", "leader changed", "follower changed"])
def test_other_joins_of_members_of_a_stable_group_rebalance_it(which: str) -> None:
    bench = GroupBench()
    leader, follower = bench.members("a", "b")
    who, other = (leader, follower) if which.startswith("leader") else (follower, leader)
    protocols = RANGE if which.endswith("unchanged") else (("range", b"other topics"),)
    waiting = bench.join(who.member_id, protocols=protocols)
    assert not waiting.answered and bench.group.state is GroupState.PREPARING_REBALANCE
    assert bench.join(other.member_id).answered
    assert waiting.result.generation == leader.generation + 1


def test_a_lost_answer_to_join_is_given_again_while_assignments_are_awaited() -> None:
    bench = GroupBench()
    leader = bench.join().result
    assert bench.join(leader.member_id).result == leader
    changed = bench.join(leader.member_id, protocols=(("range", b"other"),)).result
    assert changed.generation == leader.generation + 1


def test_a_join_repeated_while_it_waits_supersedes_the_first() -> None:
    bench = GroupBench()
    first, second = bench.members("a", "b")
    lost = bench.join(first.member_id)
    again = bench.join(first.member_id)
    assert lost.result.error is ErrorCode.REBALANCE_IN_PROGRESS
    assert not again.answered
    bench.join(second.member_id)
    assert again.result.generation == first.generation + 1


def test_a_sync_while_members_are_gathered_is_told_to_join() -> None:
    bench = GroupBench()
    (member,) = bench.members("a")
    bench.join()
    assert bench.sync(member).result.error is ErrorCode.REBALANCE_IN_PROGRESS


def test_leaving_rebalances_and_elects_another_leader() -> None:
    bench = GroupBench()
    leader, follower, other = bench.members("a", "b", "c")
    assert bench.leave(LeavingMember(leader.member_id)) == (OK,)
    assert bench.heartbeat(leader) is ErrorCode.UNKNOWN_MEMBER_ID
    assert bench.heartbeat(follower) is ErrorCode.REBALANCE_IN_PROGRESS
    bench.join(other.member_id)
    joined = bench.join(follower.member_id).result
    assert joined.leader_id in (follower.member_id, other.member_id)
    assert joined.generation == leader.generation + 1


def test_leave_names_many_and_answers_each() -> None:
    bench = GroupBench()
    one, two = bench.members("a", "b")
    errors = bench.leave(LeavingMember(one.member_id), LeavingMember("stranger"), LeavingMember(two.member_id))
    assert errors == (OK, ErrorCode.UNKNOWN_MEMBER_ID, OK)
    assert bench.group.state is GroupState.EMPTY
    assert bench.stored[-1].stored.members == () and bench.stored[-1].stored.generation == bench.group.generation


def test_a_member_that_leaves_while_it_waits_is_told_so() -> None:
    bench = GroupBench()
    first = bench.join().result
    second = bench.join()
    bench.leave(LeavingMember("c-0002"))
    assert second.result.error is ErrorCode.UNKNOWN_MEMBER_ID
    third = bench.join()
    joined = bench.join(first.member_id).result
    assert third.result.error is OK
    waiting = bench.sync(third.result)
    bench.leave(LeavingMember(third.result.member_id))
    assert waiting.result.error is ErrorCode.UNKNOWN_MEMBER_ID
    assert bench.heartbeat(joined) is ErrorCode.REBALANCE_IN_PROGRESS


def test_a_new_member_is_given_an_id_first_when_it_can_take_one() -> None:
    bench = GroupBench()
    asked = bench.join(member_id_required=True, client_id="app").result
    assert (asked.error, asked.member_id, asked.generation) == (ErrorCode.MEMBER_ID_REQUIRED, "app-0001", -1)
    assert bench.group.state is GroupState.EMPTY and len(bench.group.members) == 0
    joined = bench.join(asked.member_id, member_id_required=True).result
    assert (joined.error, joined.member_id, joined.generation) == (OK, asked.member_id, 1)


def test_an_id_given_out_lapses_with_the_session() -> None:
    bench = GroupBench()
    asked = bench.join(member_id_required=True).result
    bench.advance(SESSION_MS - 1)
    assert bench.group.pending
    bench.advance(1)
    assert not bench.group.pending
    assert bench.join(asked.member_id).result.error is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_rebalance_waits_for_members_that_were_just_given_ids() -> None:
    bench = GroupBench()
    (first,) = bench.members("a")
    asked = bench.join(member_id_required=True).result
    waiting = bench.join(first.member_id)
    assert not waiting.answered
    second = bench.join(asked.member_id)
    assert {m.member_id for m in waiting.result.members} == {first.member_id, second.result.member_id}


def test_a_pending_member_may_leave_and_holds_nobody_up() -> None:
    bench = GroupBench()
    (first,) = bench.members("a")
    asked = bench.join(member_id_required=True).result
    waiting = bench.join(first.member_id)
    assert bench.leave(LeavingMember(asked.member_id)) == (OK,)
    assert waiting.answered
    assert bench.leave(LeavingMember(asked.member_id)) == (ErrorCode.UNKNOWN_MEMBER_ID,)


def test_a_pending_id_cannot_be_claimed_for_a_static_member() -> None:
    bench = GroupBench()
    asked = bench.join(member_id_required=True).result
    assert bench.join(asked.member_id, instance_id="i").result.error is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_full_group_admits_nobody_new() -> None:
    bench = GroupBench(members_max=2)
    one, two = bench.members("a", "b")
    refused = bench.join().result
    assert (refused.error, refused.member_id) == (ErrorCode.GROUP_MAX_SIZE_REACHED, "")
    assert "2 members" in refused.why
    assert bench.join(two.member_id).result.error is OK
    assert bench.heartbeat(one) is OK


def test_ids_given_out_are_limited_like_members() -> None:
    bench = GroupBench(members_max=2)
    errors = [bench.join(member_id_required=True).result.error for _ in range(3)]
    assert errors == [ErrorCode.MEMBER_ID_REQUIRED] * 2 + [ErrorCode.GROUP_MAX_SIZE_REACHED]


def test_the_slowest_to_join_again_lose_their_place_in_an_overfull_group() -> None:
    bench = GroupBench(members_max=2)
    one, two = bench.members("a", "b")
    third = bench.join(client_id="c")  # refused: stable and full
    assert third.result.error is ErrorCode.GROUP_MAX_SIZE_REACHED
    bench.join(one.member_id)  # the leader rebalances
    newcomer = bench.join(client_id="d")
    late = bench.join(two.member_id)
    assert late.result.error is ErrorCode.GROUP_MAX_SIZE_REACHED
    assert newcomer.result.error is OK


def test_commits_follow_the_state_of_the_group() -> None:
    bench = GroupBench()
    joined = bench.join().result
    assert bench.commit(joined) is ErrorCode.REBALANCE_IN_PROGRESS  # no assignment yet
    bench.sync(joined, {joined.member_id: b"all"})
    assert bench.commit(joined) is OK
    check = bench.group.check_commit
    assert check(joined.generation + 1, joined.member_id, None, bench.now_ms) is ErrorCode.ILLEGAL_GENERATION
    assert check(joined.generation, "stranger", None, bench.now_ms) is ErrorCode.UNKNOWN_MEMBER_ID
    assert check(-1, "", None, bench.now_ms) is ErrorCode.UNKNOWN_MEMBER_ID  # not simple: it has members
    assert check(-1, joined.member_id, None, bench.now_ms) is ErrorCode.ILLEGAL_GENERATION
    bench.join()
    assert bench.commit(joined) is OK  # a last commit while the others gather
    bench.leave(LeavingMember(joined.member_id), LeavingMember("c-0002"))
    assert bench.group.state is GroupState.EMPTY
    assert check(-1, "", None, bench.now_ms) is OK
    assert bench.commit(joined) is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_dead_group_refuses_everything() -> None:
    bench = GroupBench()
    (joined,) = bench.members("a")
    waiting = bench.join(joined.member_id, protocols=(("range", b"changed"),))
    assert waiting.answered
    synced = bench.sync(waiting.result)
    bench._do(bench.group.die(ErrorCode.COORDINATOR_NOT_AVAILABLE))
    assert synced.result.error in (OK, ErrorCode.COORDINATOR_NOT_AVAILABLE)
    gone = ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert bench.join().result.error is gone
    assert bench.sync(joined).result.error is gone
    assert bench.heartbeat(joined) is gone
    assert bench.commit(joined) is gone


def test_only_stable_groups_show_metadata_and_assignments() -> None:
    bench = GroupBench()
    (member,) = bench.members("a")
    (described,) = bench.group.described()
    assert (described.metadata, described.assignment) == (b"subscription", member.member_id.encode())
    assert described.client_host == "/127.0.0.1"
    bench.join()
    assert [(each.metadata, each.assignment) for each in bench.group.described()] == [(b"", b""), (b"", b"")]


def test_the_state_table_can_leave_every_state_but_dead() -> None:
    assert set(NEXT) == set(GroupState)
    assert all(GroupState.DEAD in after for state, after in NEXT.items() if state is not GroupState.DEAD)
    assert NEXT[GroupState.DEAD] == frozenset()


def test_a_repeated_protocol_name_counts_once() -> None:
    bench = GroupBench()
    joined = bench.join(protocols=(("range", b"1"), ("range", b"2"))).result
    assert joined.members[0].metadata == b"1"
    bench.leave(LeavingMember(joined.member_id))
    assert bench.group.size_bytes == GroupBench().group.size_bytes


def test_rebalance_timeout_is_the_longest_that_a_member_asked_for() -> None:
    bench = GroupBench()
    slow = bench.join(rebalance_timeout_ms=2 * REBALANCE_MS, session_timeout_ms=1_000_000).result
    waiting = bench.join()
    bench.advance(2 * REBALANCE_MS - 1)
    assert not waiting.answered
    bench.advance(1)
    assert waiting.result.leader_id == waiting.result.member_id
    assert bench.heartbeat(slow) is ErrorCode.UNKNOWN_MEMBER_ID
