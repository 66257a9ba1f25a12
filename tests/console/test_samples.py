"""What is remembered between looks: rates, an hour of history, and nothing of what is gone."""

from uuid import UUID, uuid4

import pytest
from coldstream.console.figures import NOTHING_KNOWN, GroupFigures, NamespaceFigures, PartitionFigures, TopicFigures
from coldstream.console.samples import NamespaceHistory, NamespaceSample

NOW_MS = 1_700_000_040_000
ORDERS, RETURNS = uuid4(), uuid4()


def topic(end: int, hot_bytes: int | None = None, **more: int | None) -> TopicFigures:
    size = end * 10 if hot_bytes is None else hot_bytes
    return TopicFigures((PartitionFigures(0, 0, end, size, 0, **more),))


def look(
    history: NamespaceHistory, after_s: float, topics: dict[str, TopicFigures], ids: dict[UUID, str] | None = None
) -> NamespaceSample:
    names = {ORDERS: "orders", RETURNS: "returns"} if ids is None else ids
    shown = {topic_id: name for topic_id, name in names.items() if name in topics}
    history.look(shown, NamespaceFigures(topics, ()), NOW_MS + int(after_s * 1000))
    return history.sample


def test_a_first_look_has_figures_and_no_rate() -> None:
    sample = look(NamespaceHistory(), 0, {"orders": topic(100, newest_ms=7)})
    orders = sample.topics[ORDERS]
    assert (orders.name, orders.records, orders.hot_bytes, orders.cold_bytes) == ("orders", 100, 1_000, 0)
    assert (orders.records_per_s, orders.bytes_per_s, orders.watched_minutes) == (None, None, 0)
    assert orders.spark == (0.0,) * 60
    assert orders.last_record_at_ms == sample.last_record_at_ms == 7
    assert sample.missing_because is None


def test_rates_are_of_the_time_between_the_last_two_looks() -> None:
    history = NamespaceHistory()
    look(history, 0, {"orders": topic(100), "returns": topic(5)})
    look(history, 10, {"orders": topic(150), "returns": topic(5)})
    sample = look(history, 20, {"orders": topic(350), "returns": topic(5)})
    orders, returns = sample.topics[ORDERS], sample.topics[RETURNS]
    assert (orders.records_per_s, orders.bytes_per_s) == (20, 200)
    assert (returns.records_per_s, returns.bytes_per_s) == (0, 0)
    assert (sample.activity.records_per_s, sample.activity.bytes_per_s) == (20, 200)
    assert orders.spark[-1] == sample.spark[-1] == pytest.approx(250 / 20)  # of the running minute 20 s have passed
    assert sum(orders.activity.byte_spark) == pytest.approx(2_500 / 20)


def test_a_look_that_failed_keeps_what_was_known_and_makes_no_peak_afterwards() -> None:
    history = NamespaceHistory()
    look(history, 0, {"orders": topic(0)})
    look(history, 10, {"orders": topic(10)})
    history.missed("the broker cannot be reached (refused)")
    missed = history.sample
    assert missed.missing_because == "the broker cannot be reached (refused)"
    assert missed.as_of_ms == NOW_MS + 10_000
    assert missed.topics[ORDERS].records == 10
    after = look(history, 310, {"orders": topic(310)})
    assert after.missing_because is None
    assert after.topics[ORDERS].records_per_s == 1
    assert after.topics[ORDERS].spark[-6:] == pytest.approx([1.0] * 5 + [1.0], rel=0.01)


def test_a_topic_made_again_under_its_old_name_starts_anew() -> None:
    history = NamespaceHistory()
    look(history, 0, {"orders": topic(1_000)})
    look(history, 10, {"orders": topic(2_000)})
    again = uuid4()
    sample = look(history, 20, {"orders": topic(3)}, {again: "orders"})
    assert sample.topics.keys() == {again}
    assert (sample.topics[again].records_per_s, sum(sample.topics[again].spark)) == (None, 0)
    assert sample.activity.records_per_s == 0


def test_retention_and_a_lost_tail_never_give_a_negative_rate() -> None:
    history = NamespaceHistory()
    look(history, 0, {"orders": topic(1_000)})
    shorter = TopicFigures((PartitionFigures(900, 900, 1_000, 500, 0),))
    assert look(history, 10, {"orders": shorter}).topics[ORDERS].bytes_per_s == 0
    cut = TopicFigures((PartitionFigures(0, 0, 10, 100, 0),))
    sample = look(history, 20, {"orders": cut})
    assert (sample.topics[ORDERS].records_per_s, sample.topics[ORDERS].bytes_per_s) == (0, 0)


def test_what_the_broker_does_not_say_is_unknown_and_grows_from_what_it_said_last() -> None:
    history = NamespaceHistory()
    look(history, 0, {"orders": topic(100)})
    silent = look(history, 10, {"orders": TopicFigures((NOTHING_KNOWN,))})
    assert silent.topics[ORDERS].records is None
    assert silent.topics[ORDERS].records_per_s is None
    assert silent.missing_because == "the broker does not answer for every partition yet"
    sample = look(history, 20, {"orders": topic(150)})
    assert sample.topics[ORDERS].records_per_s == 5
    assert sample.missing_because is None


def test_a_clock_that_goes_back_begins_a_new_history() -> None:
    history = NamespaceHistory()
    look(history, 0, {"orders": topic(0)})
    look(history, 10, {"orders": topic(100)})
    assert look(history, -7_200, {"orders": topic(200)}).topics[ORDERS].records_per_s is None
    sample = look(history, -7_190, {"orders": topic(210)})
    assert (sample.topics[ORDERS].records_per_s, sample.topics[ORDERS].watched_minutes) == (1, 1)


def test_what_was_found_is_offered_to_the_next_look() -> None:
    history = NamespaceHistory()
    assert history.known({ORDERS}) == NamespaceFigures({}, ())
    groups = (GroupFigures("billing", "Stable", 1, 0),)
    history.look({ORDERS: "orders"}, NamespaceFigures({"orders": topic(1)}, groups), NOW_MS)
    assert history.known({ORDERS}) == NamespaceFigures({"orders": topic(1)}, groups)
    assert history.known({uuid4()}) == NamespaceFigures({}, groups)  # one of the same name, made again
    assert history.sample.groups == groups
