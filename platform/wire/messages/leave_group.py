"""LeaveGroup (key 13), versions 0-5.

v1 throttle time   v3 several members (`member_id` moves into `members`), static members   v4 flexible   v5 reason
"""

from collections.abc import Sequence

from ..schema import Struct, array, int16, int32, string


class MemberIdentity(Struct):
    member_id: str = string()
    group_instance_id: str | None = string(nullable="0+", default=None)
    reason: str | None = string("5+", nullable="5+", default=None)


class LeaveGroupRequest(Struct):
    group_id: str = string()
    member_id: str = string("0-2", default="")
    members: Sequence[MemberIdentity] = array(MemberIdentity, "3+", default=())


class MemberResponse(Struct):
    member_id: str = string()
    group_instance_id: str | None = string(nullable="0+", default=None)
    error_code: int = int16()


class LeaveGroupResponse(Struct):
    throttle_time_ms: int = int32("1+", default=0)
    error_code: int = int16(default=0)
    members: Sequence[MemberResponse] = array(MemberResponse, "3+", default=())


REQUEST = LeaveGroupRequest
RESPONSE = LeaveGroupResponse
