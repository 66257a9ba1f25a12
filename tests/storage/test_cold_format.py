"""The cold object format: round trips, what damaged or hostile objects do, the layout that other readers rely on."""

import contextlib
import dataclasses
import hashlib
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import lz4.frame
import pytest
from coldstream.storage import cold_format
from coldstream.storage.cold_format import (
    CHUNK_RAW_BYTES,
    CODEC_LZ4,
    CODEC_NONE,
    FOOTER_BYTES,
    INDEX_ENTRY,
    AbortedTransaction,
    Chunk,
    CorruptObject,
    Tail,
    chunk_for,
    decode_chunk,
    decode_footer,
    decode_tail,
    encode_chunk,
    encode_tail,
    epochs_within,
)
from coldstream.storage.cold_writer import CorruptSegment, write_object
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from .cold_samples import START_MS, bases, make_batch, make_batches, make_upload, sealed_upload, write_log


def whole_log(data: bytes) -> bytes:
    """What a reader puts together from an object alone."""
    tail = decode_tail(data, len(data))
    return b"".join(decode_chunk(c, data[c.position : c.position + c.stored_bytes]) for c in tail.chunks)


@pytest.mark.parametrize("seed", range(6))
def test_an_object_gives_back_every_batch_of_its_segment(seed: int, tmp_path: Path) -> None:
    upload, made = sealed_upload(
        tmp_path, seed, batches=40 * seed + 1, base=seed * 1000, size=(10, 40_000 * seed + 100)
    )
    written = write_object(upload, tmp_path / "object")
    data = (tmp_path / "object").read_bytes()
    assert whole_log(data) == b"".join(batch for _, _, batch in made)
    assert (written.size_bytes, written.md5) == (len(data), hashlib.md5(data).digest())
    assert data.endswith(written.tail)
    tail = decode_tail(data, len(data))
    assert (tail.topic_id, tail.object_id, tail.partition) == (upload.topic_id, upload.object_id, 3)
    assert (tail.base, tail.end, tail.leader_epoch, tail.created_ms) == (upload.base, upload.end, 2, START_MS + 1)
    assert (tail.aborted, tail.epochs) == (upload.aborted, upload.epochs)
    assert tail.producer_snapshot == upload.producer_snapshot
    assert tail.batch_count == len(made)
    assert tail.raw_bytes == written.raw_bytes == sum(len(batch) for _, _, batch in made)
    assert tail.first_timestamp_ms == written.first_timestamp_ms == START_MS + made[0][0] * 10
    assert tail.max_timestamp_ms == written.max_timestamp_ms
    assert tail.chunks[0].base == upload.base and tail.chunks[-1].end == upload.end


def test_chunks_are_about_four_mib_of_whole_batches_and_a_large_batch_has_its_own(tmp_path: Path) -> None:
    sizes = [1_000_000] * 9 + [6_000_000] + [100] * 3
    made = [(n, n + 1, make_batch(n, 1, bytes(size))) for n, size in enumerate(sizes)]
    write_log(tmp_path / "log", made)
    write_object(make_upload(tmp_path / "log", 0, len(made)), tmp_path / "object")
    data = (tmp_path / "object").read_bytes()
    tail = decode_tail(data, len(data))
    assert [(c.base, c.end) for c in tail.chunks] == [(0, 4), (4, 8), (8, 9), (9, 10), (10, 13)]
    assert all(c.raw_bytes <= CHUNK_RAW_BYTES for c in tail.chunks if c.end - c.base > 1)
    assert len(data) < 200_000  # zeros: every chunk is packed


def test_a_chunk_is_packed_only_where_that_makes_it_smaller() -> None:
    for size in (1_000, 100_000, 3_000_000):
        noise, text = random.Random(0).randbytes(size), (b"coldstream " * size)[:size]
        assert encode_chunk(noise) == (CODEC_NONE, noise)
        for compressible in (text, noise[: size // 2] + text):
            codec, packed = encode_chunk(compressible)
            assert codec == CODEC_LZ4 and len(packed) < len(compressible)
            assert lz4.frame.decompress(packed) == compressible


def test_part_of_a_file_can_be_taken_on_batch_borders(tmp_path: Path) -> None:
    _, made = sealed_upload(tmp_path, 5, batches=30)
    base, end = made[10][0], made[20][1]
    write_object(make_upload(tmp_path / f"{0:020d}.log", base, end), tmp_path / "object")
    assert whole_log((tmp_path / "object").read_bytes()) == b"".join(batch for _, _, batch in made[10:21])


def test_gaps_are_kept_where_they_are_allowed(tmp_path: Path) -> None:
    made = make_batches(3, 40, base=100, gaps=True)
    write_log(tmp_path / "log", made)
    upload = make_upload(tmp_path / "log", 90, made[-1][1] + 10, gaps_allowed=True)
    write_object(upload, tmp_path / "object")
    data = (tmp_path / "object").read_bytes()
    assert bases(whole_log(data)) == [base for base, _, _ in made]
    assert (decode_tail(data, len(data)).base, decode_tail(data, len(data)).end) == (90, made[-1][1] + 10)


def test_a_segment_without_batches_is_an_object_too_where_gaps_are_allowed(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"")
    written = write_object(make_upload(tmp_path / "log", 5, 10, gaps_allowed=True), tmp_path / "object")
    tail = decode_tail(written.tail, written.size_bytes)
    assert tail.chunks == () and (tail.first_timestamp_ms, tail.max_timestamp_ms) == (-1, -1)


def damaged_logs() -> Iterator[tuple[str, bytes, int, int]]:
    made = make_batches(1, 10)
    data, end = b"".join(batch for _, _, batch in made), made[-1][1]
    flipped = bytearray(data)
    flipped[len(made[0][2]) + 70] ^= 1
    wrong_offset = bytearray(data)
    struct.pack_into(">q", wrong_offset, len(made[0][2]), made[1][0] + 1)
    yield "a flipped bit in a record", bytes(flipped), 0, end
    yield "an offset that skips", bytes(wrong_offset), 0, end
    yield "a cut-off last batch", data[:-1], 0, end
    yield "a missing first batch", data[len(made[0][2]) :], 0, end
    yield "a missing last batch", data[: -len(made[-1][2])], 0, end
    yield "a batch twice", data + made[-1][2], 0, end
    yield "zeros behind the end", data + bytes(100), 0, end
    yield "a range that cuts a batch at its end", data, 0, end - 1 if made[-1][1] - made[-1][0] > 1 else end + 1
    yield "a range that ends beyond", data, 0, end + 1
    yield "nothing", b"", 0, end


@pytest.mark.parametrize(("data", "base", "end"), [pytest.param(*rest, id=name) for name, *rest in damaged_logs()])
def test_a_segment_that_is_not_exactly_its_batches_is_refused(data: bytes, base: int, end: int, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(data)
    with pytest.raises(CorruptSegment, match="log"):
        write_object(make_upload(tmp_path / "log", base, end), tmp_path / "object")


def test_a_file_shorter_than_what_was_sealed_is_refused(tmp_path: Path) -> None:
    upload, _ = sealed_upload(tmp_path, 1, batches=3)
    with pytest.raises(CorruptSegment, match="were sealed"):
        write_object(dataclasses.replace(upload, log_bytes=upload.log_bytes + 1), tmp_path / "object")


def test_bytes_behind_the_sealed_end_are_not_looked_at(tmp_path: Path) -> None:
    upload, made = sealed_upload(tmp_path, 1, batches=3)
    with open(upload.path, "ab") as log:
        log.write(b"later")
    write_object(upload, tmp_path / "object")
    assert whole_log((tmp_path / "object").read_bytes()) == b"".join(batch for _, _, batch in made)


class TestLayout:
    """docs/format.md, read literally, by hand-written offsets."""

    @pytest.fixture
    def data(self, tmp_path: Path) -> bytes:
        upload, _ = sealed_upload(tmp_path, 2, batches=50)
        write_object(upload, tmp_path / "object")
        return (tmp_path / "object").read_bytes()

    def test_the_footer_is_the_last_144_bytes(self, data: bytes) -> None:
        footer = data[-144:]
        assert footer[-8:] == b"CSTRMSEG"
        assert struct.unpack(">HH", footer[128:132]) == (1, 0)
        assert struct.unpack(">I", footer[132:136])[0] == crc32c(footer[:132])
        assert UUID(bytes=footer[:16]) == UUID(int=7)
        assert struct.unpack(">i", footer[32:36])[0] == 3
        tail_position, aborted, snapshot, epochs, index, chunks, _, lists_crc, index_crc = struct.unpack(
            ">qIIIIIIII", footer[88:128]
        )
        assert (aborted, snapshot, epochs, index) == (24, 80, 24, 56 * chunks)
        assert lists_crc == crc32c(data[tail_position : -144 - index])
        assert index_crc == crc32c(data[-144 - index : -144])
        assert tail_position + aborted + snapshot + epochs + index + 144 == len(data)

    def test_an_index_entry_finds_and_checks_its_chunk(self, data: bytes) -> None:
        tail = decode_tail(data, len(data))
        entry = data[-144 - 56 * len(tail.chunks) :][:56]
        base, end, first_ms, max_ms, position, stored, raw, crc, codec = struct.unpack(">qqqqQIIII", entry)
        packed = data[position : position + stored]
        batches = lz4.frame.decompress(packed) if codec == 1 else packed
        assert len(batches) == raw and crc32c(batches) == crc
        assert (base, end, first_ms, max_ms) == tail.chunks[0][:4]

    def test_the_tail_alone_is_enough(self, data: bytes) -> None:
        size = decode_footer(data[-FOOTER_BYTES:], len(data)).tail_bytes
        assert decode_tail(data[-size:], len(data)) == decode_tail(data, len(data))


class TestDamage:
    @pytest.fixture
    def data(self, tmp_path: Path) -> bytes:
        upload, _ = sealed_upload(tmp_path, 2, batches=60)
        write_object(upload, tmp_path / "object")
        return (tmp_path / "object").read_bytes()

    def test_every_cut_is_noticed(self, data: bytes) -> None:
        size = decode_footer(data[-FOOTER_BYTES:], len(data)).tail_bytes
        for cut in [*range(1, size + 50), len(data) - 1, len(data)]:
            with pytest.raises(CorruptObject):
                decode_tail(data[: len(data) - cut], len(data) - cut)
        with pytest.raises(CorruptObject):
            decode_tail(data[1:], len(data) - 1)
        with pytest.raises(CorruptObject):
            decode_tail(data[-size + 1 :], len(data))

    def test_every_flipped_bit_of_the_tail_is_noticed(self, data: bytes) -> None:
        size = decode_footer(data[-FOOTER_BYTES:], len(data)).tail_bytes
        for at in range(len(data) - size, len(data)):
            flipped = bytearray(data)
            flipped[at] ^= 1 << (at % 8)
            with pytest.raises(CorruptObject):
                decode_tail(bytes(flipped[-size:]), len(data))

    def test_a_flipped_bit_of_any_chunk_is_noticed(self, data: bytes) -> None:
        rng = random.Random(4)
        for chunk in decode_tail(data, len(data)).chunks:
            stored = data[chunk.position : chunk.position + chunk.stored_bytes]
            for _ in range(200):
                flipped = bytearray(stored)
                flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
                with contextlib.suppress(CorruptObject):
                    assert decode_chunk(chunk, bytes(flipped)) == decode_chunk(chunk, stored)
            with pytest.raises(CorruptObject):
                decode_chunk(chunk, stored[:-1])

    def test_a_frame_that_unpacks_to_more_than_it_may_is_stopped_there(self) -> None:
        bomb = lz4.frame.compress(bytes(50_000_000))
        chunk = Chunk(0, 1, 0, 0, 0, len(bomb), len(bomb) + 10, 0, CODEC_LZ4)
        with pytest.raises(CorruptObject):
            decode_chunk(chunk, bomb)

    @pytest.mark.parametrize("seed", range(40))
    def test_a_consistent_lie_in_footer_or_index_raises_the_declared_error_only(self, data: bytes, seed: int) -> None:
        """CRCs made right again, so that the checks behind them are what is tested."""
        rng = random.Random(seed)
        footer = decode_footer(data[-FOOTER_BYTES:], len(data))
        for _ in range(50):
            tail = bytearray(data[-footer.tail_bytes :])
            spots = [rng.randrange(len(tail) - FOOTER_BYTES - footer.index_bytes, len(tail) - 16) for _ in range(2)]
            for at in spots:
                tail[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            index_at = len(tail) - FOOTER_BYTES - footer.index_bytes
            struct.pack_into(">II", tail, len(tail) - 24, crc32c(tail[:index_at]), crc32c(tail[index_at:-FOOTER_BYTES]))
            struct.pack_into(">I", tail, len(tail) - 12, crc32c(memoryview(tail)[-FOOTER_BYTES:-12]))
            try:
                decoded = decode_tail(bytes(tail), len(data))
            except CorruptObject:
                continue
            for chunk in decoded.chunks:
                assert chunk.position + chunk.stored_bytes <= len(data) - footer.tail_bytes
                assert chunk.raw_bytes <= cold_format.CHUNK_RAW_BYTES_MAX

    @settings(max_examples=200, derandomize=True, deadline=None)
    @given(st.binary(max_size=400), st.integers(0, 500))
    def test_random_bytes_raise_the_declared_error_only(self, noise: bytes, size: int) -> None:
        for data in (noise, noise + b"CSTRMSEG"):
            with pytest.raises(CorruptObject):
                decode_tail(data, size)
            with pytest.raises(CorruptObject):
                decode_footer(data, len(data))

    def test_a_newer_version_says_so(self, data: bytes) -> None:
        newer = bytearray(data)
        struct.pack_into(">H", newer, len(data) - 16, 2)
        with pytest.raises(CorruptObject, match="version 2"):
            decode_tail(bytes(newer), len(data))


OFFSETS = st.integers(0, 2**62)


@st.composite
def tails(draw: st.DrawFn) -> Tail:
    edge = base = draw(OFFSETS)
    position, chunks = 0, []
    for _ in range(draw(st.integers(0, 8))):
        start = edge + draw(st.integers(0, 50))
        edge = start + draw(st.integers(1, 1000))
        raw = draw(st.integers(61, CHUNK_RAW_BYTES))
        stored = draw(st.integers(1, raw))
        codec = CODEC_NONE if stored == raw else CODEC_LZ4
        times = sorted(draw(st.lists(st.integers(-1, 2**62), min_size=2, max_size=2)))
        chunks.append(Chunk(start, edge, *times, position, stored, raw, draw(st.integers(0, 2**32 - 1)), codec))
        position += stored
    longs = st.integers(-(2**63), 2**63 - 1)
    return Tail(
        topic_id=draw(st.uuids()),
        object_id=draw(st.uuids()),
        partition=draw(st.integers(0, 2**31 - 1)),
        leader_epoch=draw(st.integers(-1, 2**31 - 1)),
        base=base,
        end=edge + draw(st.integers(1, 100)),
        created_ms=draw(longs),
        batch_count=draw(st.integers(0, 2**32 - 1)),
        chunks=tuple(chunks),
        aborted=tuple(draw(st.lists(st.builds(AbortedTransaction, longs, longs, longs), max_size=4))),
        producer_snapshot=draw(st.binary(max_size=200)),
        epochs=tuple(draw(st.lists(st.tuples(st.integers(0, 2**31 - 1), longs), max_size=4))),
    )


@settings(max_examples=100, derandomize=True, deadline=None)
@given(tails())
def test_any_tail_round_trips(tail: Tail) -> None:
    encoded = encode_tail(tail)
    chunk_bytes = sum(chunk.stored_bytes for chunk in tail.chunks)
    assert decode_tail(encoded, chunk_bytes + len(encoded)) == tail
    if chunk_bytes >= 6:
        assert decode_tail(b"before" + encoded, chunk_bytes + len(encoded)) == tail  # more than the tail was read
    assert len(encoded) >= INDEX_ENTRY.size * len(tail.chunks) + FOOTER_BYTES


def test_the_chunk_for_an_offset_or_a_time() -> None:
    chunks = tuple(
        Chunk(base, end, 0, max_ms, 0, 1, 1, 0, 0)
        for base, end, max_ms in [(10, 20, 500), (20, 30, 400), (35, 40, 900)]
    )
    found = {offset: chunk_for(chunks, offset) for offset in (0, 10, 19, 20, 29, 30, 34, 35, 39, 40)}
    assert found == {0: 0, 10: 0, 19: 0, 20: 1, 29: 1, 30: 2, 34: 2, 35: 2, 39: 2, 40: None}
    assert chunk_for(chunks, 0, 450) == 0
    assert chunk_for(chunks, 20, 400) == 1
    assert chunk_for(chunks, 20, 450) == 2
    assert chunk_for(chunks, 0, 901) is None
    assert chunk_for((), 0) is None


def test_the_epochs_of_a_segment_begin_with_the_one_in_force_at_its_base() -> None:
    history = ((0, 0), (1, 100), (4, 250), (5, 900))
    assert epochs_within(history, 0, 50) == ((0, 0),)
    assert epochs_within(history, 100, 200) == ((1, 100),)
    assert epochs_within(history, 120, 300) == ((1, 100), (4, 250))
    assert epochs_within(history, 1000, 1100) == ((5, 900),)
    assert epochs_within((), 0, 10) == ()
