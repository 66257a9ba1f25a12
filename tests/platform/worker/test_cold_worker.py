"""The cold worker as a process: what it answers, and that its death, ours, or a flood of either harms nothing."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import msgspec
import psutil
import pytest
from coldstream.platform.worker import process
from coldstream.platform.worker.client import RESTART_FIRST_S, RESTART_MAX_S, ColdWorkerProcess, restart_delay_s
from coldstream.platform.worker.messages import (
    ERRORS,
    MESSAGE_BYTES_MAX,
    Configure,
    MessageTooLong,
    Reply,
    Request,
    frame,
    from_error,
    read_frame,
    to_error,
)
from coldstream.storage.cold_reader import ColdReader
from coldstream.storage.cold_worker import ChunkWanted, ColdObject, ColdWorkerUnavailable, Upload, Uploaded
from coldstream.storage.cold_writer import CorruptSegment
from coldstream.storage.manifest import ColdSegment, SegmentState
from coldstream.storage.object_store import ObjectMissing, ObjectStoreDenied, ObjectStoreUnavailable
from coldstream.storage.store_url import InvalidStoreUrl, file_url

from ...s3_servers import s3_url
from ...storage.cold_samples import make_batches, make_upload, sealed_upload, spans, write_log

Scenario = Callable[[ColdWorkerProcess], Awaitable[None]]


def configure(directory: Path, url: str | None = None) -> Configure:
    return Configure(
        store_url=url or file_url(directory / "objects"),
        directory=str(directory / "cache"),
        cache_bytes_max=2**30,
        cache_files_max=1000,
        log_level="warning",
    )


def run(directory: Path, scenario: Scenario, url: str | None = None) -> None:
    async def opened() -> None:
        worker = await ColdWorkerProcess.start(configure(directory, url))
        try:
            async with asyncio.timeout(30):
                await scenario(worker)
        finally:
            await worker.close()

    asyncio.run(opened())


def committed(upload: Upload, done: Uploaded) -> ColdSegment:
    return ColdSegment(
        object_id=upload.object_id,
        topic_id=upload.topic_id,
        partition=upload.partition,
        base=upload.base,
        end=upload.end,
        leader_epoch=upload.leader_epoch,
        key=upload.key,
        size_bytes=done.size_bytes,
        tail_bytes=done.tail_bytes,
        raw_bytes=done.raw_bytes,
        first_timestamp_ms=done.first_timestamp_ms,
        max_timestamp_ms=done.max_timestamp_ms,
        state=SegmentState.COMMITTED,
    )


async def back(worker: ColdWorkerProcess) -> None:
    """Until a worker answers again."""
    for _ in range(200):
        with suppress(ColdWorkerUnavailable):
            await worker.stats()
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the worker did not come back")


def large(directory: Path, batches: int = 80) -> tuple[Upload, bytes]:
    """Some 30 MB, so that there is time to be killed in."""
    made = make_batches(1, batches, payload_bytes=(400_000, 400_001))
    path = directory / f"{0:020d}.log"
    data = write_log(path, made)
    return make_upload(path, 0, made[-1][1]), data


@pytest.mark.parametrize("store", ["directory", "seaweedfs"])
def test_what_was_uploaded_is_read_back_byte_for_byte_and_deleted(
    tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload, made = sealed_upload(tmp_path, 3, batches=300, size=(10, 80_000))

    async def scenario(worker: ColdWorkerProcess) -> None:
        await worker.probe()
        segment = committed(upload, await worker.upload(upload))
        reader, pieces, offset = ColdReader(worker), list[bytes](), 0
        while data := await reader.read([segment], offset, 2**20):
            pieces.append(data)
            offset = next(end for _, end, batch in made if data.endswith(batch) and end > offset)
        assert b"".join(pieces) == b"".join(batch for _, _, batch in made)
        stats = await worker.stats()
        assert stats.uploaded_objects == 1 and stats.cache_files >= 3 and stats.uploaded_bytes == segment.size_bytes
        assert await worker.delete([segment.key]) == {segment.key}
        assert await worker.delete([segment.key]) == {segment.key}
        with pytest.raises(ObjectMissing):
            await worker.chunk(first_chunk(segment))

    run(tmp_path, scenario, s3_url(store, monkeypatch) if store != "directory" else None)


def first_chunk(segment: ColdSegment) -> ChunkWanted:
    """Of an object that nobody has asked for yet: its id is new."""
    return ChunkWanted(ColdObject(uuid4(), segment.key, segment.size_bytes, segment.tail_bytes), 0)


def test_errors_arrive_as_what_they_are(tmp_path: Path) -> None:
    async def scenario(worker: ColdWorkerProcess) -> None:
        (tmp_path / "log").write_bytes(b"no batches at all" * 10)
        with pytest.raises(CorruptSegment, match=str(tmp_path / "log")):
            await worker.upload(make_upload(tmp_path / "log", 0, 10))
        (tmp_path / "log").unlink()
        upload, _ = sealed_upload(tmp_path, 1, batches=3)
        os.unlink(upload.path)
        with pytest.raises(ColdWorkerUnavailable, match="FileNotFoundError"):
            await worker.upload(upload)
        assert await worker.delete(["v1/never/was"]) == {"v1/never/was"}

    run(tmp_path, scenario)


@pytest.mark.parametrize(
    "error", [kind("what happened") for kind in ERRORS.values()], ids=lambda error: type(error).__name__
)
def test_every_error_crosses_the_pipe_with_its_text(error: Exception) -> None:
    name, message = to_error(error)
    received = from_error(Reply(1, msgspec.Raw(b"\xc0"), name, message))
    assert type(received) is type(error) and str(received) == "what happened"
    assert to_error(KeyError("x")) == ("ColdWorkerUnavailable", "KeyError: 'x'")


def test_a_wrong_url_is_refused_at_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidStoreUrl, match="unknown option"):
        run(tmp_path, lambda worker: worker.probe(), "s3://bucket?endpont=http://h")


def test_a_missing_bucket_is_named_by_the_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = s3_url("seaweedfs", monkeypatch).replace("coldstream-test", "nobody-made-this")

    async def scenario(worker: ColdWorkerProcess) -> None:
        with pytest.raises(ObjectStoreDenied, match="no bucket 'nobody-made-this'"):
            await worker.probe()

    run(tmp_path, scenario, url)


class TestDeath:
    def test_a_killed_worker_fails_what_was_in_flight_and_is_replaced(self, tmp_path: Path) -> None:
        upload, data = large(tmp_path)

        async def scenario(worker: ColdWorkerProcess) -> None:
            first = worker.pid
            assert first is not None
            for delay_s in (0.02, 0.12):  # building, perhaps putting
                uploading = asyncio.create_task(worker.upload(upload))
                await asyncio.sleep(delay_s)
                assert worker.pid is not None
                os.kill(worker.pid, signal.SIGKILL)
                with pytest.raises(ColdWorkerUnavailable, match="upload"):
                    await uploading
                await back(worker)
                assert list((tmp_path / "cache" / "uploads").iterdir()) == []
            assert worker.pid != first and worker.restarts == 2
            segment = committed(upload, await worker.upload(upload))
            assert await replay(worker, segment, kill_every=20) == data

        run(tmp_path, scenario)

    def test_a_request_while_no_worker_runs_fails_at_once(self, tmp_path: Path) -> None:
        async def scenario(worker: ColdWorkerProcess) -> None:
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
            with pytest.raises(ColdWorkerUnavailable):
                await worker.stats()
            started = time.monotonic()
            with pytest.raises(ColdWorkerUnavailable, match="restarted"):
                while True:
                    await worker.stats()
            assert time.monotonic() - started < 1
            await back(worker)

        run(tmp_path, scenario)

    @pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
    def test_sigterm_ends_it_cleanly_and_ctrl_c_is_left_to_the_broker(
        self, tmp_path: Path, stop: signal.Signals
    ) -> None:
        async def scenario(worker: ColdWorkerProcess) -> None:
            assert worker._connection is not None
            child = worker._connection.process
            child.send_signal(stop)
            if stop is signal.SIGTERM:
                assert await asyncio.wait_for(child.wait(), 5) == 0
                await back(worker)
            else:
                await asyncio.sleep(0.1)
                assert (await worker.stats()).cache_files == 0 and worker.pid == child.pid

        run(tmp_path, scenario)

    def test_it_ends_when_its_broker_is_killed_even_in_the_middle_of_an_upload(self, tmp_path: Path) -> None:
        upload, _ = large(tmp_path, batches=120)
        (tmp_path / "upload").write_bytes(msgspec.msgpack.encode(upload))
        broker = (
            "import asyncio, msgspec, sys\n"
            "from pathlib import Path\n"
            "from coldstream.platform.worker.client import ColdWorkerProcess\n"
            "from coldstream.platform.worker.messages import Configure\n"
            "from coldstream.storage.cold_worker import Upload\n"
            "async def go():\n"
            "    worker = await ColdWorkerProcess.start(msgspec.json.decode(sys.argv[1], type=Configure))\n"
            "    print(worker.pid, flush=True)\n"
            "    await worker.upload(msgspec.msgpack.decode(Path(sys.argv[2]).read_bytes(), type=Upload))\n"
            "    await asyncio.sleep(60)\n"
            "asyncio.run(go())\n"
        )
        config = msgspec.json.encode(configure(tmp_path)).decode()
        child = subprocess.Popen([sys.executable, "-c", broker, config, tmp_path / "upload"], stdout=subprocess.PIPE)
        try:
            assert child.stdout is not None
            worker = psutil.Process(int(child.stdout.readline()))
            time.sleep(0.05)
        finally:
            child.kill()
            child.communicate()
        worker.wait(timeout=5)

        async def next_broker(again: ColdWorkerProcess) -> None:
            done = await again.upload(upload)
            assert done.size_bytes > 0

        run(tmp_path, next_broker)

    def test_two_workers_do_not_share_a_cache_directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(process, "LOCK_WAIT_S", 0.1)
        held = process._locked(tmp_path)
        with pytest.raises(ColdWorkerUnavailable, match="in use by another cold worker"):
            process._locked(tmp_path)
        held.close()
        process._locked(tmp_path).close()

    def test_restarts_are_put_off_longer_and_longer_until_one_settles(self) -> None:
        delays = [0.0]
        for _ in range(9):
            delays.append(restart_delay_s(delays[-1], lived_s=0.1))
        assert delays[1:4] == [RESTART_FIRST_S, 2 * RESTART_FIRST_S, 4 * RESTART_FIRST_S]
        assert delays[-1] == RESTART_MAX_S
        assert restart_delay_s(RESTART_MAX_S, lived_s=60) == RESTART_FIRST_S


async def replay(worker: ColdWorkerProcess, segment: ColdSegment, kill_every: int) -> bytes:
    """As a fetch would go: what is retriable is tried again."""
    reader, pieces, offset, calls = ColdReader(worker), list[bytes](), 0, 0
    while offset < segment.end:
        calls += 1
        if calls % kill_every == 0 and worker.pid is not None:
            os.kill(worker.pid, signal.SIGKILL)
        try:
            data = await reader.read([segment], offset, 2**20)
        except (ColdWorkerUnavailable, ObjectStoreUnavailable):
            await back(worker)
            continue
        pieces.append(data)
        *_, (_, offset) = spans(data)
    return b"".join(pieces)


class TestFrames:
    def read(self, data: bytes) -> bytes | None:
        async def scenario() -> bytes | None:
            reader = asyncio.StreamReader()
            reader.feed_data(data)
            reader.feed_eof()
            return await read_frame(reader)

        return asyncio.run(scenario())

    def test_a_frame_round_trips_and_every_cut_is_an_end(self) -> None:
        whole = frame(Request(7, "stats", msgspec.Raw(b"\xc0")))
        assert msgspec.msgpack.decode(self.read(whole) or b"", type=Request).id == 7
        for cut in range(len(whole)):
            assert self.read(whole[:cut]) is None

    def test_a_length_beyond_the_limit_is_refused_before_anything_is_allocated(self) -> None:
        for length in (MESSAGE_BYTES_MAX + 1, 2**32 - 1):
            with pytest.raises(MessageTooLong):
                self.read(length.to_bytes(4, "big"))

    def test_a_request_beyond_the_limit_is_refused_and_the_worker_lives(self, tmp_path: Path) -> None:
        async def scenario(worker: ColdWorkerProcess) -> None:
            with pytest.raises(ColdWorkerUnavailable, match="at most"):
                await worker.delete(["x" * 1000] * (MESSAGE_BYTES_MAX // 1000 + 10))
            assert (await worker.stats()).cache_files == 0

        run(tmp_path, scenario)


def test_it_says_what_it_is_when_started_by_hand() -> None:
    by_hand = subprocess.run([sys.executable, "-m", "coldstream.platform.worker"], capture_output=True, text=True)
    assert by_hand.returncode == 1 and "started by a broker" in by_hand.stderr


def test_it_is_small_and_knows_neither_sql_nor_tenants_nor_s3(tmp_path: Path) -> None:
    async def scenario(worker: ColdWorkerProcess) -> None:
        assert worker.pid is not None
        assert psutil.Process(worker.pid).memory_full_info().pss < 35e6

    run(tmp_path, scenario)
    code = "import coldstream.platform.worker.process, sys, json; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    heavy = ("sqlalchemy", "aiobotocore", "botocore", "aiohttp", "coldstream.tenants", "casbin", "cramjam")
    assert [name for name in loaded if name.startswith(heavy)] == []
