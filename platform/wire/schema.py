"""How messages are described: a class per struct, a typed attribute per field, and on each field the versions that
have it.

    class Partition(Struct):
        partition_index: int = int32()
        current_leader_epoch: int = int32("4+", default=-1)

The description is the class that programs use: slotted, keyword arguments only, arguments without a default are
required. Version ranges are written as the protocol writes them: "4+", "0-3", "5". Fields come in wire order; tagged
ones (KIP-482) are written after all others, in order of tag, and left out when they have their default. Tagged
fields that we do not know are kept in `unknown_tags` and written back.

Encoding a version silently leaves out fields that it lacks; decoding one gives them their default. `decoding.py` and
`encoding.py` compile a Message into functions, per version, when it is first asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, NamedTuple, dataclass_transform
from uuid import UUID

from .api import APIS, ApiKey

ZERO_UUID = UUID(int=0)
REQUIRED: Any = object()  # the default of a field that has none
NEWEST = 32767


class Kind(Enum):
    """Wire types. The value is the `struct` letter of those with a fixed size."""

    BOOL = "?"
    INT8 = "b"
    INT16 = "h"
    INT32 = "i"
    INT64 = "q"
    UUID = "16s"
    STRING = "string"
    BYTES = "bytes"
    RECORDS = "records"  # bytes that begin with an int32 or compact length in every version
    STRUCT = "struct"
    ARRAY = "array"


FIXED_BYTES: Mapping[Kind, int] = {
    Kind.BOOL: 1,
    Kind.INT8: 1,
    Kind.INT16: 2,
    Kind.INT32: 4,
    Kind.INT64: 8,
    Kind.UUID: 16,
}


class Versions(NamedTuple):
    """An inclusive range; empty when `last` is below `first`."""

    first: int
    last: int

    def __contains__(self, version: object) -> bool:
        return isinstance(version, int) and self.first <= version <= self.last

    @classmethod
    def parse(cls, text: str) -> "Versions":
        """Of "4+", "0-3", "5" or "" (none)."""
        if not text:
            return cls(0, -1)
        if text.endswith("+"):
            return cls(int(text[:-1]), NEWEST)
        first, _, last = text.partition("-")
        return cls(int(first), int(last or first))


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a struct. `element` is the struct of a STRUCT, and what an ARRAY holds."""

    kind: Kind
    versions: Versions
    nullable: Versions
    default: Any
    tag: int | None
    element: "type[Struct] | Kind | None" = None
    name: str = ""


def _field(kind: Kind, versions: str, nullable: str, default: Any, tag: int | None, element: Any = None) -> Any:
    has = Versions.parse(versions)
    assert default is not REQUIRED or has == (0, NEWEST), "a field that not every version has needs a default"
    assert tag is None or default is not REQUIRED, "a tagged field needs a default"
    return Field(kind, has, Versions.parse(nullable), default, tag, element)


def boolean(versions: str = "0+", *, default: Any = REQUIRED, tag: int | None = None) -> Any:
    return _field(Kind.BOOL, versions, "", default, tag)


def int8(versions: str = "0+", *, default: Any = REQUIRED, tag: int | None = None) -> Any:
    return _field(Kind.INT8, versions, "", default, tag)


def int16(versions: str = "0+", *, default: Any = REQUIRED, tag: int | None = None) -> Any:
    return _field(Kind.INT16, versions, "", default, tag)


def int32(versions: str = "0+", *, default: Any = REQUIRED, tag: int | None = None) -> Any:
    return _field(Kind.INT32, versions, "", default, tag)


def int64(versions: str = "0+", *, default: Any = REQUIRED, tag: int | None = None) -> Any:
    return _field(Kind.INT64, versions, "", default, tag)


def uuid(versions: str = "0+", *, default: Any = REQUIRED, tag: int | None = None) -> Any:
    """Absent is the zero id, never None."""
    return _field(Kind.UUID, versions, "", default, tag)


def string(versions: str = "0+", *, nullable: str = "", default: Any = REQUIRED, tag: int | None = None) -> Any:
    return _field(Kind.STRING, versions, nullable, default, tag)


def data(versions: str = "0+", *, nullable: str = "", default: Any = REQUIRED, tag: int | None = None) -> Any:
    """Opaque bytes (the protocol's type `bytes`)."""
    return _field(Kind.BYTES, versions, nullable, default, tag)


def records(versions: str = "0+", *, nullable: str = "", default: Any = REQUIRED) -> Any:
    return _field(Kind.RECORDS, versions, nullable, default, None)


def array(
    element: "type[Struct] | Kind",
    versions: str = "0+",
    *,
    nullable: str = "",
    default: Any = REQUIRED,
    tag: int | None = None,
) -> Any:
    """Decodes to a list; any sequence encodes."""
    return _field(Kind.ARRAY, versions, nullable, default, tag, element)


def nested(element: "type[Struct]", versions: str = "0+", *, default: Any = REQUIRED, tag: int | None = None) -> Any:
    """One struct in place, or in a tag; a tagged one that is None is left out."""
    return _field(Kind.STRUCT, versions, "", default, tag, element)


@dataclass_transform(
    kw_only_default=True,
    eq_default=True,
    field_specifiers=(boolean, int8, int16, int32, int64, uuid, string, data, records, array, nested),
)
class _StructType(type):
    """Turns Field attributes into slots and makes the constructor."""

    FIELDS: tuple[Field, ...]

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> "_StructType":
        fields = tuple(
            Field(f.kind, f.versions, f.nullable, f.default, f.tag, f.element, attribute)
            for attribute, f in namespace.items()
            if isinstance(f, Field)
        )
        for field in fields:
            del namespace[field.name]
        if not bases:
            fields = ()  # Struct itself: `unknown_tags` is its slot, known to the coders without a description
        else:
            namespace["__slots__"] = tuple(field.name for field in fields)
            namespace["__init__"] = _constructor(fields)
        made = super().__new__(mcs, name, bases, namespace)
        made.FIELDS = fields
        return made


def _constructor(fields: Sequence[Field]) -> Any:
    """`__init__` from the field names. Generated, since one loop over names and values takes several times as long."""
    required = [field.name for field in fields if field.default is REQUIRED]
    optional = [field.name for field in fields if field.default is not REQUIRED]
    parameters = [*required, *(f"{name}=_{name}" for name in optional), "unknown_tags=()"]
    lines = [f"def __init__(self, *, {', '.join(parameters)}):", " self.unknown_tags = unknown_tags"]
    lines += [f" self.{field.name} = {field.name}" for field in fields]
    scope: dict[str, Any] = {f"_{field.name}": field.default for field in fields}
    exec("\n".join(lines), scope)  # noqa: S102 - made of our own field names only
    return scope["__init__"]


class Struct(metaclass=_StructType):
    """Base of every message and part of one. Equal when all fields are; sequences compare by content, list or tuple."""

    __slots__ = ("unknown_tags",)

    FIELDS: ClassVar[tuple[Field, ...]]
    unknown_tags: Sequence[tuple[int, bytes]] = data(default=())  # (tag, content) by tag

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        names = [*(field.name for field in self.FIELDS), "unknown_tags"]
        return all(_comparable(getattr(self, name)) == _comparable(getattr(other, name)) for name in names)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = [f"{field.name}={getattr(self, field.name)!r}" for field in self.FIELDS]
        if self.unknown_tags:
            shown.append(f"unknown_tags={self.unknown_tags!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _comparable(value: object) -> object:
    return list(value) if isinstance(value, list | tuple) else value


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """A request or a response: its outermost struct, and the API whose versions it follows. One object each,
    compared by identity."""

    root: type[Struct]
    key: ApiKey

    def versions(self) -> range:
        """Those described, oldest first."""
        api = APIS[self.key]
        return range(api.described_min, api.described_max + 1)

    def flexible(self, version: int) -> bool:
        return APIS[self.key].flexible(version)
