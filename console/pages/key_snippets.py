"""What to paste for a key that was just made: programs that do what it may do, and its settings.

Always true: every snippet names a topic and a group that the key covers.
"""

from collections.abc import Sequence

from msgspec import Struct

from ...tenants.roles import Role
from .. import schemas
from ..snippets import DEFAULT_GROUP, Connection, Snippet, snippet, snippets

ENVIRONMENT = "env"
WRITERS = frozenset({Role.PRODUCER, Role.DEVELOPER, Role.ADMIN})
EXAMPLE_TOPIC = "my-topic"


class Program(Struct, frozen=True):
    """`text` is ready to run; `install` gets the client."""

    client: str
    title: str
    install: str
    text: str


def connection_of(made: schemas.NewKey, topics: Sequence[str]) -> Connection:
    """`topics`: those that there are."""
    key = made.key
    everything = key.role == Role.ADMIN
    return Connection(
        bootstrap=made.bootstrap,
        security_protocol=made.security_protocol,
        topic=covered("*" if everything else key.topic_pattern, topics, EXAMPLE_TOPIC),
        group=covered("*" if everything else key.group_pattern, (), DEFAULT_GROUP),
        username=made.id,
        password=made.secret,
    )


def covered(pattern: str, names: Sequence[str], example: str) -> str:
    """A name that the pattern covers: one that there is, if any."""
    if not pattern.endswith("*"):
        return pattern
    stem = pattern.removesuffix("*")
    for name in names:
        if name.startswith(stem):
            return name
    return f"{stem}{example}" if stem else example


def programs(role: str, connection: Connection) -> list[Program]:
    """What writes a record, or reads some, as the role may; none for who may do neither."""
    if role == Role.VIEWER_DATA:  # reads without a group, which kcat does
        return [_reading(snippet("kcat", connection))]
    if role == Role.CONSUMER:
        return [_reading(each) for each in snippets(connection) if each.client != ENVIRONMENT]
    if role in WRITERS:
        return [
            Program(each.client, each.title, each.install, each.produce)
            for each in snippets(connection)
            if each.client != ENVIRONMENT
        ]
    return []


def environment(role: str, connection: Connection) -> str:
    """The settings as a `.env` file."""
    found = snippet(ENVIRONMENT, connection)
    return found.consume if role == Role.CONSUMER else found.produce


def _reading(found: Snippet) -> Program:
    return Program(found.client, found.title, found.install, found.consume)
