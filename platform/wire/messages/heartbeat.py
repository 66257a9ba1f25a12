"""Heartbeat (key 12), versions 0-4.

v1 throttle time   v3 static members   v4 flexible
"""

from ..schema import Struct, int16, int32, string


class HeartbeatRequest(Struct):
    group_id: str = string()
    generation_id: int = int32()
    member_id: str = string()
    group_instance_id: str | None = string("3+", nullable="3+", default=None)


class HeartbeatResponse(Struct):
    throttle_time_ms: int = int32("1+", default=0)
    error_code: int = int16(default=0)


REQUEST = HeartbeatRequest
RESPONSE = HeartbeatResponse
