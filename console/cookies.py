"""The two cookies: the session's opaque id, and the mark of a browser that a member has signed in from before.

Over HTTPS their names begin with `__Host-`, so no other host, path or plain HTTP answer can set them. Neither holds
anything but an id: what a session is stands in the database.
"""

import hmac
import secrets
from collections.abc import Mapping

from starlette.responses import Response

SESSION, DEVICE = "coldstream_session", "coldstream_device"
DEVICE_S = 365 * 86_400
_SIGNED_BYTES = 16


class Cookies:
    """`secure`: the console is reached over HTTPS. `secret` signs the device mark."""

    def __init__(self, secure: bool, secret: bytes) -> None:
        self._secure = secure
        self._secret = secret
        prefix = "__Host-" if secure else ""
        self.session_name, self.device_name = prefix + SESSION, prefix + DEVICE

    def session_of(self, cookies: Mapping[str, str]) -> str | None:
        return cookies.get(self.session_name)

    def set_session(self, response: Response, value: str) -> None:
        """A session cookie: it goes with the browser; the database says when it ends before that."""
        self._set(response, self.session_name, value, None)

    def drop_session(self, response: Response) -> None:
        response.delete_cookie(self.session_name, path="/", secure=self._secure, httponly=True, samesite="lax")

    def device_of(self, cookies: Mapping[str, str], member_name: str) -> str | None:
        """The mark's id when this browser has signed in as that member before, else None."""
        device_id, _, signature = cookies.get(self.device_name, "").partition(".")
        genuine = hmac.compare_digest(signature.encode(), self._signature(device_id, member_name).encode())
        return device_id if genuine else None

    def set_device(self, response: Response, member_name: str) -> None:
        device_id = secrets.token_hex(8)
        self._set(response, self.device_name, f"{device_id}.{self._signature(device_id, member_name)}", DEVICE_S)

    def _signature(self, device_id: str, member_name: str) -> str:
        signed = f"device\0{device_id}\0{member_name}".encode()
        return hmac.digest(self._secret, signed, "sha256")[:_SIGNED_BYTES].hex()

    def _set(self, response: Response, name: str, value: str, max_age_s: int | None) -> None:
        response.set_cookie(
            name, value, max_age=max_age_s, path="/", secure=self._secure, httponly=True, samesite="lax"
        )
