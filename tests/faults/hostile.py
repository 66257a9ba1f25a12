"""Bytes that no Kafka client would send, made reproducibly: each attack is a name and the frames of one connection."""

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from coldstream.platform.wire.api import APIS, ApiKey
from coldstream.tests.raw_kafka import plain_token

NOT_LISTED = (4, 7, 27, 51, 58, 67, 87, 92, 93, 300, 32767, -1, -32768)
HUGE_COUNTS = (2**31 - 1, -(2**31), 2**30, -2, 2**24)
VARINT_2_32 = b"\xfb\xff\xff\xff\x0f"  # a compact array that says 2**32 - 6 elements, in five bytes


@dataclass(frozen=True, slots=True)
class Attack:
    """What to send on one connection, piece by piece."""

    name: str
    pieces: tuple[bytes, ...]


def frame(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def header(key: int, version: int, correlation_id: int = 1, client_id: bytes | None = b"hostile") -> bytes:
    """A request header of version 1; the flexible ones have a tag count after it, which is for the body here."""
    name = struct.pack(">h", -1) if client_id is None else struct.pack(">h", len(client_id)) + client_id
    return struct.pack(">hhi", key, version, correlation_id) + name


def attacks(seed: int = 2) -> Iterator[Attack]:
    """Every attack; the same ones for the same seed."""
    chance = random.Random(seed)
    for length in (0, -1, -(2**31), 2**31 - 1, 2**30, 100 * 2**20 + 1):
        yield Attack(f"a length of {length}", (struct.pack(">i", length), b"x" * 64))
    yield Attack("the largest length that passes, and silence", (struct.pack(">i", 60 * 1024), b"x"))
    for number in range(12):
        yield Attack(f"random bytes {number}", (chance.randbytes(chance.choice((1, 3, 5, 100, 5000, 70_000))),))
    for number in range(12):
        yield Attack(f"random frame {number}", (frame(chance.randbytes(chance.randrange(1, 300))),))
    yield Attack("HTTP", (b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",))
    yield Attack("TLS", (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32),))
    yield Attack("SSH", (b"SSH-2.0-OpenSSH_9.2\r\n",))
    for key in NOT_LISTED:
        yield Attack(f"API key {key}", (frame(header(key, 0)),))
    for key in APIS:
        for version in (-1, 32767, APIS[key].described_max + 1):
            yield Attack(f"{ApiKey(key).name} version {version}", (frame(header(key, version) + bytes(16)),))
        yield Attack(f"{ApiKey(key).name} without a body", (frame(header(key, APIS[key].offered_max)),))
        for version in {APIS[key].offered_min, APIS[key].offered_max}:
            for count in HUGE_COUNTS:
                body = struct.pack(">i", count) * 4
                yield Attack(f"{ApiKey(key).name} v{version} counts {count}", (frame(header(key, version) + body),))
            body = b"\0" + VARINT_2_32 * 4
            yield Attack(f"{ApiKey(key).name} v{version} varint counts", (frame(header(key, version) + body),))
            body = chance.randbytes(200)
            yield Attack(f"{ApiKey(key).name} v{version} random body", (frame(header(key, version) + body),))
    yield Attack("a header cut off", (frame(b"\0\3\0\x0c"),))
    yield Attack("a client id longer than the frame", (frame(struct.pack(">hhih", 3, 9, 1, 32767)),))
    yield Attack("a client id that is not UTF-8", (frame(header(3, 9, client_id=b"\xff\xfe\x00\x80") + b"\0\0"),))
    yield Attack("sign-in by a token of zeros", handshake_and(b"\0" * 50))
    yield Attack("sign-in by a token without separators", handshake_and(b"x" * 300))
    yield Attack("sign-in with 32 KB of secret", handshake_and(plain_token("k" * 1000, "s" * 31_000)))
    yield Attack("sign-in with a name that is not UTF-8", handshake_and(b"\0\xff\xfe\0\xff"))
    yield Attack("a raw token after SaslHandshake v0", (frame(header(17, 0) + b"\0\5PLAIN"), frame(b"\xff" * 20)))
    yield Attack("ten thousand small requests at once", (frame(header(18, 0)) * 10_000,))


def handshake_and(token: bytes) -> tuple[bytes, ...]:
    handshake = frame(header(17, 1) + b"\0\5PLAIN")
    return handshake, frame(header(36, 0) + struct.pack(">i", len(token)) + token)
