"""SaslAuthenticate (key 36), versions 0-2.

v1 session lifetime (re-authentication, KIP-368)   v2 flexible
"""

from ..schema import Struct, data, int16, int64, string


class SaslAuthenticateRequest(Struct):
    auth_bytes: bytes = data()


class SaslAuthenticateResponse(Struct):
    error_code: int = int16()
    error_message: str | None = string(nullable="0+", default=None)
    auth_bytes: bytes = data(default=b"")
    session_lifetime_ms: int = int64("1+", default=0)


REQUEST = SaslAuthenticateRequest
RESPONSE = SaslAuthenticateResponse
