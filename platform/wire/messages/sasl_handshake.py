"""SaslHandshake (key 17), versions 0-1, never flexible.

v0 is followed by bare SASL frames without Kafka headers, v1 by SaslAuthenticate requests (KIP-152).
"""

from collections.abc import Sequence

from ..schema import Kind, Struct, array, int16, string


class SaslHandshakeRequest(Struct):
    mechanism: str = string()


class SaslHandshakeResponse(Struct):
    error_code: int = int16()
    mechanisms: Sequence[str] = array(Kind.STRING)


REQUEST = SaslHandshakeRequest
RESPONSE = SaslHandshakeResponse
