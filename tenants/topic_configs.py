"""Every topic config we offer: Kafka's name, type, default, what values it takes and what it means.

Always true: an override that passed `validate` resolves; `resolve` answers every config, typed (int, bool or str; a
decimal is a str). What Kafka has and we do not offer yet is refused by name, so that nobody is misled. Overrides are
kept as text, canonical.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from .errors import InvalidConfig

Value = int | bool | str
LONG_MAX, INT_MAX = 2**63 - 1, 2**31 - 1
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
SAME_AS_RETENTION: Final = -2


class ConfigType(IntEnum):
    """Type numbers of DescribeConfigs (KIP-569)."""

    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


class Unit(IntEnum):
    NONE = 0
    MS = 1
    BYTES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigDefinition:
    """`least`/`most` bound numbers, `choices` text; `refused` names values Kafka knows that are not offered yet."""

    name: str
    type: ConfigType
    default: Value
    doc: str
    least: int = 0
    most: int = LONG_MAX
    unit: Unit = Unit.NONE
    choices: tuple[str, ...] = ()
    refused: Mapping[str, str] | None = None


def _number(
    name: str, default: int, doc: str, *, least: int = 0, most: int = LONG_MAX, unit: Unit = Unit.NONE
) -> ConfigDefinition:
    kind = ConfigType.INT if most <= INT_MAX else ConfigType.LONG
    return ConfigDefinition(name=name, type=kind, default=default, doc=doc, least=least, most=most, unit=unit)


def _choice(
    name: str, choices: tuple[str, ...], doc: str, *, refused: Mapping[str, str] | None = None, is_list: bool = False
) -> ConfigDefinition:
    kind = ConfigType.LIST if is_list else ConfigType.STRING
    return ConfigDefinition(name=name, type=kind, default=choices[0], doc=doc, choices=choices, refused=refused)


def _boolean(name: str, default: bool, doc: str, *, refused: Mapping[str, str] | None = None) -> ConfigDefinition:
    return ConfigDefinition(name=name, type=ConfigType.BOOLEAN, default=default, doc=doc, refused=refused)


_RECOMPRESS = "the broker does not recompress; leave compression.type=producer and set the compression in the producer"

_ALL = (
    _choice(
        "cleanup.policy",
        ("delete", "compact", "compact,delete"),
        "What happens to old records: delete by age and size, keep only the newest of each key, or both.",
        is_list=True,
    ),
    _choice(
        "compression.type",
        ("producer",),
        "Batches are kept as the producer compressed them.",
        refused=dict.fromkeys(("uncompressed", "gzip", "snappy", "lz4", "zstd"), _RECOMPRESS),
    ),
    _number(
        "delete.retention.ms",
        DAY_MS,
        "How long a tombstone stays after the pass that first cleaned its key.",
        unit=Unit.MS,
    ),
    _number(
        "file.delete.delay.ms",
        MINUTE_MS,
        "Accepted for compatibility; files go when no reader holds them.",
        unit=Unit.MS,
    ),
    _number("flush.messages", LONG_MAX, "Accepted for compatibility; commit rounds sync all the time.", least=1),
    _number("flush.ms", LONG_MAX, "Accepted for compatibility; commit rounds sync all the time.", unit=Unit.MS),
    _number(
        "index.interval.bytes",
        4096,
        "Bytes of log between two entries of the offset index.",
        most=INT_MAX,
        unit=Unit.BYTES,
    ),
    _number(
        "local.retention.bytes",
        SAME_AS_RETENTION,
        "Bytes of a partition kept on local disk once they are in the object store; -2: as retention.bytes.",
        least=SAME_AS_RETENTION,
        unit=Unit.BYTES,
    ),
    _number(
        "local.retention.ms",
        DAY_MS,
        "How long segments stay on local disk once they are in the object store; -2: as retention.ms.",
        least=SAME_AS_RETENTION,
        unit=Unit.MS,
    ),
    _number("max.compaction.lag.ms", LONG_MAX, "Longest time a record may stay uncompacted.", least=1, unit=Unit.MS),
    _number(
        "max.message.bytes",
        2**20,
        "Largest record batch a producer may send, after compression.",
        most=100 * 2**20,
        unit=Unit.BYTES,
    ),
    _number(
        "message.timestamp.after.max.ms",
        HOUR_MS,
        "How far a record's timestamp may lie ahead of the broker's clock (KIP-937).",
        unit=Unit.MS,
    ),
    _number(
        "message.timestamp.before.max.ms",
        LONG_MAX,
        "How far a record's timestamp may lie behind the broker's clock (KIP-937).",
        unit=Unit.MS,
    ),
    _choice(
        "message.timestamp.type",
        ("CreateTime", "LogAppendTime"),
        "Whether records keep the producer's timestamp or get the broker's.",
    ),
    ConfigDefinition(
        name="min.cleanable.dirty.ratio",
        type=ConfigType.DOUBLE,
        default="0.5",
        doc="Which part of a compacted log has to be new before it is compacted again.",
        most=1,
    ),
    _number("min.compaction.lag.ms", 0, "Shortest time a record stays uncompacted.", unit=Unit.MS),
    _number(
        "min.insync.replicas",
        1,
        "Always 1: durability comes from the topic's durability setting, not from replicas.",
        least=1,
        most=1,
    ),
    _boolean("preallocate", False, "Accepted for compatibility; files grow as they are written."),
    _boolean(
        "remote.storage.enable",
        True,
        "Whether sealed segments go to the object store; false, and always with compaction: on local disk only.",
    ),
    _number(
        "retention.bytes",
        -1,
        "Bytes of a partition kept, hot and cold together; -1: no limit.",
        least=-1,
        unit=Unit.BYTES,
    ),
    _number(
        "retention.ms", 7 * DAY_MS, "How long records are kept, hot and cold; -1: for ever.", least=-1, unit=Unit.MS
    ),
    _number(
        "segment.bytes",
        128 * 2**20,
        "Size at which a segment is sealed and a new one begun.",
        least=2**14,
        most=2**30,
        unit=Unit.BYTES,
    ),
    _number(
        "segment.index.bytes",
        10 * 2**20,
        "Largest size of an offset index file.",
        least=4,
        most=INT_MAX,
        unit=Unit.BYTES,
    ),
    _number(
        "segment.jitter.ms",
        0,
        "Random part of segment.ms, so that segments of many partitions do not roll at once.",
        unit=Unit.MS,
    ),
    _number("segment.ms", HOUR_MS, "Age at which a segment is sealed even if it is not full.", least=1, unit=Unit.MS),
    _boolean(
        "unclean.leader.election.enable",
        False,
        "Always false: leadership never moves to a broker without the data.",
        refused={"true": "leadership never moves to a broker without the data"},
    ),
)
DEFINITIONS: Mapping[str, ConfigDefinition] = {definition.name: definition for definition in _ALL}

_UNITS: Mapping[Unit, Mapping[str, int]] = {
    Unit.MS: {"ms": 1, "s": 1000, "m": MINUTE_MS, "min": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS},
    Unit.BYTES: {
        "b": 1,
        **dict.fromkeys(("k", "kib"), 1024),
        **dict.fromkeys(("m", "mib"), 1024**2),
        **dict.fromkeys(("g", "gib"), 1024**3),
        **dict.fromkeys(("t", "tib"), 1024**4),
        "kb": 10**3,
        "mb": 10**6,
        "gb": 10**9,
        "tb": 10**12,
    },
    Unit.NONE: {},
}
# What values are spelled with, largest first.
_SPELLINGS: Mapping[Unit, tuple[tuple[str, int], ...]] = {
    Unit.MS: (("d", DAY_MS), ("h", HOUR_MS), ("min", MINUTE_MS), ("s", 1000), ("ms", 1)),
    Unit.BYTES: (("TiB", 1024**4), ("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024), ("B", 1)),
}
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,4})?", re.ASCII)
_HUMAN = re.compile(r"([0-9]{1,20})\s*([A-Za-z]{1,3})", re.ASCII)
_UNLIMITED = ("unlimited", "infinite", "forever")


def definition_of(name: str) -> ConfigDefinition:
    """Raises InvalidConfig for a config that is not offered."""
    try:
        return DEFINITIONS[name]
    except KeyError:
        raise InvalidConfig(f"no topic config {name[:80]!r}; offered are {', '.join(DEFINITIONS)}") from None


def parse_human(name: str, text: str) -> str:
    """A person's spelling (`30d`, `128MiB`, `unlimited`) as the wire's: what the CLI and the console take.

    Text that is no such spelling is returned as it is, for `validate` to judge. Raises InvalidConfig for a wrong unit.
    """
    definition = definition_of(name)
    text = text.strip()
    if definition.least < 0 and text.lower() in _UNLIMITED:
        return "-1"
    match = _HUMAN.fullmatch(text)
    if match is None or definition.unit is Unit.NONE:
        return text
    factor = _UNITS[definition.unit].get(match[2].lower())
    if factor is None:
        known = ", ".join(_UNITS[definition.unit])
        raise InvalidConfig(f"{name}={text[:80]}: unknown unit {match[2]!r}, use one of {known}")
    return str(int(match[1]) * factor)


def spell_human(name: str, text: str) -> str:
    """A stored value as a person would write it (`30d`, `128MiB`, `unlimited`), for `parse_human` to give it back."""
    definition = definition_of(name)
    if definition.unit is Unit.NONE or not _INTEGER.fullmatch(text):
        return text
    value = int(text)
    if value == -1 and definition.least < 0:
        return _UNLIMITED[0]
    spellings = _SPELLINGS[definition.unit]
    unit = next((unit for unit, factor in spellings if value > 0 and value % factor == 0), spellings[-1][0])
    return text if value <= 0 or value == LONG_MAX else f"{value // dict(spellings)[unit]}{unit}"


def parse_value(name: str, text: str) -> Value:
    """The typed value of one override. Raises InvalidConfig naming config, value and what it must be."""
    definition = definition_of(name)
    return _PARSERS[definition.type](definition, text.strip())


def canonical(name: str, text: str) -> str:
    """The one spelling that is stored and described. Raises InvalidConfig."""
    return to_text(parse_value(name, text))


def to_text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def validate(overrides: Mapping[str, str], namespace_defaults: Mapping[str, str] | None = None) -> dict[str, str]:
    """The overrides, canonical. Raises InvalidConfig for the first that is wrong, or for two that contradict."""
    checked = {name: canonical(name, text) for name, text in overrides.items()}
    known = {**(namespace_defaults or {}), **checked}
    check_tiers(known)
    for local, total in (("local.retention.ms", "retention.ms"), ("local.retention.bytes", "retention.bytes")):
        limit = int(known.get(total, DEFINITIONS[total].default))
        if local in checked and _exceeds(int(checked[local]), limit):
            raise InvalidConfig(
                f"{local}={checked[local]} is more than {total}={limit}: "
                "what is kept locally is a part of what is kept; lower it or use -2"
            )
    return checked


def check_tiers(texts: Mapping[str, str]) -> None:
    """Raises InvalidConfig when configs, canonical and with their namespace's defaults, ask to tier and to compact."""
    policy = texts.get("cleanup.policy", "")
    if "compact" in policy and texts.get("remote.storage.enable") == "true":
        raise InvalidConfig(
            f"cleanup.policy={policy} with remote.storage.enable=true: what is in the object store is not compacted "
            "yet; set remote.storage.enable=false for a topic that is"
        )


def resolve(overrides: Mapping[str, str], namespace_defaults: Mapping[str, str]) -> dict[str, Value]:
    """Every config with its effective value: override, else the namespace's default, else the platform's.

    `local.retention.*` come out as they act: -2 replaced by, and never more than, the total retention. So does
    `remote.storage.enable`: false for a compacted topic, as clients that only know Apache Kafka's default expect.
    """
    values = {
        name: parse_value(name, text)
        if (text := overrides.get(name, namespace_defaults.get(name))) is not None
        else definition.default
        for name, definition in DEFINITIONS.items()
    }
    if "compact" in str(values["cleanup.policy"]):
        values["remote.storage.enable"] = False
    for local, total in (("local.retention.ms", "retention.ms"), ("local.retention.bytes", "retention.bytes")):
        mine, limit = int(values[local]), int(values[total])
        if mine == SAME_AS_RETENTION or _exceeds(mine, limit):
            values[local] = limit
    return values


def _exceeds(local: int, total: int) -> bool:
    """Whether a local retention is more than the total; -1 is without limit."""
    return total != -1 and local != SAME_AS_RETENTION and (local == -1 or local > total)


def _parse_number(definition: ConfigDefinition, text: str) -> Value:
    if not _INTEGER.fullmatch(text):
        raise InvalidConfig(f"{definition.name}={text[:80]}: not a whole number")
    value = int(text)
    if not definition.least <= value <= definition.most:
        raise InvalidConfig(f"{definition.name}={value}: must be from {definition.least} to {definition.most}")
    return value


def _parse_decimal(definition: ConfigDefinition, text: str) -> Value:
    """Kept as text: Kafka's spelling of it, exact."""
    if not _DECIMAL.fullmatch(text):
        raise InvalidConfig(f"{definition.name}={text[:80]}: not a number with up to four decimals")
    if not definition.least <= float(text) <= definition.most:
        raise InvalidConfig(f"{definition.name}={text}: must be from {definition.least} to {definition.most}")
    return str(float(text))


def _parse_boolean(definition: ConfigDefinition, text: str) -> Value:
    lower = text.lower()
    if lower not in ("true", "false"):
        raise InvalidConfig(f"{definition.name}={text[:80]}: must be true or false")
    _check_refused(definition, lower)
    return lower == "true"


def _parse_choice(definition: ConfigDefinition, text: str) -> Value:
    if definition.type is ConfigType.LIST:
        text = ",".join(sorted({item.strip() for item in text.split(",")}))
    _check_refused(definition, text)
    if text not in definition.choices:
        raise InvalidConfig(f"{definition.name}={text[:80]}: must be {' or '.join(definition.choices)}")
    return text


def _check_refused(definition: ConfigDefinition, text: str) -> None:
    why = (definition.refused or {}).get(text)
    if why is not None:
        raise InvalidConfig(f"{definition.name}={text}: {why}")


_PARSERS: Mapping[ConfigType, Callable[[ConfigDefinition, str], Value]] = {
    ConfigType.BOOLEAN: _parse_boolean,
    ConfigType.STRING: _parse_choice,
    ConfigType.LIST: _parse_choice,
    ConfigType.DOUBLE: _parse_decimal,
    ConfigType.INT: _parse_number,
    ConfigType.LONG: _parse_number,
}
