"""DescribeCluster (key 60), versions 0-2, all flexible.

v1 endpoint type (1 brokers, 2 controllers)   v2 fenced brokers
"""

from collections.abc import Sequence

from ..schema import Struct, array, boolean, int8, int16, int32, string

OPERATIONS_NOT_ASKED = -(2**31)  # authorised operations when the client did not ask for them


class DescribeClusterRequest(Struct):
    include_cluster_authorized_operations: bool = boolean()
    endpoint_type: int = int8("1+", default=1)
    include_fenced_brokers: bool = boolean("2+", default=False)


class DescribeClusterBroker(Struct):
    broker_id: int = int32()
    host: str = string()
    port: int = int32()
    rack: str | None = string(nullable="0+", default=None)
    is_fenced: bool = boolean("2+", default=False)


class DescribeClusterResponse(Struct):
    throttle_time_ms: int = int32(default=0)
    error_code: int = int16(default=0)
    error_message: str | None = string(nullable="0+", default=None)
    endpoint_type: int = int8("1+", default=1)
    cluster_id: str = string(default="")
    controller_id: int = int32(default=-1)
    brokers: Sequence[DescribeClusterBroker] = array(DescribeClusterBroker, default=())
    cluster_authorized_operations: int = int32(default=OPERATIONS_NOT_ASKED)


REQUEST = DescribeClusterRequest
RESPONSE = DescribeClusterResponse
