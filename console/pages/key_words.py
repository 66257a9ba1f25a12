"""What a key may do, in words.

Always true: no text is refused here, so that a page can show whatever an older release stored; and what is said of a
role is what tenants/roles.py allows it (a test holds the two together).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ...tenants.roles import Role

EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class RoleWords:
    """`about` helps to choose; `may` has a line for each thing, where {topics} and {groups} stand for the scope.

    `topics`, `groups`: whether the scope narrows the role. `may_not`: what is out of reach and might be looked for.
    """

    label: str
    about: str
    may: tuple[str, ...]
    may_not: str
    topics: bool = True
    groups: bool = True


ROLES: Mapping[Role, RoleWords] = {
    Role.PRODUCER: RoleWords(
        "Producer",
        "Writes records to the topics. Reads nothing.",
        ("Write records to {topics}, also without duplicates (idempotent producers)", "See that these topics exist"),
        "read records, join groups, or change topics",
        groups=False,
    ),
    Role.CONSUMER: RoleWords(
        "Consumer",
        "Reads the topics, alone or in the groups, and commits how far it got.",
        ("Read records of {topics}", "Join {groups} and commit offsets there"),
        "write records or change topics",
    ),
    Role.DEVELOPER: RoleWords(
        "Developer",
        "Writes, reads, creates, alters and deletes the topics.",
        (
            "Write and read records of {topics}",
            "Create, alter and delete these topics, and their records",
            "Join {groups}, commit offsets there, and delete these groups",
        ),
        "change who may do what",
    ),
    Role.VIEWER_METADATA: RoleWords(
        "Metadata viewer",
        "Sees topics, their configuration and how far groups got. Sees no record.",
        ("See {topics}, with their configuration and offsets", "See {groups} and how far they are"),
        "read or write records, or change anything",
    ),
    Role.VIEWER_DATA: RoleWords(
        "Data viewer",
        "As the metadata viewer, and reads records, without joining a group.",
        (
            "Read records of {topics}, without joining a group",
            "See these topics, with their configuration and offsets",
            "See {groups} and how far they are",
        ),
        "write records, commit offsets, or change anything",
    ),
    Role.ADMIN: RoleWords(
        "Administrator",
        "Everything in the namespace: every topic, every group, and who may do what.",
        (
            "Write, read, create, alter and delete every topic of the namespace",
            "Join, change and delete every group",
            "Change access rules, and so what every key of the namespace may do",
        ),
        "reach another namespace",
        topics=False,
        groups=False,
    ),
}


def role_label(role: str) -> str:
    words = _words(role)
    return role if words is None else words.label


def topics_in_words(role: str, pattern: str) -> str:
    """For lists: `every topic`, `orders`, `orders.*`."""
    words = _words(role)
    return "every topic" if pattern == EVERYTHING or (words is not None and not words.topics) else pattern


def groups_in_words(role: str, pattern: str) -> str:
    """As topics; a dash for who has nothing to do with groups."""
    words = _words(role)
    if words is not None and not words.groups:
        return "every group" if words.topics is False else "—"
    return "every group" if pattern == EVERYTHING else pattern


def sentences(role: str, topic_pattern: str, group_pattern: str) -> list[str]:
    """What the key may do, a line for each thing."""
    words = _words(role)
    if words is None:
        return []
    topics, groups = _covered("topic", topic_pattern), _covered("group", group_pattern)
    return [line.replace("{topics}", topics).replace("{groups}", groups) for line in words.may]


def out_of_reach(role: str) -> str:
    """What the key may not do; empty when nothing is known of the role."""
    words = _words(role)
    return "" if words is None else words.may_not


def _words(role: str) -> RoleWords | None:
    return ROLES.get(Role(role)) if role in set(Role) else None


def _covered(kind: str, pattern: str) -> str:
    if pattern == EVERYTHING:
        return f"every {kind}"
    if pattern.endswith("*"):
        return f"every {kind} whose name begins with “{pattern.removesuffix('*')}”"
    return f"the {kind} “{pattern}”"
