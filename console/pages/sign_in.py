"""Signing in and out: the only pages for who is not signed in.

Always true: whatever is wrong, the words and the cost are the same; guessing is slowed per browser or address, never
for the member elsewhere; the session's id is new after every sign-in; `next` leads only to a path of ours.
"""

import logging
import re
from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ...tenants.errors import TenancyError
from ...tenants.keys import AuthenticationFailed
from ...tenants.member_entry import MemberEntry
from ...tenants.members import verify_password
from ...tenants.passwords import Lane
from ...tenants.sessions import OpenedSession, end_session, open_session
from ...tenants.sign_in_limits import origin_of
from .. import cross_site
from ..failures import Failure, of_tenancy
from ..middleware import OPERATION, request_id_of
from ..operations import Services
from . import rendering
from .failure_pages import failure_page
from .forms import read_form
from .notices import NOTICES
from .page import Fields, FormState, Refused

log = logging.getLogger(__name__)

SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
NAME_LENGTH_MAX = 100
WRONG = "The name or the password is not right."
_NEXT = re.compile(r"/(?![/\\])[!-\[\]-~]*", re.ASCII)  # a path of this host: no second slash, no backslash, no space


def routes(services: Services) -> list[Route]:
    async def sign_in(request: Request) -> Response:
        request.scope[OPERATION] = "form.sign_in" if request.method == "POST" else "page.sign_in"
        if request.method == "POST":
            return await _sign_in(services, request)
        return await _form(services, request, FormState(), 200)

    async def sign_out(request: Request) -> Response:
        request.scope[OPERATION] = "form.sign_out"
        return await _sign_out(services, request)

    return [Route(SIGN_IN, sign_in, methods=["GET", "POST"]), Route(SIGN_OUT, sign_out, methods=["POST"])]


async def check_password(services: Services, request: Request, name: str, password: str, field: str) -> MemberEntry:
    """Whose name and password these are. Raises Refused under `field`, for every reason in the same words."""
    origin = _origin(services, request, name)
    wait_ms = services.sign_ins.attempt(name, origin, services.monotonic_ms())
    if wait_ms > 0:
        raise Refused({field: f"Too many attempts. Try again in {-(-wait_ms // 1000)} s."})
    try:
        member = await verify_password(services.database, name[:NAME_LENGTH_MAX], password, lane=_lane(origin))
    except AuthenticationFailed as failed:
        services.sign_ins.failed(name, origin, services.monotonic_ms())
        log.warning("sign-in refused", extra={"reason": failed.reason, "member": name[:NAME_LENGTH_MAX]})
        raise Refused({field: WRONG}) from None
    services.sign_ins.succeeded(name, origin)
    return member


async def _sign_in(services: Services, request: Request) -> Response:
    try:
        if cross_site.comes_from_elsewhere(request.headers):
            raise Failure(403, "cross_site", "this sign-in was sent by a page of another site")
        fields = await read_form(request)
        member = await check_password(services, request, fields.text("name"), fields.secret("password"), "password")
        opened = await _open(services, request, member)
    except AuthenticationFailed:  # disabled, or given another password, between proof and session
        return await _form(services, request, FormState({}, {"password": WRONG}), 422)
    except TenancyError as error:
        return failure_page(of_tenancy(error), request_id_of(request))
    except Refused as refused:
        slowed = WRONG not in refused.errors.values()
        typed = {"name": [fields.text("name")], "next": [fields.text("next")]}
        return await _form(services, request, FormState(typed, refused.errors), 429 if slowed else 422)
    except Failure as failure:
        return failure_page(failure, request_id_of(request))
    response = RedirectResponse(_next(fields) or "/", 303, {"Cache-Control": "no-store"})
    services.cookies.set_session(response, opened.cookie)
    services.cookies.set_device(response, member.name)
    return response


async def _open(services: Services, request: Request, member: MemberEntry) -> OpenedSession:
    address = request.client.host if request.client else ""
    async with services.database.write() as session:
        return await open_session(
            session,
            member,
            address=address,
            user_agent=request.headers.get("user-agent", "")[:200],
            replaces=services.cookies.session_of(request.cookies),
        )


async def _sign_out(services: Services, request: Request) -> Response:
    if cross_site.must_be_refused(request.method, request.headers):
        failure = Failure(403, "cross_site", "this was asked for by a page of another site")
        return failure_page(failure, request_id_of(request))
    cookie = services.cookies.session_of(request.cookies)
    if cookie is not None:
        async with services.database.write() as session:
            await end_session(session, cookie)
    response = RedirectResponse(f"{SIGN_IN}?notice=signed-out", 303, {"Cache-Control": "no-store"})
    services.cookies.drop_session(response)
    return response


async def _form(services: Services, request: Request, form: FormState, status: int) -> Response:
    context = {
        "preferences": rendering.SIGNED_OUT,
        "now_ms": await services.database.now_ms(),
        "member": None,
        "title": "Sign in",
        "form": form,
        "next": form.value("next", request.query_params.get("next", "")),
        "notice": NOTICES.get(request.query_params.get("notice", "")),
        "bootstrap": services.config.bootstrap,
        "security_protocol": services.config.security_protocol,
        "encrypted": services.config.secure or _is_loopback(services.config.listen_host),
    }
    return rendering.respond("sign_in.html", context, status)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _next(fields: Fields) -> str | None:
    wanted = fields.text("next")
    return wanted if _NEXT.fullmatch(wanted) else None


def _lane(origin: str) -> Lane:
    """Browsers that signed in before do not queue behind strangers who guess."""
    return Lane.MEMBERS if origin.startswith("device ") else Lane.STRANGERS


def _origin(services: Services, request: Request, name: str) -> str:
    device = services.cookies.device_of(request.cookies, name)
    return f"device {device}" if device else origin_of(request.client.host if request.client else "")
