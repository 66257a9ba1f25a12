"""Whether what is produced to compacted topics has keys: the one thing for which a broker looks into records.

Always true: only batches for compacted topics are looked into. A few small ones are checked where they are, for less
than a millisecond; what has more records, or more bytes once decompressed, is checked on one thread for the whole
broker, so that at most 64 MiB of decompressed records are in memory, whatever a batch claims to become.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ...storage.batch import HEADER_BYTES, parse_header
from ...storage.errors import DecompressedTooLarge
from ...storage.record_spans import problem_with_keys

INLINE_RECORDS_MAX = 500
INLINE_BYTES_MAX = 128 * 1024


def check_here(batches: Sequence[memoryview]) -> list[str | None] | None:
    """What is wrong with each batch, or None for nothing; instead of the list None when it would take too long."""
    records = sum(max(0, parse_header(batch).record_count) for batch in batches if len(batch) >= HEADER_BYTES)
    if records > INLINE_RECORDS_MAX or sum(map(len, batches)) > INLINE_BYTES_MAX:
        return None
    room_bytes = INLINE_BYTES_MAX // max(1, len(batches))  # to grow for each, so that together they stay within bounds
    try:
        return [problem_with_keys(batch, len(batch) + room_bytes) for batch in batches]
    except DecompressedTooLarge:
        return None


def check(batches: Sequence[memoryview]) -> list[str | None]:
    """As `check_here`, however long it takes."""
    found: list[str | None] = []
    for batch in batches:
        try:
            found.append(problem_with_keys(batch))
        except DecompressedTooLarge as error:
            found.append(f"the records cannot be looked at, which a compacted topic needs: {error}")
    return found


class KeyChecks:
    """The thread. One per broker."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="key-checks")

    async def check(self, batches: Sequence[memoryview]) -> list[str | None]:
        """What is wrong with each batch, or None. The bytes must stay as they are until then."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, check, batches)

    def close(self) -> None:
        """Stop the thread; what waits for it is cancelled."""
        self._thread.shutdown(wait=False, cancel_futures=True)
