"""Records as the HTTP API and the pages show them: their beginnings, as text."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from .record_views import Payload, RecordView
from .schemas import Answer, Time, time_of

TIME_MS_MAX = 253_402_300_799_999  # what a datetime can hold: the end of the year 9999
TIME_MS_MIN = 0


class PayloadView(Answer):
    """`text` is the beginning of it; hexadecimal where `encoding` is binary, empty where it is null."""

    text: str
    size_bytes: int
    encoding: Literal["json", "utf-8", "binary", "null"]
    truncated: bool


class RecordHeaderView(Answer):
    name: str
    value: PayloadView


class RecordContent(Answer):
    key: PayloadView
    value: PayloadView
    headers: list[RecordHeaderView]
    headers_left_out: int


class ShownRecord(Answer):
    """`content` is null for who may not see records, and where `unreadable_because` says why it cannot be shown: then
    this stands for all records up to `last_offset`. `timestamp` is null where the producer's is no time on a calendar.
    """

    partition: int
    offset: int
    last_offset: int
    timestamp_ms: int
    timestamp: Time | None
    content: RecordContent | None
    unreadable_because: str | None


class RecordList(Answer):
    """`next` is what `from` takes to go on behind these records. With `missing_because` there are others."""

    records: list[ShownRecord]
    next: str
    missing_because: str | None = None


def shown(record: RecordView, *, with_content: bool) -> ShownRecord:
    readable = record.unreadable_because is None
    content = RecordContent(
        key=_payload(record.key),
        value=_payload(record.value),
        headers=[RecordHeaderView(name=header.name, value=_payload(header.value)) for header in record.headers],
        headers_left_out=record.headers_left_out,
    )
    return ShownRecord(
        partition=record.partition,
        offset=record.offset,
        last_offset=record.offset if record.last_offset is None else record.last_offset,
        timestamp_ms=record.timestamp_ms,
        timestamp=_time(record.timestamp_ms),
        content=content if with_content and readable else None,
        unreadable_because=record.unreadable_because,
    )


def all_shown(records: Sequence[RecordView], *, with_content: bool) -> list[ShownRecord]:
    return [shown(record, with_content=with_content) for record in records]


def _payload(payload: Payload) -> PayloadView:
    return PayloadView(
        text=payload.text, size_bytes=payload.size_bytes, encoding=payload.encoding, truncated=payload.truncated
    )


def _time(ms: int) -> datetime | None:
    return time_of(ms) if TIME_MS_MIN <= ms <= TIME_MS_MAX else None
