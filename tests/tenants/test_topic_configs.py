"""Topic configs: defaults, every refusal by name, people's spellings, and what a topic effectively has."""

import pytest
from coldstream.tenants.errors import InvalidConfig
from coldstream.tenants.topic_configs import (
    DEFINITIONS,
    INT_MAX,
    LONG_MAX,
    ConfigType,
    canonical,
    parse_human,
    resolve,
    spell_human,
    to_text,
    validate,
)

DAY_MS = 86_400_000


def test_defaults_are_the_designs() -> None:
    effective = resolve({}, {})
    expected = {
        "segment.bytes": 128 * 2**20,
        "segment.ms": 3_600_000,
        "retention.ms": 7 * DAY_MS,
        "retention.bytes": -1,
        "remote.storage.enable": True,
        "local.retention.ms": DAY_MS,
        "local.retention.bytes": -1,
        "cleanup.policy": "delete",
        "compression.type": "producer",
        "max.message.bytes": 2**20,
        "message.timestamp.type": "CreateTime",
        "message.timestamp.before.max.ms": LONG_MAX,
        "message.timestamp.after.max.ms": 3_600_000,
        "delete.retention.ms": DAY_MS,
        "min.compaction.lag.ms": 0,
        "min.cleanable.dirty.ratio": "0.5",
        "index.interval.bytes": 4096,
    }
    assert {name: effective[name] for name in expected} == expected
    assert set(effective) == set(DEFINITIONS)


def test_every_default_is_a_legal_value_and_typed() -> None:
    types = {
        ConfigType.BOOLEAN: bool,
        ConfigType.STRING: str,
        ConfigType.LIST: str,
        ConfigType.INT: int,
        ConfigType.LONG: int,
        ConfigType.DOUBLE: str,
    }
    for name, definition in DEFINITIONS.items():
        text = to_text(definition.default)
        assert canonical(name, text) == text
        assert type(resolve({}, {})[name]) is types[definition.type]
        assert definition.doc.endswith(".") and definition.doc[0].isupper()
        if definition.type is ConfigType.INT:
            assert definition.most <= INT_MAX


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("retention", "1", "no topic config 'retention'"),
        ("Retention.ms", "1", "no topic config"),
        ("retention.ms", "", "not a whole number"),
        ("retention.ms", "7d", "not a whole number"),
        ("retention.ms", "1.5", "not a whole number"),
        ("retention.ms", "1_000", "not a whole number"),
        ("retention.ms", "٣", "not a whole number"),
        ("retention.ms", "-2", "from -1"),
        ("retention.ms", str(2**63), "from -1 to 9223372036854775807"),
        ("retention.ms", "9" * 400, "not a whole number"),
        ("local.retention.ms", "-3", "from -2"),
        ("segment.bytes", "1024", "from 16384"),
        ("segment.ms", "0", "from 1"),
        ("max.message.bytes", str(2**31), "to 104857600"),
        ("min.insync.replicas", "2", "from 1 to 1"),
        ("remote.storage.enable", "yes", "true or false"),
        ("unclean.leader.election.enable", "true", "never moves"),
        ("cleanup.policy", "compacted", "must be delete or compact or compact,delete"),
        ("cleanup.policy", "", "must be delete"),
        ("min.cleanable.dirty.ratio", "1.1", "from 0 to 1"),
        ("min.cleanable.dirty.ratio", "-0.1", "not a number with"),
        ("min.cleanable.dirty.ratio", "nan", "not a number with"),
        ("min.cleanable.dirty.ratio", "1e-3", "not a number with"),
        ("compression.type", "zstd", "does not recompress"),
        ("compression.type", "brotli", "must be producer"),
        ("message.timestamp.type", "logappendtime", "CreateTime or LogAppendTime"),
    ],
)
def test_a_bad_config_is_refused_with_its_name_and_why(name: str, text: str, says: str) -> None:
    with pytest.raises(InvalidConfig) as refusal:
        validate({name: text})
    assert says in str(refusal.value) and name in str(refusal.value)
    assert len(str(refusal.value)) < 1000


def test_stored_values_are_canonical() -> None:
    given = {"retention.ms": " +0100 ", "remote.storage.enable": "FALSE", "cleanup.policy": " delete "}
    assert validate(given) == {"retention.ms": "100", "remote.storage.enable": "false", "cleanup.policy": "delete"}
    given = {"cleanup.policy": "delete, compact", "min.cleanable.dirty.ratio": "1"}
    assert validate(given) == {"cleanup.policy": "compact,delete", "min.cleanable.dirty.ratio": "1.0"}


def test_a_compacted_topic_stays_on_local_disk_and_who_asks_for_both_is_told() -> None:
    assert resolve({"cleanup.policy": "compact"}, {})["remote.storage.enable"] is False
    assert resolve({}, {"cleanup.policy": "compact,delete"})["remote.storage.enable"] is False
    assert resolve({"cleanup.policy": "delete"}, {"cleanup.policy": "compact"})["remote.storage.enable"] is True
    validate({"cleanup.policy": "compact", "remote.storage.enable": "false"}, {"remote.storage.enable": "true"})
    for overrides, defaults in (
        ({"cleanup.policy": "compact", "remote.storage.enable": "true"}, {}),
        ({"cleanup.policy": "compact"}, {"remote.storage.enable": "true"}),
        ({"remote.storage.enable": "true"}, {"cleanup.policy": "compact,delete"}),
    ):
        with pytest.raises(InvalidConfig, match=r"set remote\.storage\.enable=false"):
            validate(overrides, defaults)


@pytest.mark.parametrize(
    ("name", "text", "wire"),
    [
        ("retention.ms", "30d", str(30 * DAY_MS)),
        ("retention.ms", "90 min", "5400000"),
        ("retention.ms", "2w", str(14 * DAY_MS)),
        ("retention.ms", "250ms", "250"),
        ("retention.ms", "Unlimited", "-1"),
        ("retention.ms", "86400000", "86400000"),
        ("segment.bytes", "64MiB", str(64 * 2**20)),
        ("segment.bytes", "64m", str(64 * 2**20)),
        ("segment.bytes", "64MB", "64000000"),
        ("retention.bytes", "1T", str(2**40)),
        ("segment.bytes", "unlimited", "unlimited"),
        ("cleanup.policy", "delete", "delete"),
        ("min.insync.replicas", "1d", "1d"),
        ("retention.ms", "soon", "soon"),
    ],
)
def test_people_may_write_units(name: str, text: str, wire: str) -> None:
    assert parse_human(name, text) == wire


def test_a_wrong_unit_is_named() -> None:
    with pytest.raises(InvalidConfig, match="unknown unit 'y'"):
        parse_human("retention.ms", "3y")
    with pytest.raises(InvalidConfig, match="unknown unit 'd'"):
        parse_human("segment.bytes", "3d")


@pytest.mark.parametrize(
    ("overrides", "defaults", "effective"),
    [
        ({}, {}, (7 * DAY_MS, DAY_MS)),
        ({"retention.ms": "1000"}, {}, (1000, 1000)),  # what is kept locally is never more than what is kept
        ({"retention.ms": "-1"}, {}, (-1, DAY_MS)),
        ({"local.retention.ms": "-2"}, {}, (7 * DAY_MS, 7 * DAY_MS)),
        ({"retention.ms": "-1", "local.retention.ms": "-1"}, {}, (-1, -1)),
        ({"retention.ms": "-1", "local.retention.ms": "-2"}, {}, (-1, -1)),
        ({}, {"retention.ms": "5000"}, (5000, 5000)),
        ({"retention.ms": "9000"}, {"retention.ms": "5000", "local.retention.ms": "6000"}, (9000, 6000)),
    ],
)
def test_overrides_go_before_namespace_defaults_and_those_before_ours(
    overrides: dict[str, str], defaults: dict[str, str], effective: tuple[int, int]
) -> None:
    resolved = resolve(overrides, defaults)
    assert (resolved["retention.ms"], resolved["local.retention.ms"]) == effective


def test_asking_to_keep_more_locally_than_in_total_is_refused() -> None:
    for overrides in (
        {"local.retention.ms": "2000", "retention.ms": "1000"},
        {"local.retention.ms": "-1"},
        {"local.retention.bytes": "2000", "retention.bytes": "1000"},
    ):
        with pytest.raises(InvalidConfig, match="lower it or use -2"):
            validate(overrides)
    validate({"local.retention.bytes": "-1"})
    validate({"local.retention.ms": str(10 * DAY_MS)}, {"retention.ms": str(30 * DAY_MS)})
    with pytest.raises(InvalidConfig):
        validate({"local.retention.ms": str(2 * DAY_MS)}, {"retention.ms": str(DAY_MS)})


@pytest.mark.parametrize(
    ("name", "stored", "spelled"),
    [
        ("retention.ms", "604800000", "7d"),
        ("retention.ms", "5400000", "90min"),
        ("retention.ms", "1001", "1001ms"),
        ("retention.ms", "-1", "unlimited"),
        ("local.retention.ms", "-2", "-2"),
        ("retention.bytes", str(3 * 2**30), "3GiB"),
        ("max.message.bytes", "1000", "1000B"),
        ("min.compaction.lag.ms", "0", "0"),
        ("flush.ms", str(LONG_MAX), str(LONG_MAX)),
        ("min.insync.replicas", "1", "1"),
        ("cleanup.policy", "delete", "delete"),
    ],
)
def test_a_stored_value_is_spelled_as_people_would(name: str, stored: str, spelled: str) -> None:
    assert spell_human(name, stored) == spelled
    assert canonical(name, parse_human(name, spelled)) == stored
