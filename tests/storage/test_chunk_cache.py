"""The chunk cache: limits, what survives a restart, and what a damaged or foreign file does."""

import asyncio
import os
import random
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from coldstream.storage.chunk_cache import PARTIAL_SUFFIX, CachedChunk, ChunkCache
from crc32c import crc32c

KIB = 1024


def make(object_id: UUID, base: int, size: int = KIB) -> tuple[CachedChunk, bytes]:
    raw = random.Random(f"{object_id}{base}").randbytes(size)
    return CachedChunk(object_id, base, base + 10, size, crc32c(raw)), raw


def opened(directory: Path, *, bytes_max: int = 100 * KIB, files_max: int = 1000) -> ChunkCache:
    cache = ChunkCache(directory, bytes_max=bytes_max, files_max=files_max)
    cache.load()
    return cache


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_chunk_is_found_by_any_offset_that_it_covers(tmp_path: Path) -> None:
    async def scenario() -> None:
        cache, one = opened(tmp_path), uuid4()
        chunk, raw = make(one, 100)
        await cache.add(chunk, raw)
        assert await cache.find(one, 100) == chunk == await cache.find(one, 109)
        assert await cache.find(one, 99) is None and await cache.find(one, 110) is None
        assert await cache.find(uuid4(), 100) is None
        assert cache.path(chunk).read_bytes() == raw
        assert (cache.bytes_used, len(cache)) == (KIB, 1)

    asyncio.run(scenario())


def test_least_recently_used_chunks_leave_at_the_mark_of_bytes(tmp_path: Path) -> None:
    async def scenario() -> None:
        cache, one = opened(tmp_path, bytes_max=10 * KIB), uuid4()  # the mark is 8 KiB
        chunks = [make(one, base) for base in range(0, 80, 10)]
        for chunk, raw in chunks:
            await cache.add(chunk, raw)
        assert len(cache) == 8
        await cache.find(one, 0)  # used again: the second one is the oldest now
        await cache.add(*make(one, 500))
        assert not cache.holds((one, 10)) and cache.holds((one, 0)) and cache.bytes_used == 8 * KIB
        assert len(files(tmp_path)) == 8

    asyncio.run(scenario())


def test_the_number_of_files_is_limited_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        cache = opened(tmp_path, files_max=10)
        for base in range(0, 200, 10):
            await cache.add(*make(UUID(int=base), base))
        assert len(cache) == len(files(tmp_path)) == 8

    asyncio.run(scenario())


def test_a_chunk_larger_than_the_cache_is_kept_until_the_next_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        cache, one = opened(tmp_path, bytes_max=KIB), uuid4()
        await cache.add(*make(one, 0, 5 * KIB))
        assert await cache.find(one, 0) is not None
        await cache.add(*make(one, 10, 5 * KIB))
        assert len(cache) == 1 and cache.holds((one, 10))

    asyncio.run(scenario())


def test_chunks_survive_a_restart_oldest_first_and_are_checked_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        cache, one = opened(tmp_path), uuid4()
        chunks = [make(one, base) for base in range(0, 60, 10)]
        for number, (chunk, raw) in enumerate(chunks):
            await cache.add(chunk, raw)
            os.utime(cache.path(chunk), ns=(number, number))
        again = opened(tmp_path, bytes_max=5 * KIB)  # smaller now: the mark is 4 KiB
        assert [again.holds((one, base)) for base in range(0, 60, 10)] == [False, False, True, True, True, True]
        assert len(files(tmp_path)) == 4
        assert await again.find(one, 25) == chunks[2][0]
        again.path(chunks[2][0]).write_bytes(bytes(KIB))  # after the check: the kernel's business, not ours
        assert await again.find(one, 25) == chunks[2][0]

    asyncio.run(scenario())


@pytest.mark.parametrize("damage", ["flip", "cut", "grow", "gone"])
def test_a_file_that_was_damaged_while_we_were_down_is_dropped_and_not_served(tmp_path: Path, damage: str) -> None:
    async def scenario() -> None:
        one = uuid4()
        chunk, raw = make(one, 0)
        path = (await_cache := opened(tmp_path)).path(chunk)
        await await_cache.add(chunk, raw)
        again = None if damage in ("cut", "grow") else opened(tmp_path)
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes({"flip": raw[:-1] + bytes([raw[-1] ^ 1]), "cut": raw[:-1], "grow": raw + b"x"}[damage])
        again = again or opened(tmp_path)
        assert await again.find(one, 5) is None
        assert (len(again), again.bytes_used, files(tmp_path)) == (0, 0, [])

    asyncio.run(scenario())


def test_files_that_are_not_ours_are_neither_counted_nor_touched_and_half_written_ones_go(tmp_path: Path) -> None:
    chunk, raw = make(uuid4(), 0)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "data").write_bytes(raw)
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    (folder / f"{'g' * 32}.{0:020d}.{1:020d}.5.00000000.chunk").write_text("odd")
    (folder / (chunk.file_name + PARTIAL_SUFFIX)).write_bytes(raw[:10])
    (folder / "subfolder").mkdir()
    (folder / chunk.file_name).symlink_to(tmp_path / "outside" / "data")
    cache = opened(folder)
    assert len(cache) == 0 and cache.bytes_used == 0
    assert chunk.file_name + PARTIAL_SUFFIX not in files(folder)
    assert {"notes.txt", "subfolder", chunk.file_name} <= set(files(folder))
    assert (tmp_path / "outside" / "data").read_bytes() == raw


def test_a_reader_who_found_a_file_gone_makes_the_cache_look_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        cache, one = opened(tmp_path), uuid4()
        chunk, raw = make(one, 0)
        await cache.add(chunk, raw)
        cache.path(chunk).unlink()
        assert await cache.find(one, 0) == chunk  # it cannot know
        cache.suspect(one)
        assert await cache.find(one, 0) is None
        await cache.add(chunk, raw)
        cache.suspect(one)
        assert await cache.find(one, 0) == chunk

    asyncio.run(scenario())


def test_a_full_disk_makes_room_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        cache, one = opened(tmp_path), uuid4()
        for base in range(0, 40, 10):
            await cache.add(*make(one, base))
        sync, failing = os.fdatasync, [True]

        def full_once(fd: int) -> None:
            if failing:
                failing.clear()
                raise OSError(28, "No space left on device")
            sync(fd)

        monkeypatch.setattr(os, "fdatasync", full_once)
        chunk, raw = make(one, 100)
        await cache.add(chunk, raw)
        assert await cache.find(one, 100) == chunk
        assert [cache.holds((one, base)) for base in range(0, 40, 10)] == [False, False, False, True]
        assert len(files(tmp_path)) == 2

    asyncio.run(scenario())


@pytest.mark.parametrize("seed", range(5))
def test_index_and_directory_agree_whatever_happens(tmp_path: Path, seed: int) -> None:
    async def scenario() -> None:
        rng, objects = random.Random(seed), [UUID(int=n) for n in range(3)]
        cache = opened(tmp_path, bytes_max=20 * KIB, files_max=12)
        for _ in range(150):
            one, base = rng.choice(objects), rng.randrange(12) * 10
            if rng.random() < 0.1:
                cache = opened(tmp_path, bytes_max=20 * KIB, files_max=12)
            elif rng.random() < 0.5:
                await cache.add(*make(one, base, 1 + (base * 37 + one.int * 11) % (3 * KIB)))
            else:
                found = await cache.find(one, base)
                assert found is None or cache.path(found).stat().st_size == found.length
            sizes = [path.stat().st_size for path in tmp_path.iterdir()]
            assert (len(cache), cache.bytes_used) == (len(sizes), sum(sizes))
            assert cache.bytes_used <= 20 * KIB and len(cache) <= 12

    asyncio.run(scenario())
