"""What needs attention, from figures alone."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from coldstream.console import attention
from coldstream.console.attention import Figures, Finding, findings, minutes_behind
from coldstream.console.figures import GroupFigures, PartitionFigures, TopicFigures
from coldstream.console.samples import Activity, NamespaceSample, TopicSample
from coldstream.tenants.catalogue import NamespaceEntry
from coldstream.tenants.overview import Holdings, KeyUse

NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000
NAMESPACE = NamespaceEntry(
    id=uuid4(),
    tenant_id=uuid4(),
    tenant="acme",
    name="shop",
    cluster_id="x",
    auto_create_topics=False,
    suspended=False,
    deleted=False,
    defaults={},
    topics_max=100,
    partitions_max=1_000,
    partitions_per_topic_max=100,
    created_at_ms=0,
)
CALM = Figures(
    base="/n/acme/shop",
    now_ms=NOW_MS,
    namespace=NAMESPACE,
    holds=Holdings(3, 10, 2),
    sample=NamespaceSample(NOW_MS),
    keys=(),
    settled=frozenset(),
    manages=True,
)


def topic(name: str, *, end: int | None = 100, per_minute: float = 0, watched: int = 60) -> TopicSample:
    partition = PartitionFigures(0, 0, end, 0, 0)
    activity = Activity(NOW_MS, watched, record_counts=[per_minute] * 60)
    return TopicSample(name, TopicFigures((partition,)), activity, 0, 0, end, None)


def sample_of(*topics: TopicSample, groups: tuple[GroupFigures, ...] = (), **more: Any) -> NamespaceSample:
    return NamespaceSample(NOW_MS, {uuid4(): each for each in topics}, groups, **more)


def group(name: str, lag: int, state: str = "Stable", of: str = "orders") -> GroupFigures:
    return GroupFigures(name, state, 1, lag, {of: lag}, 1)


def key(name: str, *, made: int = -1, ends: int | None = None, used: int | None = None) -> KeyUse:
    """In days from now."""
    times = [None if days is None else NOW_MS + days * DAY_MS for days in (made, ends, used)]
    return KeyUse(name * 3, name, times[0] or 0, times[1], times[2])


def only(figures: Figures) -> Finding:
    (found,) = findings(figures)
    assert found.what and found.why and found.remedy
    return found


def test_where_all_is_well_there_is_nothing_to_say() -> None:
    assert findings(CALM) == []
    assert findings(replace(CALM, sample=sample_of(topic("orders", per_minute=50)))) == []


def test_a_suspended_namespace_says_only_that() -> None:
    sample = NamespaceSample(0, missing_because="the namespace is suspended")
    found = only(replace(CALM, namespace=replace(NAMESPACE, suspended=True), sample=sample))
    assert (found.urgency, found.to) == ("now", "/n/acme/shop/settings")
    found = only(replace(CALM, namespace=replace(NAMESPACE, suspended=True), sample=sample, manages=False))
    assert found.to == "", "who may not open the settings is not sent there"


def test_a_broker_that_is_away_is_told_with_its_reason() -> None:
    away = "the broker cannot be reached (Connection refused)"
    assert away[4:] in only(replace(CALM, sample=NamespaceSample(0, missing_because=away))).why
    assert only(replace(CALM, sample=NamespaceSample(0, missing_because=away))).urgency == "now"
    assert only(replace(CALM, sample=NamespaceSample(NOW_MS - 5_000, missing_because=away))).urgency == "soon"
    assert only(replace(CALM, sample=NamespaceSample(NOW_MS - 90_000, missing_because=away))).urgency == "now"


def test_a_group_is_behind_when_what_it_has_to_read_is_old() -> None:
    topics = {"orders": topic("orders", per_minute=100)}
    assert minutes_behind(group("a", 900), topics) == 0, "nine minutes, and readers come in batches"
    assert minutes_behind(group("a", 1_050), topics) == 11
    assert minutes_behind(group("a", 10**9), topics) == 60
    assert minutes_behind(group("a", 10**9, of="not-sampled"), topics) == 0


def test_a_few_old_records_or_a_short_look_are_no_finding() -> None:
    assert minutes_behind(group("a", 99), {"orders": topic("orders")}) == 0
    assert minutes_behind(group("a", 5_000), {"orders": topic("orders", per_minute=100, watched=9)}) == 0
    assert minutes_behind(group("a", 5_000), {"orders": topic("orders", per_minute=100, watched=20)}) == 20


def test_lag_of_readers_and_lag_that_nobody_reads_are_told_apart() -> None:
    groups = (group("billing", 3_000), group("report", 10**6), group("old", 7_000, "Empty"), group("fine", 10))
    slow, gone = findings(replace(CALM, sample=sample_of(topic("orders", per_minute=100), groups=groups)))
    assert "2 consumer groups are behind: billing, report" in slow.what
    assert "an hour or more" in slow.why
    assert "1 consumer group without a consumer: old" in gone.what
    assert "7,000 records wait" in gone.why


def test_keys_that_expire_are_named_the_first_one_first() -> None:
    keys = [key("c", ends=5), key("b", ends=3), key("a", ends=6), key("d", ends=7), key("later", ends=8, made=-1)]
    found = only(replace(CALM, keys=keys))
    assert found.what == "4 keys expire within 7 days: b, c, a and 1 more"
    assert (found.urgency, "3 days" in found.why) == ("soon", True)
    today = KeyUse("x", "x", 0, NOW_MS + 5_000_000, NOW_MS)
    assert (only(replace(CALM, keys=[today])).urgency, "1 h" in only(replace(CALM, keys=[today])).why) == ("now", True)


def test_keys_that_nobody_uses_are_told() -> None:
    keys = [key("fresh"), key("never", made=-31), key("stale", made=-400, used=-31), key("used", made=-400, used=-1)]
    assert only(replace(CALM, keys=keys)).what == "2 keys not used for 30 days: never, stale"


def test_limits_are_told_from_four_fifths_on() -> None:
    assert findings(replace(CALM, holds=Holdings(79, 799))) == []
    found = only(replace(CALM, holds=Holdings(80, 10)))
    assert (found.urgency, found.what) == ("soon", "80 of 100 topics are used")
    found = only(replace(CALM, holds=Holdings(1, 1_000)))
    assert (found.urgency, found.what) == ("now", "1,000 of 1,000 partitions are used: none is left")
    assert findings(replace(CALM, namespace=replace(NAMESPACE, topics_max=0), holds=Holdings())) == []


def test_topics_without_a_record_are_told_when_they_are_old_enough() -> None:
    ids: list[UUID] = [uuid4() for _ in range(3)]
    topics = dict(zip(ids, (topic("a", end=0), topic("b", end=5), topic("c", end=None)), strict=True))
    figures = replace(CALM, sample=NamespaceSample(NOW_MS, topics), settled=frozenset(ids))
    found = only(figures)
    assert (found.what, found.to) == ("1 topic without a record ever: a", "/n/acme/shop/topics/a/overview")
    assert findings(replace(figures, settled=frozenset())) == []


def test_the_most_pressing_comes_first() -> None:
    figures = replace(
        CALM,
        keys=[key("idle", made=-40)],
        holds=Holdings(90, 10),
        sample=sample_of(topic("orders", per_minute=100), groups=(group("billing", 10**6),)),
    )
    assert [found.urgency for found in findings(figures)] == ["now", "soon", "sometime"]


def test_a_reason_reads_as_a_sentence() -> None:
    assert attention._sentence("the broker is away") == "The broker is away."
