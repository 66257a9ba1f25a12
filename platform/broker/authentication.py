"""From SASL bytes to a Caller: API keys for clients, short-lived tokens for the console.

Always true: whatever is wrong, a stranger is told the same sentence; who proved that they hold the secret is told what
is wrong with the key. The log has the reason in either case, and never a secret.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from ...tenants.keys import AuthenticationFailed, Principal, authenticate_key, touch_key
from ...tenants.permissions import Permissions, compile_permissions
from ...tenants.roles import Role
from .context import Caller
from .namespace import NamespaceView

if TYPE_CHECKING:
    from ...tenants.database import Database

log = logging.getLogger("coldstream.sign_in")

TOKEN_ISSUER = "coldstream-console"  # noqa: S105 - a name, not a secret
TOKEN_BYTES_MAX = 16 * 1024


class SignInRefused(Exception):
    """`reason` is for the log, `told` for the client."""

    def __init__(self, reason: str, told: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.told = told


NOT_PROVEN = "Authentication failed: no such API key, or the wrong secret"


class Authentication:
    """Checks credentials against the database and the cluster secret."""

    def __init__(
        self,
        database: "Database",
        namespace: Callable[[UUID], Awaitable[NamespaceView | None]],
        cluster_secret: bytes,
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._namespace = namespace
        self._cluster_secret = cluster_secret
        self._now_ms = now_ms

    async def sign_in(self, mechanism: str, token: bytes) -> Caller:
        """Who the bytes of a SASL mechanism prove the client to be. Raises SignInRefused."""
        if len(token) > TOKEN_BYTES_MAX:
            raise SignInRefused(f"a token of {len(token)} bytes", NOT_PROVEN)
        if mechanism == "PLAIN":
            username, password = parse_plain(token)
            return await self._with_key(username, password)
        return await self._with_console_token(parse_bearer(token))

    async def _with_key(self, username: str, password: str) -> Caller:
        try:
            principal = await authenticate_key(self._database, username, password, self._now_ms())
        except AuthenticationFailed as failed:
            raise SignInRefused(f"key {username[:64]!r}: {failed.reason}", told_about(failed)) from None
        view = await self._namespace(principal.namespace_id)
        if view is None:
            raise SignInRefused(
                f"key {principal.key_id}: its namespace is not loaded", "the namespace of this key is gone"
            )
        permissions = await self.permissions_of(principal)
        return Caller(principal.name, principal.key_id, view, permissions, principal.expires_at_ms, principal)

    async def note_use(self, key_id: str, client_host: str) -> None:
        """Remember that a key was used, for its owner's list of keys. Failing at it fails nobody's sign-in."""
        try:
            await touch_key(self._database, key_id, self._now_ms(), client_host)
        except (SQLAlchemyError, OSError) as error:
            log.warning("last use of a key could not be noted", extra={"key_id": key_id, "error": str(error)})

    async def permissions_of(self, principal: Principal) -> Permissions:
        """The rights of a key as the policies stand now."""
        return await compile_permissions(self._database, principal)

    async def _with_console_token(self, token: str) -> Caller:
        from joserfc import jwt  # only consoles sign in this way: a broker without one never pays for the import
        from joserfc.errors import JoseError
        from joserfc.jwk import OctKey

        try:
            claims = jwt.decode(token, OctKey.import_key(self._cluster_secret), algorithms=["HS256"]).claims
            namespace_id, expires_at_ms = UUID(claims["ns"]), int(claims["exp"]) * 1000
            issuer, role = claims["iss"], Role(claims["role"])
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise SignInRefused(f"console token: {type(error).__name__}", NOT_PROVEN) from None
        if issuer != TOKEN_ISSUER or expires_at_ms <= self._now_ms():
            raise SignInRefused("console token: expired or of another issuer", "the console's token has expired")
        view = await self._namespace(namespace_id)
        if view is None:
            raise SignInRefused(f"console token: namespace {namespace_id} is not loaded", "the namespace is gone")
        return Caller("console", None, view, Permissions.of_role(role), expires_at_ms, None)


def told_about(failed: AuthenticationFailed) -> str:
    """What the client may know: why its own key does not work, and nothing of anybody else's."""
    return f"Authentication failed: this key is {failed.reason}" if failed.secret_was_right else NOT_PROVEN


def parse_plain(token: bytes) -> tuple[str, str]:
    """Username and password of SASL/PLAIN (RFC 4616): `[authzid] NUL authcid NUL passwd`. Raises SignInRefused."""
    try:
        authorise_as, username, password = token.decode().split("\0")
    except (UnicodeDecodeError, ValueError):
        raise SignInRefused("PLAIN message that is not three UTF-8 strings", NOT_PROVEN) from None
    if authorise_as not in ("", username):
        raise SignInRefused(
            f"PLAIN wants to act as {authorise_as[:64]!r}", "acting as another principal is not offered"
        )
    return username, password


def parse_bearer(message: bytes) -> str:
    """The token of an OAUTHBEARER client message (RFC 7628, section 3.1). Raises SignInRefused."""
    for part in message.split(b"\x01"):
        if part.startswith(b"auth="):
            scheme, _, token = part[5:].decode("ascii", "replace").partition(" ")
            if scheme.lower() == "bearer" and token:
                return token.strip()
    raise SignInRefused("OAUTHBEARER message without a bearer token", NOT_PROVEN)
