"""What every snippet needs to know to connect, and how text is quoted for programs. Pure."""

import json
from dataclasses import dataclass, field

KEY_ID, KEY_SECRET = "YOUR_KEY_ID", "YOUR_KEY_SECRET"  # placeholders: a secret is shown once, and never again
DEFAULT_GROUP = "my-group"
CA_FILE = "ca.pem"
MECHANISM = "PLAIN"
GREETING = "Hello, Coldstream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What a client has to know. With SASL_SSL the snippets trust the certificates in CA_FILE."""

    bootstrap: str
    security_protocol: str
    topic: str
    username: str = KEY_ID
    password: str = field(default=KEY_SECRET, repr=False)
    group: str = DEFAULT_GROUP

    @property
    def tls(self) -> bool:
        return self.security_protocol == "SASL_SSL"

    @property
    def servers(self) -> list[str]:
        return [server.strip() for server in self.bootstrap.split(",")]


def text_literal(value: str) -> str:
    """A string literal of Python, Java, Go and JavaScript alike: what JSON writes for ASCII is one in each."""
    return json.dumps(value)
