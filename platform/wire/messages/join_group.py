"""JoinGroup (key 11), versions 0-9.

v1 rebalance timeout   v2 throttle time   v4 first join is answered MEMBER_ID_REQUIRED (KIP-394)   v5 static members
 v6 flexible v7 protocol type in the answer, null protocol name   v8 reason   v9 skip assignment
"""

from collections.abc import Sequence

from ..schema import Struct, array, boolean, data, int16, int32, string


class JoinGroupRequestProtocol(Struct):
    name: str = string()
    metadata: bytes = data()


class JoinGroupRequest(Struct):
    group_id: str = string()
    session_timeout_ms: int = int32()
    rebalance_timeout_ms: int = int32("1+", default=-1)
    member_id: str = string()
    group_instance_id: str | None = string("5+", nullable="5+", default=None)
    protocol_type: str = string()
    protocols: Sequence[JoinGroupRequestProtocol] = array(JoinGroupRequestProtocol)
    reason: str | None = string("8+", nullable="8+", default=None)


class JoinGroupResponseMember(Struct):
    member_id: str = string()
    group_instance_id: str | None = string("5+", nullable="5+", default=None)
    metadata: bytes = data()


class JoinGroupResponse(Struct):
    throttle_time_ms: int = int32("2+", default=0)
    error_code: int = int16(default=0)
    generation_id: int = int32(default=-1)
    protocol_type: str | None = string("7+", nullable="7+", default=None)
    protocol_name: str | None = string(nullable="7+", default="")
    leader: str = string(default="")
    skip_assignment: bool = boolean("9+", default=False)
    member_id: str = string(default="")
    members: Sequence[JoinGroupResponseMember] = array(JoinGroupResponseMember, default=())


REQUEST = JoinGroupRequest
RESPONSE = JoinGroupResponse
