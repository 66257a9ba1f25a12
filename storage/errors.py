"""What a log refuses, and why: one exception class for each answer that a caller may have to give.

Always true: a `Refused` error left the log exactly as it was; a `WriteFailed` error cut back everything that was queued
since the last flush; after `StorageFailed` the log takes no more appends until it is opened again.
"""


class LogError(Exception):
    """Anything a log can say no with."""


class Refused(LogError):
    """The batch is not acceptable. Nothing was changed; sending the same bytes again will not help."""


class CorruptBatch(Refused):
    """Lengths do not agree, or the CRC-32C is not that of the bytes."""


class UnsupportedMagic(Refused):
    """A message format other than v2 (record batches, Kafka 0.11 and later)."""


class MessageTooLarge(Refused):
    """The batch is larger than `max.message.bytes`."""


class InvalidTimestamp(Refused):
    """A timestamp outside the topic's bounds, or a timestamp type that only a broker may set."""


class InvalidRecord(Refused):
    """Counts, attributes or producer fields that contradict each other or are not for clients to set."""


class TransactionsUnsupported(InvalidRecord):
    """A transactional batch: not offered yet."""


class OutOfOrderSequence(Refused):
    """The batch does not follow the last one of its idempotent producer."""


class InvalidProducerEpoch(Refused):
    """A newer instance of this producer has written already."""


class StaleLeaderEpoch(LogError):
    """The log already holds batches of a newer leader epoch than the one it is opened for."""


class OffsetOutOfRange(LogError):
    """No such offset: it lies outside [start, end)."""

    def __init__(self, offset: int, start: int, end: int) -> None:
        super().__init__(f"offset {offset} is outside [{start}, {end})")
        self.offset, self.start, self.end = offset, start, end


class BelowLocalStart(LogError):
    """The offset is valid but not on local disk: ask the cold tier, and if that has nothing, go on at `next_local`."""

    def __init__(self, offset: int, next_local: int) -> None:
        super().__init__(f"offset {offset} is not on local disk, which goes on at {next_local}")
        self.offset, self.next_local = offset, next_local


class WouldBlock(LogError):
    """The bytes are not in the page cache, or their file is not open: read again with `read_blocking` in a thread."""


class LogClosed(LogError):
    """The log was closed or deleted."""


class WriteFailed(LogError):
    """A write failed and was cut back: nothing since the last flush was kept. Retriable."""


class DiskFull(WriteFailed):
    """No space, or the disk quota is used up. Retriable once there is room."""


class StorageFailed(LogError):
    """The log cannot be trusted to disk any more (a failed fsync, a failed cut-back). Only a restart helps."""


class ReadFailed(LogError):
    """The device or the file system refused to read."""


class CorruptLog(LogError):
    """Bytes on disk that were durable are no longer whole."""


class DecodeFailed(LogError):
    """A batch whose records cannot be decoded: malformed, of an unknown codec, or too large when decompressed."""


class DecompressedTooLarge(DecodeFailed):
    """More comes out of a batch than may."""
