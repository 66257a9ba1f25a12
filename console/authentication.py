"""Who makes an HTTP request: the member whose access token or session cookie it carries. No other way in exists."""

import logging

from starlette.requests import Request

from ..tenants.access_tokens import verify_token
from ..tenants.database import Database
from ..tenants.keys import AuthenticationFailed
from ..tenants.member_access import load_access
from ..tenants.member_entry import MemberEntry
from ..tenants.sessions import SessionEntry, find_session
from . import cross_site
from .cookies import Cookies
from .failures import Failure, unauthorized
from .operations import Caller

log = logging.getLogger(__name__)


async def authenticate(database: Database, cookies: Cookies, request: Request) -> Caller:
    """The caller. A bearer token wins over a cookie; where there is a cookie, cross-site requests change nothing.

    Raises Failure: 401, the same for every reason; 403 for a change that another site's page asked for.
    """
    if cross_site.must_be_refused(request.method, request.headers):
        raise Failure(
            403,
            "cross_site",
            "this change was asked for by a page of another site, or by one that does not say where it is from",
            "open the console and do it there; programs send an access token and no cookie",
        )
    if "authorization" in request.headers:
        token = bearer_token(request)
        return await _caller(database, await _member_of_token(database, token), token=token)
    if (cookie := cookies.session_of(request.cookies)) is not None:
        session = await _session(database, cookie)
        return await _caller(database, session.member, session, cookie)
    raise unauthorized("this address needs an access token")


async def authenticate_again(database: Database, caller: Caller) -> Caller:
    """The same caller with the rights of this moment, for a request that takes its time. Raises Failure (401)."""
    if caller.token is not None:
        return await _caller(database, await _member_of_token(database, caller.token), token=caller.token)
    assert caller.cookie is not None, "who has no token has a cookie"
    session = await _session(database, caller.cookie)
    return await _caller(database, session.member, session, caller.cookie)


def bearer_token(request: Request) -> str:
    """The token that the request carries. Raises Failure (401)."""
    given = request.headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ")
    if len(given) != 1 or scheme.lower() != "bearer" or not token.strip():
        raise unauthorized("the Authorization header must be `Bearer` and one access token")
    return token.strip()


async def _member_of_token(database: Database, token: str) -> MemberEntry:
    try:
        return await verify_token(database, token)
    except AuthenticationFailed as failed:
        log.info("access token refused", extra={"reason": failed.reason, "credential_id": failed.key_id})
        raise unauthorized("the access token is not valid: unknown, expired or revoked") from None


async def _session(database: Database, cookie: str) -> SessionEntry:
    try:
        return await find_session(database, cookie)
    except AuthenticationFailed as failed:
        log.info("session refused", extra={"reason": failed.reason})
        raise unauthorized("the session has ended: sign in again") from None


async def _caller(
    database: Database,
    member: MemberEntry,
    session: SessionEntry | None = None,
    cookie: str | None = None,
    token: str | None = None,
) -> Caller:
    async with database.read() as reading:
        return Caller(await load_access(reading, member), session, cookie, token)
