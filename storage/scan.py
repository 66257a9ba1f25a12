"""Walk the batches of a log file from end to end, as recovery and lookups by time need it.

Always true: never more than one batch and one chunk in memory; nothing that is read is trusted: the walk stops at the
first batch that cannot be the next one and says where and why.
"""

from collections.abc import Iterator

from .batch import HEADER, HEADER_BYTES, LENGTH_STARTS_AT, BatchHeader, crc_agrees, header_problem
from .disk import Disk

CHUNK_BYTES = 2**20
BATCH_BYTES_MAX = 256 * 2**20  # more than any request may carry; a larger length is damage


class BatchScan:
    """Iterate once over (position, header) of the batches of [start, stop) of an open file.

    After the walk `position` is where the good bytes end, `next_offset` the offset due there, and `problem` why it
    ended before `stop`, or None. With `check` each CRC is compared; `batch()` gives the current batch's bytes.
    """

    def __init__(self, disk: Disk, fd: int, start: int, stop: int, offset_min: int, *, check: bool = False) -> None:
        self._disk, self._fd, self._stop, self._check = disk, fd, stop, check
        self._chunk, self._chunk_at = b"", start
        self._size = 0
        self.position = start
        self.next_offset = offset_min
        self.problem: str | None = None

    def __iter__(self) -> Iterator[tuple[int, BatchHeader]]:
        while self.position < self._stop:
            header = self._header()
            if header is None:
                return
            self._size = header.size_bytes
            position = self.position
            if self._check and not crc_agrees(self.batch(), header):
                self.problem = f"CRC-32C of the batch at {position} does not agree"
                return
            yield position, header
            self.position = position + self._size
            self.next_offset = header.end_offset

    def batch(self) -> memoryview:
        """The bytes of the current batch."""
        self._load(self._size)
        at = self.position - self._chunk_at
        return memoryview(self._chunk)[at : at + self._size]

    def _header(self) -> BatchHeader | None:
        left = self._stop - self.position
        if left < HEADER_BYTES:
            self.problem = f"{left} bytes at {self.position} are no batch"
            return None
        if not self._load(HEADER_BYTES):
            self.problem = f"the file ends inside the batch at {self.position}"
            return None
        header = BatchHeader._make(HEADER.unpack_from(self._chunk, self.position - self._chunk_at))
        wrong = header_problem(header, self.next_offset)
        if wrong is None and header.length > BATCH_BYTES_MAX:
            wrong = f"a length of {header.length} bytes"
        if wrong is not None:
            self.problem = f"the batch at {self.position} has {wrong}"
            return None
        if LENGTH_STARTS_AT + header.length > left or (self._check and not self._load(header.size_bytes)):
            self.problem = f"the batch at {self.position} is cut off"
            return None
        return header

    def _load(self, size: int) -> bool:
        """Have `size` bytes from `position` on in the chunk."""
        start = self.position - self._chunk_at
        if start >= 0 and start + size <= len(self._chunk):
            return True
        want = min(max(size, CHUNK_BYTES), self._stop - self.position)
        self._chunk, self._chunk_at = self._disk.pread(self._fd, want, self.position), self.position
        return len(self._chunk) >= size
