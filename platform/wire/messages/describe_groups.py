"""DescribeGroups (key 15), versions 0-6.

v1 throttle time   v3 authorised operations   v4 static members   v5 flexible   v6 error message, GROUP_ID_NOT_FOUND
"""

from collections.abc import Sequence

from ..schema import Kind, Struct, array, boolean, data, int16, int32, string

OPERATIONS_NOT_ASKED = -(2**31)  # authorised operations when the client did not ask for them


class DescribeGroupsRequest(Struct):
    groups: Sequence[str] = array(Kind.STRING)
    include_authorized_operations: bool = boolean("3+", default=False)


class DescribedGroupMember(Struct):
    member_id: str = string()
    group_instance_id: str | None = string("4+", nullable="4+", default=None)
    client_id: str = string()
    client_host: str = string()
    member_metadata: bytes = data()
    member_assignment: bytes = data()


class DescribedGroup(Struct):
    error_code: int = int16()
    error_message: str | None = string("6+", nullable="6+", default=None)
    group_id: str = string()
    group_state: str = string()
    protocol_type: str = string()
    protocol_data: str = string()
    members: Sequence[DescribedGroupMember] = array(DescribedGroupMember)
    authorized_operations: int = int32("3+", default=OPERATIONS_NOT_ASKED)


class DescribeGroupsResponse(Struct):
    throttle_time_ms: int = int32("1+", default=0)
    groups: Sequence[DescribedGroup] = array(DescribedGroup)


REQUEST = DescribeGroupsRequest
RESPONSE = DescribeGroupsResponse
