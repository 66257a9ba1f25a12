"""SASL on one connection: which requests may come when, and who the caller turns out to be.

PLAIN carries an API key (username = key id, password = the whole token); OAUTHBEARER carries the console's own
short-lived token. Clients of SaslHandshake v0 send the mechanism's bytes bare, in frames without a header (KIP-43);
from v1 on they come in SaslAuthenticate (KIP-152). A connection may sign in again (KIP-368), as itself only.
"""

import asyncio
import logging
from collections.abc import Mapping
from enum import StrEnum, auto
from typing import TYPE_CHECKING
from uuid import UUID

from ..wire.api import APIS, ApiKey
from ..wire.codec import decode_request, encode_response
from ..wire.errors import ErrorCode
from ..wire.header import RequestHeader
from ..wire.messages.sasl_authenticate import SaslAuthenticateResponse
from ..wire.messages.sasl_handshake import SaslHandshakeResponse
from .authentication import SignInRefused
from .context import Caller
from .dispatch import Refused

if TYPE_CHECKING:
    from .connection import Connection

log = logging.getLogger("coldstream.sign_in")

MECHANISMS = ("PLAIN", "OAUTHBEARER")
IDENTIFY_TRIES = 10
FAILED_DELAY_S = 0.1  # as Kafka's connection.failed.authentication.delay.ms: guessing costs the guesser
VERSION_WITH_LIFETIME_MIN = 1


class State(StrEnum):
    """Where the exchange stands."""

    NEW = auto()
    MECHANISM_CHOSEN = auto()
    RAW_TOKEN_EXPECTED = auto()
    CHECKING = auto()
    SIGNED_IN = auto()
    CHOOSING_AGAIN = auto()  # signed in, and a new exchange has begun
    REFUSED = auto()


ANY_API = frozenset(ApiKey)
MAY_COME: Mapping[State, frozenset[ApiKey]] = {
    State.NEW: frozenset({ApiKey.API_VERSIONS, ApiKey.SASL_HANDSHAKE}),
    State.MECHANISM_CHOSEN: frozenset({ApiKey.API_VERSIONS, ApiKey.SASL_HANDSHAKE, ApiKey.SASL_AUTHENTICATE}),
    State.RAW_TOKEN_EXPECTED: frozenset(),
    State.CHECKING: frozenset(),
    State.SIGNED_IN: ANY_API - {ApiKey.SASL_AUTHENTICATE},
    State.CHOOSING_AGAIN: frozenset({ApiKey.SASL_AUTHENTICATE}),
    State.REFUSED: frozenset(),
}


class SignIn:
    """The sign-in of one connection."""

    __slots__ = ("_connection", "_mechanism", "_state", "expects_raw_token", "is_complete")

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._mechanism = ""
        self._enter(State.NEW)

    def _enter(self, state: State) -> None:
        self._state = state
        self.is_complete = state is State.SIGNED_IN  # ordinary requests are welcome
        self.expects_raw_token = state is State.RAW_TOKEN_EXPECTED  # the next frame has no Kafka header

    def request(self, header: RequestHeader, view: memoryview, end: int) -> None:
        """Handle one request that concerns sign-in, or comes before it. Raises Refused and Malformed."""
        try:
            key = ApiKey(header.api_key)
        except ValueError:
            raise Refused(f"API key {header.api_key} is not known") from None
        if self._state is State.NEW and key not in MAY_COME[State.NEW]:
            self._sign_in_anonymously(key)
        if key not in MAY_COME[self._state]:
            raise Refused(f"{key.name} while sign-in is {self._state}: expected one of {may_come_names(self._state)}")
        if key in (ApiKey.SASL_HANDSHAKE, ApiKey.SASL_AUTHENTICATE) and not APIS[key].offers(header.api_version):
            raise Refused(f"{key.name} version {header.api_version} is not offered")
        if key is ApiKey.SASL_HANDSHAKE:
            self._handshake(header, view, end)
        elif key is ApiKey.SASL_AUTHENTICATE:
            request = decode_request(key, header.api_version, view, header.body_start, end)
            self._check(header, request.auth_bytes)
        elif self.is_complete and self._connection.caller is not None:
            self._connection.serve(self._connection.caller, header, view, end)
        else:
            self._connection.dispatch(None, header, view, end)

    def _sign_in_anonymously(self, key: ApiKey) -> None:
        caller = self._connection.services.anonymous_caller() if self._connection.may_be_anonymous else None
        if caller is None:
            raise Refused(
                f"{key.name} before sign-in: the client must use SASL (mechanism PLAIN, an API key's id and secret)"
            )
        self._enter(State.SIGNED_IN)
        self._become(caller)

    def _handshake(self, header: RequestHeader, view: memoryview, end: int) -> None:
        request = decode_request(ApiKey.SASL_HANDSHAKE, header.api_version, view, header.body_start, end)
        known = request.mechanism in MECHANISMS
        response = SaslHandshakeResponse(
            error_code=ErrorCode.NONE if known else ErrorCode.UNSUPPORTED_SASL_MECHANISM, mechanisms=list(MECHANISMS)
        )
        self._connection.answered(
            header, encode_response(ApiKey.SASL_HANDSHAKE, header.api_version, header.correlation_id, response)
        )
        if not known:
            self._end(f"SASL mechanism {request.mechanism!r} is not offered, only {', '.join(MECHANISMS)}")
            return
        self._mechanism = request.mechanism
        if self._state is State.SIGNED_IN:
            self._enter(State.CHOOSING_AGAIN)
        else:
            self._enter(State.MECHANISM_CHOSEN if header.api_version else State.RAW_TOKEN_EXPECTED)

    def raw_token(self, token: bytes) -> None:
        """The mechanism's bytes of a SaslHandshake v0 client."""
        self._check(None, token)

    def _check(self, header: RequestHeader | None, token: bytes) -> None:
        self._enter(State.CHECKING)
        self._connection.hold()
        task = asyncio.ensure_future(self._checked(header, token))
        self._connection.services.keep(task)

    async def _checked(self, header: RequestHeader | None, token: bytes) -> None:
        connection = self._connection
        try:
            caller = await self._identify(token)
        except SignInRefused as refused:
            await asyncio.sleep(FAILED_DELAY_S)
            self._answer_refusal(header, refused)
            return
        except Exception as error:
            # Clients take an answer for final: when we cannot tell (the database is away), they had better come again.
            log.error("sign-in failed", extra={"client": connection.peer}, exc_info=error)
            self._end("sign-in is not possible right now")
            return
        self._enter(State.SIGNED_IN)
        self._become(caller)
        self._answer(header, ErrorCode.NONE, None, connection.services.session_lifetime_ms(caller))
        connection.wake()
        if caller.key_id is not None:
            await connection.services.authentication.note_use(caller.key_id, connection.client_host)

    async def _identify(self, token: bytes) -> Caller:
        """Who the client is, by what is true when this returns. Raises SignInRefused, and what the database raises."""
        services = self._connection.services
        for _ in range(IDENTIFY_TRIES):
            rights_version = services.rights_version
            caller = await services.authentication.sign_in(self._mechanism, token)
            if rights_version == services.rights_version:
                break  # else a key may have been revoked, or a right withdrawn, after it was looked at
        else:
            raise TimeoutError("keys and policies change faster than they can be looked at")
        known = self._connection.caller
        if known is not None and identity(known) != identity(caller):
            raise SignInRefused("a second sign-in as another principal", "a connection cannot change its principal")
        return caller

    def _become(self, caller: Caller) -> None:
        self._connection.caller = caller
        self._connection.intake.frame_bytes_max = self._connection.services.settings.frame_bytes_max

    def _answer(self, header: RequestHeader | None, error: ErrorCode, message: str | None, lifetime_ms: int) -> None:
        if header is None:
            self._connection.respond((b"\0\0\0\0",))  # PLAIN has no server message: an empty token
            return
        response = SaslAuthenticateResponse(error_code=error, error_message=message, auth_bytes=b"")
        if header.api_version >= VERSION_WITH_LIFETIME_MIN:
            response.session_lifetime_ms = lifetime_ms
        self._connection.answered(
            header, encode_response(ApiKey.SASL_AUTHENTICATE, header.api_version, header.correlation_id, response)
        )

    def _answer_refusal(self, header: RequestHeader | None, refused: SignInRefused) -> None:
        if header is not None:
            self._answer(header, ErrorCode.SASL_AUTHENTICATION_FAILED, refused.told, 0)
        self._connection.services.metrics.sign_ins_refused += 1
        self._end(f"sign-in refused: {refused.reason}")

    def _end(self, reason: str) -> None:
        self._enter(State.REFUSED)
        self._connection.close(reason)


def identity(caller: Caller) -> tuple[str | None, str, UUID]:
    """What must stay the same over all sign-ins of a connection."""
    return caller.key_id, caller.name, caller.namespace.id


def may_come_names(state: State) -> str:
    """The APIs that a state accepts, for a log line."""
    return ", ".join(sorted(key.name for key in MAY_COME[state])) or "nothing"
