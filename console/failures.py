"""Everything the HTTP API can answer instead of what was asked, as one JSON shape.

    {"error": {"code": "not_found", "message": "…", "hint": "…", "request_id": "…"}}

`code` is stable and for programs, `message` for people, `hint` says what to do where we know. Which class of a
service's error becomes which status is one table; nothing parses messages.
"""

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from ..tenants import errors


class ErrorBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong."""

    code: str
    message: str
    request_id: str
    hint: str | None = None


class ErrorAnswer(msgspec.Struct, frozen=True):
    """Every answer that is no success."""

    error: ErrorBody


class Failure(Exception):
    """Raised by a handler or by reading the request; becomes an ErrorAnswer with `status`."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint
        self.headers = headers or {}


# The most specific class that fits wins.
STATUSES: Mapping[type[errors.TenancyError], tuple[int, str]] = {
    errors.InvalidName: (422, "invalid_name"),
    errors.InvalidTopicName: (422, "invalid_topic_name"),
    errors.InvalidPattern: (422, "invalid_pattern"),
    errors.InvalidPartitions: (422, "invalid_partitions"),
    errors.InvalidConfig: (422, "invalid_config"),
    errors.InvalidArgument: (422, "invalid_argument"),
    errors.AlreadyExists: (409, "already_exists"),
    errors.TopicExists: (409, "already_exists"),
    errors.NotEmpty: (409, "not_empty"),
    errors.Conflict: (409, "conflict"),
    errors.LeaseLost: (409, "conflict"),
    errors.Busy: (503, "busy"),
    errors.QuotaExceeded: (403, "quota_exceeded"),
    errors.NotFound: (404, "not_found"),
}


def of_tenancy(error: errors.TenancyError) -> Failure:
    """The answer to what a service refused."""
    for kind in type(error).__mro__:
        if kind in STATUSES:
            status, code = STATUSES[kind]
            return Failure(status, code, str(error))
    return Failure(500, "internal", "the request could not be carried out")


def not_found() -> Failure:
    """For what is not there and for what the caller may not know of, in the same words."""
    return Failure(404, "not_found", "there is nothing at this address, or nothing that this token may see")


def unauthorized(message: str) -> Failure:
    hint = "send `Authorization: Bearer <token>`; the first token is in `<data-dir>/admin-token`"
    return Failure(401, "unauthorized", message, hint, {"WWW-Authenticate": 'Bearer realm="coldstream"'})


def answer(failure: Failure, request_id: str) -> Response:
    body = ErrorAnswer(ErrorBody(failure.code, failure.message, request_id, failure.hint))
    headers = {**failure.headers, "Cache-Control": "no-store"}
    return Response(msgspec.json.encode(body), failure.status, headers, media_type="application/json")
