"""Static members (KIP-345) and skipped assignment (KIP-814): restarts that cost no rebalance, and fencing."""

import pytest
from coldstream.platform.groups.exchange import GroupState, JoinResult, LeavingMember
from coldstream.platform.wire.errors import ErrorCode

from .harness import OK, REBALANCE_MS, GroupBench

LONG_MS = 1_000_000


def static_pair(bench: GroupBench) -> tuple[JoinResult, JoinResult]:
    """A stable group of the static members `one`, which leads, and `two`."""
    one = bench.join(instance_id="one", session_timeout_ms=LONG_MS).result
    two = bench.join(instance_id="two", session_timeout_ms=LONG_MS)
    one = bench.join(one.member_id, instance_id="one", session_timeout_ms=LONG_MS).result
    bench.assign([one, two.result])
    return one, two.result


def test_a_static_member_needs_no_second_join() -> None:
    joined = GroupBench().join(instance_id="one", member_id_required=True).result
    assert (joined.error, joined.member_id) == (OK, "one-0001")
    assert joined.members[0].instance_id == "one"


def test_a_follower_that_restarts_takes_up_its_assignment_without_a_rebalance() -> None:
    bench = GroupBench()
    one, two = static_pair(bench)
    back = bench.join(instance_id="two", may_skip_assignment=True).result
    assert (back.error, back.generation, back.leader_id) == (OK, two.generation, one.member_id)
    assert back.member_id != two.member_id and not back.skip_assignment
    assert bench.group.state is GroupState.STABLE
    assert bench.sync(back).result.assignment == two.member_id.encode()
    assert back.member_id in {member.member_id for member in bench.stored[-1].stored.members}


def test_its_former_self_is_fenced() -> None:
    bench = GroupBench()
    _, two = static_pair(bench)
    bench.join(instance_id="two")
    assert bench.heartbeat(two, "two") is ErrorCode.FENCED_INSTANCE_ID
    assert bench.commit(two, "two") is ErrorCode.FENCED_INSTANCE_ID
    assert bench.sync(two, instance_id="two").result.error is ErrorCode.FENCED_INSTANCE_ID
    assert bench.join(two.member_id, instance_id="two").result.error is ErrorCode.FENCED_INSTANCE_ID
    assert bench.leave(LeavingMember(two.member_id, "two")) == (ErrorCode.FENCED_INSTANCE_ID,)
    assert bench.heartbeat(two) is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_leader_that_restarts_is_told_to_skip_the_assignment() -> None:
    bench = GroupBench()
    _one, two = static_pair(bench)
    back = bench.join(instance_id="one", may_skip_assignment=True).result
    assert back.skip_assignment and back.leader_id == back.member_id
    assert {m.instance_id for m in back.members} == {"one", "two"}
    assert bench.group.state is GroupState.STABLE and back.generation == two.generation
    again = bench.join(back.member_id, instance_id="one")  # and later leads a rebalance
    assert not again.answered
    bench.join(two.member_id, instance_id="two")
    assert again.result.leader_id == back.member_id and not again.result.skip_assignment


def test_a_leader_that_cannot_skip_is_kept_from_assigning_by_its_former_name() -> None:
    bench = GroupBench()
    one, _ = static_pair(bench)
    back = bench.join(instance_id="one").result
    assert (back.leader_id, back.members, back.skip_assignment) == (one.member_id, (), False)
    assert bench.group.members.leader_id == back.member_id


def test_a_restart_is_answered_only_once_the_new_id_is_stored() -> None:
    bench = GroupBench()
    static_pair(bench)
    bench.hold = True
    waiting = bench.join(instance_id="two")
    assert not waiting.answered
    bench.release()
    assert waiting.result.error is OK


def test_a_restart_that_could_not_be_stored_is_tried_again() -> None:
    bench = GroupBench()
    _, two = static_pair(bench)
    bench.hold = True
    waiting = bench.join(instance_id="two")
    bench.release(durable=False)
    assert waiting.result.error is ErrorCode.COORDINATOR_NOT_AVAILABLE
    bench.hold = False
    back = bench.join(instance_id="two").result
    assert bench.sync(back).result.assignment == two.member_id.encode()
    assert bench.group.state is GroupState.STABLE


def test_a_rebalance_that_overtakes_a_restart_answers_it() -> None:
    bench = GroupBench()
    one, _ = static_pair(bench)
    bench.hold = True
    waiting = bench.join(instance_id="two")
    leading = bench.join(one.member_id, instance_id="one")
    assert waiting.result.generation == leading.result.generation == one.generation + 1
    bench.release()
    assert bench.group.state is GroupState.COMPLETING_REBALANCE


def test_a_second_restart_fences_the_first_while_it_waits() -> None:
    bench = GroupBench()
    static_pair(bench)
    bench.hold = True
    first = bench.join(instance_id="two")
    second = bench.join(instance_id="two")
    assert first.result.error is ErrorCode.FENCED_INSTANCE_ID
    bench.release()
    assert second.result.error is OK


def test_a_restart_that_changes_the_chosen_protocol_rebalances() -> None:
    bench = GroupBench()
    both = (("range", b""), ("sticky", b""))
    one = bench.join(instance_id="one", protocols=both).result
    bench.assign([one])
    waiting = bench.join(instance_id="one", protocols=(("sticky", b""), ("range", b"")))
    assert waiting.result.generation == one.generation + 1
    assert waiting.result.protocol_name == "sticky"


def test_a_restart_before_the_assignment_rebalances() -> None:
    bench = GroupBench()
    one = bench.join(instance_id="one").result
    two = bench.join(instance_id="two")
    one = bench.join(one.member_id, instance_id="one").result
    synced = bench.sync(two.result, instance_id="two")
    back = bench.join(instance_id="two")
    assert synced.result.error is ErrorCode.FENCED_INSTANCE_ID
    assert not back.answered and bench.group.state is GroupState.PREPARING_REBALANCE
    assert bench.join(one.member_id, instance_id="one").result.generation == one.generation + 1
    assert back.result.error is OK


def test_a_join_that_waits_is_fenced_by_its_own_restart() -> None:
    bench = GroupBench()
    static_pair(bench)
    bench.join(client_id="other")
    waiting = bench.join(instance_id="two")
    again = bench.join(instance_id="two")
    assert waiting.result.error is ErrorCode.FENCED_INSTANCE_ID
    assert not again.answered


def test_an_unknown_instance_id_with_a_member_id_is_unknown() -> None:
    bench = GroupBench()
    one, _ = static_pair(bench)
    assert bench.heartbeat(one, "three") is ErrorCode.UNKNOWN_MEMBER_ID
    assert bench.join(one.member_id, instance_id="three").result.error is ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize("by", ["administrator", "itself"])
def test_static_members_leave_by_instance_id(by: str) -> None:
    bench = GroupBench()
    one, two = static_pair(bench)
    leaving = LeavingMember("" if by == "administrator" else two.member_id, "two")
    assert bench.leave(leaving) == (OK,)
    assert bench.group.state is GroupState.PREPARING_REBALANCE
    assert bench.leave(leaving) == (ErrorCode.UNKNOWN_MEMBER_ID,)
    assert bench.leave(LeavingMember("", None)) == (ErrorCode.UNKNOWN_MEMBER_ID,)
    assert bench.heartbeat(one, "one") is ErrorCode.REBALANCE_IN_PROGRESS


def test_static_members_that_are_away_stay_in_the_next_generation() -> None:
    bench = GroupBench()
    one, two = static_pair(bench)
    waiting = bench.join(one.member_id, instance_id="one", session_timeout_ms=LONG_MS)
    bench.advance(REBALANCE_MS)
    assert {m.instance_id for m in waiting.result.members} == {"one", "two"}
    bench.sync(waiting.result, {two.member_id: b"kept for two"})
    back = bench.join(instance_id="two").result
    assert bench.sync(back).result.assignment == b"kept for two"


def test_a_rebalance_that_only_absent_static_members_could_join_waits_for_their_sessions() -> None:
    bench = GroupBench()
    _one, two = static_pair(bench)
    bench.leave(LeavingMember("", "one"))
    bench.advance(3 * REBALANCE_MS)
    assert bench.group.state is GroupState.PREPARING_REBALANCE
    assert bench.heartbeat(two, "two") is ErrorCode.REBALANCE_IN_PROGRESS
    bench.advance(LONG_MS)
    assert bench.group.state is GroupState.EMPTY


def test_an_absent_leader_is_replaced_by_a_member_that_came() -> None:
    bench = GroupBench()
    one, two = static_pair(bench)
    waiting = bench.join(two.member_id, instance_id="two", protocols=(("range", b"more"),), session_timeout_ms=LONG_MS)
    bench.advance(REBALANCE_MS)
    assert waiting.result.leader_id == two.member_id
    assert one.member_id in {m.member_id for m in waiting.result.members}


def test_a_static_member_that_restarts_takes_its_own_place_in_a_full_group() -> None:
    bench = GroupBench(members_max=2)
    static_pair(bench)
    assert bench.join(instance_id="two").result.error is OK
    assert bench.join(instance_id="three").result.error is ErrorCode.GROUP_MAX_SIZE_REACHED
