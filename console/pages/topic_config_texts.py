"""Config values as people read and type them. Pure functions.

Always true: what `typed` writes, `canonical_of` reads back as the same value, to the byte and the millisecond.
"""

from collections.abc import Iterable, Mapping

from ...tenants.errors import InvalidConfig
from ...tenants.topic_configs import (
    DAY_MS,
    DEFINITIONS,
    HOUR_MS,
    INT_MAX,
    LONG_MAX,
    MINUTE_MS,
    SAME_AS_RETENTION,
    Unit,
    Value,
    canonical,
    parse_human,
)
from .formats import count, duration

_MS = (("d", DAY_MS), ("h", HOUR_MS), ("min", MINUTE_MS), ("s", 1000), ("ms", 1))
_BYTES = (("TiB", 1024**4), ("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024), ("B", 1))
# Where a bare number is more likely a forgotten unit than so few milliseconds.
_LONG = frozenset({"retention.ms", "local.retention.ms"})


def shown(name: str, value: Value) -> str:
    """A value for reading, exact: `7 d`, `128 MiB`, `for ever`, `on`."""
    definition = DEFINITIONS[name]
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return value
    if value == SAME_AS_RETENTION:
        return "as long as it is kept"
    if value == -1:
        return "for ever" if definition.unit is Unit.MS else "no limit"
    if value == LONG_MAX or (value == INT_MAX == definition.most):
        return "no limit"
    if definition.unit is Unit.MS:
        return duration(value)
    if definition.unit is Unit.BYTES:
        unit, factor = _unit(_BYTES, value)
        return f"{count(value // factor)} {unit}"
    return count(value)


def typed(name: str, value: Value) -> str:
    """A value as a person would type it: `7d`, `128MiB`; as Kafka has it where there is no unit."""
    definition = DEFINITIONS[name]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) or value <= 0 or value == LONG_MAX or definition.unit is Unit.NONE:
        return str(value)
    unit, factor = _unit(_MS if definition.unit is Unit.MS else _BYTES, value)
    return f"{value // factor}{unit}"


def canonical_of(name: str, text: str) -> str:
    """What is kept of what was typed. Raises InvalidConfig, also where a unit seems to be forgotten."""
    if name in _LONG and text.isdigit() and 0 < int(text[:20]) < MINUTE_MS:
        raise InvalidConfig(f"{name}={text} would be {duration(int(text))}: give a unit, such as {text}d or {text}h")
    return canonical(name, parse_human(name, text))


def is_default(name: str, text: str, defaults: Mapping[str, str]) -> bool:
    """Whether the text is what holds anyway; text that is no value at all is not."""
    try:
        return canonical_of(name, text) == default_of(name, defaults)
    except InvalidConfig:
        return False


def default_of(name: str, defaults: Mapping[str, str]) -> str:
    """What a topic of a namespace with these defaults has without an override, canonical."""
    return canonical(name, defaults.get(name, str(DEFINITIONS[name].default)))


def blamed(message: str, names: Iterable[str]) -> str | None:
    """Which of these configs a refusal speaks of first; None when of none."""
    found = [(message.find(name), -len(name), name) for name in names if name in message]
    return min(found)[2] if found else None


def _unit(units: tuple[tuple[str, int], ...], value: int) -> tuple[str, int]:
    """The largest unit that the value is a whole number of."""
    return next(((unit, factor) for unit, factor in units if value % factor == 0), units[-1])
