"""A Kafka client of one socket that sends what it is told: single requests by our codec, or any bytes at all.

For tests that ask what a well-behaved library would not. Answers come back decoded or, where bytes matter, as they are.
"""

import socket
import struct
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.codec import decode_response, encode_request, request_message
from coldstream.platform.wire.schema import Field, Kind, Struct

SIZE = struct.Struct(">i")
CLIENT_ID = "raw"


class ConnectionEnded(Exception):
    """The broker closed the connection."""


class RawKafka:
    """One connection. `correlation_id` stays the same over requests, so that equal answers are equal bytes."""

    def __init__(self, bootstrap: str, *, timeout_s: float = 10.0, correlation_id: int = 7) -> None:
        host, _, port = bootstrap.rpartition(":")
        self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.correlation_id = correlation_id
        self._received = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Bytes as they are. Raises ConnectionEnded."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ConnectionEnded(str(error)) from error

    def receive(self) -> bytes:
        """The next frame without its size. Raises ConnectionEnded, TimeoutError."""
        (size_bytes,) = SIZE.unpack(self._take(SIZE.size))
        return self._take(size_bytes)

    def _take(self, size_bytes: int) -> bytes:
        while len(self._received) < size_bytes:
            try:
                data = self.socket.recv(max(65536, size_bytes - len(self._received)))
            except ConnectionResetError as error:
                raise ConnectionEnded(str(error)) from error
            if not data:
                raise ConnectionEnded("end of stream")
            self._received += data
        taken = bytes(self._received[:size_bytes])
        del self._received[:size_bytes]
        return taken

    def request(self, key: ApiKey, version: int, fields: Mapping[str, Any] | None = None) -> bytes:
        """The whole request frame of these fields."""
        return encode_request(key, version, self.correlation_id, CLIENT_ID, message_of(key, fields or {}))

    def exchange(self, key: ApiKey, version: int, fields: Mapping[str, Any] | None = None) -> bytes:
        """The answer's frame as it is. Raises ConnectionEnded, TimeoutError."""
        self.send(self.request(key, version, fields))
        return self.receive()

    def ask(self, key: ApiKey, version: int, fields: Mapping[str, Any] | None = None) -> Any:
        """The answer, decoded."""
        return answer_of(key, version, self.exchange(key, version, fields))

    def sign_in(self, username: str, password: str) -> Any:
        """SASL/PLAIN; the SaslAuthenticate answer, error or not."""
        self.ask(ApiKey.SASL_HANDSHAKE, 1, {"mechanism": "PLAIN"})
        return self.ask(ApiKey.SASL_AUTHENTICATE, 2, {"auth_bytes": plain_token(username, password)})

    def is_alive(self) -> bool:
        """Whether the broker still answers on this connection."""
        try:
            self.exchange(ApiKey.API_VERSIONS, 0)
        except (ConnectionEnded, TimeoutError):
            return False
        return True


def plain_token(username: str, password: str) -> bytes:
    """The one message of SASL/PLAIN (RFC 4616)."""
    return b"\0" + username.encode() + b"\0" + password.encode()


def answer_of(key: ApiKey, version: int, frame: bytes) -> Any:
    """A frame as the response message it should be."""
    _, answer = decode_response(key, version, frame)
    return answer


def message_of(key: ApiKey, fields: Mapping[str, Any]) -> Struct:
    """A request from nested dicts and lists."""
    return _struct_of(request_message(key).root, fields)


def _struct_of(struct_type: type[Struct], fields: Mapping[str, Any]) -> Struct:
    known = {field.name for field in struct_type.FIELDS}
    if not set(fields) <= known:
        raise TypeError(f"{struct_type.__name__} has no {sorted(set(fields) - known)}, only {sorted(known)}")
    values = {field.name: _value_of(field, fields[field.name]) for field in struct_type.FIELDS if field.name in fields}
    return struct_type(**values)


def _value_of(field: Field, value: Any) -> Any:
    if not isinstance(field.element, type) or value is None:
        return value
    if field.kind is Kind.ARRAY:
        return [_struct_of(field.element, item) for item in value]
    return _struct_of(field.element, value)
