"""What changes for a topic when its overrides do: the effective values before and after, and where each comes from.

Always true: pure; a config is listed when its override or its effective value changes, such as a local retention that
follows the topic's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from .topic_configs import DEFINITIONS, canonical, resolve, to_text


class ConfigSource(StrEnum):
    TOPIC = "topic"
    NAMESPACE = "namespace"
    DEFAULT = "default"  # of the platform
    LIMITED = "limited"  # by another config: a local retention by the topic's, offloading by compaction


@dataclass(frozen=True, slots=True)
class ConfigDifference:
    """Effective values, as text."""

    name: str
    before: str
    after: str
    source_before: ConfigSource
    source: ConfigSource


def config_differences(
    before: Mapping[str, str], after: Mapping[str, str], namespace_defaults: Mapping[str, str]
) -> list[ConfigDifference]:
    """Between two sets of overrides, by name. Both are valid."""
    was, becomes = effective_texts(before, namespace_defaults), effective_texts(after, namespace_defaults)
    return [
        ConfigDifference(
            name,
            was[name],
            becomes[name],
            _source(name, was[name], before, namespace_defaults),
            _source(name, becomes[name], after, namespace_defaults),
        )
        for name in DEFINITIONS
        if was[name] != becomes[name] or (name in before) != (name in after)
    ]


def effective_texts(overrides: Mapping[str, str], namespace_defaults: Mapping[str, str]) -> dict[str, str]:
    """Every config's effective value, as text."""
    return {name: to_text(value) for name, value in resolve(overrides, namespace_defaults).items()}


def _source(
    name: str, effective: str, overrides: Mapping[str, str], namespace_defaults: Mapping[str, str]
) -> ConfigSource:
    if name in overrides:
        given, source = overrides[name], ConfigSource.TOPIC
    elif name in namespace_defaults:
        given, source = namespace_defaults[name], ConfigSource.NAMESPACE
    else:
        given, source = to_text(DEFINITIONS[name].default), ConfigSource.DEFAULT
    return source if canonical(name, given) == effective else ConfigSource.LIMITED
