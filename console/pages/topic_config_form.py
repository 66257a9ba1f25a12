"""The form of a topic's configuration: what it offers for each config, and what a filled-in one asks for. Pure.

Always true: a config that the form did not send stays as it is; one that is sent as its default is unset, never set to
the default's present value.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from ...tenants.errors import InvalidConfig
from ...tenants.topic_configs import DEFINITIONS, ConfigDefinition, ConfigType, resolve, spell_human, to_text
from .page import Fields, Refused
from .refusals import sentence
from .topic_config_texts import canonical_of, default_of, shown

DEFAULT, INFINITE, AS_RETENTION, CUSTOM = "default", "-1", "-2", "custom"
Source = Literal["topic", "namespace", "default", "limited"]

GROUPS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Retention", "When records go.", ("cleanup.policy", "retention.ms", "retention.bytes")),
    (
        "Tiering",
        "What moves to the object store, and how much stays on the broker's disk beside it.",
        ("remote.storage.enable", "local.retention.ms", "local.retention.bytes"),
    ),
    (
        "Compaction",
        "For topics that keep the newest record of each key.",
        ("min.cleanable.dirty.ratio", "min.compaction.lag.ms", "max.compaction.lag.ms", "delete.retention.ms"),
    ),
    (
        "Messages",
        "What producers may send.",
        (
            "max.message.bytes",
            "message.timestamp.type",
            "message.timestamp.before.max.ms",
            "message.timestamp.after.max.ms",
            "compression.type",
        ),
    ),
    (
        "Segments",
        "The files that a log is made of.",
        ("segment.bytes", "segment.ms", "segment.jitter.ms", "segment.index.bytes", "index.interval.bytes"),
    ),
)
OTHERS = ("Other", "Known to Kafka's tools; of no or little consequence here.")
# Asked with radio buttons: these are what people come to change.
IMPORTANT = ("retention.ms", "retention.bytes", "local.retention.ms", "local.retention.bytes", "max.message.bytes")


class ConfigOption(Struct, frozen=True):
    value: str
    label: str


class ConfigField(Struct, kw_only=True):
    """One config. `value` is as it acts, `text` how it reads; `kind` is how it is asked for.

    `choice` is the option that is on now, `typed` what stands in the text field. `refused`: why it cannot be changed
    here, or does not apply.
    """

    name: str
    about: str
    value: str
    text: str
    source: Source
    default_text: str
    kind: Literal["radios", "select", "text"]
    options: list[ConfigOption]
    choice: str
    typed: str
    refused: str


class ConfigGroup(Struct, kw_only=True):
    """`folded`: nothing of it was set, and few come to set it."""

    title: str
    about: str
    fields: list[ConfigField]
    folded: bool


def groups(overrides: Mapping[str, str], defaults: Mapping[str, str]) -> list[ConfigGroup]:
    """Every config that is offered, in its group."""
    effective = {name: to_text(value) for name, value in resolve(overrides, defaults).items()}
    known = {name for _, _, names in GROUPS for name in names}
    others = tuple(name for name in DEFINITIONS if name not in known)
    usual = {"Retention", "Tiering", "Messages"} | (
        {"Compaction"} if "compact" in effective["cleanup.policy"] else set()
    )
    return [
        ConfigGroup(
            title=title,
            about=about,
            fields=[config_field(name, effective, overrides, defaults) for name in names if name in DEFINITIONS],
            folded=title not in usual and not any(name in overrides for name in names),
        )
        for title, about, names in (*GROUPS, (*OTHERS, others))
    ]


def config_field(
    name: str, effective: Mapping[str, str], overrides: Mapping[str, str], defaults: Mapping[str, str]
) -> ConfigField:
    definition = DEFINITIONS[name]
    default = default_of(name, defaults)
    default_text = shown(name, default)
    override = overrides.get(name)
    source: Source = "topic" if override is not None else "namespace" if name in defaults else "default"
    options = _options(definition, default_text)
    fixed = {option.value for option in options}
    return ConfigField(
        name=name,
        about=definition.doc,
        value=effective[name],
        text=shown(name, effective[name]),
        source=source if effective[name] == (override or default) else "limited",
        default_text=default_text,
        kind="radios" if name in IMPORTANT else "select" if options else "text",
        options=options,
        choice=DEFAULT if override is None else override if override in fixed else CUSTOM,
        typed="" if override is None or override in fixed else spell_human(name, override),
        refused=_refused(definition, effective, override),
    )


def asked(fields: Fields, overrides: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """What is to be set, canonical, and what unset. Raises Refused with a message at every field that is wrong."""
    configs: dict[str, str] = {}
    unset: list[str] = []
    errors: dict[str, str] = {}
    for name in DEFINITIONS:
        try:
            wanted = _wanted(name, fields)
            if wanted is None:
                continue
            if wanted == DEFAULT:
                unset += [name] if name in overrides else []
            elif (text := canonical_of(name, wanted)) != overrides.get(name):
                configs[name] = text
        except InvalidConfig as refused:
            errors[name] = sentence(str(refused))
        except Refused as refused:
            errors |= refused.errors
    if errors:
        raise Refused(errors)
    return configs, unset


def _wanted(name: str, fields: Fields) -> str | None:
    """What the form asks for: None where it does not ask. Raises Refused."""
    if name in IMPORTANT:
        choice = fields.text(f"{name}.is")
        if choice != CUSTOM:
            return choice or None
        return fields.required(name, f"Give a value for {name}, or choose its default.")
    if name not in fields.given:
        return None
    return fields.text(name) or DEFAULT


def _options(definition: ConfigDefinition, default_text: str) -> list[ConfigOption]:
    """What can be chosen without typing; none where only a number makes sense."""
    first = ConfigOption(DEFAULT, f"Default: {default_text}")
    if definition.name in IMPORTANT:
        options = [first]
        if definition.least <= -2:
            options.append(ConfigOption(AS_RETENTION, "As the retention"))
        if definition.least == -1:
            options.append(ConfigOption(INFINITE, "For ever" if definition.name.endswith(".ms") else "No limit"))
        return [*options, ConfigOption(CUSTOM, "Other")]
    if definition.type is ConfigType.BOOLEAN:
        return [first, ConfigOption("true", "On"), ConfigOption("false", "Off")]
    if definition.choices:
        return [first, *(ConfigOption(choice, choice) for choice in definition.choices)]
    return []


def _refused(definition: ConfigDefinition, effective: Mapping[str, str], override: str | None) -> str:
    """Why it cannot be set, or would change nothing; what is set can always be unset."""
    name = definition.name
    values = 2 - len(definition.refused or {}) if definition.type is ConfigType.BOOLEAN else len(definition.choices)
    if values == 1 or definition.least == definition.most:
        return "There is no other value in this release."
    if override is not None:
        return ""
    compacted = "compact" in effective["cleanup.policy"]
    if name == "remote.storage.enable" and compacted:
        return "A compacted topic stays on the broker's disk."
    if name.startswith("local.retention.") and effective["remote.storage.enable"] == "false":
        return "Tiering is off for this topic."
    if name in GROUPS[2][2] and not compacted:
        return "The cleanup policy does not compact."
    if name in ("retention.ms", "retention.bytes") and effective["cleanup.policy"] == "compact":
        return "With compaction alone nothing goes by age or size."
    return ""
