"""From a browser's request to a page's handler and back; the counterpart of console/dispatch.py for people.

Always true: who is not signed in is led to the sign-in; who lacks the right sees the page of what does not exist; a
refused form comes back with what was typed; answers are never cached.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ...tenants.errors import TenancyError
from ...tenants.keys import AuthenticationFailed
from ...tenants.sessions import CONFIRMED_MS, confirm_session
from .. import failures
from ..authentication import authenticate
from ..dispatch import PASSWORD_FIRST, authorised_call, check_password_is_own, failure_of, note_use
from ..failures import Failure
from ..middleware import OPERATION, request_id_of
from ..operations import Call, Caller, Place, Services
from . import rendering
from .failure_pages import failure_page, surroundings
from .forms import read_form
from .navigation import navigation
from .notices import NOTICES
from .page import Action, Fields, FormState, Page, Query, Redirect, Refused, Shown, View, Visit
from .sign_in import SIGN_IN, check_password

log = logging.getLogger(__name__)
Endpoint = Callable[[Request], Awaitable[Response]]


def routes_of(pages: tuple[Page, ...], actions: tuple[Action, ...], services: Services) -> list[Route]:
    """Each page, its twin, and the forms: one route per path, so that a wrong method is told which are right."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for page in pages:
        by_path.setdefault(page.path, {})["GET"] = show(page, services)
        by_path.setdefault(page.twin_path, {})["GET"] = show_twin(page, services)
    for action in actions:
        endpoints = by_path.setdefault(action.path, {})
        assert "POST" not in endpoints, action.path
        endpoints["POST"] = carry_out(action, services)
    return [Route(path, _by_method(endpoints), methods=list(endpoints)) for path, endpoints in by_path.items()]


def _by_method(endpoints: Mapping[str, Endpoint]) -> Endpoint:
    async def choose(request: Request) -> Response:
        return await endpoints["GET" if request.method == "HEAD" else request.method](request)

    return choose


def show(page: Page, services: Services) -> Endpoint:
    """The page as Starlette calls it."""

    async def handle(request: Request) -> Response:
        request.scope[OPERATION] = f"page.{page.name}"
        caller = None
        try:
            caller = await authenticate(services.database, services.cookies, request)
            visit, view = await _seen(page, services, caller, request)
        except Failure as failure:
            return _failed(caller, request, failure)
        response = _rendered(page, visit, view)
        response.background = BackgroundTask(note_use, services, caller)
        return response

    return handle


def show_twin(page: Page, services: Services) -> Endpoint:
    """The page's view as JSON, for whoever may see the page, by cookie or access token."""

    async def handle(request: Request) -> Response:
        request.scope[OPERATION] = f"page.{page.name}.json"
        try:
            caller = await authenticate(services.database, services.cookies, request)
            _, view = await _seen(page, services, caller, request)
        except Failure as failure:
            return failures.answer(failure, request_id_of(request))
        noted = BackgroundTask(note_use, services, caller)
        headers = {"Cache-Control": "no-store"}
        return Response(msgspec.json.encode(view), 200, headers, media_type="application/json", background=noted)

    return handle


async def _seen(page: Page, services: Services, caller: Caller, request: Request) -> tuple[Visit, View]:
    """The visit and what it sees. Raises Failure."""
    place = Place()
    try:
        visit = await _visit(services, caller, page, request)
        place = visit.call.place
        return visit, await view_of(page, visit)
    except TenancyError as error:
        raise failure_of(error, caller, place) from None


def carry_out(action: Action, services: Services) -> Endpoint:
    """The form's POST as Starlette calls it."""

    async def handle(request: Request) -> Response:
        request.scope[OPERATION] = f"form.{action.name}"
        caller, place, visit, new_cookie = None, Place(), None, None
        fields = Fields({})
        try:
            caller = await authenticate(services.database, services.cookies, request)
            if caller.session is None:
                raise Failure(403, "not_allowed", "forms are for signed-in browsers", "programs use the HTTP API")
            check_password_is_own(caller, action.name == "change_password")
            fields = await read_form(request)
            call = await authorised_call(services, caller, action.needs, request)
            place = call.place
            visit = Visit(call, await services.database.now_ms(), dict(request.query_params))
            if action.dangerous and needs_password(visit):
                new_cookie, call = await _confirmed(services, call, fields, request)
                visit = replace(visit, call=call)
            response = _outcome(visit, action, await action.handler(visit, fields))
            if action.renews_session:
                new_cookie, _ = await _renewed(services, call)
        except Refused as refused:
            assert visit is not None, "handlers refuse after the visit was made"
            response = await _shown_again(services, action, visit, fields, refused.errors, 422, request)
        except TenancyError as error:
            assert caller is not None, "services are asked for authenticated callers only"
            failure = failure_of(error, caller, place)
            if visit is None or failure.status >= 500 or failure.status == 404:
                return _failed(caller, request, failure)
            response = await _shown_again(
                services, action, visit, fields, {"": failure.message}, failure.status, request
            )
        except Failure as failure:
            if visit is None or failure.status in (401, 404, 413):
                return _failed(caller, request, failure)
            message = failure.message if failure.hint is None else f"{failure.message}: {failure.hint}"
            response = await _shown_again(services, action, visit, fields, {"": message}, failure.status, request)
        if new_cookie is not None:
            services.cookies.set_session(response, new_cookie)
        elif caller is not None:
            response.background = BackgroundTask(note_use, services, caller)
        return response

    return handle


async def view_of(page: Page, visit: Visit) -> View:
    """The page's view for what its address asks."""
    if page.query is None:
        return await page.handler(visit)
    return await page.handler(visit, read_query(page.query, visit.given))


def read_query(kind: type[Query], given: Mapping[str, str]) -> Query:
    """The query; each field that cannot be read as its type is as if it were not given."""
    readable: dict[str, Any] = {}
    for each in msgspec.structs.fields(kind):
        if each.encode_name in given:
            try:
                readable[each.name] = msgspec.convert(given[each.encode_name], each.type, strict=False)
            except msgspec.ValidationError:
                continue
    return kind(**readable)


def needs_password(visit: Visit) -> bool:
    """Whether a dangerous form has to ask for the password."""
    session = visit.call.caller.session
    return session is None or visit.now_ms - session.confirmed_at_ms > CONFIRMED_MS


async def _confirmed(services: Services, call: Call, fields: Fields, request: Request) -> tuple[str, Call]:
    """A new session id for who has just given the password again. Raises Refused."""
    await check_password(services, request, call.member.name, fields.secret("password"), "password")
    return await _renewed(services, call)


async def _renewed(services: Services, call: Call) -> tuple[str, Call]:
    """A new id for the session whose member has just proven the password. Raises Failure (401)."""
    cookie = call.caller.cookie
    assert cookie is not None, "a session has a cookie"
    try:
        async with services.database.write() as session:
            opened = await confirm_session(session, cookie)
    except AuthenticationFailed:  # ended meanwhile, or the same form sent twice at once: one of them was first
        raise failures.unauthorized("the session has ended: sign in again") from None
    return opened.cookie, replace(call, caller=replace(call.caller, session=opened.entry, cookie=opened.cookie))


async def _visit(services: Services, caller: Caller, page: Page, request: Request) -> Visit:
    check_password_is_own(caller, page.name == "password")
    call = await authorised_call(services, caller, page.needs, request)
    given = dict(request.query_params)
    twin = f"{request.url.path}.json" + (f"?{request.url.query}" if given else "")
    return Visit(call, await services.database.now_ms(), given, twin)


def _rendered(page: Page, visit: Visit, view: View, form: FormState | None = None, status: int = 200) -> Response:
    title = page.title.format_map(visit.path)
    return _respond(page.template, visit, view, title, page.section, form or FormState(), status)


def _respond(
    template: str, visit: Visit, view: View, title: str, section: str, form: FormState, status: int
) -> Response:
    context = {
        **surroundings(visit.call.caller, visit.now_ms),
        "navigation": navigation(visit, section),
        "visit": visit,
        "view": view,
        "form": form,
        "title": title,
        "section": section,
        "notice": NOTICES.get(visit.given.get("notice", "")) if status == 200 else None,
        "needs_password": needs_password(visit),
        "twin": visit.twin,
    }
    return rendering.respond(template, context, status)


def _outcome(visit: Visit, action: Action, outcome: Redirect | Shown) -> Response:
    if isinstance(outcome, Shown):
        return _respond(outcome.template, visit, outcome.view, outcome.title, action.page.section, FormState(), 200)
    separator = "&" if "?" in outcome.to else "?"
    to = outcome.to if outcome.notice is None else f"{outcome.to}{separator}notice={outcome.notice}"
    assert outcome.notice is None or outcome.notice in NOTICES, outcome.notice
    return RedirectResponse(to, 303, {"Cache-Control": "no-store"})


async def _shown_again(
    services: Services,
    action: Action,
    visit: Visit,
    fields: Fields,
    errors: Mapping[str, str],
    status: int,
    request: Request,
) -> Response:
    """The form with what was typed, but for passwords, and why it was refused."""
    typed = {name: values for name, values in fields.given.items() if "password" not in name}
    try:
        view = await view_of(action.page, visit)
    except (TenancyError, Failure):  # what the form was about went away meanwhile
        return _failed(visit.call.caller, request, failures.not_found())
    return _rendered(action.page, visit, view, FormState(typed, errors), status)


def _failed(caller: Caller | None, request: Request, failure: Failure) -> Response:
    if failure.code == PASSWORD_FIRST:
        return RedirectResponse("/profile/password", 303, {"Cache-Control": "no-store"})
    if failure.status == 401 and "authorization" not in request.headers:
        # The cookie stays: by now the browser may hold the session's next id, which this answer would take away.
        return RedirectResponse(_sign_in_first(request), 303, {"Cache-Control": "no-store"})
    return failure_page(failure, request_id_of(request), caller)


def _sign_in_first(request: Request) -> str:
    if request.method not in ("GET", "HEAD") or request.url.path == "/":
        return SIGN_IN
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"{SIGN_IN}?next={quote(wanted, safe='')}"
