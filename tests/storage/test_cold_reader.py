"""Cold reads end to end: reader, worker's tasks, cache and store in one process, the store counting and failing."""

import asyncio
import dataclasses
import random
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import pytest
from coldstream.storage import chunk_source
from coldstream.storage.chunk_cache import ChunkCache
from coldstream.storage.chunk_source import ChunkSource
from coldstream.storage.cold_format import CHUNK_RAW_BYTES, FOOTER_BYTES, CorruptObject, decode_tail
from coldstream.storage.cold_reader import REMEMBER_S, ColdReader, TimestampFound
from coldstream.storage.cold_tasks import ColdTasks
from coldstream.storage.cold_worker import ChunkFile, ChunkWanted, ColdObject, ColdWorkerUnavailable, Upload
from coldstream.storage.cold_writer import CorruptSegment
from coldstream.storage.manifest import ColdSegment, SegmentState
from coldstream.storage.object_store import ObjectMissing, ObjectStoreUnavailable
from coldstream.storage.records import Record, build_batch

from .cold_samples import START_MS, bases, make_batch, make_batches, make_upload, spans, write_log
from .memory_store import MemoryStore

Batches = list[tuple[int, int, bytes]]
BIG = (600_000, 900_000)  # bytes of a batch: five or six to a chunk


@dataclasses.dataclass
class Cold:
    """A store with what a test uploaded, a worker over it, and a reader."""

    directory: Path
    store: MemoryStore
    tasks: ColdTasks
    reader: ColdReader
    now_s: float = 0.0

    async def add(self, made: Batches, *, base: int | None = None, end: int | None = None) -> ColdSegment:
        base, end = made[0][0] if base is None else base, made[-1][1] if end is None else end
        path = self.directory / f"{base:020d}.log"
        write_log(path, made)
        upload = make_upload(path, base, end, gaps_allowed=True)
        done = await self.tasks.upload(upload)
        return ColdSegment(
            object_id=upload.object_id,
            topic_id=upload.topic_id,
            partition=upload.partition,
            base=base,
            end=end,
            leader_epoch=2,
            key=upload.key,
            size_bytes=done.size_bytes,
            tail_bytes=done.tail_bytes,
            raw_bytes=done.raw_bytes,
            first_timestamp_ms=done.first_timestamp_ms,
            max_timestamp_ms=done.max_timestamp_ms,
            state=SegmentState.COMMITTED,
        )

    async def read_all(self, segments: Sequence[ColdSegment], offset: int, max_bytes: int = 2**20) -> bytes:
        """As a consumer does: on from the end of what came."""
        pieces = []
        while data := await self.reader.read(segments, offset, max_bytes):
            pieces.append(data)
            *_, (_, offset) = spans(data)
        return b"".join(pieces)


def run(directory: Path, scenario: Callable[[Cold], Awaitable[None]], *, cache_bytes_max: int = 2**30) -> None:
    async def opened() -> None:
        store = MemoryStore()
        tasks = ColdTasks(store, directory / "cache", cache_bytes_max=cache_bytes_max, cache_files_max=1000)
        tasks.load()
        cold = Cold(directory, store, tasks, ColdReader(tasks))
        cold.reader = ColdReader(tasks, clock_s=lambda: cold.now_s)
        try:
            await scenario(cold)
        finally:
            store.gate.set()
            await tasks.close()

    asyncio.run(opened())


async def settled(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("it did not come to that")


def joined(made: Batches, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join(batch for _, _, batch in made[start:stop])


class TestReading:
    def test_every_offset_gives_the_batch_that_holds_it(self, tmp_path: Path) -> None:
        made = make_batches(1, 60)

        async def scenario(cold: Cold) -> None:
            segments = [await cold.add(made[:25]), await cold.add(made[25:40]), await cold.add(made[40:])]
            for base, end, batch in made:
                for offset in {base, end - 1}:
                    assert await cold.reader.read(segments, offset, 1) == batch
            assert await cold.reader.read(segments, made[-1][1], 1000) == b""
            assert await cold.reader.read([], 0, 1000) == b""

        run(tmp_path, scenario)

    def test_whole_batches_up_to_the_limit_and_to_the_end_of_a_chunk(self, tmp_path: Path) -> None:
        made = make_batches(2, 30)

        async def scenario(cold: Cold) -> None:
            segments = [await cold.add(made[:20]), await cold.add(made[20:])]
            sizes = [len(batch) for _, _, batch in made]
            for start in (0, 7, 19):
                for count in (1, 2, 3):
                    stop = min(start + count, 20)
                    limit = sum(sizes[start:stop])
                    for slack in (0, 5):  # two reads: by search, and from where the last one ended
                        got = await cold.reader.read(segments, made[start][0], limit + slack)
                        assert got == joined(made, start, stop)
            first = made[3][0]
            assert await cold.reader.read(segments, first, sizes[3] - 1, at_least_one=False) == b""
            assert await cold.reader.read(segments, first, sizes[3] - 1) == made[3][2]
            assert await cold.reader.read(segments, made[0][0], 2**30) == joined(made, 0, 20)

        run(tmp_path, scenario)

    @pytest.mark.parametrize("seed", range(4))
    def test_a_replay_gives_every_byte_over_chunks_segments_and_gaps(self, tmp_path: Path, seed: int) -> None:
        made = make_batches(seed, 50, base=500, payload_bytes=(10, 600_000), gaps=True)

        async def scenario(cold: Cold) -> None:
            cuts = [0, 13, 14, 37, 50]
            segments = [await cold.add(made[a:b]) for a, b in pairwise(cuts)]
            for limit in (1, 700_000, 2**30):
                assert await cold.read_all(segments, 0, limit) == joined(made)
            rng = random.Random(seed)
            for _ in range(30):
                offset = rng.randrange(490, made[-1][1])
                first = next(n for n, (_, end, _) in enumerate(made) if end > offset)
                got = await cold.reader.read(segments, offset, rng.choice((1, 10_000, 2**22)))
                assert bases(got)[0] == made[first][0]

        run(tmp_path, scenario)

    def test_a_segment_without_batches_is_passed_over(self, tmp_path: Path) -> None:
        made = make_batches(3, 10)

        async def scenario(cold: Cold) -> None:
            segments = [await cold.add(made[:5], end=made[4][1] + 10)]
            segments.append(await cold.add([], base=segments[0].end, end=segments[0].end + 100))
            after = make_batches(4, 5, base=segments[1].end)
            segments.append(await cold.add(after))
            assert await cold.reader.read(segments, made[4][1], 2**20) == joined(after)
            assert await cold.reader.read(segments, segments[1].base + 50, 2**20) == joined(after)

        run(tmp_path, scenario)

    def test_an_object_that_is_missing_cut_or_another_one_raises_what_it_is(self, tmp_path: Path) -> None:
        made = make_batches(3, 10)

        async def scenario(cold: Cold) -> None:
            segment, other = await cold.add(made[:5]), await cold.add(made[5:])
            whole = cold.store.objects[segment.key]
            for wrong, error in (
                (None, ObjectMissing),
                (whole[:-1], CorruptObject),
                (whole[1:], CorruptObject),
                (bytes(len(whole)), CorruptObject),
                (cold.store.objects[other.key].ljust(len(whole), b"\0")[: len(whole)], CorruptObject),
            ):
                cold.store.objects.pop(segment.key, None)
                if wrong is not None:
                    cold.store.objects[segment.key] = wrong
                with pytest.raises(error, match=segment.key):
                    await cold.reader.read([segment], 0, 100)
            flipped = bytearray(whole)
            flipped[100] ^= 1
            cold.store.objects[segment.key] = bytes(flipped)
            with pytest.raises(CorruptObject, match="chunk"):
                await cold.reader.read([segment], 0, 100)
            cold.store.objects[segment.key] = whole
            assert await cold.reader.read([segment], 0, 2**20) == joined(made, 0, 5)  # no failure was remembered

        run(tmp_path, scenario)

    def test_a_store_that_is_down_is_retriable_and_what_is_cached_is_still_read(self, tmp_path: Path) -> None:
        made = make_batches(3, 10)

        async def scenario(cold: Cold) -> None:
            near, far = await cold.add(made[:5]), await cold.add(made[5:])
            await cold.reader.read([near], 0, 1)
            cold.store.failing = ObjectStoreUnavailable("down")
            assert await cold.reader.read([near, far], 0, 2**20) == joined(made, 0, 5)
            with pytest.raises(ObjectStoreUnavailable):
                await cold.reader.read([near, far], far.base, 1)

        run(tmp_path, scenario)


class TestFiles:
    def test_reading_on_in_a_chunk_does_not_ask_the_worker_again(self, tmp_path: Path) -> None:
        made = make_batches(5, 50)

        async def scenario(cold: Cold) -> None:
            segment = await cold.add(made)
            asked = counted(cold)
            assert await cold.read_all([segment], 0, 3_000) == joined(made)
            assert len(asked) == 1
            cold.now_s += REMEMBER_S + 1  # so that the worker knows that the chunk is in use
            await cold.reader.read([segment], 0, 1)
            assert len(asked) == 2

        run(tmp_path, scenario)

    def test_a_file_that_was_trimmed_is_fetched_again(self, tmp_path: Path) -> None:
        made = make_batches(5, 20)

        async def scenario(cold: Cold) -> None:
            segment = await cold.add(made)
            await cold.reader.read([segment], 0, 1)
            for path in (tmp_path / "cache" / "chunks").iterdir():
                path.unlink()
            assert await cold.reader.read([segment], made[3][0], 1) == made[3][2]
            cut = next((tmp_path / "cache" / "chunks").iterdir())
            cut.write_bytes(cut.read_bytes()[:100])
            assert await cold.reader.read([segment], made[4][0], 1) == made[4][2]

        run(tmp_path, scenario)

    def test_a_cache_that_loses_every_file_ends_in_a_retriable_error(self, tmp_path: Path) -> None:
        made = make_batches(5, 20)

        class Losing:
            async def chunk(self, wanted: ChunkWanted) -> ChunkFile | None:
                return ChunkFile(str(tmp_path / "nothing"), 10, 0, 10_000)

        async def scenario(cold: Cold) -> None:
            segment = await cold.add(made)
            with pytest.raises(ColdWorkerUnavailable, match="too small"):
                await ColdReader(Losing()).read([segment], 0, 1)  # type: ignore[arg-type]

        run(tmp_path, scenario)

    def test_a_cache_smaller_than_the_replay_still_gives_every_byte(self, tmp_path: Path) -> None:
        made = make_batches(6, 40, payload_bytes=BIG)

        async def scenario(cold: Cold) -> None:
            segments = [await cold.add(made[:20]), await cold.add(made[20:])]
            both = await asyncio.gather(*(cold.read_all(segments, made[n][0]) for n in (0, 20)))
            assert both == [joined(made), joined(made, 20)]
            sizes = sum(path.stat().st_size for path in (tmp_path / "cache" / "chunks").iterdir())
            assert sizes <= 3 * CHUNK_RAW_BYTES

        run(tmp_path, scenario, cache_bytes_max=3 * CHUNK_RAW_BYTES)

    def test_the_cache_serves_the_next_worker_too(self, tmp_path: Path) -> None:
        made = make_batches(5, 20)
        kept = list[ColdSegment]()

        async def first(cold: Cold) -> None:
            kept.append(await cold.add(made))
            await cold.reader.read(kept, 0, 1)

        async def second(cold: Cold) -> None:
            assert await cold.reader.read(kept, made[3][0], 1) == made[3][2]
            assert cold.store.ranges == []

        run(tmp_path, first)
        run(tmp_path, second)


def counted(cold: Cold) -> list[ChunkWanted]:
    asked, chunk = list[ChunkWanted](), cold.tasks.chunk

    async def counting(wanted: ChunkWanted) -> ChunkFile | None:
        asked.append(wanted)
        return await chunk(wanted)

    cold.tasks.chunk = counting  # type: ignore[method-assign]
    return asked


class TestDownloads:
    def test_a_chunk_is_downloaded_once_however_many_ask(self, tmp_path: Path) -> None:
        made = make_batches(7, 20)

        async def scenario(cold: Cold) -> None:
            segment = await cold.add(made)
            cold.store.ranges.clear()
            got = await asyncio.gather(*(cold.reader.read([segment], base, 1) for base, _, _ in made))
            assert got == [batch for _, _, batch in made]
            assert len(cold.store.ranges) == 2  # the tail, and the chunk

        run(tmp_path, scenario)

    def test_a_download_ends_in_the_cache_although_whoever_asked_has_left(self, tmp_path: Path) -> None:
        made = make_batches(7, 20)

        async def scenario(cold: Cold) -> None:
            segment = await cold.add(made)
            cold.store.ranges.clear()
            cold.store.gate.clear()
            reading = asyncio.create_task(cold.reader.read([segment], 0, 1))
            await settled(lambda: len(cold.store.ranges) == 1)  # the tail is asked for
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            cold.store.gate.set()
            await cold.reader.read([segment], 0, 1)
            cold.store.gate.clear()
            assert len(cold.store.ranges) == 2
            await cold.reader.read([segment], 5, 1)

        run(tmp_path, scenario)

    def test_read_ahead_follows_a_sequential_reader_one_two_four_and_over_the_border(self, tmp_path: Path) -> None:
        made = make_batches(8, 90, payload_bytes=(700_000, 700_001))  # five to a chunk: 18 chunks

        async def scenario(cold: Cold) -> None:
            segments = [await cold.add(made[:30]), await cold.add(made[30:60]), await cold.add(made[60:])]
            ahead = []
            for chunk in range(7):
                await cold.reader.read(segments, made[5 * chunk][0], 2**30)
                await idle(cold)
                ahead.append((await cold.tasks.stats()).chunks_read_ahead)
            # chunk 1 is the first step forward: 1 ahead, then 2, then 4: that is chunks 2; 4; 5 to 7; 8; 9; 10
            assert ahead == [0, 1, 3, 6, 7, 8, 9]
            assert cold.tasks._source.misses == 2

        run(tmp_path, scenario)

    def test_jumping_readers_cause_no_read_ahead(self, tmp_path: Path) -> None:
        made = make_batches(8, 60, payload_bytes=(700_000, 700_001))

        async def scenario(cold: Cold) -> None:
            segments = [await cold.add(made[:30]), await cold.add(made[30:])]
            for chunk in (3, 0, 7, 5, 9, 2, 11):
                await cold.reader.read(segments, made[5 * chunk][0], 100)
                await cold.reader.read(segments, made[5 * chunk + 2][0], 100)
            await idle(cold)
            assert (await cold.tasks.stats()).chunks_read_ahead == 0

        run(tmp_path, scenario)

    def test_a_failed_read_ahead_is_nobodys_error(self, tmp_path: Path) -> None:
        made = make_batches(8, 30, payload_bytes=(700_000, 700_001))

        async def scenario(cold: Cold) -> None:
            segment = await cold.add(made)
            whole = cold.store.objects[segment.key]
            chunks = decode_tail(whole, len(whole)).chunks
            spoilt = bytearray(whole)
            spoilt[chunks[2].position : chunks[3].position] = bytes(chunks[2].stored_bytes)
            cold.store.objects[segment.key] = bytes(spoilt)
            for number in (0, 1):  # the second one reads chunk 2 ahead
                batch = made[5 * number]
                assert await cold.reader.read([segment], batch[0], 1) == batch[2]
                await idle(cold)
            assert (await cold.tasks.stats()).chunks_read_ahead == 1
            with pytest.raises(CorruptObject):
                await cold.reader.read([segment], made[10][0], 1)
            cold.store.objects[segment.key] = whole
            assert await cold.reader.read([segment], made[10][0], 1) == made[10][2]

        run(tmp_path, scenario)


async def idle(cold: Cold) -> None:
    source = cold.tasks._source
    await settled(lambda: not source._background and not source._flights)


class TestUploads:
    def test_an_upload_is_verified_by_reading_back_where_the_store_tells_no_md5(self, tmp_path: Path) -> None:
        async def scenario(cold: Cold) -> None:
            cold.store.knows_md5 = False
            await cold.add(make_batches(1, 5))
            (key, start, end) = cold.store.ranges[-1]
            assert end == len(cold.store.objects[key]) and start > 0

        run(tmp_path, scenario)

    @pytest.mark.parametrize("wrong", ["gone", "short", "other tail"])
    def test_what_the_store_does_not_have_as_sent_is_a_failed_upload(self, tmp_path: Path, wrong: str) -> None:
        async def scenario(cold: Cold) -> None:
            put, store = cold.store._put, cold.store

            def losing(key: str, data: bytes, md5: bytes) -> None:
                put(key, data, md5)
                if wrong == "gone":
                    del store.objects[key]
                else:
                    store.objects[key] = data[:-1] + (b"" if wrong == "short" else b"X")

            store._put = losing  # type: ignore[method-assign]
            with pytest.raises(ObjectStoreUnavailable):
                await cold.add(make_batches(1, 5))
            assert list((tmp_path / "cache" / "uploads").iterdir()) == []

        run(tmp_path, scenario)

    def test_a_corrupt_segment_sends_nothing_and_leaves_no_file(self, tmp_path: Path) -> None:
        async def scenario(cold: Cold) -> None:
            upload = make_upload(corrupt_log(tmp_path), 0, 10)
            with pytest.raises(CorruptSegment):
                await cold.tasks.upload(upload)
            assert cold.store.puts == [] and list((tmp_path / "cache" / "uploads").iterdir()) == []

        run(tmp_path, scenario)

    def test_a_put_past_its_deadline_leaves_no_file(self, tmp_path: Path) -> None:
        async def scenario(cold: Cold) -> None:
            cold.store.gate.clear()
            made = make_batches(1, 5)
            write_log(tmp_path / "log", made)
            upload = dataclasses.replace(make_upload(tmp_path / "log", 0, made[-1][1]), deadline_ms=20)
            with pytest.raises(ObjectStoreUnavailable):
                await cold.tasks.upload(upload)
            assert list((tmp_path / "cache" / "uploads").iterdir()) == []

        run(tmp_path, scenario)

    def test_temporary_files_of_a_dead_worker_go_at_the_next_start(self, tmp_path: Path) -> None:
        (tmp_path / "cache" / "uploads").mkdir(parents=True)
        (tmp_path / "cache" / "uploads" / f"{uuid4().hex}.seg").write_bytes(b"half")

        async def scenario(cold: Cold) -> None:
            assert list((tmp_path / "cache" / "uploads").iterdir()) == []

        run(tmp_path, scenario)


def corrupt_log(directory: Path) -> Path:
    data = bytearray(write_log(directory / "log", make_batches(1, 5)))
    data[200] ^= 1
    (directory / "log").write_bytes(data)
    return directory / "log"


class TestTimestamps:
    """Records whose times go up and down, over chunks and segments, against a plain search of them all."""

    def batches(self, seed: int) -> tuple[list[Record], Batches]:
        rng, records, made = random.Random(seed), list[Record](), Batches()
        offset = 0
        for _ in range(40):
            count = rng.randrange(1, 8)
            mine = [
                Record(
                    offset + n, START_MS + rng.randrange(100_000) + 500 * offset, b"k", bytes(rng.randrange(300_000))
                )
                for n in range(count)
            ]
            compression = rng.choice(("none", "none", "lz4", "gzip"))
            made.append((offset, offset + count, build_batch(mine, base_offset=offset, compression=compression)))
            records += mine
            offset += count
        return records, made

    @pytest.mark.parametrize("seed", range(3))
    def test_the_first_record_not_earlier_is_found_exactly(self, tmp_path: Path, seed: int) -> None:
        records, made = self.batches(seed)

        async def scenario(cold: Cold) -> None:
            segments = [await cold.add(made[:15]), await cold.add(made[15:16]), await cold.add(made[16:])]
            rng = random.Random(seed)
            times = [START_MS - 1, START_MS, max(r.timestamp_ms for r in records), 2**62]
            times += [rng.choice(records).timestamp_ms + rng.choice((-1, 0, 1)) for _ in range(25)]
            for timestamp_ms in times:
                for start in (0, rng.randrange(records[-1].offset)):
                    expected = next((r for r in records if r.timestamp_ms >= timestamp_ms and r.offset >= start), None)
                    found = await cold.reader.offset_for_timestamp(segments, timestamp_ms, from_offset=start)
                    assert found == (expected and TimestampFound(expected.offset, expected.timestamp_ms))
            assert await cold.reader.offset_for_timestamp([], 0) is None

        run(tmp_path, scenario)

    def test_a_header_that_promises_a_time_which_no_record_has_is_passed_over(self, tmp_path: Path) -> None:
        first = build_batch([Record(0, START_MS, b"k", b"v")], base_offset=0)
        lying = make_batch(0, 1, first[61:], first_ms=START_MS, max_ms=START_MS + 10**9)
        later = build_batch([Record(1, START_MS + 10**9, b"k", b"v")], base_offset=1)

        async def scenario(cold: Cold) -> None:
            segments = [await cold.add([(0, 1, lying)]), await cold.add([(1, 2, later)])]
            found = await cold.reader.offset_for_timestamp(segments, START_MS + 5)
            assert found == TimestampFound(1, START_MS + 10**9)

        run(tmp_path, scenario)


def test_the_permit_is_held_while_reading(tmp_path: Path) -> None:
    made = make_batches(1, 5)

    async def scenario(cold: Cold) -> None:
        segment = await cold.add(made)
        permit = asyncio.Semaphore(1)
        cold.store.gate.clear()
        reading = asyncio.create_task(cold.reader.read([segment], 0, 1, permit=permit))
        await settled(lambda: len(cold.store.ranges) == 1)
        assert permit.locked()
        cold.store.gate.set()
        assert await reading == made[0][2]
        assert not permit.locked()

    run(tmp_path, scenario)


def test_a_large_tail_is_not_read_for_its_index_and_a_large_index_takes_a_second_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_batches(1, 5)

    async def scenario(cold: Cold) -> None:
        write_log(tmp_path / "log", made)
        upload: Upload = dataclasses.replace(
            make_upload(tmp_path / "log", 0, made[-1][1]), producer_snapshot=bytes(200_000)
        )
        done = await cold.tasks.upload(upload)
        assert decode_tail(cold.store.objects[upload.key], done.size_bytes).producer_snapshot == bytes(200_000)
        for known, guess, reads in (
            (0, 2**16, 1),
            (done.tail_bytes, 2**16, 1),
            (done.tail_bytes, FOOTER_BYTES + 10, 2),
        ):
            monkeypatch.setattr(chunk_source, "INDEX_GUESS_BYTES", guess)
            cold.store.ranges.clear()
            source = ChunkSource(cold.store, ChunkCache(tmp_path / "none", bytes_max=1, files_max=1))
            chunks = await source._index(ColdObject(upload.object_id, upload.key, done.size_bytes, known))
            assert [(chunk.base, chunk.end) for chunk in chunks] == [(0, made[-1][1])]
            assert len(cold.store.ranges) == reads
            assert max(end - start for _, start, end in cold.store.ranges) <= 2**16

    run(tmp_path, scenario)
