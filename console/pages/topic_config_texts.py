"""Config values as people read and type them. Pure functions.

Always true: what is shown is exact, to the byte and the millisecond.
"""

import re
from collections.abc import Iterable, Mapping

from ...tenants.errors import InvalidConfig
from ...tenants.topic_configs import (
    DEFINITIONS,
    INT_MAX,
    LONG_MAX,
    MINUTE_MS,
    SAME_AS_RETENTION,
    ConfigType,
    Unit,
    canonical,
    parse_human,
    spell_human,
    to_text,
)
from .formats import count, duration

_SPELLED = re.compile(r"([0-9]+)([A-Za-z]+)", re.ASCII)
# Where a bare number is more likely a forgotten unit than so few milliseconds.
_LONG = frozenset({"retention.ms", "local.retention.ms"})
_WORDS = {"true": "on", "false": "off"}


def shown(name: str, text: str) -> str:
    """A canonical value for reading: `7 d`, `128 MiB`, `for ever`, `on`."""
    definition = DEFINITIONS[name]
    if definition.type not in (ConfigType.INT, ConfigType.LONG):
        return _WORDS.get(text, text)
    value = int(text)
    if value == SAME_AS_RETENTION:
        return "as the retention"
    if value == -1:
        return "for ever" if definition.unit is Unit.MS else "no limit"
    if value in (INT_MAX, LONG_MAX) and value == definition.most:
        return "no limit"
    if definition.unit is Unit.MS:
        return duration(value)
    spelled = _SPELLED.fullmatch(spell_human(name, text)) if definition.unit is Unit.BYTES else None
    return count(value) if spelled is None else f"{count(int(spelled[1]))} {spelled[2]}"


def canonical_of(name: str, text: str) -> str:
    """What is kept of what was typed. Raises InvalidConfig, also where a unit seems to be forgotten."""
    text = text.strip()
    if name in _LONG and text.isascii() and text.isdigit() and 0 < int(text[:20]) < MINUTE_MS:
        raise InvalidConfig(f"{name}={text} would be {duration(int(text))}: give a unit, such as {text}d or {text}h")
    return canonical(name, parse_human(name, text))


def default_of(name: str, defaults: Mapping[str, str]) -> str:
    """What a topic of a namespace with these defaults has without an override, canonical."""
    return canonical(name, defaults.get(name, to_text(DEFINITIONS[name].default)))


def is_default(name: str, text: str, defaults: Mapping[str, str]) -> bool:
    """Whether the text is what holds anyway; text that is no value at all is not."""
    try:
        return canonical_of(name, text) == default_of(name, defaults)
    except InvalidConfig:
        return False


def blamed(message: str, names: Iterable[str]) -> str | None:
    """Which of these configs a refusal speaks of first; None when of none."""
    found = [(message.find(name), -len(name), name) for name in names if name in message]
    return min(found)[2] if found else None
