"""ApiVersions (key 18), versions 0 to 4. Comes before sign-in, names nothing; its answer is the same for everybody."""

from ...wire.api import ApiKey
from ...wire.api_versions import encode_api_versions_response
from ...wire.messages.api_versions import ApiVersionsRequest
from ..context import Context
from ..registry import Scope, handles


@handles(ApiKey.API_VERSIONS, scopes={Scope.CONNECTION}, authorises=())
def api_versions(request: ApiVersionsRequest, context: Context) -> bytes:
    """What this broker offers."""
    return encode_api_versions_response(context.api_version, context.header.correlation_id)
