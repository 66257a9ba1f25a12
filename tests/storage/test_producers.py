import struct

import pytest
from coldstream.storage.errors import InvalidProducerEpoch, OutOfOrderSequence
from coldstream.storage.producers import (
    BATCHES_KEPT,
    ENTRIES_MAX,
    EXPIRATION_MS,
    Producers,
    decode_snapshot,
    encode_snapshot,
)
from crc32c import crc32c

from .local_log import NOW_MS

PID = 4000


def appended(producers: Producers, first: int, count: int, base: int, *, epoch: int = 0, pid: int = PID) -> None:
    assert producers.original(pid, epoch, first, count - 1) is None
    producers.appended(pid, epoch, first, base, base + count - 1, NOW_MS)
    producers.keep()


def test_a_repeated_batch_gives_the_original_offsets() -> None:
    producers = Producers()
    for i in range(5):
        appended(producers, i * 10, 10, 100 + i * 10)
    for i in range(5):
        original = producers.original(PID, 0, i * 10, 9)
        assert original is not None
        assert (original.base_offset, original.last_offset) == (100 + i * 10, 109 + i * 10)


def test_only_the_last_five_are_remembered() -> None:
    producers = Producers()
    for i in range(BATCHES_KEPT + 1):
        appended(producers, i, 1, i)
    with pytest.raises(OutOfOrderSequence):
        producers.original(PID, 0, 0, 0)
    assert producers.original(PID, 0, 1, 0) is not None


def test_the_same_start_with_another_length_is_no_duplicate() -> None:
    producers = Producers()
    appended(producers, 0, 10, 0)
    with pytest.raises(OutOfOrderSequence, match="sequence 0 where 10 was due"):
        producers.original(PID, 0, 0, 4)


def test_a_gap_is_out_of_order() -> None:
    producers = Producers()
    appended(producers, 0, 10, 0)
    with pytest.raises(OutOfOrderSequence, match="sequence 11 where 10 was due"):
        producers.original(PID, 0, 11, 0)


def test_an_unknown_producer_may_start_anywhere_as_in_kafka() -> None:
    producers = Producers()
    appended(producers, 77, 3, 0)
    appended(producers, 80, 1, 3)
    assert list(producers.entries()) != []


def test_a_new_epoch_starts_at_zero_and_an_old_one_is_fenced() -> None:
    producers = Producers()
    appended(producers, 5, 1, 0, epoch=3)
    with pytest.raises(OutOfOrderSequence, match="epoch 4 with sequence 6"):
        producers.original(PID, 4, 6, 0)
    appended(producers, 0, 1, 1, epoch=4)
    with pytest.raises(InvalidProducerEpoch, match="epoch 3, but epoch 4"):
        producers.original(PID, 3, 6, 0)
    with pytest.raises(OutOfOrderSequence):
        producers.original(PID, 4, 5, 0)  # batches of the old epoch are forgotten


def test_sequences_wrap_at_the_top() -> None:
    producers = Producers()
    appended(producers, 2**31 - 3, 5, 0)  # ends with sequence 1
    original = producers.original(PID, 0, 2**31 - 3, 4)
    assert original is not None and original.last_offset == 4
    appended(producers, 2, 1, 5)
    producers = Producers()
    appended(producers, 2**31 - 1, 1, 0)
    appended(producers, 0, 1, 1)


def test_what_was_not_written_is_forgotten() -> None:
    producers = Producers()
    appended(producers, 0, 1, 0)
    before = producers.entries()
    producers.appended(PID, 0, 1, 1, 1, NOW_MS)
    producers.appended(PID, 0, 2, 2, 2, NOW_MS)
    producers.appended(PID + 1, 0, 0, 3, 3, NOW_MS)
    producers.undo()
    assert producers.entries() == before
    appended(producers, 1, 1, 1)


def test_a_snapshot_is_not_changed_by_later_appends() -> None:
    producers = Producers()
    appended(producers, 0, 1, 0)
    taken = producers.entries()
    appended(producers, 1, 1, 1)
    assert len(taken[PID][3]) == 1


def test_a_restart_from_a_snapshot_still_knows_all_five() -> None:
    producers = Producers()
    for i in range(7):
        appended(producers, i * 2, 2, i * 2)
        appended(producers, i, 1, 100 + i, pid=PID + 1)
    entries = decode_snapshot(encode_snapshot(producers.entries()), NOW_MS)
    assert entries == producers.entries()


def test_the_snapshot_file_is_kafkas() -> None:
    producers = Producers()
    appended(producers, 0, 3, 10, epoch=2)
    body = struct.pack(">i", 1) + struct.pack(">qhiqiqiq", PID, 2, 2, 12, 2, NOW_MS, -1, -1)
    assert encode_snapshot(producers.entries()) == struct.pack(">hI", 1, crc32c(body)) + body
    assert encode_snapshot({}) == struct.pack(">hIi", 1, crc32c(bytes(4)), 0)


def test_a_snapshot_that_kafka_wrote_is_read() -> None:
    body = struct.pack(">i", 2)
    body += struct.pack(">qhiqiqiq", 1, 0, 9, 99, 4, NOW_MS, 0, -1)
    body += struct.pack(">qhiqiqiq", 2, 1, 0, 100, 0, NOW_MS, 0, -1)
    entries = decode_snapshot(struct.pack(">hI", 1, crc32c(body)) + body, NOW_MS)
    assert entries is not None
    producers = Producers(entries)
    original = producers.original(1, 0, 5, 4)
    assert original is not None and (original.base_offset, original.last_offset) == (95, 99)
    assert producers.original(2, 1, 1, 0) is None


def test_a_damaged_snapshot_is_noticed() -> None:
    producers = Producers()
    appended(producers, 0, 3, 10)
    raw = encode_snapshot(producers.entries())
    assert decode_snapshot(raw, NOW_MS) is not None
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 0x40
        assert decode_snapshot(bytes(changed), NOW_MS) is None
        assert decode_snapshot(raw[:position], NOW_MS) is None


def test_silent_producers_expire_after_a_day() -> None:
    producers = Producers()
    appended(producers, 5, 1, 0)
    producers.appended(PID + 1, 0, 0, 1, 1, NOW_MS + 1000)
    producers.keep()
    producers.expire(NOW_MS + EXPIRATION_MS - 1)
    assert len(producers) == 2
    producers.expire(NOW_MS + EXPIRATION_MS)  # it looks at most every ten minutes
    assert len(producers) == 2
    producers.expire(NOW_MS + EXPIRATION_MS + 600_000)
    assert len(producers) == 0
    assert decode_snapshot(encode_snapshot(Producers().entries()), NOW_MS) == {}


def test_an_expired_producer_is_not_loaded_again() -> None:
    producers = Producers()
    appended(producers, 5, 1, 0)
    assert decode_snapshot(encode_snapshot(producers.entries()), NOW_MS + EXPIRATION_MS) == {}


def test_the_number_of_producers_is_bounded() -> None:
    producers = Producers()
    for i in range(ENTRIES_MAX + 5):
        producers.appended(i, 0, 0, i, i, NOW_MS + i)
        producers.keep()
    assert len(producers) <= ENTRIES_MAX
    assert producers.original(ENTRIES_MAX + 4, 0, 0, 0) is not None
    assert producers.original(0, 0, 500, 0) is None  # the one that wrote longest ago is unknown again
