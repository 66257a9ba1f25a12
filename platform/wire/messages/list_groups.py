"""ListGroups (key 16), versions 0-5.

v1 throttle time   v3 flexible   v4 filter by state   v5 filter by type (KIP-848)
"""

from collections.abc import Sequence

from ..schema import Kind, Struct, array, int16, int32, string


class ListGroupsRequest(Struct):
    states_filter: Sequence[str] = array(Kind.STRING, "4+", default=())
    types_filter: Sequence[str] = array(Kind.STRING, "5+", default=())


class ListedGroup(Struct):
    group_id: str = string()
    protocol_type: str = string()
    group_state: str = string("4+", default="")
    group_type: str = string("5+", default="")


class ListGroupsResponse(Struct):
    throttle_time_ms: int = int32("1+", default=0)
    error_code: int = int16(default=0)
    groups: Sequence[ListedGroup] = array(ListedGroup, default=())


REQUEST = ListGroupsRequest
RESPONSE = ListGroupsResponse
