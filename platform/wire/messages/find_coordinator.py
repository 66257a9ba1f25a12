"""FindCoordinator (key 10), versions 0-6.

v1 key type, throttle time, error message   v3 flexible   v4 several keys (the fields of one move into `coordinators`)
v5 TRANSACTION_ABORTABLE   v6 share groups as key type 2
"""

from collections.abc import Sequence

from ..schema import Kind, Struct, array, int8, int16, int32, string

GROUP_KEY = 0
TRANSACTION_KEY = 1
SHARE_KEY = 2


class FindCoordinatorRequest(Struct):
    key: str = string("0-3", default="")
    key_type: int = int8("1+", default=GROUP_KEY)
    coordinator_keys: Sequence[str] = array(Kind.STRING, "4+", default=())


class Coordinator(Struct):
    key: str = string()
    node_id: int = int32()
    host: str = string()
    port: int = int32()
    error_code: int = int16()
    error_message: str | None = string(nullable="0+", default=None)


class FindCoordinatorResponse(Struct):
    throttle_time_ms: int = int32("1+", default=0)
    error_code: int = int16("0-3", default=0)
    error_message: str | None = string("1-3", nullable="1-3", default=None)
    node_id: int = int32("0-3", default=-1)
    host: str = string("0-3", default="")
    port: int = int32("0-3", default=-1)
    coordinators: Sequence[Coordinator] = array(Coordinator, "4+", default=())


REQUEST = FindCoordinatorRequest
RESPONSE = FindCoordinatorResponse
