"""What checking keys may cost where it is done on the loop."""

import time

import pytest
from coldstream.platform.broker.key_checks import INLINE_BYTES_MAX, check, check_here
from coldstream.storage.records import Record, build_batch


def batch_of(size_bytes: int, codec: str, key: bytes | None = b"k") -> memoryview:
    return memoryview(build_batch([Record(0, 1, key, bytes(size_bytes))], compression=codec))


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_many_small_batches_that_become_large_together_are_not_taken_apart_on_the_loop(codec: str) -> None:
    large = batch_of(INLINE_BYTES_MAX * 9 // 10, codec)
    batches = [large] * min(400, INLINE_BYTES_MAX // len(large))
    began_s = time.process_time()
    assert check_here(batches) is None
    assert time.process_time() - began_s < 0.02
    assert check(batches) == [None] * len(batches)


def test_what_is_small_together_is_checked_at_once() -> None:
    batches = [batch_of(100, "none"), batch_of(9_000, "gzip"), batch_of(40_000, "none"), batch_of(9_000, "zstd", None)]
    found = check_here(batches)
    assert found is not None and found[:3] == [None] * 3 and found[3] is not None and "no key" in found[3]
