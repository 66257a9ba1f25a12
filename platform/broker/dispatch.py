"""From a request frame to the handler that answers it: version gate, decode, call, encode."""

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from ..wire import api as wire
from ..wire.api import ApiKey
from ..wire.api_versions import encode_unsupported_api_versions
from ..wire.codec import decode_request, encode_response
from ..wire.header import RequestHeader
from .context import Caller, Context
from .registry import APIS

if TYPE_CHECKING:
    from .services import Services


class Refused(Exception):
    """A request that cannot be answered in its own shape; the connection ends, and this is the reason in the log."""


def begin(
    services: "Services", caller: Caller | None, header: RequestHeader, view: memoryview, end: int, client_host: str
) -> bytes | Awaitable[Any]:
    """Start answering: the response frame at once, or an awaitable of the response message.

    Raises Refused for an API or version that is not offered (its response has no shape we could send) and Malformed.
    """
    key = ApiKey(header.api_key) if header.api_key in wire.APIS else None
    api = APIS.get(key) if key is not None else None
    if key is None or api is None or api.handle is None:
        raise Refused(f"API key {header.api_key} is not offered here")
    if not wire.APIS[key].offers(header.api_version):
        if key is ApiKey.API_VERSIONS:
            return encode_unsupported_api_versions(header.correlation_id)
        known = wire.APIS[key]
        raise Refused(
            f"{key.name} version {header.api_version} is not offered, only {known.offered_min} to {known.offered_max}"
        )
    request = decode_request(api.key, header.api_version, view, header.body_start, end)
    answer = api.handle(request, Context(caller, services, header, client_host))
    return answer if isinstance(answer, Awaitable) else answer_bytes(header, answer)


def answer_bytes(header: RequestHeader, response: Any) -> bytes:
    """The whole response frame of a handler's answer; handlers with a tuned path hand over finished bytes."""
    if isinstance(response, bytes):
        return response
    return encode_response(ApiKey(header.api_key), header.api_version, header.correlation_id, response)
