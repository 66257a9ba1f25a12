"""Whole messages to and from bytes, both sides of a connection, for every API that is described.

Decoders and encoders are compiled when a (message, version) is first met, under a millisecond each, and description
modules are imported then too. Produce and Fetch requests and answers have tuned paths in `produce.py` and
`fetch.py`, large Metadata answers in `metadata.py`; a broker uses those. Everything here works for them as well.
"""

from functools import cache
from importlib import import_module
from struct import Struct as Form
from typing import Any

from .api import APIS, ApiKey
from .decoding import Decoder, compile_decoder
from .encoding import Encoder, compile_encoder
from .errors import Malformed, UnsupportedVersion
from .header import Buffer, encode_request_header, skip_tagged_fields
from .schema import Message, Struct

_SIZE_CORRELATION = Form(">ii")


@cache
def request_message(api_key: int) -> Message:
    """The description of an API's request. Raises UnsupportedVersion when we have none."""
    return _described(api_key, "REQUEST")


@cache
def response_message(api_key: int) -> Message:
    return _described(api_key, "RESPONSE")


def _described(api_key: int, which: str) -> Message:
    if api_key not in APIS:
        raise UnsupportedVersion(f"API {api_key} is not described")
    module = import_module(f".messages.{ApiKey(api_key).name.lower()}", __package__)
    return Message(getattr(module, which), ApiKey(api_key))


@cache
def decoder(message: Message, version: int) -> Decoder:
    """A function of (data, start, end) that gives the message and the position after it."""
    _check_version(message, version)
    return compile_decoder(message, version)


@cache
def encoder(message: Message, version: int) -> Encoder:
    """A function of (message, out) that hands the message's bytes, piece by piece, to `out`."""
    _check_version(message, version)
    return compile_encoder(message, version)


def _check_version(message: Message, version: int) -> None:
    if version not in message.versions():
        raise UnsupportedVersion(f"version {version} of {message.root.__name__} is not described")


def decode_request(api_key: int, version: int, buf: Buffer, start: int, end: int) -> Any:
    """The request (the API's `REQUEST` struct) whose body, after the header, is in buf[start:end]. Bytes after it
    are ignored, as Kafka does.

    Raises Malformed, with positions counted from `start`; UnsupportedVersion for what is not described, offered or not.
    """
    message, _ = decoder(request_message(api_key), version)(bytes(buf[start:end]), 0, end - start)
    return message


def encode_response(api_key: int, version: int, correlation_id: int, message: Struct) -> bytes:
    """The whole frame, its size in front."""
    encode = encoder(response_message(api_key), version)
    pieces = [b"", b"\0"] if APIS[api_key].response_header_version(version) else [b""]
    encode(message, pieces.append)
    pieces[0] = _SIZE_CORRELATION.pack(4 + sum(map(len, pieces)), correlation_id)
    return b"".join(pieces)


def encode_request(api_key: int, version: int, correlation_id: int, client_id: str | None, message: Struct) -> bytes:
    """The whole frame, its size in front, as a client sends it."""
    encode = encoder(request_message(api_key), version)
    pieces = [encode_request_header(api_key, version, correlation_id, client_id)]
    encode(message, pieces.append)
    pieces.insert(0, sum(map(len, pieces)).to_bytes(4, "big"))
    return b"".join(pieces)


def decode_response(api_key: int, version: int, frame: bytes) -> tuple[int, Any]:
    """Correlation id and response from a frame without its size. Raises Malformed and UnsupportedVersion."""
    decode = decoder(response_message(api_key), version)
    if len(frame) < 4:
        raise Malformed("response header", 0, f"needs 4 bytes, {len(frame)} are there")
    pos = 4
    if APIS[api_key].response_header_version(version):
        pos = skip_tagged_fields(frame, pos, len(frame), "response header tags")
    message, _ = decode(frame, pos, len(frame))
    return int.from_bytes(frame[:4], "big", signed=True), message
