"""ApiVersions answers (key 18), the tuned path: the bytes of each version are made once, and the correlation id put in.

Every connection begins with this request, from strangers too, so it must cost next to nothing. The answer depends on
nothing but the version: what is offered is the same for every namespace.
"""

from functools import cache

from .api import APIS, ApiKey
from .codec import encode_response
from .errors import ErrorCode
from .messages.api_versions import ApiVersion, ApiVersionsResponse


def encode_api_versions_response(version: int, correlation_id: int) -> bytes:
    """The whole frame, its size in front: every offered API with its versions, and no throttling."""
    size, rest = _frame(version)
    return size + correlation_id.to_bytes(4, "big", signed=True) + rest


@cache
def _frame(version: int) -> tuple[bytes, bytes]:
    """What comes before and after the correlation id."""
    offered = [
        ApiVersion(api_key=api.key, min_version=api.offered_min, max_version=api.offered_max) for api in APIS.values()
    ]
    frame = encode_response(ApiKey.API_VERSIONS, version, 0, ApiVersionsResponse(api_keys=offered))
    return frame[:4], frame[8:]


def encode_unsupported_api_versions(correlation_id: int) -> bytes:
    """The answer to an ApiVersions request of a version we do not know, in version 0, which every client can read
    (KIP-511).

    It names the versions of ApiVersions itself, from which the client picks one and asks again.
    """
    own = APIS[ApiKey.API_VERSIONS]
    response = ApiVersionsResponse(
        error_code=ErrorCode.UNSUPPORTED_VERSION,
        api_keys=[ApiVersion(api_key=own.key, min_version=own.offered_min, max_version=own.offered_max)],
    )
    return encode_response(ApiKey.API_VERSIONS, 0, correlation_id, response)
