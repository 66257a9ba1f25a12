"""What the console asks of a namespace's topics and groups, in few requests that are each soon answered.

Always true: no request names more than 200 partitions or five groups, for the broker answers one on its event loop
(some 10 us a partition); what lies in several requests is put together here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from ..platform.wire.api import ApiKey
from ..platform.wire.messages.describe_groups import DescribeGroupsRequest
from ..platform.wire.messages.describe_log_dirs import DescribableLogDirTopic, DescribeLogDirsRequest
from ..platform.wire.messages.list_groups import ListGroupsRequest
from ..platform.wire.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from ..platform.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from .figures import PartitionName
from .kafka_connection import Conversation, check

T = TypeVar("T")

PARTITIONS_AT_ONCE = 200
GROUPS_AT_ONCE = 5
Asked = Mapping[str, Sequence[int]]  # partitions by topic


class Offset(NamedTuple):
    """An offset, and the timestamp of the record there where that was asked for."""

    offset: int
    timestamp_ms: int


async def offsets(
    conversation: Conversation, names: Iterable[PartitionName], timestamp: int, at_once: int = PARTITIONS_AT_ONCE
) -> dict[PartitionName, Offset]:
    """One kind of offset (a special timestamp of ListOffsets) of each partition that the broker answers for.

    An answer without an offset (-1: nothing there) is in it. Raises BrokerUnavailable.
    """
    found: dict[PartitionName, Offset] = {}
    for asked in in_requests(names, at_once):
        topics = [
            ListOffsetsTopic(
                name=topic,
                partitions=[ListOffsetsPartition(partition_index=index, timestamp=timestamp) for index in indexes],
            )
            for topic, indexes in asked.items()
        ]
        answer = await conversation.ask(ApiKey.LIST_OFFSETS, 8, ListOffsetsRequest(topics=topics))
        for told in answer.topics:
            for partition in told.partitions:
                if partition.error_code == 0:
                    name = (told.name, partition.partition_index)
                    found[name] = Offset(partition.offset, partition.timestamp)
    return found


async def sizes(conversation: Conversation, names: Iterable[PartitionName]) -> dict[str, dict[PartitionName, int]]:
    """Bytes per partition of each tier, which the broker shows as log directories `hot` and `cold`.

    Raises BrokerUnavailable.
    """
    found: dict[str, dict[PartitionName, int]] = {"hot": {}, "cold": {}}
    for asked in in_requests(names):
        topics = [DescribableLogDirTopic(topic=topic, partitions=indexes) for topic, indexes in asked.items()]
        answer = await conversation.ask(ApiKey.DESCRIBE_LOG_DIRS, 4, DescribeLogDirsRequest(topics=topics))
        check(answer.error_code)
        for result in answer.results:
            if result.error_code == 0:
                found.setdefault(result.log_dir, {}).update(
                    ((told.name, partition.partition_index), partition.partition_size)
                    for told in result.topics
                    for partition in told.partitions
                )
    return found


async def group_states(conversation: Conversation) -> dict[str, str]:
    """Every group of the namespace and its state, by name. Raises BrokerUnavailable."""
    answer = await conversation.ask(ApiKey.LIST_GROUPS, 4, ListGroupsRequest())
    check(answer.error_code)
    return {group.group_id: group.group_state for group in sorted(answer.groups, key=lambda group: group.group_id)}


async def member_counts(conversation: Conversation, groups: Iterable[str]) -> dict[str, int]:
    """How many members each group has. Raises BrokerUnavailable."""
    found: dict[str, int] = {}
    for some in runs(list(groups), GROUPS_AT_ONCE):
        answer = await conversation.ask(ApiKey.DESCRIBE_GROUPS, 5, DescribeGroupsRequest(groups=some))
        found.update((group.group_id, len(group.members)) for group in answer.groups if group.error_code == 0)
    return found


async def committed(
    conversation: Conversation, groups: Sequence[str], partitions: Iterable[PartitionName] | None = None
) -> dict[str, dict[PartitionName, int]]:
    """Committed offsets of each group that the broker answers for: of these partitions, or of all that have one.

    Raises BrokerUnavailable.
    """
    found: dict[str, dict[PartitionName, int]] = {}
    requests: Iterable[dict[str, list[int]] | None] = [None] if partitions is None else in_requests(partitions)
    for asked in requests:
        topics: list[OffsetFetchRequestTopics] | None = None
        if asked is not None:
            topics = [OffsetFetchRequestTopics(name=name, partition_indexes=some) for name, some in asked.items()]
        of_groups = [OffsetFetchRequestGroup(group_id=group, topics=topics) for group in groups]
        answer = await conversation.ask(ApiKey.OFFSET_FETCH, 8, OffsetFetchRequest(groups=of_groups))
        for told in answer.groups:
            if told.error_code == 0:
                found.setdefault(told.group_id, {}).update(
                    ((topic.name, partition.partition_index), partition.committed_offset)
                    for topic in told.topics
                    for partition in topic.partitions
                    if partition.error_code == 0 and partition.committed_offset >= 0
                )
    return found


def in_requests(names: Iterable[PartitionName], at_once: int = PARTITIONS_AT_ONCE) -> Iterator[dict[str, list[int]]]:
    """The partitions in groups of at most `at_once`, each by topic."""
    asked: dict[str, list[int]] = {}
    count = 0
    for topic, index in names:
        asked.setdefault(topic, []).append(index)
        count += 1
        if count == at_once:
            yield asked
            asked, count = {}, 0
    if asked:
        yield asked


def runs(items: list[T], at_once: int) -> Iterator[list[T]]:
    """The items in order, `at_once` at a time."""
    for start in range(0, len(items), at_once):
        yield items[start : start + at_once]
