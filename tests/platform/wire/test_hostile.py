"""Every length and every count of every message and version, set to what it cannot be: Malformed, and nothing
allocated for it."""

import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.codec import decoder, request_message
from coldstream.platform.wire.errors import Malformed
from coldstream.platform.wire.fetch import parse_fetch
from coldstream.platform.wire.produce import parse_produce
from coldstream.platform.wire.schema import Message

from .values import (
    FETCH_VERSIONS,
    PRODUCE_VERSIONS,
    Walk,
    encode,
    every_message,
    hostile_variants,
    message_id,
    mutated,
    random_value,
    seeded,
)

ALLOCATED_BYTES_MAX = 100_000  # beyond the message itself, a few KB: one exception, a few small objects


@pytest.fixture(autouse=True)
def measured() -> Iterator[None]:
    tracemalloc.start(1)
    yield
    tracemalloc.stop()


def refused(decode: Callable[[bytes], object], data: bytes) -> None:
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    with pytest.raises(Malformed):
        decode(data)
    _, peak = tracemalloc.get_traced_memory()
    assert peak - before < ALLOCATED_BYTES_MAX


def every_length_in(message: Message, version: int, *, skipped: str = "") -> Iterator[bytes]:
    """Hostile variants of random messages until every length the version has was met, each of them once."""
    rng = seeded("hostile", message.root.__name__, version)
    met: set[str] = set()
    for _ in range(12):
        value = random_value(rng, message, version, unknown_tags=True, many=2)
        data = encode(message, version, value)
        if len(data) > 20_000:
            continue
        for length in Walk(message, version, data).lengths:
            key = length.path.rstrip("0123456789")  # unknown tags differ from message to message
            if key not in met and not (skipped and skipped in key):
                met.add(key)
                yield from hostile_variants(data, length)


@pytest.mark.parametrize(("message", "version"), list(every_message()), ids=message_id)
def test_no_length_or_count_is_believed(message: Message, version: int) -> None:
    decode = decoder(message, version)
    for data in every_length_in(message, version):
        refused(lambda data: decode(data, 0, len(data)), data)


@pytest.mark.parametrize("version", PRODUCE_VERSIONS)
def test_no_length_or_count_of_a_produce_request_is_believed(version: int) -> None:
    for data in every_length_in(request_message(ApiKey.PRODUCE), version):
        for tail in (b"", b"\0" * 64, b"\x01" * 40_000):  # what else may lie in the receive buffer
            refused(partial(parse_produce, start=0, end=len(data), version=version), data + tail)


@pytest.mark.parametrize("version", FETCH_VERSIONS)
def test_no_length_or_count_of_a_fetch_request_is_believed(version: int) -> None:
    for data in every_length_in(request_message(ApiKey.FETCH), version, skipped="cluster_id"):  # never looked at
        for tail in (b"", b"\0" * 64, b"\x01" * 40_000):
            refused(partial(parse_fetch, start=0, end=len(data), version=version), data + tail)


@pytest.mark.parametrize(("message", "version"), list(every_message()), ids=message_id)
def test_random_and_damaged_bytes_decode_or_are_malformed(message: Message, version: int) -> None:
    tracemalloc.stop()
    rng = seeded("fuzz", message.root.__name__, version)
    decode = decoder(message, version)
    for round_ in range(60):
        if round_ % 20 == 0:
            valid = encode(message, version, random_value(rng, message, version, unknown_tags=True, many=2))
        data = rng.randbytes(rng.randint(0, 60)) if round_ % 6 == 0 else mutated(rng, valid)
        try:
            value, pos = decode(data, 0, len(data))
        except Malformed:
            continue
        assert 0 <= pos <= len(data)
        again = encode(message, version, value)
        assert decode(again, 0, len(again)) == (value, len(again))
