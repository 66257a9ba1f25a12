"""One client connection: frames in, answers out, in the order the requests came.

Always true: every answer leaves in request order; an `acks=all` answer leaves only after its commit round; at most one
request per connection is being answered by a task, and while one is, later frames wait unread; nothing here waits on
SQL or the object store for a produce or a hot fetch, and those two make no task. What a client has sent and what it
does not read are bounded: beyond a few hundred kilobytes of either, plus one request and one answer, its frames wait.

A task is never cancelled because its client has gone: cut off in the middle of a transaction, it would keep the
metadata database locked for everybody.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from ..wire.api import ApiKey
from ..wire.errors import Malformed
from ..wire.frames import STRANGER_FRAME_BYTES_MAX, frame_bytes_limit
from ..wire.header import RequestHeader, decode_request_header
from .context import Caller
from .dispatch import Refused, answer_bytes, begin
from .fetch import FetchJob
from .intake import FrameIntake, FrameRefused
from .produce import ProduceRound
from .sign_in import SignIn

if TYPE_CHECKING:
    from .services import Services

log = logging.getLogger("coldstream.connection")

PRODUCE, FETCH = int(ApiKey.PRODUCE), int(ApiKey.FETCH)
SMALL_FRAME_BYTES_MAX = STRANGER_FRAME_BYTES_MAX  # up to here no limit needs to be looked up
# Decoding small elements takes twenty times their bytes and a second per few megabytes of the loop's time.
LARGE_APIS = frozenset({ApiKey.PRODUCE, ApiKey.JOIN_GROUP, ApiKey.SYNC_GROUP})  # which carry bytes, not elements
MANY_PARTITIONS_APIS = frozenset({ApiKey.FETCH, ApiKey.LIST_OFFSETS, ApiKey.OFFSET_COMMIT, ApiKey.OFFSET_FETCH})
MANY_PARTITIONS_BYTES_MAX = 2 * 2**20
OTHER_BYTES_MAX = 2**20
HELD_BYTES_MAX = 256 * 1024  # input kept for a busy connection before its socket is left alone
ANSWERS_WAITING_MAX = 4096  # produce answers waiting for their commit round
ANSWERS_WAITING_BYTES_MAX = 2**20  # other answers that wait behind those
READY_BUFFERS_MAX = 512  # answers gathered before they are written in the middle of a read
READY_BYTES_MAX = 512 * 1024
CLOSING_S_MAX = 10.0  # a client that reads nothing may hold up the end of its connection for so long

Buffers = Sequence[bytes | bytearray | memoryview]


class Answer(NamedTuple):
    """Buffers of one response, to be written when the commit round `ticket` is complete."""

    ticket: int
    size_bytes: int
    buffers: Buffers


class Connection(asyncio.BufferedProtocol):
    """A Kafka connection; `caller` is who has signed in."""

    __slots__ = (
        "_answers",
        "_busy",
        "_close_reason",
        "_closing",
        "_in_read",
        "_look_again",
        "_paused_reading",
        "_produce",
        "_ready",
        "_ready_bytes",
        "_task",
        "_transport",
        "_waiting_bytes",
        "_write_paused",
        "caller",
        "client_host",
        "client_id",
        "fetch_rotation",
        "intake",
        "made_s",
        "may_be_anonymous",
        "peer",
        "read_began_s",
        "services",
        "sign_in",
        "waiting_fetch",
    )

    def __init__(self, services: "Services") -> None:
        self.services = services
        self.intake = FrameIntake(services.receive, STRANGER_FRAME_BYTES_MAX)
        self.sign_in = SignIn(self)
        self.caller: Caller | None = None
        self.client_id = ""
        self.peer = "?"
        self.client_host = "?"
        self.may_be_anonymous = False  # a client on loopback, where the setting `anonymous` names a namespace
        self.fetch_rotation = 0
        self.waiting_fetch: FetchJob | None = None
        self.made_s = services.loop.time()
        self.read_began_s = 0.0
        self._produce = ProduceRound(self)
        self._answers: deque[Answer] = deque()
        self._waiting_bytes = 0  # of `_answers`, produce answers left out: those are small
        self._ready: list[bytes | bytearray | memoryview] = []
        self._ready_bytes = 0
        self._in_read = False
        self._look_again = False
        self._busy = False
        self._write_paused = False
        self._paused_reading = False
        self._transport: Any = None
        self._task: asyncio.Task[None] | None = None
        self._close_reason: str | None = None
        self._closing: asyncio.TimerHandle | None = None

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.client_host = str(peer[0]) if peer else "?"
        self.peer = f"{peer[0]}:{peer[1]}" if peer else "?"
        loopback = self.client_host in ("127.0.0.1", "::1")
        self.may_be_anonymous = loopback and self.services.settings.anonymous is not None
        if self.may_be_anonymous:
            self.intake.frame_bytes_max = self.services.settings.frame_bytes_max
        self.services.connections.add(self)
        reason = self.services.refuses_connections()
        if reason is not None:
            self.close(reason)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.intake.buffer()

    def buffer_updated(self, nbytes: int) -> None:
        if self._close_reason is not None:
            return  # TLS hands over what it still had
        self.services.metrics.bytes_in += nbytes
        self.intake.received(nbytes)
        self._work()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.services.connections.discard(self)
        self.services.waiting_acks.discard(self)
        self.services.unread.resumed(self)
        self._answers.clear()
        self.intake.drop_spill()
        if self.waiting_fetch is not None:
            self.waiting_fetch.leave()
        if self._closing is not None:
            self._closing.cancel()
        if self._close_reason is None and exc is not None:
            log.info("connection lost", extra={"client": self.peer, "client_id": self.client_id, "reason": str(exc)})

    def pause_writing(self) -> None:
        self._write_paused = True
        self.services.unread.paused(self)

    def resume_writing(self) -> None:
        self._write_paused = False
        self.services.unread.resumed(self)
        self._continue()

    # frames in

    def _work(self) -> None:
        """Handle the whole frames at hand, then write every answer that is ready in one go."""
        self._in_read = True
        self.read_began_s = perf_counter()
        try:
            reason = self._handle_frames()
        finally:
            # Queued appends point into the receive buffer: they are written before anything else happens to it.
            self._produce.finish()
        self._write_ready()
        self._in_read = False
        if reason is not None:
            self.close(reason)
            return
        self.intake.settle()
        self._mind_reading()
        if self._look_again:
            self._look_again = False
            self.services.loop.call_soon(self._continue)

    def _handle_frames(self) -> str | None:
        """Handle frames until there is none, or the rest has to wait; the reason to close the connection, if any."""
        intake = self.intake
        try:
            while not self._stopped() and intake.next_frame():
                self._handle(intake.view, intake.start, intake.end)
                if len(self._ready) > READY_BUFFERS_MAX or self._ready_bytes > READY_BYTES_MAX:
                    self._write_ready()
        except FrameRefused as refused:
            return f"refused {refused}"
        except Malformed as malformed:
            return f"malformed request: {malformed}"
        except Refused as refused:
            return str(refused)
        except Exception as error:
            return self.failure(error)
        return None

    def failure(self, error: Exception) -> str:
        """A mistake of our own: all of it for our log; the reason to close the connection."""
        log.error("request failed", extra={"client": self.peer, "client_id": self.client_id}, exc_info=error)
        return f"internal error: {type(error).__name__}"

    def _stopped(self) -> bool:
        return (
            self._busy
            or self._write_paused
            or self._is_full()
            or self._close_reason is not None
            or self.services.stopping
        )

    def _is_full(self) -> bool:
        return len(self._answers) >= ANSWERS_WAITING_MAX or self._waiting_bytes > ANSWERS_WAITING_BYTES_MAX

    def _handle(self, view: memoryview, start: int, end: int) -> None:
        if self.sign_in.expects_raw_token:
            self.sign_in.raw_token(bytes(view[start:end]))
            return
        header = decode_request_header(view, start, end)
        if end - start > SMALL_FRAME_BYTES_MAX:
            self._check_size(header, end - start)
        if self.sign_in.is_complete and self.caller is not None:
            self.serve(self.caller, header, view, end)
            return
        self.client_id = header.client_id or ""
        self.sign_in.request(header, view, end)

    def _check_size(self, header: RequestHeader, size_bytes: int) -> None:
        """Only what carries records or members' bytes may be large. Raises Refused."""
        known = self.caller is not None or self.may_be_anonymous
        limit_bytes = frame_bytes_limit(
            header.api_key, authenticated=known, frame_bytes_max=self.services.settings.frame_bytes_max
        )
        if header.api_key not in LARGE_APIS:
            many = header.api_key in MANY_PARTITIONS_APIS
            limit_bytes = min(limit_bytes, MANY_PARTITIONS_BYTES_MAX if many else OTHER_BYTES_MAX)
        if size_bytes > limit_bytes:
            raise Refused(f"a request of {size_bytes} bytes, where this API may have {limit_bytes}")

    def serve(self, caller: Caller, header: RequestHeader, view: memoryview, end: int) -> None:
        """Handle one request of a caller who has signed in. Raises Refused and Malformed."""
        if header.api_key == PRODUCE:
            self._produce.handle(caller, header, view, end)
            return
        self._produce.finish()
        if header.api_key == FETCH:
            FetchJob.begin(self, caller, header, view, end)
            return
        if header.api_key in (ApiKey.SASL_HANDSHAKE, ApiKey.SASL_AUTHENTICATE):
            self.sign_in.request(header, view, end)
            return
        self.client_id = header.client_id or ""
        self.dispatch(caller, header, view, end)

    def dispatch(self, caller: Caller | None, header: RequestHeader, view: memoryview, end: int) -> None:
        """Answer a request by its registered handler, now or by a task."""
        answer = begin(self.services, caller, header, view, end, self.client_host)
        if isinstance(answer, bytes):
            self.answered(header, answer)
        else:
            self.answer_later(header, answer)

    def answer_later(self, header: RequestHeader, answer: Awaitable[Any]) -> None:
        """Let a task find the answer; frames that follow wait until it is there."""
        self._busy = True
        self._task = asyncio.ensure_future(self._await_answer(header, answer, self.read_began_s))
        self.services.keep(self._task)

    def work_later(self, work: Awaitable[None]) -> None:
        """Let a task do the rest of a request, its answer included; frames that follow wait until it has."""
        self._busy = True
        self._task = asyncio.ensure_future(self._await_work(work))
        self.services.keep(self._task)

    async def _await_work(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:
            self.close(self.failure(error))
            return
        self._task = None
        self.wake()

    async def _await_answer(self, header: RequestHeader, answer: Awaitable[Any], began_s: float) -> None:
        try:
            response = answer_bytes(header, await answer)
        except Refused as refused:
            self.close(str(refused))
            return
        except Exception as error:
            self.close(self.failure(error))
            return
        self._task = None
        self.read_began_s = began_s
        self.answered(header, response)
        self.wake()

    def hold(self) -> None:
        """Frames that follow wait until `wake`: the current request is answered later, by a callback."""
        self._busy = True

    def wake(self) -> None:
        """The request that held the connection is answered."""
        self._busy = False
        self._continue()

    def _continue(self) -> None:
        """Look again at what was held while the connection could not go on."""
        if self._close_reason is not None or self._transport.is_closing():
            return
        if self._in_read:
            self._look_again = True
        elif self.intake.held_bytes:
            self.intake.received(0)
            self._work()
        else:
            self._mind_reading()

    def _mind_reading(self) -> None:
        """Stop reading from a client that is far ahead, go on with one that is not."""
        too_far = self._stopped() and self.intake.held_bytes > HELD_BYTES_MAX
        if too_far != self._paused_reading and not self._transport.is_closing():
            self._paused_reading = too_far
            if too_far:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    # answers out

    def answered(self, header: RequestHeader, response: bytes) -> None:
        """Queue the answer of one request and count it."""
        self.services.metrics.answered(header.api_key, perf_counter() - self.read_began_s)
        self.respond((response,), len(response))

    def respond(self, buffers: Buffers, size_bytes: int = 0) -> None:
        """Queue one response behind those before it. Sizes of produce answers need not be counted."""
        if self._answers:
            self._answers.append(Answer(0, size_bytes, buffers))
            self._waiting_bytes += size_bytes
            return
        self._ready.extend(buffers)
        self._ready_bytes += size_bytes
        if not self._in_read:
            self._write_ready()

    def respond_after(self, ticket: int, buffers: Buffers) -> None:
        """Queue one response that must not leave before the commit round `ticket` is complete."""
        self._answers.append(Answer(ticket, 0, buffers))
        self.services.waiting_acks.add(self)

    @property
    def unread_bytes(self) -> int:
        """Answers that the client has not taken yet."""
        return int(self._transport.get_write_buffer_size())

    @property
    def owes_an_answer(self) -> bool:
        """Whether an answer is under way that will come without anything new happening."""
        return self._close_reason is None and bool(self._answers or self._task is not None)

    def release(self, completed: int) -> None:
        """Commit rounds up to `completed` are done: send what waited for them."""
        answers = self._answers
        was_full = self._is_full()
        while answers and answers[0].ticket <= completed:
            _, size_bytes, buffers = answers.popleft()
            self._waiting_bytes -= size_bytes
            self._ready.extend(buffers)
        if not answers:
            self.services.waiting_acks.discard(self)
        self._write_ready()
        if was_full:
            self._continue()

    def _write_ready(self) -> None:
        if not self._ready:
            return
        ready, self._ready, self._ready_bytes = self._ready, [], 0
        if self._transport is None or self._transport.is_closing():
            return
        self.services.metrics.bytes_out += sum(map(len, ready))
        if len(ready) == 1:
            self._transport.write(ready[0])
        else:
            self._transport.writelines(ready)

    # the end

    def close(self, reason: str, *, expected: bool = False) -> None:
        """Close, and say in the log why; answers that are ready still leave."""
        if self._close_reason is not None:
            return
        self._close_reason = reason
        caller = self.caller.name if self.caller else None
        log.log(
            logging.INFO if expected else logging.WARNING,
            "connection closed",
            extra={"client": self.peer, "client_id": self.client_id, "principal": caller, "reason": reason},
        )
        if self._transport is not None:
            self._write_ready()
            self._closing = self.services.loop.call_later(CLOSING_S_MAX, self._transport.abort)
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once, whatever the client has still to read."""
        self._transport.abort()
