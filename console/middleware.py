"""Around every HTTP request: its id, size limit, log line and metrics, and a JSON answer to what nobody foresaw."""

import logging
import re
import secrets
import time
from collections.abc import Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import failures
from .failures import Failure
from .metrics import ConsoleMetrics

log = logging.getLogger(__name__)

REQUEST_ID = "coldstream.request_id"
OPERATION = "coldstream.operation"
_OURS = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})  # asked every few seconds by machines


def request_id_of(request: Request) -> str:
    """The id that the answer, the log line and a report of an error share."""
    return str(request.scope.get(REQUEST_ID, ""))


class TooLarge(Exception):
    """The body is over the limit."""


class Surroundings:
    """The outermost ASGI application. An id a proxy sent as X-Request-Id is kept when it is short and plain."""

    def __init__(
        self, app: ASGIApp, metrics: ConsoleMetrics, request_bytes_max: int, page: Callable[[Failure, str], Response]
    ) -> None:
        self._app = app
        self._page = page
        self._metrics = metrics
        self._request_bytes_max = request_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _given_id(scope) or secrets.token_hex(8)
        scope[REQUEST_ID] = request_id
        scope["app"] = self  # tells the router to raise what it refuses
        began_s, status, started = time.perf_counter(), 500, False

        async def send_with_id(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
                headers = message.setdefault("headers", [])
                headers.append((b"x-request-id", request_id.encode("ascii")))
                headers.append((b"x-content-type-options", b"nosniff"))
                headers.append((b"server-timing", b"app;dur=%.1f" % ((time.perf_counter() - began_s) * 1000)))
            await send(message)

        try:
            await self._app(scope, self._limited(scope, receive), send_with_id)
        except HTTPException as error:  # the router's own: no such address, or not with this method
            await self._answer(scope, _of_router(error), request_id)(scope, receive, send_with_id)
        except TooLarge:
            failure = Failure(413, "too_large", f"the body is over {self._request_bytes_max} bytes")
            await self._answer(scope, failure, request_id)(scope, receive, send_with_id)
        except Exception:
            log.exception("request failed", extra=_about(scope, request_id))
            if started:
                raise
            failure = Failure(500, "internal", "this request failed on our side; its id finds the reason in the log")
            await self._answer(scope, failure, request_id)(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - began_s
            self._metrics.observe(str(scope.get(OPERATION, "other")), scope["method"], status, seconds)
            if scope["path"] not in _QUIET:
                # What was only looked at, successfully, is for those who ask for every line.
                level = logging.DEBUG if scope["method"] == "GET" and status < 400 else logging.INFO
                answered = {"status": status, "ms": round(seconds * 1000, 1)}
                log.log(level, "request", extra=_about(scope, request_id) | answered)

    def _answer(self, scope: Scope, failure: Failure, request_id: str) -> Response:
        """As JSON for programs, as a page for people."""
        path = scope["path"]
        accepted = next((value for name, value in scope["headers"] if name == b"accept"), b"")
        if path.startswith("/api/") or path.endswith(".json") or b"text/html" not in accepted:
            return failures.answer(failure, request_id)
        return self._page(failure, request_id)

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        left = self._request_bytes_max
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        too_large = declared.isdigit() and int(declared) > left

        async def limited() -> Message:
            nonlocal left
            if too_large:
                raise TooLarge
            message = await receive()
            if message["type"] == "http.request":
                left -= len(message.get("body", b""))
                if left < 0:
                    raise TooLarge
            return message

        return limited


def _of_router(error: HTTPException) -> Failure:
    if error.status_code == 404:
        return failures.not_found()
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return Failure(405, "method_not_allowed", f"this address takes {allowed}", headers=error.headers)
    return Failure(error.status_code, "http_error", str(error.detail), headers=error.headers)


def _given_id(scope: Scope) -> str | None:
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"").decode("latin-1")
    return given if _OURS.fullmatch(given) else None


def _about(scope: MutableMapping[str, Any], request_id: str) -> dict[str, object]:
    """What a log line says of a request: never its query or headers, which may hold what is secret."""
    client = scope.get("client")
    return {
        "request_id": request_id,
        "method": scope["method"],
        "path": scope["path"],
        "client": client[0] if client else None,
    }
