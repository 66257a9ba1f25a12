"""How figures, times and clients' text are written on pages. Pure functions; templates use them as filters."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

NOT_KNOWN = "—"
_BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_SPANS_MS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1))
# Invisible or direction-changing: shown by their number, so that two names that look alike are seen to differ.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def size(bytes_: int | float | None) -> str:
    """`1.5 GiB`; three significant digits at most."""
    if bytes_ is None:
        return NOT_KNOWN
    amount, unit = float(bytes_), 0
    while amount >= 1024 and unit < len(_BYTE_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{_three_digits(amount) if unit else int(amount)} {_BYTE_UNITS[unit]}"


def count(number: int | float | None) -> str:
    """`12,345`."""
    return NOT_KNOWN if number is None else f"{number:,.0f}"


def counted(number: int | None, noun: str) -> str:
    """`1 record`, `12,345 records`: for nouns whose plural is made with an s."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def rate(per_second: float | None) -> str:
    """`12.5`, `1,200`: without its unit."""
    if per_second is None:
        return NOT_KNOWN
    return f"{per_second:,.0f}" if per_second >= 100 or per_second == 0 else _three_digits(per_second)


def duration(ms: int | None) -> str:
    """`7 d`, `1 h 30 min`: exact; -1 is for ever."""
    if ms is None:
        return NOT_KNOWN
    if ms < 0:
        return "for ever"
    parts = []
    for unit, length_ms in _SPANS_MS:
        amount, ms = divmod(ms, length_ms)
        if amount:
            parts.append(f"{amount:,} {unit}")
    return " ".join(parts) or "0 ms"


def visible(text: str | None) -> Markup:
    """Text of a client's choosing: escaped, and what cannot be seen in it is shown by its code point."""
    if text is None:
        return escape(NOT_KNOWN)
    parts, last = [], 0
    for match in _UNSEEN.finditer(text):
        name = unicodedata.name(match[0], "control character").lower()
        parts.append(escape(text[last : match.start()]))
        parts.append(Markup('<span class="unseen" title="{}">U+{:04X}</span>').format(name, ord(match[0])))
        last = match.end()
    return Markup("").join([*parts, escape(text[last:])])


def ago(then: datetime, now: datetime) -> str:
    """`12 s ago`, `in 3 d`: one unit, rounded down."""
    elapsed_ms = int((now - then) / timedelta(milliseconds=1))
    if abs(elapsed_ms) < 1000:
        return "just now"
    unit, length_ms = next((unit, length) for unit, length in _SPANS_MS if abs(elapsed_ms) >= length)
    amount = abs(elapsed_ms) // length_ms
    return f"{amount:,} {unit} ago" if elapsed_ms > 0 else f"in {amount:,} {unit}"


def exact(then: datetime, time_zone: str) -> str:
    """`2026-11-22 14:05:06 CET`."""
    return then.astimezone(zone(time_zone)).strftime("%Y-%m-%d %H:%M:%S %Z")


def time_of(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _three_digits(amount: float) -> str:
    return f"{amount:.0f}" if amount >= 100 else f"{amount:.1f}" if amount >= 10 else f"{amount:.2f}"
