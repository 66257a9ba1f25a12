"""Request and response headers.

A request begins with api key, version and correlation id at fixed places in every header version, then the client id
as a non-compact nullable string (also in header 2, so that any broker can read it), then tagged fields when the
version is flexible. All of that is read; tagged fields of headers are skipped, since none is defined for clients.
"""

import struct
from collections.abc import Sequence
from typing import TypeAlias

from .api import APIS
from .errors import Malformed
from .varint import decode_uvarint

Buffer: TypeAlias = bytes | bytearray | memoryview

FIXED = struct.Struct(">hhih")  # api key, version, correlation id, length of the client id
HEADER_BYTES_MIN = FIXED.size

_FIXED_UNPACK = FIXED.unpack_from


class RequestHeader:
    """`body_start` is the position of the first byte of the request itself.

    For an API or version that we do not describe, how the header ends is unknown too: `body_start` is then the
    position after the client id, and only good for saying UNSUPPORTED_VERSION.
    """

    __slots__ = ("api_key", "api_version", "body_start", "client_id", "correlation_id")

    def __init__(
        self, api_key: int, api_version: int, correlation_id: int, client_id: str | None, body_start: int
    ) -> None:
        self.api_key = api_key
        self.api_version = api_version
        self.correlation_id = correlation_id
        self.client_id = client_id
        self.body_start = body_start

    def __repr__(self) -> str:
        return (
            f"RequestHeader(api_key={self.api_key}, api_version={self.api_version}, "
            f"correlation_id={self.correlation_id}, client_id={self.client_id!r}, body_start={self.body_start})"
        )


def decode_request_header(buf: Buffer, start: int, end: int) -> RequestHeader:
    """Reads the header of the request in buf[start:end] (the frame without its size). Raises Malformed."""
    pos = start + 10
    if pos > end:
        raise Malformed("request header", start, f"needs 10 bytes, {end - start} are there")
    api_key, version, correlation_id, length = _FIXED_UNPACK(buf, start)
    if length < 0:
        if length != -1:
            raise Malformed("client_id", start + 8, f"a length of {length}")
        client_id = None
    else:
        stop = pos + length
        if stop > end:
            raise Malformed("client_id", start + 8, f"a length of {length}, {end - pos} bytes are left")
        try:
            client_id = str(buf[pos:stop], "utf-8")
        except UnicodeDecodeError:
            raise Malformed("client_id", pos, "not UTF-8") from None
        pos = stop
    api = APIS.get(api_key)
    if api is not None and version >= api.flexible_from and version <= api.described_max:
        if pos < end and buf[pos] == 0:
            pos += 1
        else:
            pos = skip_tagged_fields(buf, pos, end, "request header tags")
    return RequestHeader(api_key, version, correlation_id, client_id, pos)


def skip_tagged_fields(buf: Sequence[int], pos: int, end: int, field: str) -> int:
    """The position after the tagged fields that begin at `pos`, whatever they are. Raises Malformed."""
    count, pos = decode_uvarint(buf, pos, end, field)
    if count > (end - pos) // 2:
        raise Malformed(field, pos, f"{count} tagged fields, {end - pos} bytes are left")
    for _ in range(count):
        _, pos = decode_uvarint(buf, pos, end, field)
        size, pos = decode_uvarint(buf, pos, end, field)
        if size > end - pos:
            raise Malformed(field, pos, f"a tagged field of {size} bytes, {end - pos} are left")
        pos += size
    return pos


def encode_request_header(api_key: int, version: int, correlation_id: int, client_id: str | None) -> bytes:
    """Header 1 or 2, as the version wants it (without the frame's size)."""
    raw = b"" if client_id is None else client_id.encode()
    header = FIXED.pack(api_key, version, correlation_id, -1 if client_id is None else len(raw)) + raw
    return header + b"\0" if APIS[api_key].flexible(version) else header
