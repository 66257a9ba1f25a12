"""One exam for every object store: a directory, SeaweedFS, the JuiceFS gateway, and MinIO where there is one."""

import asyncio
import hashlib
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from coldstream.storage.directory_store import INCOMING, DirectoryStore
from coldstream.storage.object_store import (
    DigestMismatch,
    ObjectMissing,
    ObjectStore,
    ObjectStoreDenied,
    ObjectStoreError,
    ObjectStoreUnavailable,
    ObjectTruncated,
    checked_key,
)
from coldstream.storage.store_url import file_url, open_store

from ..s3_servers import KINDS, s3_url, server_or_skip
from .memory_store import MemoryStore

Scenario = Callable[[ObjectStore], Awaitable[None]]


@pytest.fixture(params=["memory", "directory", *KINDS])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "memory":
        return "memory"
    if request.param == "directory":
        return file_url(tmp_path / "objects")
    return s3_url(request.param, monkeypatch)


@pytest.fixture
def sit(url: str) -> Callable[[Scenario], None]:
    def run(scenario: Scenario) -> None:
        async def opened() -> None:
            async with using(url) as store:
                await scenario(store)

        asyncio.run(opened())

    return run


@asynccontextmanager
async def using(url: str) -> AsyncIterator[ObjectStore]:
    store: ObjectStore = MemoryStore() if url == "memory" else open_store(url)
    try:
        yield store
    finally:
        await store.close()


def md5(data: bytes) -> bytes:
    return hashlib.md5(data).digest()


async def listed(store: ObjectStore, prefix: str = "v1/") -> dict[str, int]:
    return {key: size async for key, size in store.list(prefix)}


def test_what_was_put_comes_back_whole_and_in_ranges(sit: Callable[[Scenario], None], tmp_path: Path) -> None:
    data = random.Random(1).randbytes(3 * 2**20 + 17)
    (tmp_path / "source").write_bytes(data)

    async def scenario(store: ObjectStore) -> None:
        key = "v1/cluster/topic/0/00000000000000000000-00000000000000000100-1-abc.seg"
        await store.put_file(key, tmp_path / "source", md5=md5(data), deadline_s=30)
        info = await store.head(key)
        assert info is not None and info.size_bytes == len(data) and info.md5 in (None, md5(data))
        assert await store.get_range(key, 0, len(data)) == data
        for start, end in [(0, 1), (5, 9), (2**20, 2 * 2**20 + 1), (len(data) - 64, len(data))]:
            assert await store.get_range(key, start, end) == data[start:end]

    sit(scenario)


def test_a_range_past_the_end_and_a_missing_object_are_told_apart(sit: Callable[[Scenario], None]) -> None:
    async def scenario(store: ObjectStore) -> None:
        await store.put_bytes("v1/small", b"abcdef")
        for start, end in [(4, 7), (6, 7), (100, 200)]:
            with pytest.raises(ObjectTruncated):
                await store.get_range("v1/small", start, end)
        with pytest.raises(ObjectMissing):
            await store.get_range("v1/nothing", 0, 1)
        assert await store.head("v1/nothing") is None
        with pytest.raises(ValueError, match="not a range"):
            await store.get_range("v1/small", 3, 3)

    sit(scenario)


def test_bytes_that_are_not_those_of_the_md5_are_refused_and_nothing_is_visible(
    sit: Callable[[Scenario], None], tmp_path: Path
) -> None:
    (tmp_path / "source").write_bytes(b"x" * 100_000)

    async def scenario(store: ObjectStore) -> None:
        with pytest.raises(DigestMismatch):
            await store.put_file("v1/wrong", tmp_path / "source", md5=md5(b"other"), deadline_s=30)
        assert await store.head("v1/wrong") is None
        assert await listed(store) == {}

    sit(scenario)


def test_a_put_past_its_deadline_is_an_unknown_outcome(sit: Callable[[Scenario], None], tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x" * 8_000_000)

    async def scenario(store: ObjectStore) -> None:
        await store.put_bytes("v1/warm", b"1")
        with pytest.raises(ObjectStoreUnavailable):
            await store.put_file("v1/late", tmp_path / "source", md5=md5(b"x" * 8_000_000), deadline_s=0.001)
        info = await store.head("v1/late")
        assert info is None or info.size_bytes == 8_000_000  # whole or not at all

    sit(scenario)


def test_deleting_confirms_what_is_gone_and_may_be_repeated(sit: Callable[[Scenario], None]) -> None:
    async def scenario(store: ObjectStore) -> None:
        keys = {f"v1/t/{index}" for index in range(3)}
        for key in keys:
            await store.put_bytes(key, b"data")
        assert await store.delete(keys | {"v1/t/never-was"}) == keys | {"v1/t/never-was"}
        assert await store.delete(keys) == keys
        assert await listed(store) == {}
        assert await store.delete([]) == set()
        await store.put_bytes("v1/t/0", b"again")
        assert await store.get_range("v1/t/0", 0, 5) == b"again"

    sit(scenario)


def test_a_listing_has_every_object_below_the_prefix_over_many_pages(sit: Callable[[Scenario], None]) -> None:
    async def scenario(store: ObjectStore) -> None:
        expected = {f"v1/c/t{index % 3}/p{index:04d}": index % 7 + 1 for index in range(230)}
        gate = asyncio.Semaphore(16)

        async def put(key: str, size: int) -> None:
            async with gate:
                await store.put_bytes(key, b"x" * size)

        await asyncio.gather(*(put(key, size) for key, size in expected.items()), put("v1/other", 1))
        assert await listed(store, "v1/c/") == expected
        assert await listed(store, "v1/c/t1") == {k: s for k, s in expected.items() if k.startswith("v1/c/t1")}
        assert await listed(store, "v1/nowhere/") == {}
        assert await store.delete(expected) == set(expected)
        assert await listed(store) == {"v1/other": 1}

    sit(scenario)


def test_a_probe_passes_and_leaves_nothing(sit: Callable[[Scenario], None]) -> None:
    async def scenario(store: ObjectStore) -> None:
        await store.probe()
        assert await listed(store) == {}

    sit(scenario)


@pytest.mark.parametrize("key", ["", "/a", "a//b", "../a", "a/../b", "a/./b", ".incoming/x", "a/.b", "a b", "a\0b", "é",
                                 "a/" + "b" * 201, "a\\b", "a/", "x/" * 500 + "y"])  # fmt: skip
def test_no_key_can_climb_out_or_be_normalised_away(key: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="object key"):
        checked_key(key)

    async def scenario() -> None:
        with pytest.raises(ValueError, match="object key"):
            await DirectoryStore(tmp_path / "objects").put_bytes(key, b"x")

    asyncio.run(scenario())


class TestDirectory:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Iterator[Path]:
        yield tmp_path / "objects"

    def test_directories_without_objects_go(self, root: Path) -> None:
        async def scenario() -> None:
            store = DirectoryStore(root)
            await store.put_bytes("v1/c/t/0/a.seg", b"x")
            await store.put_bytes("v1/c/t/1/b.seg", b"x")
            await store.delete(["v1/c/t/0/a.seg"])
            assert sorted(p.name for p in (root / "v1/c/t").iterdir()) == ["1"]
            await store.delete(["v1/c/t/1/b.seg"])
            assert [p.name for p in root.iterdir()] == [INCOMING]
            assert list((root / INCOMING).iterdir()) == []

        asyncio.run(scenario())

    def test_puts_win_against_concurrent_removal_of_emptied_directories(self, root: Path) -> None:
        async def scenario() -> None:
            store = DirectoryStore(root)

            async def churn(index: int) -> None:
                for _ in range(20):
                    key = f"v1/c/t/0/{index}"
                    await store.put_bytes(key, b"x")
                    assert await store.get_range(key, 0, 1) == b"x"
                    assert await store.delete([key]) == {key}

            await asyncio.gather(*(churn(index) for index in range(4)))

        asyncio.run(scenario())

    def test_an_old_temporary_file_of_a_dead_process_is_dropped_at_the_probe(self, root: Path) -> None:
        (root / INCOMING).mkdir(parents=True)
        for name, age_s in (("dead", 90_000), ("alive", 10)):
            (root / INCOMING / name).write_bytes(b"half")
            then = (root / INCOMING / name).stat().st_mtime - age_s
            os.utime(root / INCOMING / name, (then, then))
        asyncio.run(DirectoryStore(root).probe())
        assert [p.name for p in (root / INCOMING).iterdir()] == ["alive"]

    def test_a_root_that_cannot_be_a_directory_is_an_error_that_names_it(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(ObjectStoreError, match=str(tmp_path)):
            asyncio.run(DirectoryStore(tmp_path / "file" / "objects").probe())

    def test_a_link_inside_the_directory_is_not_followed_when_listing(self, root: Path, tmp_path: Path) -> None:
        async def scenario() -> None:
            store = DirectoryStore(root)
            await store.put_bytes("v1/a", b"x")
            (tmp_path / "secret").mkdir()
            (tmp_path / "secret" / "s").write_text("s")
            (root / "v1" / "link").symlink_to(tmp_path / "secret")
            assert "v1/link/s" not in await listed(store)

        asyncio.run(scenario())


class TestS3:
    @pytest.fixture(params=["seaweedfs", "juicefs"])
    def kind(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
        s3_url(request.param, monkeypatch)
        return str(request.param)

    def refusal(self, url: str) -> str:
        async def scenario() -> str:
            async with using(url) as store:
                with pytest.raises(ObjectStoreDenied) as caught:
                    await store.probe()
            return str(caught.value)

        return asyncio.run(scenario())

    def test_a_missing_bucket_is_named(self, kind: str) -> None:
        endpoint = server_or_skip(kind).endpoint
        message = self.refusal(f"s3://no-such-bucket-{uuid4().hex[:8]}/p?endpoint={endpoint}")
        assert "there is no bucket 'no-such-bucket" in message and "create it" in message

    def test_a_wrong_secret_or_key_says_which_variables_to_check(
        self, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = server_or_skip(kind).url()
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
        message = self.refusal(url)
        assert "AWS_SECRET_ACCESS_KEY" in message and "wrong-secret" not in message
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        assert "AWS_ACCESS_KEY_ID" in self.refusal(url)

    def test_no_credentials_at_all_says_so(self, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        url = server_or_skip(kind).url()
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        assert "AWS_ACCESS_KEY_ID" in self.refusal(url)

    def test_credentials_come_from_the_usual_file_too(
        self, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        server = server_or_skip(kind)
        secrets = {name: monkeypatch.delenv(name) or value for name, value in server.environ.items() if "KEY" in name}
        lines = ["[lab]", *(f"{name.lower()} = {value}" for name, value in secrets.items())]
        (tmp_path / "credentials").write_text("\n".join(lines))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
        monkeypatch.setenv("AWS_PROFILE", "lab")

        async def scenario() -> None:
            async with using(server.url()) as store:
                await store.probe()

        asyncio.run(scenario())


def test_a_server_that_is_down_is_unavailable_and_quickly_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")

    async def scenario() -> None:
        async with using("s3://bucket/p?endpoint=http://127.0.0.1:9") as store:
            with pytest.raises(ObjectStoreUnavailable, match=r"127\.0\.0\.1:9"):
                await store.head("v1/a")
            assert await store.delete(["v1/a"]) == set()

    asyncio.run(asyncio.wait_for(scenario(), 20))
