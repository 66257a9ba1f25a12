"""What an audit entry changed, for people: one line for each thing that differs.

Always true: any JSON that a release ever wrote can be shown; what is equal before and after is left out.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from ..schemas import time_of
from .formats import exact

LINES_MAX = 100
TEXT_MAX = 2000


class Change(Struct, frozen=True):
    """None: it was not there before, or is not after."""

    name: str
    before: str | None
    after: str | None


def changes(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, time_zone: str = "UTC") -> list[Change]:
    """By name, those of nested objects with the names of both (`configs.retention.ms`)."""
    was, now = _flat(before or {}), _flat(after or {})
    names = sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))
    return [
        Change(_named(name), _text(name, was.get(name), time_zone), _text(name, now.get(name), time_zone))
        for name in names[:LINES_MAX]
    ]


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, each in value.items():
        if isinstance(each, Mapping):
            flat |= _flat(each, f"{prefix}{name}.")
        elif each is not None:
            flat[f"{prefix}{name}"] = each
    return flat


def _named(name: str) -> str:
    """`expires_at_ms` as `expires`; configs are called as in Kafka."""
    for holder in ("configs.", "defaults."):
        if name.startswith(holder):
            return name.removeprefix(holder)
    return name.removesuffix("_at_ms").replace("_", " ") if "." not in name else name


def _text(name: str, value: Any, time_zone: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("_at_ms") and isinstance(value, int):
        try:
            return exact(time_of(value), time_zone)
        except (ValueError, OverflowError, OSError):
            return str(value)
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}…"
