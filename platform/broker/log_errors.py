"""Which Kafka error each failure of the log is, and the sentence beside it.

What was wrong with a batch is said in the log's own words. What is wrong with the machine is said in words of our own:
its paths, and which topics it holds, are nobody's business.
"""

from collections.abc import Mapping

from ...storage import errors as storage
from ..wire.errors import ErrorCode

PRODUCE: Mapping[type[storage.LogError], ErrorCode] = {
    storage.CorruptBatch: ErrorCode.CORRUPT_MESSAGE,
    storage.UnsupportedMagic: ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    storage.MessageTooLarge: ErrorCode.MESSAGE_TOO_LARGE,
    storage.InvalidTimestamp: ErrorCode.INVALID_TIMESTAMP,
    storage.InvalidRecord: ErrorCode.INVALID_RECORD,
    storage.OutOfOrderSequence: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
    storage.InvalidProducerEpoch: ErrorCode.INVALID_PRODUCER_EPOCH,
    storage.TransactionsUnsupported: ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    # A full disk passes when offload frees it: retriable, without the metadata storms of KAFKA_STORAGE_ERROR.
    storage.WriteFailed: ErrorCode.NOT_ENOUGH_REPLICAS,
    storage.StorageFailed: ErrorCode.KAFKA_STORAGE_ERROR,
    storage.LogClosed: ErrorCode.NOT_LEADER_OR_FOLLOWER,
}

FETCH: Mapping[type[storage.LogError], ErrorCode] = {
    storage.OffsetOutOfRange: ErrorCode.OFFSET_OUT_OF_RANGE,
    storage.LogClosed: ErrorCode.NOT_LEADER_OR_FOLLOWER,
    storage.StorageFailed: ErrorCode.KAFKA_STORAGE_ERROR,
}


SENTENCES: Mapping[type[storage.LogError], str] = {
    storage.DiskFull: "No space left on the broker's disk: nothing of this was kept, try again",
    storage.WriteFailed: "the broker's disk refused the write: nothing of this was kept, try again",
    storage.StorageFailed: "the broker cannot write to this partition until its operator has looked at it",
    storage.LogClosed: "the topic is being deleted",
}


def produce_error(error: storage.LogError) -> tuple[ErrorCode, str]:
    """Code and sentence for a batch that was refused."""
    code = code_of(error, PRODUCE, ErrorCode.UNKNOWN_SERVER_ERROR)
    if isinstance(error, storage.Refused):
        return code, str(error)
    return code, next((SENTENCES[kind] for kind in type(error).__mro__ if kind in SENTENCES), "the broker failed")


def fetch_error(error: storage.LogError) -> ErrorCode:
    """Code for a read that failed."""
    return code_of(error, FETCH, ErrorCode.KAFKA_STORAGE_ERROR)


def code_of(
    error: storage.LogError, codes: Mapping[type[storage.LogError], ErrorCode], otherwise: ErrorCode
) -> ErrorCode:
    """The code of the error's class, or of the nearest class it derives from."""
    return next((codes[kind] for kind in type(error).__mro__ if kind in codes), otherwise)
