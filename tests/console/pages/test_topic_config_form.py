"""What topic pages rest on: configs as people read and type them, and what a filled-in form asks for."""

from collections.abc import Mapping

import pytest
from coldstream.console.pages.page import Fields, Refused
from coldstream.console.pages.topic_config_form import asked, groups
from coldstream.console.pages.topic_config_texts import blamed, canonical_of, shown
from coldstream.console.pages.topic_preview import change_of, lets_go
from coldstream.tenants.errors import InvalidConfig
from coldstream.tenants.topic_configs import DEFINITIONS, to_text


def test_what_is_shown_is_exact() -> None:
    assert shown("retention.ms", "604800000") == "7 d"
    assert shown("retention.ms", "604800001") == "7 d 1 ms"
    assert shown("retention.ms", "-1") == "for ever"
    assert shown("retention.bytes", "-1") == "no limit"
    assert shown("local.retention.bytes", "-2") == "as the retention"
    assert shown("segment.bytes", "134217728") == "128 MiB"
    assert shown("segment.bytes", "134217729") == "134,217,729 B"
    assert shown("remote.storage.enable", "true") == "on"
    assert shown("flush.messages", str(2**63 - 1)) == "no limit"
    for name, definition in DEFINITIONS.items():
        assert shown(name, to_text(definition.default))


def test_a_bare_number_where_a_unit_was_forgotten_is_asked_about() -> None:
    with pytest.raises(InvalidConfig, match="30 ms: give a unit"):
        canonical_of("retention.ms", "30")
    assert canonical_of("retention.ms", "86400000") == "86400000"
    assert canonical_of("segment.jitter.ms", "30") == "30"


def test_a_refusal_is_blamed_on_the_config_it_names_first() -> None:
    names = ("retention.ms", "local.retention.ms", "cleanup.policy")
    assert blamed("local.retention.ms=5 is more than retention.ms=4", names) == "local.retention.ms"
    assert blamed("something else", names) is None


def test_each_config_is_on_the_form_once() -> None:
    names = [field.name for group in groups({}, {}) for field in group.fields]
    assert sorted(names) == sorted(DEFINITIONS)


def test_a_form_as_it_was_given_asks_for_nothing() -> None:
    overrides = {
        "retention.ms": "-1",
        "segment.bytes": "1048576",
        "cleanup.policy": "compact",
        "local.retention.ms": "-2",
    }
    given: dict[str, list[str]] = {}
    for group in groups(overrides, {"max.message.bytes": "2048"}):
        for field in group.fields:
            if field.kind == "radios":
                given[f"{field.name}.is"] = [field.choice]
            given[field.name] = [field.choice if field.kind == "select" else field.typed]
    assert asked(Fields(given), overrides) == ({}, [])
    assert asked(Fields({}), overrides) == ({}, [])


def test_every_wrong_field_is_told_at_once() -> None:
    with pytest.raises(Refused) as refused:
        asked(Fields({"segment.ms": ["x"], "segment.bytes": ["y"]}), {})
    assert set(refused.value.errors) == {"segment.ms", "segment.bytes"}


@pytest.mark.parametrize(
    ("before", "after", "lossy"),
    [
        ({}, {"retention.ms": "3600000"}, True),
        ({}, {"retention.ms": "-1"}, False),
        ({"retention.ms": "-1"}, {}, True),
        ({"retention.ms": "3600000"}, {}, False),
        ({}, {"retention.bytes": "1024"}, True),
        ({"retention.bytes": "1024"}, {"retention.bytes": "2048"}, False),
        ({}, {"cleanup.policy": "compact"}, True),
        ({"cleanup.policy": "compact,delete"}, {"cleanup.policy": "delete"}, False),
        ({}, {"max.message.bytes": "2048"}, False),
        ({}, {"local.retention.ms": "1000"}, False),
    ],
)
def test_what_may_let_records_go(before: Mapping[str, str], after: Mapping[str, str], lossy: bool) -> None:
    assert lets_go(before, after, {}) is lossy


def test_an_address_holds_a_change_and_nothing_else() -> None:
    body = change_of({"retention.ms": "1d", "unset": "segment.ms,retention.ms,nonsense", "notice": "saved"})
    assert (body.configs, body.unset) == ({"retention.ms": "1d"}, ["segment.ms"])
