"""DescribeLogDirs (key 35), versions 1-5.

v2 flexible   v3 an error of the whole answer   v4 total and usable bytes   v5 cordoned directories, described but
not offered
"""

from collections.abc import Sequence

from ..schema import Kind, Struct, array, boolean, int16, int32, int64, string


class DescribableLogDirTopic(Struct):
    topic: str = string()
    partitions: Sequence[int] = array(Kind.INT32)


class DescribeLogDirsRequest(Struct):
    topics: Sequence[DescribableLogDirTopic] | None = array(DescribableLogDirTopic, nullable="0+")


class DescribeLogDirsPartition(Struct):
    partition_index: int = int32()
    partition_size: int = int64()
    offset_lag: int = int64()
    is_future_key: bool = boolean(default=False)


class DescribeLogDirsTopic(Struct):
    name: str = string()
    partitions: Sequence[DescribeLogDirsPartition] = array(DescribeLogDirsPartition)


class DescribeLogDirsResult(Struct):
    error_code: int = int16()
    log_dir: str = string()
    topics: Sequence[DescribeLogDirsTopic] = array(DescribeLogDirsTopic)
    total_bytes: int = int64("4+", default=-1)
    usable_bytes: int = int64("4+", default=-1)
    is_cordoned: bool = boolean("5+", default=False)


class DescribeLogDirsResponse(Struct):
    throttle_time_ms: int = int32(default=0)
    error_code: int = int16("3+", default=0)
    results: Sequence[DescribeLogDirsResult] = array(DescribeLogDirsResult)


REQUEST = DescribeLogDirsRequest
RESPONSE = DescribeLogDirsResponse
