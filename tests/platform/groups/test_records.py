"""Records of the internal topic: every value comes back, and no bytes whatever do more than be refused."""

import struct

import pytest
from coldstream.platform.groups.loading import PROBLEMS_KEPT, fold
from coldstream.platform.groups.offsets import Committed, TopicPartition
from coldstream.platform.groups.records import (
    CorruptRecord,
    GroupKey,
    OffsetKey,
    StoredGroup,
    StoredMember,
    decode_group,
    decode_key,
    decode_offset,
    group_record,
    offset_record,
)
from coldstream.platform.groups.seams import Record
from hypothesis import given, settings
from hypothesis import strategies as st

from .harness import NS, OTHER_NS, TOPIC

quick = settings(max_examples=60, derandomize=True, deadline=None)
int32, int64 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
names = st.text(max_size=12)
members = st.builds(
    StoredMember, names, st.none() | names, names, names, int32, int32, st.binary(max_size=20), st.binary(max_size=20)
)
HERE = TopicPartition(TOPIC, 3)
COMMITTED = Committed(42, 7, "säved", 1_000, -1)
MEMBER = StoredMember("m", "i", "c", "/h", 10, 20, b"subscription", b"assignment")
GROUP = StoredGroup(3, 99, "consumer", "range", "m", (MEMBER,))


@st.composite
def groups(draw: st.DrawFn) -> StoredGroup:
    found = draw(
        st.lists(members, max_size=4, unique_by=(lambda m: m.member_id, lambda m: m.instance_id or m.member_id))
    )
    leader = draw(st.sampled_from(found)).member_id if found else draw(st.none() | names)
    protocol = draw(names if found else st.none() | names)
    protocol_type = draw(names if found else st.none() | names)
    return StoredGroup(draw(int32), draw(int64), protocol_type, protocol, leader, tuple(found))


@quick
@given(names, st.uuids(), int32, st.builds(Committed, int64, int32, names, int64, int64))
def test_offsets_come_back(group_id: str, topic_id: object, partition: int, committed: Committed) -> None:
    where = TopicPartition(topic_id, partition)  # type: ignore[arg-type]
    record = offset_record(NS, group_id, where, committed)
    assert decode_key(record.key) == OffsetKey(NS, group_id, where)
    assert record.value is not None and decode_offset(record.value) == committed
    assert offset_record(NS, group_id, where, None) == Record(record.key, None)


@quick
@given(names, groups())
def test_groups_come_back(group_id: str, stored: StoredGroup) -> None:
    record = group_record(NS, group_id, stored)
    assert decode_key(record.key) == GroupKey(NS, group_id)
    assert record.value is not None and decode_group(record.value) == stored
    assert group_record(NS, group_id, None) == Record(record.key, None)


def test_keys_tell_namespaces_apart() -> None:
    assert group_record(NS, "g", None).key != group_record(OTHER_NS, "g", None).key
    assert offset_record(NS, "g", HERE, None).key != offset_record(OTHER_NS, "g", HERE, None).key


def test_the_layout_on_disk_does_not_change_unnoticed() -> None:
    key, value = offset_record(NS, "g", HERE, COMMITTED)
    assert key.hex() == "0001" + NS.hex + TOPIC.hex + "00000003" + "00000001" + b"g".hex()
    assert value is not None
    assert value.hex() == (
        "0001" + f"{42:016x}" + "00000007" + f"{1000:016x}" + "f" * 16 + "00000006" + "säved".encode().hex()
    )
    key, value = group_record(NS, "g", StoredGroup(3, 99, "consumer", None, None, ()))
    assert key.hex() == "0002" + NS.hex + "00000001" + b"g".hex()
    assert value is not None
    assert value.hex() == (
        "0001" + "00000003" + f"{99:016x}" + "00000008" + b"consumer".hex() + "f" * 8 + "f" * 8 + "00000000"
    )


def every_cut_and_more(raw: bytes) -> list[bytes]:
    return [raw[:end] for end in range(len(raw))] + [raw + b"\0"]


@pytest.mark.parametrize("name", ["key", "offset", "group"])
def test_a_record_cut_anywhere_or_too_long_is_corrupt(name: str) -> None:
    key, value = group_record(NS, "g", GROUP)
    offset = offset_record(NS, "g", HERE, COMMITTED).value
    assert value is not None and offset is not None
    decode, raw = {"key": (decode_key, key), "offset": (decode_offset, offset), "group": (decode_group, value)}[name]
    for broken in every_cut_and_more(raw):
        with pytest.raises(CorruptRecord):
            decode(broken)


@quick
@given(st.binary(max_size=200))
def test_random_bytes_are_corrupt_or_a_record(raw: bytes) -> None:
    for decode in (decode_key, decode_offset, decode_group):
        try:
            decode(raw)
        except CorruptRecord as problem:
            assert str(problem)


@pytest.mark.parametrize(
    ("group", "why"),
    [
        (StoredGroup(1, 1, "consumer", "range", "nobody", (MEMBER,)), "no leader"),
        (StoredGroup(1, 1, "consumer", None, "m", (MEMBER,)), "no protocol"),
        (StoredGroup(1, 1, None, "range", "m", (MEMBER,)), "no protocol"),
        (StoredGroup(1, 1, "consumer", "range", "m", (MEMBER, MEMBER)), "twice"),
    ],
)
def test_groups_that_could_not_have_been_are_corrupt(group: StoredGroup, why: str) -> None:
    value = group_record(NS, "g", group).value
    assert value is not None
    with pytest.raises(CorruptRecord, match=why.replace("no leader", "leader").replace("no protocol", "protocol")):
        decode_group(value)


def test_a_hostile_count_of_members_allocates_nothing() -> None:
    value = group_record(NS, "g", StoredGroup(1, 1, None, None, None, ())).value
    assert value is not None
    with pytest.raises(CorruptRecord, match="middle of a field"):
        decode_group(value[:-4] + b"\xff\xff\xff\xfe")


def test_loading_keeps_the_last_record_of_each_key() -> None:
    first, last = Committed(1, 0, "", 1), Committed(2, 0, "", 2)
    loaded = fold(
        [
            offset_record(NS, "g", HERE, first),
            group_record(NS, "g", GROUP),
            offset_record(OTHER_NS, "g", HERE, first),
            offset_record(NS, "g", HERE, last),
            group_record(NS, "gone", GROUP),
            group_record(NS, "gone", None),
        ]
    )
    assert set(loaded.groups) == {(NS, "g"), (OTHER_NS, "g")}
    assert loaded.groups[NS, "g"].stored == GROUP
    assert dict(loaded.groups[NS, "g"].offsets) == {HERE: last}
    assert (loaded.record_count, loaded.problem_count) == (6, 0)


def test_loading_reports_and_skips_what_it_does_not_understand() -> None:
    good = offset_record(NS, "g", HERE, COMMITTED)
    assert good.value is not None
    loaded = fold(
        [
            Record(struct.pack(">H", 9), b""),
            Record(good.key, b"\0\2" + good.value[2:]),
            Record(b"", b""),
            good,
            Record(good.key, good.value[:-1]),
        ]
    )
    assert dict(loaded.groups[NS, "g"].offsets) == {HERE: COMMITTED}
    assert loaded.problem_count == 4
    assert "unknown kind 9" in loaded.problems[0] and "unknown version 2" in loaded.problems[1]
    assert fold([Record(b"", b"")] * (PROBLEMS_KEPT + 5)).problem_count == PROBLEMS_KEPT + 5


@quick
@given(st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, 9)), max_size=20), st.data())
def test_a_tail_that_overlaps_its_snapshot_changes_nothing(
    steps: list[tuple[int, int | None]], data: st.DataObject
) -> None:
    records = [
        offset_record(NS, f"g{at % 2}", TopicPartition(TOPIC, at), Committed(offset, 0, "", 0) if offset else None)
        for at, offset in steps
    ]
    cut = data.draw(st.integers(0, len(records)))
    overlap = data.draw(st.integers(0, cut))
    snapshot = [
        offset_record(namespace_id, group_id, where, committed)
        for (namespace_id, group_id), group in fold(records[:cut]).groups.items()
        for where, committed in group.offsets
    ]
    again, whole = fold(snapshot + records[overlap:]).groups, fold(records).groups
    assert {i: dict(g.offsets) for i, g in again.items()} == {i: dict(g.offsets) for i, g in whole.items()}
