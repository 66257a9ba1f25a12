"""DescribeConfigs (key 32), versions 1-4.

v1 synonyms, config source   v3 config type, documentation   v4 flexible
"""

from collections.abc import Sequence

from ..schema import Kind, Struct, array, boolean, int8, int16, int32, string

TOPIC_RESOURCE = 2
BROKER_RESOURCE = 4


class DescribeConfigsResource(Struct):
    resource_type: int = int8()
    resource_name: str = string()
    configuration_keys: Sequence[str] | None = array(Kind.STRING, nullable="0+", default=None)


class DescribeConfigsRequest(Struct):
    resources: Sequence[DescribeConfigsResource] = array(DescribeConfigsResource)
    include_synonyms: bool = boolean(default=False)
    include_documentation: bool = boolean("3+", default=False)


class DescribeConfigsSynonym(Struct):
    name: str = string()
    value: str | None = string(nullable="0+")
    source: int = int8()


class DescribeConfigsResourceResult(Struct):
    name: str = string()
    value: str | None = string(nullable="0+")
    read_only: bool = boolean()
    config_source: int = int8(default=-1)
    is_sensitive: bool = boolean()
    synonyms: Sequence[DescribeConfigsSynonym] = array(DescribeConfigsSynonym, default=())
    config_type: int = int8("3+", default=0)
    documentation: str | None = string("3+", nullable="3+", default=None)


class DescribeConfigsResult(Struct):
    error_code: int = int16()
    error_message: str | None = string(nullable="0+", default=None)
    resource_type: int = int8()
    resource_name: str = string()
    configs: Sequence[DescribeConfigsResourceResult] = array(DescribeConfigsResourceResult, default=())


class DescribeConfigsResponse(Struct):
    throttle_time_ms: int = int32(default=0)
    results: Sequence[DescribeConfigsResult] = array(DescribeConfigsResult)


REQUEST = DescribeConfigsRequest
RESPONSE = DescribeConfigsResponse
