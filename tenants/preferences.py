"""How a member wants to see the console. What is not set, or was set by a release that knew more, has its default."""

import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Self, TypeVar

from .errors import InvalidArgument

_NO_PLACES = {"Factory", "localtime", "posixrules"}  # files beside the time zones that depend on the machine


class Theme(StrEnum):
    AUTO = "auto"
    LIGHT = "light"
    DARK = "dark"


class Times(StrEnum):
    RELATIVE = "relative"
    ABSOLUTE = "absolute"


@dataclass(frozen=True, slots=True)
class Preferences:
    """`time_zone` is an IANA name; `shortcuts`: single keys lead somewhere (WCAG 2.1.4 wants them to have an off)."""

    theme: Theme = Theme.AUTO
    time_zone: str = "UTC"
    times: Times = Times.RELATIVE
    shortcuts: bool = True

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> Self:
        time_zone = kept.get("time_zone", "UTC")
        return cls(
            _known(Theme, kept.get("theme"), Theme.AUTO),
            time_zone if time_zone == "UTC" or time_zone in time_zones() else "UTC",
            _known(Times, kept.get("times"), Times.RELATIVE),
            kept.get("shortcuts") is not False,
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "theme": self.theme.value,
            "time_zone": self.time_zone,
            "times": self.times.value,
            "shortcuts": self.shortcuts,
        }

    def checked(self) -> Self:
        """Raises InvalidArgument."""
        if self.time_zone not in time_zones():
            raise InvalidArgument(
                f"no time zone {self.time_zone[:80]!r}: give an IANA name such as UTC or Europe/Berlin"
            )
        return self


DEFAULTS = Preferences()
_E = TypeVar("_E", bound=StrEnum)


def _known(kind: type[_E], value: object, default: _E) -> _E:
    return next((each for each in kind if each.value == value), default)


@cache
def time_zones() -> tuple[str, ...]:
    """The IANA names that can be chosen, in order. Reads the time zone database once."""
    return tuple(sorted({*zoneinfo.available_timezones(), "UTC"} - _NO_PLACES))
