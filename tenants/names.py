"""What things may be called.

Topic names follow Kafka's Topic.validate. Everything user-named is free of quotes, commas, newlines, slashes and glob
or regular expression characters, so that a name means the same in a policy, a path, a JAAS string and a log line.
"""

import re
from dataclasses import dataclass

from .errors import InvalidName, InvalidPattern, InvalidTopicName
from .models import PatternType

TOPIC_NAME_LENGTH_MAX = 249  # Kafka's: a directory name with room for the partition
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_TITLE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@-]{0,98}[A-Za-z0-9])?", re.ASCII)
_TOPIC = re.compile(r"[a-zA-Z0-9._-]+", re.ASCII)
_PATTERN = re.compile(r"[A-Za-z0-9._:/@-]{0,249}", re.ASCII)


def check_label(kind: str, name: str) -> str:
    """A tenant's or namespace's name: a DNS label, since paths and host names may hold it. Raises InvalidName."""
    if not _LABEL.fullmatch(name):
        raise InvalidName(
            f"{kind} name {name[:80]!r}: 1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit"
        )
    return name


def check_title(kind: str, name: str) -> str:
    """A service account's, key's or member's name. Raises InvalidName."""
    if not is_title(name):
        raise InvalidName(
            f"{kind} name {name[:80]!r}: 1 to 100 letters, digits and '._@-', with a letter or digit at both ends"
        )
    return name


def is_title(name: str) -> bool:
    """Whether anything can have this name: what cannot need not be looked for."""
    return _TITLE.fullmatch(name) is not None


def is_label(name: str) -> bool:
    """Whether a tenant or namespace can have this name."""
    return _LABEL.fullmatch(name) is not None


def is_topic_name(name: str) -> bool:
    """Whether any topic can have this name, the platform's own too."""
    return len(name) <= TOPIC_NAME_LENGTH_MAX and _TOPIC.fullmatch(name) is not None


def check_topic_name(name: str) -> str:
    """Kafka's rules, and `__` at the beginning is the platform's own. Raises InvalidTopicName."""
    if not name or len(name) > TOPIC_NAME_LENGTH_MAX:
        raise InvalidTopicName(f"a topic name has 1 to {TOPIC_NAME_LENGTH_MAX} characters, this one has {len(name)}")
    if name in (".", ".."):
        raise InvalidTopicName("a topic cannot be called '.' or '..'")
    if not _TOPIC.fullmatch(name):
        raise InvalidTopicName(f"topic name {name!r}: only letters, digits, '.', '_' and '-' are allowed")
    if name.startswith("__"):
        raise InvalidTopicName(f"topic name {name!r}: names that begin with '__' are reserved for the platform")
    return name


def collision_form(name: str) -> str:
    """Two topics whose forms are equal would share metric names; Kafka refuses the second (Topic.hasCollision)."""
    return name.replace(".", "_")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One name, or every name with a prefix (the empty prefix: all of them)."""

    type: PatternType
    text: str

    def __str__(self) -> str:
        return self.text if self.type is PatternType.LITERAL else f"{self.text}*"

    def matches(self, name: str) -> bool:
        return name == self.text if self.type is PatternType.LITERAL else name.startswith(self.text)


def parse_pattern(text: str) -> Pattern:
    """`orders` is that name, `orders*` every name that begins so, `*` every name. Raises InvalidPattern."""
    prefix = text.endswith("*")
    stem = text.removesuffix("*")
    if not text or not _PATTERN.fullmatch(stem):
        raise InvalidPattern(
            f"pattern {text[:80]!r}: a name of letters, digits and '._:/@-', or the beginning of one and a '*'"
        )
    return Pattern(PatternType.PREFIX if prefix else PatternType.LITERAL, stem)
