"""Password hashes: right answers, equal work for strangers, and never more than two at a time."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
from coldstream.tenants import passwords
from coldstream.tenants.errors import Busy, InvalidArgument
from coldstream.tenants.passwords import WAITING_MAX, Lane, generate_password, hash_password, password_matches

RIGHT = "correct horse battery"


class Hashing:
    """Stands in for the hash function, so that a test says when a hash is done."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.begun = 0
        self.at_once = 0
        self.at_once_max = 0
        self._lock = threading.Lock()

    def __call__(self, hashed: str, password: str) -> bool:
        with self._lock:
            self.begun += 1
            self.at_once += 1
            self.at_once_max = max(self.at_once_max, self.at_once)
        self.may_end.wait(10)
        with self._lock:
            self.at_once -= 1
        return hashed == password


@pytest.fixture
def hashing(monkeypatch: pytest.MonkeyPatch) -> Hashing:
    slow = Hashing()
    monkeypatch.setattr(passwords, "_matches", slow)
    return slow


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def test_a_hash_matches_its_password_only() -> None:
    async def scenario() -> None:
        hashed = await hash_password(RIGHT)
        assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$") and RIGHT not in hashed
        assert hashed != await hash_password(RIGHT)
        for lane in Lane:
            assert await password_matches(hashed, RIGHT, lane)
            assert not await password_matches(hashed, RIGHT + " ", lane)
            assert not await password_matches(None, "nobody has this password", lane)
            assert not await password_matches("no hash at all", RIGHT, lane)

    asyncio.run(scenario())


@pytest.mark.parametrize("length", [0, 7, 1025])
def test_a_password_too_short_or_too_long_is_refused_unhashed(length: int, hashing: Hashing) -> None:
    with pytest.raises(InvalidArgument, match="8 to 1024"):
        asyncio.run(hash_password("x" * length))
    assert hashing.begun == 0


def test_generated_passwords_are_long_never_the_same_and_not_to_be_read_by_accident() -> None:
    async def scenario() -> None:
        one, other = await generate_password(), await generate_password()
        assert len(one.text) == len(other.text) == 24 and one.text != other.text
        assert await password_matches(one.hashed, one.text, Lane.STRANGERS)
        assert one.text not in repr(one) and one.hashed not in repr(one)

    asyncio.run(scenario())


def test_whoever_does_not_exist_costs_as_much_as_who_does() -> None:
    async def scenario() -> None:
        hashed = await hash_password(RIGHT)
        await password_matches(None, RIGHT, Lane.STRANGERS)  # makes the hash that stands for nobody's
        best: dict[str | None, float] = {}
        for _ in range(7):
            for given in (hashed, None):
                begun_s = time.perf_counter()
                await password_matches(given, "a wrong password", Lane.STRANGERS)
                took_s = time.perf_counter() - begun_s
                best[given] = min(best.get(given, took_s), took_s)
        assert 0.5 < best[None] / best[hashed] < 2, best

    asyncio.run(scenario())


def test_a_flood_of_strangers_takes_one_thread_and_leaves_the_other_to_members(hashing: Hashing) -> None:
    async def scenario() -> None:
        flood = [asyncio.create_task(password_matches("a", "a", Lane.STRANGERS)) for _ in range(20)]
        await until(lambda: hashing.begun == 1)
        member = asyncio.create_task(password_matches("b", "b", Lane.MEMBERS))
        await until(lambda: hashing.begun == 2)
        hashing.may_end.set()
        assert await member and all(await asyncio.gather(*flood))
        assert hashing.begun == 21 and hashing.at_once_max == 2

    asyncio.run(scenario())


def test_too_many_at_once_are_refused_at_once_and_room_comes_back(hashing: Hashing) -> None:
    async def scenario() -> None:
        waiting = [asyncio.create_task(password_matches("a", "a", Lane.STRANGERS)) for _ in range(WAITING_MAX)]
        await until(lambda: hashing.begun == 1)
        with pytest.raises(Busy, match="try again"):
            await password_matches("a", "a", Lane.STRANGERS)
        for task in waiting[1:]:  # hung up while they waited for their turn
            task.cancel()
        await asyncio.gather(*waiting[1:], return_exceptions=True)
        again = asyncio.create_task(password_matches("a", "a", Lane.STRANGERS))
        await asyncio.sleep(0)
        hashing.may_end.set()
        assert await again and await waiting[0]
        assert hashing.begun == 2, "a hash for who hung up is not computed"

    asyncio.run(scenario())


def test_hanging_up_does_not_let_more_than_one_hash_of_a_lane_run(hashing: Hashing) -> None:
    async def scenario() -> None:
        for _ in range(10):
            task = asyncio.create_task(password_matches("a", "a", Lane.STRANGERS))
            await until(lambda: hashing.begun == 1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert hashing.at_once_max == 1
        hashing.may_end.set()

    asyncio.run(scenario())
