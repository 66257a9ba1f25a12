"""Who makes an HTTP request: the member whose access token is in the Authorization header. No other way in exists."""

import logging

from starlette.requests import Request

from ..tenants.actor import Actor
from ..tenants.database import Database
from ..tenants.keys import AuthenticationFailed
from ..tenants.members import verify_token
from .failures import unauthorized
from .schemas import Me

log = logging.getLogger(__name__)


def bearer_token(request: Request) -> str:
    """The token that the request carries. Raises Failure (401)."""
    given = request.headers.getlist("authorization")
    if not given:
        raise unauthorized("this address needs an access token")
    scheme, _, token = given[0].partition(" ")
    if len(given) != 1 or scheme.lower() != "bearer" or not token.strip():
        raise unauthorized("the Authorization header must be `Bearer` and one access token")
    return token.strip()


async def authenticate(database: Database, token: str) -> tuple[Me, Actor]:
    """The member, and how the audit log will name them. Raises Failure (401), the same for every reason."""
    try:
        member = await verify_token(database, token)
    except AuthenticationFailed as failed:
        log.info("access token refused", extra={"reason": failed.reason, "credential_id": failed.key_id})
        raise unauthorized("the access token is not valid: unknown, expired or revoked") from None
    return Me(id=str(member.id), name=member.name, platform_admin=member.platform_admin), member.actor
