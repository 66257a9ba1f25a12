"""DescribeLogDirs (key 35), versions 1 to 4. A namespace sees two directories: `hot`, bytes on the broker's disk, and
`cold`, bytes of committed objects. What the machine's disk holds beside them is nobody's business."""

from collections.abc import Callable

from ....tenants.permissions import Operation, ResourceType
from ...wire.api import ApiKey
from ...wire.errors import ErrorCode
from ...wire.messages import describe_log_dirs as wire
from ..context import Context
from ..namespace import Partition
from ..registry import Right, Scope, handles

TIERS: tuple[tuple[str, Callable[[Partition], int]], ...] = (
    ("hot", lambda partition: partition.log.hot_bytes),
    ("cold", lambda partition: partition.cold_bytes),
)


@handles(ApiKey.DESCRIBE_LOG_DIRS, scopes={Scope.TOPICS}, authorises=(Right(Operation.DESCRIBE, ResourceType.TOPIC),))
def describe_log_dirs(request: wire.DescribeLogDirsRequest, context: Context) -> wire.DescribeLogDirsResponse:
    """Bytes per partition in each tier, of the topics that the caller may describe."""
    wanted = None if request.topics is None else {topic.topic: set(topic.partitions) for topic in request.topics}
    results = [
        wire.DescribeLogDirsResult(error_code=ErrorCode.NONE, log_dir=tier, topics=topics_in(context, wanted, size))
        for tier, size in TIERS
    ]
    return wire.DescribeLogDirsResponse(results=results)


def topics_in(
    context: Context, wanted: dict[str, set[int]] | None, size: Callable[[Partition], int]
) -> list[wire.DescribeLogDirsTopic]:
    """The visible topics with the size of each partition in one tier."""
    return [
        wire.DescribeLogDirsTopic(
            name=topic.name,
            partitions=[
                wire.DescribeLogDirsPartition(
                    partition_index=partition.index, partition_size=size(partition), offset_lag=0
                )
                for partition in topic.partitions
                if wanted is None or partition.index in wanted[topic.name]
            ],
        )
        for topic in context.namespace.topics()
        if (wanted is None or topic.name in wanted) and context.allows_topic(Operation.DESCRIBE, topic.name)
    ]
