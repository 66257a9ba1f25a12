"""Frames come out the same wherever the bytes were cut, and a size out of bounds is refused before anything is kept
for it."""

import tracemalloc

import pytest
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.errors import Malformed
from coldstream.platform.wire.frames import (
    CONTROL_FRAME_BYTES_MAX,
    FRAME_BYTES_MAX,
    STRANGER_FRAME_BYTES_MAX,
    FrameSplitter,
    check_frame_size,
    frame_bytes_limit,
)

FRAMES = [b"a", b"bc" * 40, b"\0" * 300]
STREAM = b"".join(len(frame).to_bytes(4, "big") + frame for frame in FRAMES)


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 100, 10_000])
def test_frames_do_not_depend_on_where_the_bytes_were_cut(step: int) -> None:
    splitter = FrameSplitter()
    found = [frame for at in range(0, len(STREAM), step) for frame in splitter.feed(STREAM[at : at + step])]
    assert found == FRAMES


@pytest.mark.parametrize("size", ["7fffffff", "ffffffff", "80000000", "00000000", "06400001"])
def test_sizes_out_of_bounds_are_refused_at_once(size: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Malformed, match="frames are 1 to 104857600 bytes"):
            FrameSplitter().feed(bytes.fromhex(size))
        assert tracemalloc.get_traced_memory()[1] < 50_000
    finally:
        tracemalloc.stop()


def test_another_protocol_on_the_port_is_named() -> None:
    with pytest.raises(Malformed, match="HTTP"):
        FrameSplitter().feed(b"GET / HTTP/1.1\r\n")
    with pytest.raises(Malformed, match="TLS handshake"):
        FrameSplitter().feed(bytes.fromhex("1603010200"))


def test_the_limit_depends_on_who_asks_for_what() -> None:
    assert check_frame_size(1, 1) == 1
    assert frame_bytes_limit(ApiKey.PRODUCE, authenticated=False) == STRANGER_FRAME_BYTES_MAX
    assert frame_bytes_limit(ApiKey.PRODUCE, authenticated=True) == FRAME_BYTES_MAX
    assert frame_bytes_limit(ApiKey.METADATA, authenticated=True) == CONTROL_FRAME_BYTES_MAX
    assert frame_bytes_limit(ApiKey.METADATA, authenticated=True, frame_bytes_max=1000) == 1000
