"""One conversation with the broker, as a Kafka client of one namespace: sign in, then a request and its answer in turn.

Always true: whatever goes wrong is BrokerUnavailable, with a sentence for the reader that names no address and no
secret; a conversation that broke is closed, and no answer of one request is ever taken for that of another.
"""

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from ..platform.wire.api import ApiKey
from ..platform.wire.codec import decode_response, encode_request
from ..platform.wire.errors import ErrorCode, WireError
from ..platform.wire.messages.sasl_authenticate import SaslAuthenticateRequest
from ..platform.wire.messages.sasl_handshake import SaslHandshakeRequest
from .kafka_token import console_token, read_cluster_secret

CLIENT_ID = "coldstream-console"
ANSWER_BYTES_MAX = 64 * 2**20
DEADLINE_S = 5.0
CONNECT_S = 1.0
PAUSE_S_MIN, PAUSE_S_MAX = 0.002, 0.1


class BrokerUnavailable(Exception):
    """The broker cannot be asked now; the message says why, without addresses of other tenants or secrets."""


class BrokerRefused(BrokerUnavailable):
    """The broker answers, but not this: it may well answer for another namespace."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is, and how to sign in there."""

    host: str
    port: int
    cluster_secret_path: Path
    tls_cert: Path | None = None

    async def accepts(self) -> bool:
        """Whether something takes connections there."""
        try:
            async with asyncio.timeout(CONNECT_S):
                _, writer = await asyncio.open_connection(self.host, self.port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    def token(self, namespace_id: UUID, role: str, now_ms: int) -> str:
        """A token for the Kafka port. Raises BrokerUnavailable when there is no cluster secret to sign it with."""
        try:
            return console_token(read_cluster_secret(self.cluster_secret_path), namespace_id, role, now_ms)
        except (OSError, ValueError):
            raise BrokerUnavailable(
                "the console cannot read the cluster secret that broker and console share"
            ) from None

    @contextlib.asynccontextmanager
    async def signed_in(
        self, namespace_id: UUID, role: str = "viewer-metadata", *, paced: bool = False
    ) -> AsyncIterator["Conversation"]:
        """A conversation for the length of the block. Raises BrokerUnavailable."""
        token = self.token(namespace_id, role, int(time.time() * 1000))
        with plainly(DEADLINE_S):
            async with asyncio.timeout(DEADLINE_S):
                reader, writer = await asyncio.open_connection(self.host, self.port, ssl=self._tls())
        try:
            conversation = Conversation(reader, writer, paced=paced)
            await conversation.sign_in(token)
            yield conversation
        finally:
            writer.close()

    def _tls(self) -> ssl.SSLContext | None:
        """Trust in the broker's own certificate, whatever names it has: the console is told the file, not a name."""
        if self.tls_cert is None:
            return None
        context = ssl.create_default_context(cafile=str(self.tls_cert))
        context.check_hostname = False
        return context


class Conversation:
    """A request, then its answer. `cpu_s` is what making requests and reading answers took of this process.

    A paced one keeps silent after each answer for as long as the answer took, so that it never asks for more than half
    of the broker's time.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, paced: bool = False) -> None:
        self._reader = reader
        self._writer = writer
        self._paced = paced
        self._correlation_id = 0
        self._last_s = 0.0
        self.cpu_s = 0.0

    async def ask(self, api_key: ApiKey, version: int, request: Any) -> Any:
        """The answer. Raises BrokerUnavailable; the conversation is over then."""
        if self._paced and self._last_s:
            await asyncio.sleep(min(max(self._last_s, PAUSE_S_MIN), PAUSE_S_MAX))
        began_s = time.monotonic()
        await self.send(api_key, version, request)
        size_bytes = await self.answer_bytes(DEADLINE_S)
        frame = await self.take(size_bytes)
        began_cpu_s = time.thread_time()
        with plainly(DEADLINE_S):
            answer = self.decoded(api_key, version, frame)
        self.cpu_s += time.thread_time() - began_cpu_s
        self._last_s = time.monotonic() - began_s
        return answer

    async def send(self, api_key: ApiKey, version: int, request: Any) -> None:
        """The request alone. Raises BrokerUnavailable."""
        self._correlation_id += 1
        began_cpu_s = time.thread_time()
        frame = encode_request(api_key, version, self._correlation_id, CLIENT_ID, request)
        self.cpu_s += time.thread_time() - began_cpu_s
        with plainly(DEADLINE_S):
            self._writer.write(frame)
            async with asyncio.timeout(DEADLINE_S):
                await self._writer.drain()

    async def answer_bytes(self, deadline_s: float) -> int:
        """Waits for the answer to begin: how many bytes it has. Raises BrokerUnavailable."""
        with plainly(deadline_s):
            async with asyncio.timeout(deadline_s):
                size_bytes = int.from_bytes(await self._reader.readexactly(4), "big", signed=True)
            if not 4 <= size_bytes <= ANSWER_BYTES_MAX:
                raise EOFError
        return size_bytes

    async def take(self, size_bytes: int) -> bytes:
        """So many bytes of the answer. Raises BrokerUnavailable."""
        with plainly(DEADLINE_S):
            async with asyncio.timeout(DEADLINE_S):
                return await self._reader.readexactly(size_bytes)

    def decoded(self, api_key: ApiKey, version: int, frame: bytes) -> Any:
        """The answer in the frame, which must be the one to the last request. Raises EOFError, WireError."""
        correlation_id, answer = decode_response(api_key, version, frame)
        if correlation_id != self._correlation_id:
            raise EOFError
        return answer

    async def sign_in(self, token: str) -> None:
        """SASL/OAUTHBEARER (RFC 7628). Raises BrokerUnavailable."""
        handshake = await self.ask(ApiKey.SASL_HANDSHAKE, 1, SaslHandshakeRequest(mechanism="OAUTHBEARER"))
        check(handshake.error_code)
        message = f"n,,\x01auth=Bearer {token}\x01\x01".encode("ascii")
        signed_in = await self.ask(ApiKey.SASL_AUTHENTICATE, 2, SaslAuthenticateRequest(auth_bytes=message))
        check(signed_in.error_code, signed_in.error_message)


@contextlib.contextmanager
def plainly(deadline_s: float) -> Iterator[None]:
    """What may go wrong on the network, as BrokerUnavailable."""
    try:
        yield
    except TimeoutError:
        raise BrokerUnavailable(f"the broker did not answer within {deadline_s:.0f} s") from None
    except OSError as error:
        said = error.strerror
        if isinstance(error, ConnectionError) and error.errno:
            said = os.strerror(error.errno)  # asyncio's own words hold the address
        reason = said or "connection failed"
        raise BrokerUnavailable(f"the broker cannot be reached ({reason})") from None
    except (WireError, EOFError):
        raise BrokerUnavailable("the broker ended the conversation or gave an answer that makes no sense") from None


def check(code: int, message: str | None = None) -> None:
    """Raises BrokerRefused when `code` is an error's."""
    if code:
        said = f" ({message})" if message else ""
        raise BrokerRefused(f"the broker refuses the console: {error_name(code)}{said}")


def error_name(code: int) -> str:
    try:
        return ErrorCode(code).name
    except ValueError:
        return str(code)
