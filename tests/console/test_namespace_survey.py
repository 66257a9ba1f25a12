"""Which questions a look asks, against a broker that answers from a table and counts what it is asked."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from coldstream.console import namespace_survey
from coldstream.console.figures import GroupFigures, NamespaceFigures, PartitionFigures
from coldstream.console.kafka_connection import BrokerUnavailable
from coldstream.console.namespace_survey import Survey
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.errors import ErrorCode
from coldstream.platform.wire.messages import (
    describe_groups,
    describe_log_dirs,
    list_groups,
    list_offsets,
    offset_fetch,
)

NAMES = {
    list_offsets.LATEST_TIMESTAMP: "ends",
    list_offsets.EARLIEST_TIMESTAMP: "log starts",
    list_offsets.EARLIEST_LOCAL_TIMESTAMP: "local starts",
    list_offsets.MAX_TIMESTAMP: "times",
}


class TableBroker:
    """A conversation. Partitions hold 100 records of 10 bytes unless `ends` says otherwise; `asked` counts partitions
    by question, `requests` how many partitions or groups each request named."""

    def __init__(self, topics: dict[str, int]) -> None:
        self.ends = {(topic, index): 100 for topic, count in topics.items() for index in range(count)}
        self.log_starts: dict[tuple[str, int], int] = {}
        self.states: dict[str, str] = {}
        self.commits: dict[str, dict[tuple[str, int], int]] = {}
        self.refuses_groups = False
        self.hangs_at_times = False
        self.asked: Counter[str] = Counter()
        self.requests: list[tuple[str, int]] = []
        self.cpu_s = 0.0

    async def ask(self, api_key: ApiKey, version: int, request: Any) -> Any:
        return {
            ApiKey.LIST_OFFSETS: self._offsets,
            ApiKey.DESCRIBE_LOG_DIRS: self._sizes,
            ApiKey.LIST_GROUPS: self._groups,
            ApiKey.DESCRIBE_GROUPS: self._members,
            ApiKey.OFFSET_FETCH: self._commits,
        }[api_key](request)

    def _count(self, what: str, amount: int) -> None:
        self.asked[what] += amount
        self.requests.append((what, amount))

    def _offsets(self, request: list_offsets.ListOffsetsRequest) -> Any:
        (timestamp,) = {each.timestamp for topic in request.topics for each in topic.partitions}
        self._count(NAMES[timestamp], sum(len(topic.partitions) for topic in request.topics))
        if timestamp == list_offsets.MAX_TIMESTAMP and self.hangs_at_times:
            raise BrokerUnavailable("the broker did not answer within 5 s")
        return list_offsets.RESPONSE(
            topics=[
                list_offsets.ListOffsetsTopicResponse(
                    name=topic.name,
                    partitions=[self._offset(topic.name, each.partition_index, timestamp) for each in topic.partitions],
                )
                for topic in request.topics
            ]
        )

    def _offset(self, topic: str, index: int, timestamp: int) -> Any:
        end = self.ends.get((topic, index))
        if end is None:
            code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            return list_offsets.ListOffsetsPartitionResponse(partition_index=index, error_code=code)
        offset, at_ms = end, -1
        if timestamp in (list_offsets.EARLIEST_TIMESTAMP, list_offsets.EARLIEST_LOCAL_TIMESTAMP):
            offset = self.log_starts.get((topic, index), 0)
        elif timestamp == list_offsets.MAX_TIMESTAMP:
            offset, at_ms = (end - 1, end * 1_000) if end else (-1, -1)
        return list_offsets.ListOffsetsPartitionResponse(
            partition_index=index, error_code=0, offset=offset, timestamp=at_ms
        )

    def _sizes(self, request: describe_log_dirs.DescribeLogDirsRequest) -> Any:
        self._count("sizes", sum(len(topic.partitions) for topic in request.topics or ()))
        return describe_log_dirs.RESPONSE(
            error_code=0,
            results=[
                describe_log_dirs.DescribeLogDirsResult(
                    error_code=0,
                    log_dir=tier,
                    topics=[
                        describe_log_dirs.DescribeLogDirsTopic(
                            name=topic.topic,
                            partitions=[
                                describe_log_dirs.DescribeLogDirsPartition(
                                    partition_index=index,
                                    partition_size=times * self.ends[topic.topic, index],
                                    offset_lag=0,
                                )
                                for index in topic.partitions
                                if (topic.topic, index) in self.ends
                            ],
                        )
                        for topic in request.topics or ()
                    ],
                )
                for tier, times in (("hot", 10), ("cold", 0))
            ],
        )

    def _groups(self, request: list_groups.ListGroupsRequest) -> Any:
        self._count("group states", 1)
        if self.refuses_groups:
            return list_groups.RESPONSE(error_code=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        return list_groups.RESPONSE(
            error_code=0,
            groups=[
                list_groups.ListedGroup(group_id=group, protocol_type="consumer", group_state=state)
                for group, state in self.states.items()
            ],
        )

    def _members(self, request: describe_groups.DescribeGroupsRequest) -> Any:
        self._count("members", len(request.groups))
        member = describe_groups.DescribedGroupMember(
            member_id="m", client_id="c", client_host="h", member_metadata=b"", member_assignment=b""
        )
        return describe_groups.RESPONSE(
            groups=[
                describe_groups.DescribedGroup(
                    error_code=0,
                    group_id=group,
                    group_state=self.states[group],
                    protocol_type="consumer",
                    protocol_data="",
                    members=[member, member],
                )
                for group in request.groups
            ]
        )

    def _commits(self, request: offset_fetch.OffsetFetchRequest) -> Any:
        self._count("commits", sum(self._commits_asked(group) for group in request.groups))
        return offset_fetch.RESPONSE(
            groups=[
                offset_fetch.OffsetFetchResponseGroup(
                    group_id=group.group_id,
                    topics=[
                        offset_fetch.OffsetFetchResponseTopics(
                            name=topic,
                            partitions=[
                                offset_fetch.OffsetFetchResponsePartition(
                                    partition_index=index, committed_offset=offset, metadata="", error_code=0
                                )
                            ],
                        )
                        for (topic, index), offset in self.commits.get(group.group_id, {}).items()
                        if group.topics is None or index in dict(self._named(group)).get(topic, ())
                    ],
                )
                for group in request.groups
            ]
        )

    def _commits_asked(self, group: Any) -> int:
        if group.topics is None:
            return len(self.commits.get(group.group_id, {}))
        return sum(len(indexes) for _, indexes in self._named(group))

    @staticmethod
    def _named(group: Any) -> list[tuple[str, Any]]:
        return [(topic.name, topic.partition_indexes) for topic in group.topics]


def look(broker: TableBroker, topics: dict[str, int], known: NamespaceFigures | None = None) -> NamespaceFigures:
    """A whole look; what the broker was asked before is forgotten."""
    broker.asked.clear()
    broker.requests.clear()

    async def run() -> NamespaceFigures:
        survey = Survey(broker, topics, known)  # type: ignore[arg-type]  # it has what a survey uses
        await survey.look_at_logs()
        await survey.look_at_groups()
        await survey.look_at_times()
        return survey.figures()

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def nothing_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace_survey, "LOOKED_AT_ANYWAY", 0.0)


TOPICS = {f"t{number}": 3 for number in range(100)}


def test_no_request_names_more_than_two_hundred_partitions() -> None:
    broker = TableBroker(TOPICS | {"wide": 500})
    found = look(broker, TOPICS | {"wide": 500})
    assert found.topics["t7"].partitions[2] == PartitionFigures(0, 0, 100, 1_000, 0, *found_times(found, "t7", 2))
    assert {what: count for what, count in broker.asked.items() if what != "times"} == {
        "ends": 800,
        "sizes": 800,
        "log starts": 800,
        "local starts": 800,
        "group states": 1,
    }
    assert max(count for _, count in broker.requests) == 200
    assert [count for what, count in broker.requests if what == "ends"] == [200] * 4


def found_times(found: NamespaceFigures, topic: str, index: int) -> tuple[int | None, int | None]:
    partition = found.topics[topic].partitions[index]
    return partition.newest_ms, partition.newest_end


def test_a_quiet_namespace_is_asked_for_ends_and_sizes_alone() -> None:
    broker = TableBroker({"a": 2, "b": 1})
    first = look(broker, {"a": 2, "b": 1})
    second = look(broker, {"a": 2, "b": 1}, first)
    assert broker.asked == {"ends": 3, "sizes": 3, "group states": 1}
    assert second.topics == first.topics
    assert second.topics["a"].partitions[0] is first.topics["a"].partitions[0]


def test_only_what_moved_is_asked_for_starts_and_times() -> None:
    broker = TableBroker({"a": 2, "b": 1})
    first = look(broker, {"a": 2, "b": 1})
    assert first.topics["a"].partitions[1].newest_ms == 100_000
    broker.ends["a", 1] = 130
    second = look(broker, {"a": 2, "b": 1}, first)
    assert broker.asked == {
        "ends": 3,
        "sizes": 3,
        "log starts": 1,
        "local starts": 1,
        "times": 1,
        "group states": 1,
    }
    assert second.topics["a"].partitions[1] == PartitionFigures(0, 0, 130, 1_300, 0, 130_000, 130)


def test_by_and_by_everything_is_looked_at_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = TableBroker({"a": 1})
    first = look(broker, {"a": 1})
    broker.log_starts["a", 0] = 60  # and neither end nor size moved
    assert look(broker, {"a": 1}, first).topics["a"].records == 100
    monkeypatch.setattr(namespace_survey, "LOOKED_AT_ANYWAY", 1.0)
    assert look(broker, {"a": 1}, first).topics["a"].records == 40


def test_an_empty_partition_has_no_newest_record() -> None:
    broker = TableBroker({"a": 1})
    broker.ends["a", 0] = 0
    found = look(broker, {"a": 1})
    assert "times" not in broker.asked
    assert found.topics["a"].last_record_at_ms is None


def test_an_end_that_goes_back_is_of_another_log_and_nothing_is_carried_over() -> None:
    broker = TableBroker({"a": 1})
    first = look(broker, {"a": 1})
    broker.ends["a", 0] = 0
    assert look(broker, {"a": 1}, first).topics["a"].partitions == (PartitionFigures(0, 0, 0, 0, 0),)


def test_times_are_asked_a_few_at_once_and_go_on_with_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace_survey, "TIMES_IN_ONE_LOOK", 10)
    broker, topics = TableBroker({"a": 25}), {"a": 25}
    found, asked = None, []
    for _ in range(4):
        found = look(broker, topics, found)
        asked.append(broker.asked["times"])
        assert all(count <= namespace_survey.TIMES_AT_ONCE for what, count in broker.requests if what == "times")
    assert asked == [10, 10, 5, 0]
    assert found is not None
    assert {partition.newest_ms for partition in found.topics["a"].partitions} == {100_000}


def test_times_that_hang_cost_one_request_and_nothing_else() -> None:
    broker = TableBroker({"a": 25})
    broker.hangs_at_times = True
    found = look(broker, {"a": 25})
    assert broker.asked["times"] == namespace_survey.TIMES_AT_ONCE
    assert found.topics["a"].is_complete
    assert found.topics["a"].last_record_at_ms is None


def test_a_topic_that_the_broker_does_not_have_yet_is_unknown() -> None:
    broker = TableBroker({"a": 1})
    found = look(broker, {"a": 1, "new": 2})
    assert found.topics["a"].is_complete
    assert found.topics["new"].partitions == (PartitionFigures(None, None, None, None, None),) * 2


def test_groups_have_state_members_and_lag() -> None:
    broker = TableBroker({"a": 2})
    broker.states = {"idle": "Empty", "billing": "Stable", "fresh": "Stable"}
    broker.commits = {"billing": {("a", 0): 90, ("a", 1): 100}, "idle": {("a", 0): 0}}
    assert look(broker, {"a": 2}).groups == (
        GroupFigures("billing", "Stable", 2, 10, {"a": 10}, 2),
        GroupFigures("fresh", "Stable", 2, None),
        GroupFigures("idle", "Empty", 0, 100, {"a": 100}, 1),
    )
    assert broker.asked["members"] == 2


def test_groups_alone_ask_for_the_ends_they_need() -> None:
    broker = TableBroker({"a": 2, "b": 9})
    broker.states, broker.commits = {"billing": "Empty"}, {"billing": {("a", 0): 90}}

    async def run() -> None:
        survey = Survey(broker, {})  # type: ignore[arg-type]
        await survey.look_at_groups()
        assert survey.figures().groups == (GroupFigures("billing", "Empty", 0, 10, {"a": 10}, 1),)

    asyncio.run(run())
    assert broker.asked["ends"] == 1


def test_small_groups_are_asked_together_and_large_ones_in_parts() -> None:
    topics = {"a": 450}
    broker = TableBroker(topics)
    broker.states = {f"g{number}": "Empty" for number in range(30)} | {"large": "Empty"}
    broker.commits = {f"g{number}": {("a", number): 1} for number in range(30)}
    broker.commits["large"] = {("a", index): 1 for index in range(450)}
    first = look(broker, topics)
    assert sum(what == "commits" for what, _ in broker.requests) == 31  # of unknown groups each alone
    second = look(broker, topics, first)
    assert [count for what, count in broker.requests if what == "commits"] == [200, 200, 50, 30]
    assert second.groups == first.groups
    assert first.groups is not None
    assert {group.group: group.lag for group in first.groups}["large"] == 450 * 99


def test_a_coordinator_that_is_not_ready_leaves_the_topics_as_they_are() -> None:
    broker = TableBroker({"a": 1})
    broker.refuses_groups = True
    found = look(broker, {"a": 1})
    assert found.groups is None
    assert found.groups_missing_because == "the broker refuses the console: COORDINATOR_LOAD_IN_PROGRESS"
    assert found.topics["a"].is_complete


def test_of_very_many_groups_the_first_are_shown_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace_survey, "GROUPS_IN_ONE_LOOK", 2)
    broker = TableBroker({"a": 1})
    broker.states = dict.fromkeys(("c", "a", "b"), "Empty")
    found = look(broker, {"a": 1})
    assert found.groups is not None
    assert [group.group for group in found.groups] == ["a", "b"]
    assert found.groups_missing_because == "of 3 groups, only the first 2 are shown"
