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

from ..tenants.access_tokens import touch_token
from ..tenants.database import system_now_ms
from ..tenants.errors import NotFound, TenancyError
from ..tenants.rights import Right
from ..tenants.sessions import SEEN_EVERY_MS, SessionEntry, touch_session
from . import failures
from .authentication import authenticate
from .authorisation import authorise
from .failures import Failure
from .middleware import OPERATION, request_id_of
from .operations import PARAMETERS, Call, Caller, Operation, Place, Services

_PATTERNS = {name: re.compile(pattern, re.ASCII) for name, pattern in PARAMETERS.items()}
PASSWORD_FIRST = "password_first"  # noqa: S105 - an error's code
WITH_A_TEMPORARY_PASSWORD = frozenset({"show_me", "change_password"})
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
        request.scope[OPERATION] = operation.name
        place = Place()
        try:
            caller = await authenticate(services.database, services.cookies, request)
            check_password_is_own(caller, operation.name in WITH_A_TEMPORARY_PASSWORD)
            if operation.dangerous:
                check_is_confirmed(caller)
            call = await authorised_call(services, caller, operation.needs, request)
            place = call.place
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
            return failures.answer(failure_of(error, caller, place), request_id_of(request))
        headers = {"Cache-Control": "no-store"}
        noted = BackgroundTask(note_use, services, caller)
        if operation.answer is None:
            return Response(status_code=operation.status, headers=headers, background=noted)
        content = encoder.encode(answer)
        return Response(content, operation.status, headers, media_type="application/json", background=noted)

    return handle


def check_password_is_own(caller: Caller, allowed: bool) -> None:
    """A session opened with a password that somebody gave out is for choosing another. Raises Failure."""
    if caller.session is not None and caller.member.password_temporary and not allowed:
        raise Failure(403, PASSWORD_FIRST, "this password was given to you by somebody: choose one of your own first")


def check_is_confirmed(caller: Caller) -> None:
    """For what a cookie that somebody took should not be enough for. Raises Failure."""
    if caller.session is not None and not caller.session.confirmed(system_now_ms()):
        raise Failure(
            403,
            "confirm_password",
            "this needs the password to have been given within ten minutes",
            "do it in the console, which asks for it, or send an access token",
        )


def failure_of(error: TenancyError, caller: Caller, place: Place) -> Failure:
    """What a service refused, as the caller may know it: outside of every place, a foreign name is no name."""
    if isinstance(error, NotFound) and place == Place() and not caller.member.platform_admin:
        return failures.not_found()
    return failures.of_tenancy(error)


async def note_use(services: Services, caller: Caller) -> None:
    """After the answer is out: when the token or session was last used, to the minute."""
    if caller.token is not None:
        await touch_token(services.database, caller.token, await services.database.now_ms())
    elif caller.cookie is not None and _seen_long_ago(caller.session):  # most pages end without a statement more
        await touch_session(services.database, caller.cookie, await services.database.now_ms())


def _seen_long_ago(session: SessionEntry | None) -> bool:
    return session is not None and system_now_ms() - session.last_seen_at_ms >= SEEN_EVERY_MS


async def authorised_call(services: Services, caller: Caller, needs: Right | None, request: Request) -> Call:
    """Raises Failure: 404 without the right, as for what does not exist."""
    path: Mapping[str, str] = request.path_params
    if any(_PATTERNS[name].fullmatch(value) is None for name, value in path.items()):
        raise failures.not_found()
    return Call(services, caller, await authorise(services.database, caller.access, needs, path), path)


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
