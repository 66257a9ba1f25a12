"""DeleteTopics (key 20), versions 1-6.

v1 throttle time   v4 flexible   v5 error message   v6 topics by name or id (`topic_names` moves into `topics`)
"""

from collections.abc import Sequence
from uuid import UUID

from ..schema import ZERO_UUID, Kind, Struct, array, int16, int32, string, uuid


class DeleteTopicState(Struct):
    name: str | None = string(nullable="0+", default=None)
    topic_id: UUID = uuid(default=ZERO_UUID)


class DeleteTopicsRequest(Struct):
    topics: Sequence[DeleteTopicState] = array(DeleteTopicState, "6+", default=())
    topic_names: Sequence[str] = array(Kind.STRING, "0-5", default=())
    timeout_ms: int = int32()


class DeletableTopicResult(Struct):
    name: str | None = string(nullable="6+")
    topic_id: UUID = uuid("6+", default=ZERO_UUID)
    error_code: int = int16()
    error_message: str | None = string("5+", nullable="5+", default=None)


class DeleteTopicsResponse(Struct):
    throttle_time_ms: int = int32(default=0)
    responses: Sequence[DeletableTopicResult] = array(DeletableTopicResult)


REQUEST = DeleteTopicsRequest
RESPONSE = DeleteTopicsResponse
