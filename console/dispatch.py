"""From an HTTP request to an operation's handler and back: token, path, query, body, answer, each checked once, here.

Always true: a handler runs only for an authenticated caller with rights, on input that fits its types; what a
service refuses leaves as an ErrorAnswer. What nobody foresaw is middleware.py's to log and to answer.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..tenants.errors import TenancyError
from ..tenants.members import touch_token
from . import failures
from .authentication import authenticate, bearer_token
from .failures import Failure
from .middleware import request_id_of
from .operations import PARAMETERS, Call, Operation, Services

_PATTERNS = {name: re.compile(pattern, re.ASCII) for name, pattern in PARAMETERS.items()}
Endpoint = Callable[[Request], Awaitable[Response]]


def routes_of(operations: tuple[Operation, ...], services: Services) -> list[Route]:
    """One route per path, so that a wrong method is told which ones are right."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = endpoint(operation, services)
    return [Route(path, _by_method(endpoints), methods=list(endpoints)) for path, endpoints in by_path.items()]


def _by_method(endpoints: Mapping[str, Endpoint]) -> Endpoint:
    async def choose(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await endpoints[method](request)

    return choose


def endpoint(operation: Operation, services: Services) -> Endpoint:
    """The operation as Starlette calls it."""
    body_decoder: msgspec.json.Decoder[Any] | None = msgspec.json.Decoder(operation.body) if operation.body else None
    encoder = msgspec.json.Encoder()

    async def handle(request: Request) -> Response:
        request.scope["coldstream.operation"] = operation.name
        try:
            token = bearer_token(request)
            call = await _authorised_call(operation, services, request, token)
            arguments: list[Any] = []
            if operation.query is not None:
                arguments.append(read_query(operation.query, request))
            elif request.query_params:
                raise Failure(400, "unknown_parameter", f"this address takes no parameters: {_names(request)}")
            body = await request.body()
            if body_decoder is not None:
                arguments.append(read_body(body_decoder, operation.body, request.headers.get("content-type"), body))
            answer = await operation.handler(call, *arguments)
        except Failure as failure:
            return failures.answer(failure, request_id_of(request))
        except TenancyError as error:
            return failures.answer(failures.of_tenancy(error), request_id_of(request))
        headers = {"Cache-Control": "no-store"}
        noted = BackgroundTask(_note_use, services, token)
        if operation.answer is None:
            return Response(status_code=operation.status, headers=headers, background=noted)
        content = encoder.encode(answer)
        return Response(content, operation.status, headers, media_type="application/json", background=noted)

    return handle


async def _note_use(services: Services, token: str) -> None:
    """After the answer is out: when the token was last used, to the minute."""
    await touch_token(services.database, token, await services.database.now_ms())


async def _authorised_call(operation: Operation, services: Services, request: Request, token: str) -> Call:
    """Raises Failure: 401 without a valid token, 404 without rights, as for what does not exist."""
    member, actor = await authenticate(services.database, token)
    if not (member.platform_admin or operation.everyone):
        raise failures.not_found()
    path: Mapping[str, str] = request.path_params
    if any(_PATTERNS[name].fullmatch(value) is None for name, value in path.items()):
        raise failures.not_found()
    return Call(services, member, actor, path)


def read_query(kind: type, request: Request) -> Any:
    """The query as its type. Raises Failure."""
    given = request.query_params.multi_items()
    if len({name for name, _ in given}) != len(given):
        raise Failure(400, "repeated_parameter", "a parameter is given more than once")
    try:
        return msgspec.convert(dict(given), kind, strict=False)
    except msgspec.ValidationError as error:
        raise Failure(422, "invalid_parameter", str(error)) from None


def read_body(decoder: msgspec.json.Decoder[Any], kind: type | None, content_type: str | None, content: bytes) -> Any:
    """The body as its type; an empty one stands for `{}`. Raises Failure."""
    media_type = (content_type or "application/json").partition(";")[0].strip().lower()
    if content and media_type != "application/json":
        raise Failure(415, "unsupported_media_type", "the body must be application/json")
    try:
        return decoder.decode(content or b"{}")
    except msgspec.ValidationError as error:
        raise Failure(422, "invalid_body", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Failure(400, "invalid_json", f"the body is not valid JSON: {error}") from None


def _names(request: Request) -> str:
    return ", ".join(sorted(set(request.query_params)))[:200]
