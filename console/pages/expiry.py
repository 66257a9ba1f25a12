"""When a key or token stops working, as a form asks it: a preset; for ever takes a choice of its own."""

from datetime import datetime

from msgspec import Struct

from ..schemas import time_of
from .page import Fields, Refused

DAY_MS = 86_400_000
DEFAULT = "90"


class Choice(Struct, frozen=True):
    """One option of a form."""

    value: str
    label: str


EXPIRY_CHOICES = [
    Choice("7", "7 days"),
    Choice("30", "30 days"),
    Choice(DEFAULT, "90 days"),
    Choice("365", "1 year"),
    Choice("never", "never: until it is revoked"),
]
_DAYS = {choice.value for choice in EXPIRY_CHOICES if choice.value != "never"}


def expires_at(fields: Fields, now_ms: int, name: str = "expiry") -> datetime | None:
    """The moment chosen, None for never. Raises Refused."""
    chosen = fields.text(name, DEFAULT)
    if chosen == "never":
        return None
    if chosen not in _DAYS:
        raise Refused({name: "Choose one of the times."})
    return time_of(now_ms + int(chosen) * DAY_MS)
