"""Figures, times and clients' text as pages write them."""

from datetime import UTC, datetime, timedelta

import pytest
from coldstream.console.pages import formats

NOW = datetime(2026, 11, 22, 14, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("bytes_", "written"),
    [(None, "—"), (0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (123456789, "118 MiB"), (2**63, "8.00 EiB")],
)
def test_sizes_have_three_digits_and_a_binary_unit(bytes_: int | None, written: str) -> None:
    assert formats.size(bytes_) == written


@pytest.mark.parametrize(
    ("ms", "written"),
    [
        (None, "—"),
        (-1, "for ever"),
        (0, "0 ms"),
        (90_061_000, "1 d 1 h 1 min 1 s"),
        (604_800_000, "7 d"),
        (1500, "1 s 500 ms"),
    ],
)
def test_durations_are_exact(ms: int | None, written: str) -> None:
    assert formats.duration(ms) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0, "just now"), (59, "59 s ago"), (3_600, "1 h ago"), (200_000, "2 d ago"), (-90, "in 1 min")],
)
def test_moments_are_told_by_one_unit(seconds: int, written: str) -> None:
    assert formats.ago(NOW - timedelta(seconds=seconds), NOW) == written


def test_exact_times_name_their_zone() -> None:
    assert formats.exact(NOW, "UTC") == "2026-11-22 14:05:06 UTC"
    assert formats.exact(NOW, "Europe/Berlin") == "2026-11-22 15:05:06 CET"


def test_what_cannot_be_seen_in_a_text_is_shown_and_all_of_it_is_escaped() -> None:
    shown = str(formats.visible("a\u202e<b>\u200b\n"))
    assert "<b>" not in shown
    assert "\u202e" not in shown and "U+202E" in shown and "right-to-left override" in shown
    assert "U+200B" in shown
    assert str(formats.visible("Müller & Söhne, 日本")) == "Müller &amp; Söhne, 日本"


def test_one_thing_is_not_called_several() -> None:
    assert [formats.counted(number, "record") for number in (0, 1, 1234, None)] == [
        "0 records",
        "1 record",
        "1,234 records",
        "— records",
    ]
