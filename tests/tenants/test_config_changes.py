"""What an altered topic config changes: effective values, and where they come from."""

from coldstream.tenants.config_changes import ConfigDifference, ConfigSource, config_differences, effective_texts

HOUR_MS, DAY_MS, WEEK_MS = "3600000", "86400000", "604800000"


def test_nothing_changes_between_equal_overrides() -> None:
    assert config_differences({"retention.ms": DAY_MS}, {"retention.ms": DAY_MS}, {"segment.ms": "1000"}) == []


def test_a_value_is_shown_as_it_acts_with_where_it_comes_from() -> None:
    changes = config_differences({}, {"segment.bytes": "1048576"}, {"segment.bytes": "65536"})
    assert changes == [
        ConfigDifference("segment.bytes", "65536", "1048576", ConfigSource.NAMESPACE, ConfigSource.TOPIC)
    ]
    assert config_differences({"preallocate": "true"}, {}, {}) == [
        ConfigDifference("preallocate", "true", "false", ConfigSource.TOPIC, ConfigSource.DEFAULT)
    ]


def test_a_local_retention_that_follows_is_listed_too() -> None:
    changes = config_differences({}, {"retention.ms": HOUR_MS}, {})
    assert changes == [
        ConfigDifference("local.retention.ms", DAY_MS, HOUR_MS, ConfigSource.DEFAULT, ConfigSource.LIMITED),
        ConfigDifference("retention.ms", WEEK_MS, HOUR_MS, ConfigSource.DEFAULT, ConfigSource.TOPIC),
    ]


def test_compaction_switches_offloading_off_and_says_so() -> None:
    changes = config_differences({}, {"cleanup.policy": "compact"}, {})
    assert changes == [
        ConfigDifference("cleanup.policy", "delete", "compact", ConfigSource.DEFAULT, ConfigSource.TOPIC),
        ConfigDifference("remote.storage.enable", "true", "false", ConfigSource.DEFAULT, ConfigSource.LIMITED),
    ]
    texts = effective_texts({"cleanup.policy": "compact"}, {})
    assert effective_texts(texts, {}) == texts


def test_an_override_that_only_fixes_the_default_is_a_change_of_its_source() -> None:
    (change,) = config_differences({}, {"retention.ms": WEEK_MS}, {})
    assert (change.before, change.after) == (WEEK_MS, WEEK_MS)
    assert (change.source_before, change.source) == (ConfigSource.DEFAULT, ConfigSource.TOPIC)


def test_effective_texts_resolve_to_themselves() -> None:
    texts = effective_texts({"retention.ms": HOUR_MS, "local.retention.bytes": "-2"}, {"retention.bytes": "5"})
    assert texts["local.retention.ms"] == HOUR_MS and texts["local.retention.bytes"] == "5"
    assert effective_texts(texts, {}) == texts
