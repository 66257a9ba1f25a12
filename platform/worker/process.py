"""The cold worker process: answers one broker's requests over a socket pair until that closes.

Always true: it renames, swaps, deletes and commits nothing that the broker's data is (a compacted segment it writes
beside the old one, for the broker to put in place); it knows no SQL and no tenants.
It ends at once when the broker does, however much is in flight, since all of that may be cut off anywhere. One worker
at a time uses a cache directory.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import BinaryIO

import msgspec

from ...storage.cleaning import CompactionFailed
from ...storage.cold_format import CorruptObject
from ...storage.cold_tasks import ColdTasks
from ...storage.cold_worker import ColdWorkerUnavailable
from ...storage.cold_writer import CorruptSegment
from ...storage.object_store import ObjectStoreError
from ...storage.store_url import InvalidStoreUrl, open_store
from .. import logs
from .messages import OPS, Configure, MessageTooLong, Reply, Request, frame, read_frame, to_error

_LOG = logging.getLogger(__name__)
_DECODERS = {op: msgspec.msgpack.Decoder(body) for op, (body, _) in OPS.items()}
LOCK_WAIT_S = 10.0  # for a worker of a broker that was killed, which is ending too
CLOSE_WAIT_S = 1.0
#: Their text says everything; anything else is logged with its traceback.
EXPECTED_ERRORS = (
    ObjectStoreError,
    InvalidStoreUrl,
    CorruptObject,
    CorruptSegment,
    CompactionFailed,
    ColdWorkerUnavailable,
)


class WorkerProcess:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._tasks: ColdTasks | None = None
        self._lock: BinaryIO | None = None
        self._running = set[asyncio.Task[None]]()

    async def serve(self) -> None:
        """Returns when the broker has closed its side."""
        while (data := await read_frame(self._reader)) is not None:
            request = msgspec.msgpack.decode(data, type=Request)
            task = asyncio.create_task(self._answer(request), name=request.op)
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        for task in self._running:
            task.cancel()
        if self._tasks is not None:
            await self._tasks.close()

    async def _answer(self, request: Request) -> None:
        try:
            result = await self._do(request.op, request.body)
            reply = frame(Reply(request.id, msgspec.Raw(msgspec.msgpack.encode(result))))
        except Exception as error:
            if not isinstance(error, EXPECTED_ERRORS):
                _LOG.exception("%s failed", request.op)
            name, message = to_error(error)
            reply = frame(Reply(request.id, msgspec.Raw(msgspec.msgpack.encode(None)), name, message))
        self._writer.write(reply)
        with contextlib.suppress(ConnectionError):  # then `serve` sees the end too
            await self._writer.drain()

    async def _do(self, op: str, raw: msgspec.Raw) -> object:
        body = _DECODERS[op].decode(raw)
        if isinstance(body, Configure):
            await self._configure(body)
            return None
        if self._tasks is None:
            raise ColdWorkerUnavailable("the cold worker is not configured yet")
        result: object = await getattr(self._tasks, op)(*(() if body is None else (body,)))
        return result

    async def _configure(self, configure: Configure) -> None:
        logging.getLogger().setLevel(configure.log_level.upper())
        directory = Path(configure.directory)
        store = open_store(configure.store_url)
        tasks = ColdTasks(
            store,
            directory,
            cache_bytes_max=configure.cache_bytes_max,
            cache_files_max=configure.cache_files_max,
        )
        self._lock = await asyncio.to_thread(_locked, directory)
        await asyncio.to_thread(tasks.load)
        self._tasks = tasks
        _LOG.info("cold worker ready: %s", store)


def _locked(directory: Path) -> BinaryIO:
    """Holds the directory for this process. Raises ColdWorkerUnavailable when another one keeps it."""
    directory.mkdir(parents=True, exist_ok=True)
    file = (directory / "lock").open("ab")
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() > deadline:
                file.close()
                raise ColdWorkerUnavailable(f"{directory} is in use by another cold worker") from None
            time.sleep(0.05)


async def _run(fd: int) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=fd))
    process = WorkerProcess(reader, writer)
    loop = asyncio.get_running_loop()
    serving = loop.create_task(process.serve())
    loop.add_signal_handler(signal.SIGTERM, serving.cancel)
    try:
        await serving
    except asyncio.CancelledError:
        _LOG.info("cold worker stopped by SIGTERM")
    except (MessageTooLong, msgspec.DecodeError):
        _LOG.exception("the broker sent what is no request")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_WAIT_S):
            await process.close()


def main(fd: int) -> None:
    """Runs the worker on an inherited socket, and ends the process."""
    logs.configure("info", process="cold-worker")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the broker decides when we end
    asyncio.run(_run_and_leave(fd))


async def _run_and_leave(fd: int) -> None:
    await _run(fd)
    sys.stderr.flush()
    os._exit(0)  # not waiting for threads: a half-written temporary file is all that they can leave
