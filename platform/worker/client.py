"""The broker's side of its cold worker: starts the process, restarts it when it dies, and asks it things.

Always true: a request is answered, or raises ColdWorkerUnavailable as soon as the worker that had it is gone; none
waits for the next worker, whose start is put off a little longer each time. Nothing is lost with a worker: requests may
be repeated.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Collection
from typing import Any, Self

import msgspec

from ...storage.cleaning import Clean, Cleaned
from ...storage.cold_worker import ChunkFile, ChunkWanted, ColdWorkerStats, ColdWorkerUnavailable, Upload, Uploaded
from .messages import OPS, Configure, MessageTooLong, Reply, Request, frame, from_error, read_frame

_LOG = logging.getLogger(__name__)
_DECODERS = {op: msgspec.msgpack.Decoder(result) for op, (_, result) in OPS.items()}
RESTART_FIRST_S, RESTART_MAX_S = 0.1, 5.0
SETTLED_AFTER_S = 30.0  # a worker that lived this long is restarted as if it were the first
START_DEADLINE_S = 20.0
STOP_DEADLINE_S = 5.0


def restart_delay_s(delay_s: float, lived_s: float) -> float:
    """How long to wait before the next start, given the last wait and how long that worker lived."""
    if delay_s == 0 or lived_s >= SETTLED_AFTER_S:
        return RESTART_FIRST_S
    return min(2 * delay_s, RESTART_MAX_S)


class _Connection:
    """One living worker process."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.process = process
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, tuple[str, asyncio.Future[Any]]] = {}
        self._ids = itertools.count()
        self._ended = False

    async def ask(self, op: str, body: object) -> Any:
        """Raises what the worker raised; ColdWorkerUnavailable when it ends first."""
        if self._ended:
            raise ColdWorkerUnavailable("the cold worker is not running; it is being restarted")
        request = Request(next(self._ids), op, msgspec.Raw(msgspec.msgpack.encode(body)))
        try:
            data = frame(request)
        except MessageTooLong as error:
            raise ColdWorkerUnavailable(f"{op}: {error}") from error
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[request.id] = (op, answer)
        try:
            self._writer.write(data)
            with contextlib.suppress(ConnectionError):  # `listen` sees the end, and fails the answer
                await self._writer.drain()
            return await answer
        finally:
            self._waiting.pop(request.id, None)

    async def listen(self) -> None:
        """Hands out replies until the worker ends; then fails what is still waiting."""
        try:
            while (data := await read_frame(self._reader)) is not None:
                self._deliver(msgspec.msgpack.decode(data, type=Reply))
        except (MessageTooLong, msgspec.DecodeError):
            _LOG.exception("the cold worker sent what is no reply")
        finally:
            self._ended = True
            for op, answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(ColdWorkerUnavailable(f"the cold worker ended during {op}; try again"))
            self._writer.close()

    def _deliver(self, reply: Reply) -> None:
        op, answer = self._waiting.get(reply.id, ("", None))
        if answer is None or answer.done():
            return  # whoever asked has left
        if reply.error:
            answer.set_exception(from_error(reply))
        else:
            answer.set_result(_DECODERS[op].decode(reply.body))

    async def stop(self) -> None:
        """Closing the socket is what ends a worker; one that does not notice is killed."""
        self._writer.close()
        for end in (None, signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                if end is not None:
                    self.process.send_signal(end)
            try:
                await asyncio.wait_for(self.process.wait(), STOP_DEADLINE_S)
                return
            except TimeoutError:
                continue


class ColdWorkerProcess:
    """Implements ColdWorker with a child process. Make it with `start`."""

    def __init__(self, configure: Configure) -> None:
        self._configure = configure
        self._connection: _Connection | None = None
        self._supervising: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self.restarts = 0

    @classmethod
    async def start(cls, configure: Configure) -> Self:
        """Returns once the worker is ready; it has not talked to the object store yet (`probe` does).

        Raises InvalidStoreUrl, ColdWorkerUnavailable.
        """
        worker = cls(configure)
        await worker._spawn()
        worker._supervising = asyncio.create_task(worker._supervise(), name="cold worker")
        return worker

    @property
    def pid(self) -> int | None:
        """Of the living process, for metrics and `endpoints.json`."""
        return self._connection.process.pid if self._connection is not None else None

    async def upload(self, upload: Upload) -> Uploaded:
        result: Uploaded = await self._ask("upload", upload)
        return result

    async def chunk(self, wanted: ChunkWanted) -> ChunkFile | None:
        result: ChunkFile | None = await self._ask("chunk", wanted)
        return result

    async def clean(self, request: Clean) -> Cleaned:
        result: Cleaned = await self._ask("clean", request)
        return result

    async def delete(self, keys: Collection[str]) -> set[str]:
        result: set[str] = await self._ask("delete", list(keys))
        return result

    async def probe(self) -> None:
        await self._ask("probe", None)

    async def stats(self) -> ColdWorkerStats:
        result: ColdWorkerStats = await self._ask("stats", None)
        return result

    async def close(self) -> None:
        """Ends the worker. What it still has to answer raises ColdWorkerUnavailable."""
        if self._supervising is not None:
            self._supervising.cancel()
            await asyncio.gather(self._supervising, return_exceptions=True)
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.stop()
        if self._listening is not None:
            await asyncio.gather(self._listening, return_exceptions=True)

    async def _ask(self, op: str, body: object) -> Any:
        connection = self._connection
        if connection is None:
            raise ColdWorkerUnavailable("the cold worker is not running; it is being restarted")
        return await connection.ask(op, body)

    async def _spawn(self) -> None:
        """Starts and configures a worker. Raises what `configure` raises there, ColdWorkerUnavailable, OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    __package__,
                    str(theirs.fileno()),
                    pass_fds=[theirs.fileno()],
                    stdin=asyncio.subprocess.DEVNULL,
                    env={**os.environ, "MALLOC_ARENA_MAX": "2"},  # its threads would keep 4 MiB buffers each
                )
            except BaseException:
                ours.close()
                raise
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        connection = _Connection(process, reader, writer)
        listening = asyncio.create_task(connection.listen(), name="cold worker replies")
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                await connection.ask("configure", self._configure)
        except BaseException as error:
            await connection.stop()
            await listening
            if isinstance(error, TimeoutError):
                raise ColdWorkerUnavailable(f"the cold worker was not ready within {START_DEADLINE_S:.0f} s") from None
            raise
        self._connection, self._listening = connection, listening

    async def _supervise(self) -> None:
        delay_s = 0.0
        while True:
            started_s = time.monotonic()
            if self._listening is not None and self._connection is not None:
                await asyncio.shield(self._listening)
                status = await self._reap(self._connection)
                self._connection = self._listening = None
                _LOG.error("the cold worker ended with status %s; restarting it", status)
            delay_s = restart_delay_s(delay_s, time.monotonic() - started_s)
            await asyncio.sleep(delay_s)
            self.restarts += 1
            try:
                await self._spawn()
            except Exception:
                _LOG.exception(
                    "the cold worker does not start; trying again in %.1f s", min(2 * delay_s, RESTART_MAX_S)
                )

    async def _reap(self, connection: _Connection) -> int | None:
        await connection.stop()
        return connection.process.returncode
