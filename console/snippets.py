"""What to paste so that a client can connect: kcat, Python, Java, Go, Node, and the settings alone.

Always true: whatever a name or a secret holds, it arrives in the client as it is: each text is quoted for the language
it stands in. Every snippet is whole, and ends by itself or by Ctrl-C. Pure functions: they look nothing up.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from msgspec import Struct

from . import snippet_programs as programs
from . import snippet_scripts as scripts
from .snippet_connection import CA_FILE, DEFAULT_GROUP, KEY_ID, KEY_SECRET, MECHANISM, Connection

__all__ = [
    "CA_FILE",
    "CLIENTS",
    "DEFAULT_GROUP",
    "KEY_ID",
    "KEY_SECRET",
    "MECHANISM",
    "Connection",
    "Snippet",
    "snippet",
    "snippets",
]


class Snippet(Struct, frozen=True):
    """`produce` writes one record, `consume` reads from the beginning on; `install` gets the client."""

    client: str
    title: str
    install: str
    produce: str
    consume: str


def snippet(client: str, connection: Connection) -> Snippet:
    """For one of CLIENTS."""
    kind = CLIENTS[client]
    return Snippet(
        client,
        kind.title,
        kind.install,
        kind.produce(connection).strip("\n") + "\n",
        kind.consume(connection).strip("\n") + "\n",
    )


def snippets(connection: Connection) -> list[Snippet]:
    """For all of CLIENTS, in their order."""
    return [snippet(client, connection) for client in CLIENTS]


@dataclass(frozen=True, slots=True)
class _Client:
    title: str
    install: str
    produce: Callable[[Connection], str]
    consume: Callable[[Connection], str]


CLIENTS: Mapping[str, _Client] = {
    "kcat": _Client("kcat", "apt-get install kcat", scripts.kcat_produce, scripts.kcat_consume),
    "confluent-kafka": _Client(
        "Python: confluent-kafka", "pip install confluent-kafka", scripts.confluent_produce, scripts.confluent_consume
    ),
    "aiokafka": _Client("Python: aiokafka", "pip install aiokafka", scripts.aiokafka_produce, scripts.aiokafka_consume),
    "java": _Client("Java", "org.apache.kafka:kafka-clients", programs.java_produce, programs.java_consume),
    "go": _Client("Go", "go get github.com/twmb/franz-go", programs.go_produce, programs.go_consume),
    "node": _Client("Node", "npm install kafkajs", programs.node_produce, programs.node_consume),
    "env": _Client(".env", "", scripts.environment_produce, scripts.environment_consume),
}
