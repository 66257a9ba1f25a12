"""Reading a topic's records for a person: the newest that are there, or the next to come.

Always true: nobody's group is joined and nothing is committed; what is read is read as the console, with the role
viewer-data, so whether the member may see records is for the caller to check. One process reads for 64 callers at once,
four of them the same member; with what `record_fetch` lets them hold that is some 80 MB at the worst, whatever topics
contain (batches made to inflate, nest and grow took 55). A block that ends, by cancellation too, leaves no connection.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from ..platform.wire.messages.list_offsets import EARLIEST_TIMESTAMP, LATEST_TIMESTAMP
from . import kafka_questions as questions
from .failures import Failure
from .kafka_connection import BrokerAddress, BrokerRefused, BrokerUnavailable, Conversation
from .kafka_token import TOKEN_MS
from .places import Full, Places
from .record_fetch import Room, TopicReader
from .record_views import HeaderView, Payload, RecordView

__all__ = ["HeaderView", "NewestRecords", "Payload", "RecordReader", "RecordView", "RecordWatch"]

ROLE = "viewer-data"
READERS_MAX = 64
READERS_OF_MEMBER_MAX = 4
RECORDS_AT_ONCE = 100
FETCH_S_MAX = 10.0
TRY_AGAIN_S = 0.25
CONVERSATION_S_MAX = TOKEN_MS / 1000 - 60
NEWEST_S_MAX = 5.0
EMPTY_ANSWERS_MAX = 3


@dataclass(frozen=True, slots=True)
class NewestRecords:
    """Newest first. With `missing_because` there are others, which could not be read; the sentence says why."""

    records: tuple[RecordView, ...]
    missing_because: str | None = None


class RecordReader:
    """One for the process."""

    def __init__(self, broker: BrokerAddress) -> None:
        self._broker = broker
        self._room = Room()
        self._places = Places(READERS_OF_MEMBER_MAX, READERS_MAX)

    @contextlib.asynccontextmanager
    async def watching(
        self,
        member_id: UUID,
        namespace_id: UUID,
        topic: str,
        partitions: int,
        offsets: Mapping[int, int] | None = None,
    ) -> AsyncIterator["RecordWatch"]:
        """For the length of the block, what comes into partitions 0 to `partitions` - 1: from these offsets on, or
        where none is given, from the end as it is now. Raises Failure (429) beyond the limits, BrokerUnavailable."""
        with self.place(member_id):
            async with _Line(self._broker, namespace_id) as line:
                positions = dict.fromkeys(range(partitions), 0)  # of a topic made a moment ago the broker knows nothing
                positions |= await line.offsets(topic, set(range(partitions)) - set(offsets or ()), LATEST_TIMESTAMP)
                positions |= {index: offset for index, offset in (offsets or {}).items() if index in positions}
                yield RecordWatch(line, TopicReader(self._room, topic, positions))

    async def newest_records(
        self, member_id: UUID, namespace_id: UUID, topic: str, partitions: int, limit: int
    ) -> NewestRecords:
        """The last few records that are there now, by their timestamps. Raises Failure (429), BrokerUnavailable."""
        with self.place(member_id):
            async with _Line(self._broker, namespace_id) as line:
                indexes = set(range(partitions))
                starts = await line.offsets(topic, indexes, EARLIEST_TIMESTAMP)
                ends = await line.offsets(topic, indexes, LATEST_TIMESTAMP)
                begin = {index: max(starts[index], end - limit) for index, end in ends.items() if index in starts}
                reader = TopicReader(self._room, topic, {at: begin[at] for at in begin if begin[at] < ends[at]})
                return await _read_to(line, reader, ends, limit)

    @contextlib.contextmanager
    def place(self, member_id: UUID) -> Iterator[None]:
        """One of the places for who reads, also for who waits to read. Raises Failure (429)."""
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._places.one_for(member_id))
            except Full as full:
                if full.mine:
                    raise _too_many(f"you have {full.most} pages waiting for records", "close one of them") from None
                message = f"the console waits for records {full.most} times already"
                raise _too_many(message, "try again in a moment") from None
            yield


def _too_many(message: str, hint: str) -> Failure:
    return Failure(429, "too_many_readers", message, hint, {"Retry-After": "5"})


class RecordWatch:
    """What comes into a topic, from `RecordReader.watching`."""

    def __init__(self, line: "_Line", reader: TopicReader) -> None:
        self._line = line
        self._reader = reader

    @property
    def positions(self) -> Mapping[int, int]:
        """The next offsets to read, by partition: who comes back with them misses nothing and sees nothing twice."""
        return self._reader.positions

    async def next(self, wait_s: float, count_max: int = RECORDS_AT_ONCE) -> list[RecordView]:
        """The next few records as soon as there are any, none after `wait_s`.

        A broker that restarts meanwhile is waited for. Raises BrokerUnavailable when it is away at the end of the wait,
        or the topic is; at once when it refuses.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + wait_s
        while True:
            left_s = max(0.0, until_s - loop.time())
            missing: BrokerUnavailable | None = None
            try:
                conversation = await self._line.conversation()
                fetched = await self._reader.fetch(conversation, int(min(left_s, FETCH_S_MAX) * 1000), count_max)
            except (BrokerRefused, asyncio.CancelledError):
                await self._line.hang_up()  # an answer may be under way, which must not be taken for the next one's
                raise
            except BrokerUnavailable as unavailable:
                await self._line.hang_up()
                missing = unavailable
            else:
                if fetched.broken:
                    await self._line.hang_up()
                if fetched.views:
                    return fetched.views
                if fetched.not_now_because:
                    missing = BrokerUnavailable(fetched.not_now_because)
            left_s = until_s - loop.time()
            if left_s <= 0:
                if missing is not None:
                    raise missing
                return []
            if missing is not None:
                await asyncio.sleep(min(TRY_AGAIN_S, left_s))


class _Line:
    """A conversation that is had anew when it broke, or before its token runs out."""

    def __init__(self, broker: BrokerAddress, namespace_id: UUID) -> None:
        self._broker = broker
        self._namespace_id = namespace_id
        self._stack = contextlib.AsyncExitStack()
        self._conversation: Conversation | None = None
        self._began_s = 0.0

    async def __aenter__(self) -> "_Line":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hang_up()

    async def conversation(self) -> Conversation:
        """Raises BrokerUnavailable."""
        if self._conversation is not None and time.monotonic() - self._began_s > CONVERSATION_S_MAX:
            await self.hang_up()
        if self._conversation is None:
            self._began_s = time.monotonic()
            signed_in = self._broker.signed_in(self._namespace_id, ROLE)
            self._conversation = await self._stack.enter_async_context(signed_in)
        return self._conversation

    async def hang_up(self) -> None:
        self._conversation = None
        await self._stack.aclose()

    async def offsets(self, topic: str, indexes: set[int], timestamp: int) -> dict[int, int]:
        """One kind of offset of each partition that the broker answers for. Raises BrokerUnavailable."""
        names = [(topic, index) for index in sorted(indexes)]
        found = await questions.offsets(await self.conversation(), names, timestamp)
        return {index: offset.offset for (_, index), offset in found.items()}


async def _read_to(line: _Line, reader: TopicReader, ends: Mapping[int, int], limit: int) -> NewestRecords:
    """What lies between the reader's positions and the ends, the newest of it."""
    found: list[RecordView] = []
    missing_because: str | None = "the broker did not give all of them just now"
    empty_answers = 0
    try:
        async with asyncio.timeout(NEWEST_S_MAX):
            while reader.positions and empty_answers < EMPTY_ANSWERS_MAX:
                fetched = await reader.fetch(await line.conversation(), 0, RECORDS_AT_ONCE)
                if fetched.broken:
                    await line.hang_up()
                missing_because = fetched.not_now_because or missing_because
                empty_answers = 0 if fetched.views else empty_answers + 1
                found = sorted([*found, *fetched.views], key=_newest_first)[:limit]
                for index in [index for index, offset in reader.positions.items() if offset >= ends[index]]:
                    del reader.positions[index]
    except TimeoutError:
        missing_because = f"the broker did not give all of them within {NEWEST_S_MAX:.0f} s"
    return NewestRecords(tuple(found), missing_because if reader.positions else None)


def _newest_first(view: RecordView) -> tuple[int, int, int]:
    return -view.timestamp_ms, view.partition, -view.offset
