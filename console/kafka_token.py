"""The console's own credential for the Kafka port: a JWT (HS256, the cluster secret) that lives for minutes.

Made by hand because it is two lines of JSON and one HMAC: joserfc brings OpenSSL bindings of 10 MB into a process that
does this once per page. A test holds it against joserfc, which is what the broker reads it with.
"""

import base64
import hmac
import json
from pathlib import Path
from uuid import UUID

TOKEN_MS = 5 * 60_000
ISSUER = "coldstream-console"


def console_token(secret: bytes, namespace_id: UUID, role: str, now_ms: int, lives_ms: int = TOKEN_MS) -> str:
    """A token that makes its bearer `role` (a key role's name) of one namespace for `lives_ms`."""
    claims = {"iss": ISSUER, "ns": str(namespace_id), "role": role, "exp": (now_ms + lives_ms) // 1000}
    signed = f"{_encode(_json({'alg': 'HS256', 'typ': 'JWT'}))}.{_encode(_json(claims))}"
    return f"{signed}.{_encode(hmac.digest(secret, signed.encode('ascii'), 'sha256'))}"


def read_cluster_secret(path: Path) -> bytes:
    """The 32 bytes that `<data>/cluster-secret` spells in hex. Raises OSError, ValueError."""
    secret = bytes.fromhex(path.read_text(encoding="ascii").strip())
    if len(secret) < 32:
        raise ValueError(f"{path} holds {len(secret)} bytes, fewer than 32")
    return secret


def _json(value: dict[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
