"""Password hashes: Argon2id, and how much of the machine they may take.

Always true: one process computes at most two hashes at a time, one for strangers who sign in and one for members who
are known already; so a flood of sign-ins takes one core and 19 MiB at most, and delays no member's own work. Hashes
that wait are few: beyond that, asking is refused at once.
"""

import asyncio
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from .errors import Busy, InvalidArgument

if TYPE_CHECKING:
    from argon2 import PasswordHasher

R = TypeVar("R")

PASSWORD_LENGTH_MIN, PASSWORD_LENGTH_MAX = 8, 1024
WAITING_MAX = 64  # of each lane: two to three seconds' worth


class Lane(Enum):
    """Who waits for whom. A worker thread each, which also goes on counting when whoever asked has hung up."""

    STRANGERS = "strangers"
    MEMBERS = "members"


async def hash_password(password: str) -> str:
    """Raises InvalidArgument, Busy."""
    check_password(password)
    return await _in_lane(Lane.MEMBERS, lambda: _hasher().hash(password))


def check_password(password: str) -> None:
    """Raises InvalidArgument."""
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        raise InvalidArgument(f"a password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters")


async def password_matches(hashed: str | None, password: str, lane: Lane) -> bool:
    """Whether the hash is of this password; without a hash no, after as much work. Raises Busy."""
    right = await _in_lane(lane, lambda: _matches(hashed or _nobodys_hash(), password))
    return right and hashed is not None


@dataclass(frozen=True, slots=True)
class GeneratedPassword:
    """144 random bits, to be typed over by hand if need be, and their hash. `text` is kept nowhere: show it once."""

    text: str = field(repr=False)
    hashed: str = field(repr=False)


async def generate_password() -> GeneratedPassword:
    """Before the transaction that gives it to a member, which would hold its locks meanwhile. Raises Busy."""
    text = secrets.token_urlsafe(18)
    return GeneratedPassword(text, await hash_password(text))


async def _in_lane(lane: Lane, work: Callable[[], R]) -> R:
    return await _WORKERS[lane].run(work)


class _Worker:
    """One thread, begun when first needed, and a bounded number of callers that wait for it."""

    def __init__(self, lane: Lane) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"passwords-{lane.value}")
        self._places = threading.BoundedSemaphore(WAITING_MAX)

    async def run(self, work: Callable[[], R]) -> R:
        if not self._places.acquire(blocking=False):
            raise Busy("too many passwords are being checked at this moment: try again in a few seconds")
        future = self._thread.submit(work)
        future.add_done_callback(lambda _: self._places.release())  # also when whoever asked hung up before its turn
        return await asyncio.wrap_future(future)


_WORKERS = {lane: _Worker(lane) for lane in Lane}


@cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher  # only who signs in with a password pays for it

    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)  # OWASP's Argon2id setting, 19 MiB


@cache
def _nobodys_hash() -> str:
    return _hasher().hash("nobody has this password")


def _matches(hashed: str, password: str) -> bool:
    from argon2.exceptions import Argon2Error, InvalidHashError

    try:
        return _hasher().verify(hashed, password[:PASSWORD_LENGTH_MAX])
    except (Argon2Error, InvalidHashError):
        return False
