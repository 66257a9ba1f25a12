"""SyncGroup (key 14), versions 0-5.

v1 throttle time   v3 static members   v4 flexible   v5 protocol type and name
"""

from collections.abc import Sequence

from ..schema import Struct, array, data, int16, int32, string


class SyncGroupRequestAssignment(Struct):
    member_id: str = string()
    assignment: bytes = data()


class SyncGroupRequest(Struct):
    group_id: str = string()
    generation_id: int = int32()
    member_id: str = string()
    group_instance_id: str | None = string("3+", nullable="3+", default=None)
    protocol_type: str | None = string("5+", nullable="5+", default=None)
    protocol_name: str | None = string("5+", nullable="5+", default=None)
    assignments: Sequence[SyncGroupRequestAssignment] = array(SyncGroupRequestAssignment, default=())


class SyncGroupResponse(Struct):
    throttle_time_ms: int = int32("1+", default=0)
    error_code: int = int16(default=0)
    protocol_type: str | None = string("5+", nullable="5+", default=None)
    protocol_name: str | None = string("5+", nullable="5+", default=None)
    assignment: bytes = data(default=b"")


REQUEST = SyncGroupRequest
RESPONSE = SyncGroupResponse
