"""Preferences: read leniently, written exactly."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from coldstream.tenants.errors import InvalidArgument
from coldstream.tenants.preferences import Preferences, Theme, Times, time_zones


@pytest.mark.parametrize(
    "kept",
    [
        {},
        {"theme": "neon", "time_zone": "Mars/Olympus", "times": "sundial"},
        {"theme": None, "time_zone": None, "times": None},
        {"theme": [], "time_zone": {}, "times": 7, "something": "newer"},
    ],
)
def test_what_is_not_known_has_its_default(kept: dict[str, Any]) -> None:
    assert Preferences.of_json(kept) == Preferences(Theme.AUTO, "UTC", Times.RELATIVE)


def test_preferences_read_back_as_they_were_written() -> None:
    chosen = Preferences(Theme.LIGHT, "America/Argentina/Ushuaia", Times.ABSOLUTE)
    assert Preferences.of_json(chosen.as_json()) == chosen == chosen.checked()


def test_every_time_zone_on_offer_can_be_chosen_and_used() -> None:
    zones = time_zones()
    assert list(zones) == sorted(zones) and {"UTC", "Europe/Berlin", "Asia/Kolkata"} <= set(zones)
    assert not {"localtime", "Factory", "posixrules"} & set(zones)
    for zone in zones:
        ZoneInfo(Preferences(time_zone=zone).checked().time_zone)
    with pytest.raises(InvalidArgument, match="no time zone 'localtime'"):
        Preferences(time_zone="localtime").checked()
