"""ApiVersions (key 18), versions 0-4; the broker answers it by `..api_versions`.

v1 throttle time   v3 flexible, client software, features   v4 features may have a smallest version of 0
Its response header is always version 0, and a request of an unknown version is answered in version 0 (KIP-511).
"""

from collections.abc import Sequence

from ..schema import Struct, array, boolean, int16, int32, int64, string


class ApiVersionsRequest(Struct):
    client_software_name: str = string("3+", default="")
    client_software_version: str = string("3+", default="")


class ApiVersion(Struct):
    api_key: int = int16()
    min_version: int = int16()
    max_version: int = int16()


class SupportedFeatureKey(Struct):
    name: str = string()
    min_version: int = int16()
    max_version: int = int16()


class FinalizedFeatureKey(Struct):
    name: str = string()
    max_version_level: int = int16()
    min_version_level: int = int16()


class ApiVersionsResponse(Struct):
    error_code: int = int16(default=0)
    api_keys: Sequence[ApiVersion] = array(ApiVersion)
    throttle_time_ms: int = int32("1+", default=0)
    supported_features: Sequence[SupportedFeatureKey] = array(SupportedFeatureKey, "3+", tag=0, default=())
    finalized_features_epoch: int = int64("3+", tag=1, default=-1)
    finalized_features: Sequence[FinalizedFeatureKey] = array(FinalizedFeatureKey, "3+", tag=2, default=())
    zk_migration_ready: bool = boolean("3+", tag=3, default=False)


REQUEST = ApiVersionsRequest
RESPONSE = ApiVersionsResponse
