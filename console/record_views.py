"""What a person is shown of a record: enough to know it by, and never more than a few kilobytes.

Always true: text is what the producer sent, of any characters, escaped by nobody: pages escape it.
"""

import json
import re
from dataclasses import dataclass
from typing import Literal

from .record_batches import Record

PREVIEW_CHARACTERS = 4096
LOOKED_AT_CHARACTERS = 64 * 1024  # beyond that nobody checks whether it is JSON, or text at all
HEADERS_SHOWN = 32
HEADER_NAME_CHARACTERS = 256
NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

Encoding = Literal["json", "utf-8", "binary", "null"]


@dataclass(frozen=True, slots=True)
class Payload:
    """A key, a value, or a header's value. `text` is its beginning; in hexadecimal when it is binary."""

    text: str
    size_bytes: int
    encoding: Encoding
    truncated: bool = False


NULL = Payload("", 0, "null")


@dataclass(frozen=True, slots=True)
class HeaderView:
    name: str
    value: Payload


@dataclass(frozen=True, slots=True)
class RecordView:
    """One record. With `unreadable_because` it stands for the records from `offset` to `last_offset`, which cannot be
    shown; the sentence says why."""

    partition: int
    offset: int
    timestamp_ms: int
    key: Payload = NULL
    value: Payload = NULL
    headers: tuple[HeaderView, ...] = ()
    headers_left_out: int = 0
    last_offset: int | None = None
    unreadable_because: str | None = None


def view_of(partition: int, record: Record) -> RecordView:
    """The record as it is shown."""
    return RecordView(
        partition,
        record.offset,
        record.timestamp_ms,
        payload(record.key),
        payload(record.value),
        tuple(
            HeaderView(name.decode("utf-8", "replace")[:HEADER_NAME_CHARACTERS], payload(value, may_be_json=False))
            for name, value in record.headers[:HEADERS_SHOWN]
        ),
        max(0, len(record.headers) - HEADERS_SHOWN),
    )


def payload(data: bytes | None, *, may_be_json: bool = True) -> Payload:
    """The beginning of some bytes, read as what they look like."""
    if data is None:
        return NULL
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _binary(data)
    if NO_TEXT.search(text, 0, LOOKED_AT_CHARACTERS):
        return _binary(data)
    encoding: Encoding = "json" if may_be_json and _is_json(text) else "utf-8"
    return Payload(text[:PREVIEW_CHARACTERS], len(data), encoding, len(text) > PREVIEW_CHARACTERS)


def _binary(data: bytes) -> Payload:
    shown = PREVIEW_CHARACTERS // 2
    return Payload(data[:shown].hex(), len(data), "binary", len(data) > shown)


def _is_json(text: str) -> bool:
    """Objects and arrays only: that 7 is JSON too helps nobody."""
    if len(text) > LOOKED_AT_CHARACTERS or text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
