"""Random messages made from their descriptions, and where the lengths and counts of encoded ones lie.

`walk` reads a message field by field as the protocol guide describes it: a second, slow reading of the same
descriptions, so that compiled decoders are held against something that shares no code with them.
"""

import random
import string as letters
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from coldstream.platform.wire.api import APIS, ApiKey
from coldstream.platform.wire.codec import encoder, request_message, response_message
from coldstream.platform.wire.schema import Field, Kind, Message, Struct

BITS = {Kind.INT8: 8, Kind.INT16: 16, Kind.INT32: 32, Kind.INT64: 64}
ALPHABET = letters.ascii_letters + "é漢🙂 -_."


def every_message() -> Iterator[tuple[Message, int]]:
    """Each described message in each described version."""
    for key in APIS:
        for message in (request_message(key), response_message(key)):
            for version in message.versions():
                yield message, version


def message_id(value: Any) -> str:
    return value.root.__name__ if isinstance(value, Message) else f"v{value}"


def seeded(*parts: object) -> random.Random:
    return random.Random(":".join(map(str, parts)))


def random_value(
    rng: random.Random, message: Message, version: int, *, unknown_tags: bool = False, many: int = 3
) -> Any:
    flexible = message.flexible(version)
    return random_struct(rng, message.root, version, many, unknown_tags and flexible)


def random_struct(rng: random.Random, struct: type[Struct], version: int, many: int, unknown_tags: bool) -> Any:
    """Values within what every codec of the protocol can say; fields that the version lacks keep their default."""
    values = {}
    for field in struct.FIELDS:
        if version not in field.versions:
            continue
        if field.tag is not None and rng.random() < 0.4:
            continue
        values[field.name] = random_field(rng, field, version, many, unknown_tags)
    made = struct(**values)
    if unknown_tags and rng.random() < 0.5:
        tags = sorted(rng.sample(range(40, 60_000), rng.randint(1, 3)))
        made.unknown_tags = tuple((tag, rng.randbytes(rng.choice((0, 1, 5, 130)))) for tag in tags)
    return made


def random_field(rng: random.Random, field: Field, version: int, many: int, unknown_tags: bool) -> Any:
    if version in field.nullable and rng.random() < 0.2:
        return None
    if field.kind is Kind.ARRAY:
        element = field.element
        assert element is not None
        count = rng.randint(0, many)
        if isinstance(element, type):
            return [random_struct(rng, element, version, many, unknown_tags) for _ in range(count)]
        return [random_scalar(rng, element, "") for _ in range(count)]
    if field.kind is Kind.STRUCT:
        assert isinstance(field.element, type)
        made = random_struct(rng, field.element, version, many, unknown_tags)
        while made == field.element():  # a tagged struct of defaults only is left out by other encoders
            made = random_struct(rng, field.element, version, many, unknown_tags)
        return made
    return random_scalar(rng, field.kind, field.name)


def random_scalar(rng: random.Random, kind: Kind, name: str) -> Any:
    if kind is Kind.BOOL:
        return rng.random() < 0.5
    if kind is Kind.UUID:
        return UUID(int=rng.choice((0, rng.getrandbits(128))))
    if kind is Kind.STRING:
        return "".join(rng.choices(ALPHABET, k=rng.choice((0, 1, 3, 10, 62, 63, 130))))
    if kind in (Kind.BYTES, Kind.RECORDS):
        return rng.randbytes(rng.choice((0, 1, 7, 126, 127, 128, 17_000 if kind is Kind.RECORDS else 300)))
    if "error_code" in name:
        return rng.randint(-1, 133)
    if name == "log_append_time_ms":
        return rng.choice((-1, rng.getrandbits(40)))
    bits = 40 if name.endswith("_ms") and kind is Kind.INT64 else BITS[kind]  # as many as kio's time spans can hold
    return rng.choice((0, 1, -1, 2 ** (bits - 1) - 1, -(2 ** (bits - 1)), rng.getrandbits(bits - 1)))


def encode(message: Message, version: int, value: Struct) -> bytes:
    pieces: list[bytes] = []
    encoder(message, version)(value, pieces.append)
    return b"".join(pieces)


@dataclass(frozen=True)
class Length:
    """Where a length or count is, how it is written, and whether it may be null (None: it has no null)."""

    path: str
    start: int
    end: int
    form: str  # uvarint, int16 or int32
    nullable: bool | None


class Walk:
    """One slow reading of an encoded message; `lengths` in order of position."""

    def __init__(self, message: Message, version: int, data: bytes) -> None:
        self.version = version
        self.flexible = message.flexible(version)
        self.data = data
        self.pos = 0
        self.lengths: list[Length] = []
        self.value = self._struct(message.root, message.root.__name__)

    def _take(self, count: int) -> bytes:
        assert count >= 0 and self.pos + count <= len(self.data)
        self.pos += count
        return self.data[self.pos - count : self.pos]

    def _int(self, count: int) -> int:
        return int.from_bytes(self._take(count), "big", signed=True)

    def _uvarint(self) -> int:
        value = shift = 0
        while True:
            (byte,) = self._take(1)
            value += (byte % 128) << shift
            if byte < 128:
                return value
            shift += 7

    def _length(self, path: str, *, short: bool, nullable: bool | None) -> int:
        start = self.pos
        if self.flexible:
            form, value = "uvarint", self._uvarint() - (nullable is not None)
        else:
            form, value = ("int16", self._int(2)) if short else ("int32", self._int(4))
        self.lengths.append(Length(path, start, self.pos, form, nullable))
        return value

    def _struct(self, struct: type[Struct], path: str) -> Any:
        present = [f for f in struct.FIELDS if self.version in f.versions]
        values = {f.name: self._field(f, f"{path}.{f.name}") for f in present if f.tag is None}
        unknown = []
        if self.flexible:
            for _ in range(self._length(f"{path} tag count", short=False, nullable=None)):
                tag = self._uvarint()
                size = self._length(f"{path} tag {tag}", short=False, nullable=None)
                known = [f for f in present if f.tag == tag]
                if known:
                    end = self.pos + size
                    values[known[0].name] = self._field(known[0], f"{path}.{known[0].name}")
                    assert self.pos == end
                else:
                    unknown.append((tag, self._take(size)))
        return struct(**values, unknown_tags=tuple(unknown))

    def _field(self, field: Field, path: str) -> Any:
        nullable = self.version in field.nullable
        if field.kind is Kind.ARRAY:
            count = self._length(path, short=False, nullable=nullable)
            element = field.element
            if count == -1:
                return None
            if isinstance(element, type):
                return [self._struct(element, path) for _ in range(count)]
            assert element is not None
            return [self._scalar(element, path, nullable=False) for _ in range(count)]
        if field.kind is Kind.STRUCT:
            assert isinstance(field.element, type)
            return self._struct(field.element, path)
        return self._scalar(field.kind, path, nullable=nullable)

    def _scalar(self, kind: Kind, path: str, *, nullable: bool) -> Any:
        read: dict[Kind, Callable[[], Any]] = {
            Kind.BOOL: lambda: self._take(1) != b"\0",
            Kind.INT8: lambda: self._int(1),
            Kind.INT16: lambda: self._int(2),
            Kind.INT32: lambda: self._int(4),
            Kind.INT64: lambda: self._int(8),
            Kind.UUID: lambda: UUID(bytes=self._take(16)),
        }
        if kind in read:
            return read[kind]()
        length = self._length(path, short=kind is Kind.STRING, nullable=nullable)
        if length == -1:
            return None
        raw = self._take(length)
        return raw.decode() if kind is Kind.STRING else raw


def hostile_variants(data: bytes, length: Length) -> Iterator[bytes]:
    """The message with one length or count replaced by what it cannot be: huge, just too large, negative, or a
    forbidden null."""
    left = len(data) - length.end
    if length.form == "uvarint":
        offset = length.nullable is not None
        values = [uvarint_bytes(v + offset) for v in (2**32 - 2, 2**31, left + 1)]
        values.append(b"\xff\xff\xff\xff\x7f")  # 35 bits
        values.append(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
        if length.nullable is False:
            values.append(b"\0")
    else:
        size = 2 if length.form == "int16" else 4
        top = 2 ** (8 * size - 1)
        numbers = [top - 1, -2, -top, left + 1] + ([-1] if not length.nullable else [])
        values = [n.to_bytes(size, "big", signed=True) for n in numbers if n < top]
    for value in values:
        yield data[: length.start] + value + data[length.end :]


def uvarint_bytes(value: int) -> bytes:
    out = []
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


def mutated(rng: random.Random, data: bytes) -> bytes:
    """A few bytes changed, cut, doubled or swapped."""
    mutant = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(mutant) + 1)
        match rng.randrange(5):
            case 0 if at < len(mutant):
                mutant[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, rng.getrandbits(8)))
            case 1:
                del mutant[at:]
            case 2:
                mutant[at:at] = rng.randbytes(rng.randint(1, 5))
            case 3:
                del mutant[at : at + rng.randint(1, 4)]
            case _ if at < len(mutant):
                mutant[at] ^= 1 << rng.randrange(8)
    return bytes(mutant)


PRODUCE_VERSIONS = range(APIS[ApiKey.PRODUCE].described_min, APIS[ApiKey.PRODUCE].described_max + 1)
FETCH_VERSIONS = range(APIS[ApiKey.FETCH].described_min, APIS[ApiKey.FETCH].described_max + 1)
METADATA_VERSIONS = range(APIS[ApiKey.METADATA].described_min, APIS[ApiKey.METADATA].described_max + 1)
