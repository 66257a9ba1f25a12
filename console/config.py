"""What the console process is told. It is filled in by `coldstream/wiring.py` from the platform's settings."""

from dataclasses import dataclass
from pathlib import Path

REQUEST_BYTES_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleConfig:
    """`broker_*` is where the console itself reaches the Kafka port; `bootstrap` is what clients are told."""

    listen_host: str
    listen_port: int
    database: str
    broker_host: str
    broker_port: int
    bootstrap: str
    cluster_secret_path: Path
    tls_cert: Path | None = None
    request_bytes_max: int = REQUEST_BYTES_MAX

    @property
    def security_protocol(self) -> str:
        """What a Kafka client has to set to sign in at `bootstrap`."""
        return "SASL_PLAINTEXT" if self.tls_cert is None else "SASL_SSL"
