"""The files as Kafka's own tools read them: the checks of its DumpLogSegments, made again here from the formats."""

import random
import struct
from pathlib import Path

import pytest
from coldstream.storage.batch import iterate_headers
from coldstream.storage.records import Record, build_batch, decode_records

from .local_log import NOW_MS, TOPIC, Place


@pytest.fixture(params=["closed cleanly", "recovered"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    place, rng, sequence = Place(tmp_path), random.Random(7), 0
    config = {"segment_bytes": 20_000, "index_interval_bytes": 700}
    log = place.open(leader_epoch=2, **config)
    for i in range(200):
        count = rng.randrange(1, 6)
        records = [
            Record(0, NOW_MS + i * 10 - rng.randrange(99), b"k", b"v" * rng.randrange(200)) for _ in range(count)
        ]
        codec = rng.choice(["none", "gzip", "snappy", "lz4", "zstd"])
        fields = {"producer_id": 77, "producer_epoch": 1, "base_sequence": sequence} if i % 3 == 0 else {}
        sequence += count if fields else 0
        log.append(memoryview(bytearray(build_batch(records, compression=codec, **fields))), NOW_MS)
        if i % 10 == 9:
            place.commit(log)
        if i == 120:
            log.checkpoint(NOW_MS)
    place.commit(log)
    if request.param == "recovered":
        log.close(clean=False)
        place.restart()
        log = place.open(leader_epoch=3, **config)
    log.close()
    return place.directory()


def batches_of(path: Path) -> list[tuple[int, bytes]]:
    raw = path.read_bytes()
    found = [(position, raw[position : position + header.size_bytes]) for position, header in iterate_headers(raw)]
    assert sum(len(batch) for _, batch in found) == len(raw)
    return found


def test_file_names_are_base_offsets_and_segments_meet(directory: Path) -> None:
    following = 0
    for path in sorted(directory.glob("*.log")):
        headers = [header for _, header in iterate_headers(path.read_bytes())]
        assert path.name == f"{following:020d}.log" == f"{headers[0].base_offset:020d}.log"
        following = headers[-1].end_offset
    assert following > 0


def test_an_offset_index_entry_is_a_batchs_last_offset_and_its_position(directory: Path) -> None:
    entries = 0
    for path in directory.glob("*.index"):
        base = int(path.stem)
        ends = {
            position: next(iterate_headers(batch))[1].last_offset
            for position, batch in batches_of(path.with_suffix(".log"))
        }
        before = (-1, -1)
        for entry in struct.iter_unpack(">ii", path.read_bytes()):
            assert ends[entry[1]] == base + entry[0]
            assert entry > before
            before = entry
            entries += 1
    assert entries > 20


def test_a_time_index_entry_is_the_largest_timestamp_so_far_and_where_it_is(directory: Path) -> None:
    for path in directory.glob("*.timeindex"):
        base, largest, at = int(path.stem), {}, -1
        for _, batch in batches_of(path.with_suffix(".log")):
            records = decode_records(batch)
            newest = max(record.timestamp_ms for record in records)
            if newest > at:
                at = newest
                largest[newest] = records[-1].offset
        entries = list(struct.iter_unpack(">qi", path.read_bytes()))
        assert [largest[ms] for ms, _ in entries] == [base + offset for _, offset in entries]
        assert entries[-1][0] == at  # the last one is that of the whole segment
        assert entries == sorted(set(entries))


def test_checkpoints_are_kafkas_text_files(directory: Path) -> None:
    end = max(next(iterate_headers(b))[1].end_offset for p in directory.glob("*.log") for _, b in batches_of(p))
    assert (directory / "leader-epoch-checkpoint").read_text() == "0\n1\n2 0\n"
    assert (directory / "recovery-point-offset-checkpoint").read_text() == f"0\n1\n{TOPIC} 0 {end}\n"


def test_there_is_a_producer_snapshot_at_every_segments_end(directory: Path) -> None:
    snapshots = {int(path.stem) for path in directory.glob("*.snapshot")}
    bases = sorted(int(path.stem) for path in directory.glob("*.log"))
    assert set(bases[1:]) <= snapshots
    for path in directory.glob("*.snapshot"):
        raw = path.read_bytes()
        assert struct.unpack_from(">h", raw) == (1,)
        (count,) = struct.unpack_from(">i", raw, 6)
        assert len(raw) == 10 + 46 * count
        last_entry = struct.unpack_from(">qhiqiqiq", raw, len(raw) - 46)
        assert last_entry[:2] == (77, 1) and last_entry[3] < int(path.stem)
