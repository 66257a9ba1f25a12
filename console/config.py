"""What the console process is told. It is filled in by `coldstream/wiring.py` from the platform's settings."""

from dataclasses import dataclass
from pathlib import Path

REQUEST_BYTES_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleConfig:
    """`broker_*` is where the console itself reaches the Kafka port; `bootstrap` is what clients are told.

    `public_url` is how browsers reach the console, when not directly: behind HTTPS its cookies are for HTTPS only.
    """

    listen_host: str
    listen_port: int
    database: str
    broker_host: str
    broker_port: int
    bootstrap: str
    cluster_secret_path: Path
    tls_cert: Path | None = None
    request_bytes_max: int = REQUEST_BYTES_MAX
    public_url: str = ""
    development: bool = False

    @property
    def secure(self) -> bool:
        """Whether browsers come over HTTPS."""
        return self.public_url.startswith("https://")

    @property
    def security_protocol(self) -> str:
        """What a Kafka client has to set to sign in at `bootstrap`."""
        return "SASL_PLAINTEXT" if self.tls_cert is None else "SASL_SSL"
