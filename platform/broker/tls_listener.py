"""A listening Kafka port with TLS, on which every failed handshake leaves a line in the log.

An event loop's own TLS server drops a connection whose handshake fails before any of our code hears of it; so
connections are accepted here, looked at, and only then given to TLS.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable

from ..wire.frames import describe_size

log = logging.getLogger("coldstream.connection")

HANDSHAKE_S_MAX = 10.0
HANDSHAKES_MAX = 512  # at once; others wait in the listen backlog
TLS_HANDSHAKE = 0x16  # the first byte of a TLS record that begins a handshake (RFC 8446, 5.1)
PREFIX_BYTES = 4
DISCARDED_BYTES = 64 * 1024


class TlsListener:
    """Accepts until `close`. `make_protocol` is called once a handshake is complete."""

    def __init__(
        self, listening: socket.socket, context: ssl.SSLContext, make_protocol: Callable[[], asyncio.BaseProtocol]
    ) -> None:
        self._listening = listening
        self._context = context
        self._make_protocol = make_protocol
        self._gate = asyncio.Semaphore(HANDSHAKES_MAX)
        self._handshakes: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.create_task(self._accept(), name="tls listener")

    def close(self) -> None:
        """Stop accepting, and give up handshakes under way."""
        self._accepting.cancel()
        for task in self._handshakes:
            task.cancel()
        self._listening.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._gate.acquire()
            try:
                accepted, peer = await loop.sock_accept(self._listening)
            except OSError as error:  # out of descriptors, or a client gone again: neither ends the listener
                self._gate.release()
                log.warning("a connection could not be accepted", extra={"error": str(error)})
                await asyncio.sleep(0.1)
                continue
            task = asyncio.create_task(self._begin(accepted, f"{peer[0]}:{peer[1]}"))
            self._handshakes.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._handshakes.discard(task)
        self._gate.release()

    async def _begin(self, accepted: socket.socket, peer: str) -> None:
        """Look at the first bytes, then shake hands. The socket is the transport's from then on, or closed."""
        loop = asyncio.get_running_loop()
        reason: str
        try:
            accepted.setblocking(False)
            async with asyncio.timeout(HANDSHAKE_S_MAX):
                prefix = await peek(accepted)
                if not prefix:
                    reason = "closed by the client before a TLS handshake"
                elif prefix[0] != TLS_HANDSHAKE:
                    size = describe_size(int.from_bytes(prefix.ljust(PREFIX_BYTES, b"\0"), "big", signed=True))
                    reason = f"no TLS on a listener that asks for it: set security.protocol=SASL_SSL ({size})"
                else:
                    await loop.connect_accepted_socket(self._make_protocol, accepted, ssl=self._context)
                    return
        except TimeoutError:
            reason = f"no TLS handshake within {HANDSHAKE_S_MAX:.0f} s"
        except (OSError, ssl.SSLError) as error:
            reason = f"TLS handshake failed: {error}"
        log.warning("connection closed", extra={"client": peer, "reason": reason})
        with contextlib.suppress(OSError):
            accepted.recv(DISCARDED_BYTES)  # with bytes left unread the client would see a reset instead of an end
        accepted.close()


async def peek(accepted: socket.socket) -> bytes:
    """The first bytes, left where they are; empty when the client closed."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(accepted.fileno(), readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(accepted.fileno())
    return accepted.recv(PREFIX_BYTES, socket.MSG_PEEK)
