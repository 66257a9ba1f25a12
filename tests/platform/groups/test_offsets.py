"""Committed offsets of one group: what can be read is durable, what is old goes."""

from coldstream.platform.groups.offsets import OFFSET_BYTES, Change, Committed, Offsets, TopicPartition

from .harness import OTHER_TOPIC, TOPIC

EACH_BYTES = OFFSET_BYTES + 3
HERE, THERE = TopicPartition(TOPIC, 0), TopicPartition(OTHER_TOPIC, 3)


def at(offset: int, *, committed_at_ms: int = 100, expires_at_ms: int = -1, metadata: str = "") -> Committed:
    return Committed(offset, 5, metadata, committed_at_ms, expires_at_ms)


def offsets_with(*changes: Change) -> Offsets:
    offsets = Offsets(3)
    offsets.apply(changes)
    return offsets


def test_a_commit_is_visible_once_it_is_durable() -> None:
    offsets, change = Offsets(3), [Change(HERE, at(7))]
    offsets.begin(change)
    assert offsets.get(HERE) is None and offsets.in_flight
    offsets.finish(change, durable=True)
    assert offsets.get(HERE) == at(7) and not offsets.in_flight


def test_a_commit_that_failed_leaves_what_was() -> None:
    offsets, change = offsets_with(Change(HERE, at(1))), [Change(HERE, at(7))]
    offsets.begin(change)
    offsets.finish(change, durable=False)
    assert offsets.get(HERE) == at(1) and not offsets.in_flight


def test_the_last_of_two_commits_wins() -> None:
    offsets, first, second = Offsets(3), [Change(HERE, at(1))], [Change(HERE, at(2))]
    offsets.begin(first)
    offsets.begin(second)
    offsets.finish(first, durable=True)
    assert offsets.in_flight
    offsets.finish(second, durable=True)
    assert offsets.get(HERE) == at(2) and offsets.count == 1


def test_count_and_bytes_follow_every_change() -> None:
    offsets = offsets_with(Change(HERE, at(1, metadata="four")), Change(THERE, at(2)))
    assert (offsets.count, offsets.size_bytes) == (2, 2 * EACH_BYTES + 4)
    offsets.apply([Change(HERE, at(9)), Change(THERE, None), Change(THERE, None)])
    assert (offsets.count, offsets.size_bytes) == (1, EACH_BYTES)
    assert list(offsets) == [(HERE, at(9))] and list(offsets.topic_ids()) == [TOPIC]
    assert offsets.growth_bytes([Change(HERE, at(9, metadata="ab")), Change(THERE, at(1))]) == 2 + EACH_BYTES


def test_forgetting_a_topic_covers_commits_on_their_way() -> None:
    offsets = offsets_with(Change(HERE, at(1)), Change(THERE, at(2)))
    coming = TopicPartition(TOPIC, 8)
    offsets.begin([Change(coming, at(3)), Change(THERE, at(4))])
    assert [change.where for change in offsets.forgetting({TOPIC})] == [HERE, coming]
    assert {change.where for change in offsets.forgetting()} == {HERE, THERE, coming}


def test_offsets_expire_a_retention_after_the_group_emptied_or_the_later_commit() -> None:
    offsets = offsets_with(Change(HERE, at(1, committed_at_ms=50)), Change(THERE, at(2, committed_at_ms=400)))

    def expired(now_ms: int, empty_since_ms: int = 100) -> set[TopicPartition]:
        changes = offsets.expired(empty_since_ms=empty_since_ms, retention_ms=1_000, now_ms=now_ms)
        return {change.where for change in changes}

    assert expired(1_099) == set()
    assert expired(1_100) == {HERE}
    assert expired(1_400) == {HERE, THERE}
    assert expired(1_050, empty_since_ms=0) == {HERE}


def test_a_retention_that_the_client_named_counts_instead() -> None:
    offsets = offsets_with(Change(HERE, at(1, expires_at_ms=200)))
    assert not offsets.expired(empty_since_ms=0, retention_ms=10, now_ms=199)
    assert offsets.expired(empty_since_ms=190, retention_ms=1_000, now_ms=200)


def test_an_offset_with_a_newer_commit_on_its_way_does_not_expire() -> None:
    offsets = offsets_with(Change(HERE, at(1)))
    offsets.begin([Change(HERE, at(2))])
    assert not offsets.expired(empty_since_ms=0, retention_ms=0, now_ms=10_000)
