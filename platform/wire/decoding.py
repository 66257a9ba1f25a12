"""Compiles a description into a decoder for one version: Python source, generated once, when first asked for.

Always true of a compiled decoder: it reads nothing at `end` or beyond, and allocates for a count or length only
after comparing it with the bytes that are left (an array's count with the smallest size its elements can have), so
the memory it takes is bounded by a small multiple of the message. Whatever the bytes, it returns a message or raises
Malformed. It ignores bytes after the message, as Kafka does.

Generated code keeps `pos` at the next byte. Neighbouring fields of fixed size are read by one `struct` call.
"""

from collections.abc import Callable
from struct import Struct as Form
from typing import Any, TypeAlias
from uuid import UUID

from .errors import Malformed
from .schema import FIXED_BYTES, Field, Kind, Message, Struct, Versions
from .varint import decode_uvarint

Decoder: TypeAlias = Callable[[bytes, int, int], tuple[Struct, int]]

_CANNOT_BE_NULL = Versions.parse("")


def compile_decoder(message: Message, version: int) -> Decoder:
    """A function of (data, start, end) that gives the message and the position after it."""
    return _Compiler(version, message.flexible(version)).struct(message.root, message.root.__name__)


def smallest_bytes(kind: "Kind | type[Struct]", version: int, flexible: bool) -> int:
    """The fewest bytes that one value can take."""
    if isinstance(kind, type):
        untagged = (f for f in kind.FIELDS if version in f.versions and f.tag is None)
        return sum(_smallest_field_bytes(f, version, flexible) for f in untagged) + flexible
    if kind in FIXED_BYTES:
        return FIXED_BYTES[kind]
    if flexible:
        return 1
    return 2 if kind is Kind.STRING else 4


def _smallest_field_bytes(field: Field, version: int, flexible: bool) -> int:
    if field.kind is Kind.STRUCT:
        assert isinstance(field.element, type)
        return smallest_bytes(field.element, version, flexible)
    return smallest_bytes(field.kind, version, flexible)


class _Compiler:
    def __init__(self, version: int, flexible: bool) -> None:
        self.version = version
        self.flexible = flexible
        self.scope: dict[str, Any] = {
            "UUID": UUID,
            "uvarint": decode_uvarint,
            "ends": _ends,
            "bad_length": _bad_length,
            "bad_count": _bad_count,
            "is_null": _is_null,
            "not_utf8": _not_utf8,
            "surplus": _surplus,
        }
        self.lines: list[str] = []
        self.decoders: dict[type[Struct], Decoder] = {}

    def struct(self, struct: type[Struct], path: str) -> Decoder:
        """The decoder of one struct, made after those of the structs in it."""
        if struct in self.decoders:
            return self.decoders[struct]
        present = [f for f in struct.FIELDS if self.version in f.versions]
        for field in present:
            if isinstance(field.element, type):
                name = f"decode_{field.element.__name__}"
                self.scope[name] = self.struct(field.element, f"{path}.{field.name}")
        self.lines = ["def decode(data, pos, end):", " m = new(struct)"]
        for field in struct.FIELDS:
            if field not in present or field.tag is not None:
                self._default(field)
        run: list[Field] = []
        for field in present:
            if field.tag is not None:
                continue
            if field.kind in FIXED_BYTES:
                run.append(field)
                continue
            self._fixed(run, path)
            run = []
            self._value(field, f"m.{field.name}", path)
        self._fixed(run, path)
        if self.flexible:
            self._tags([f for f in present if f.tag is not None], path)
        else:
            self._line(" m.unknown_tags = ()")
        self._line(" return m, pos")
        scope = {**self.scope, "struct": struct, "new": object.__new__}
        source = compile("\n".join(self.lines), f"<decode {struct.__name__} v{self.version}>", "exec")
        exec(source, scope)  # noqa: S102 - made of our own descriptions only
        decoder: Decoder = scope["decode"]
        self.decoders[struct] = decoder
        return decoder

    def _line(self, text: str) -> None:
        self.lines.append(text)

    def _default(self, field: Field) -> None:
        constant = f"default_{field.name}"
        self.scope[constant] = field.default
        self._line(f" m.{field.name} = {constant}")

    def _fixed(self, run: list[Field], path: str, indent: str = " ") -> None:
        """Neighbours of fixed size."""
        if not run:
            return
        form = Form(">" + "".join(field.kind.value for field in run))
        unpack = self._unpack(form)
        self._line(f"{indent}stop = pos + {form.size}")
        self._line(f"{indent}if stop > end: raise ends({path + '.' + run[0].name!r}, pos, {form.size}, end)")
        targets = ", ".join(f"m.{field.name}" for field in run)
        self._line(f"{indent}{targets}{',' if len(run) == 1 else ''} = {unpack}(data, pos)")
        for field in run:
            if field.kind is Kind.UUID:
                self._line(f"{indent}m.{field.name} = UUID(bytes=m.{field.name})")
        self._line(f"{indent}pos = stop")

    def _unpack(self, form: Form) -> str:
        letters = form.format.lstrip(">").replace("?", "t")
        name = f"unpack_{letters}"
        self.scope[name] = form.unpack_from
        return name

    def _length(self, path: str, *, short: bool, indent: str) -> None:
        """Reads a length or count into `n`: -1 is null."""
        if self.flexible:
            self._line(f"{indent}if pos >= end: raise ends({path!r}, pos, 1, end)")
            self._line(f"{indent}n = data[pos] - 1")
            self._line(f"{indent}if n < 127: pos += 1")
            self._line(f"{indent}else:")
            self._line(f"{indent} n, pos = uvarint(data, pos, end, {path!r})")
            self._line(f"{indent} n -= 1")
            return
        form = Form(">h" if short else ">i")
        self._line(f"{indent}if pos + {form.size} > end: raise ends({path!r}, pos, {form.size}, end)")
        self._line(f"{indent}n, = {self._unpack(form)}(data, pos)")
        self._line(f"{indent}pos += {form.size}")

    def _value(self, field: Field, target: str, path: str, indent: str = " ") -> None:
        path = f"{path}.{field.name}"
        if field.kind is Kind.STRUCT:
            assert isinstance(field.element, type)
            self._line(f"{indent}{target}, pos = decode_{field.element.__name__}(data, pos, end)")
        elif field.kind is Kind.ARRAY:
            self._array(field, target, path, indent)
        else:
            self._bytes_like(field.kind, field.nullable, target, path, indent)

    def _bytes_like(self, kind: Kind, nullable: Versions, target: str, path: str, indent: str) -> None:
        self._length(path, short=kind is Kind.STRING, indent=indent)
        self._null(nullable, target, path, indent)
        self._line(f"{indent}else:")
        indent += " "
        self._line(f"{indent}stop = pos + n")
        self._line(f"{indent}if stop > end: raise bad_length({path!r}, pos, n, end)")
        if kind is Kind.STRING:
            self._line(f"{indent}try: {target} = data[pos:stop].decode()")
            self._line(f"{indent}except UnicodeDecodeError: raise not_utf8({path!r}, pos) from None")
        else:
            self._line(f"{indent}{target} = data[pos:stop]")
        self._line(f"{indent}pos = stop")

    def _null(self, nullable: Versions, target: str, path: str, indent: str) -> None:
        """What a negative `n` means; the caller goes on with the `else` branch."""
        self._line(f"{indent}if n < 0:")
        if self.version in nullable:
            self._line(f"{indent} if n != -1: raise bad_length({path!r}, pos, n, end)")
            self._line(f"{indent} {target} = None")
        else:
            self._line(f"{indent} raise is_null({path!r}, pos, n)")

    def _array(self, field: Field, target: str, path: str, indent: str) -> None:
        element = field.element
        assert element is not None
        self._length(path, short=False, indent=indent)
        self._null(field.nullable, target, path, indent)
        self._line(f"{indent}else:")
        indent += " "
        least = max(1, smallest_bytes(element, self.version, self.flexible))
        room = "end - pos" if least == 1 else f"(end - pos) // {least}"
        self._line(f"{indent}if n > {room}: raise bad_count({path!r}, pos, n, end)")
        if not isinstance(element, type) and element in FIXED_BYTES:
            self._line(f"{indent}stop = pos + {least} * n")
            self.scope["Form"] = Form
            self._line(f"{indent}items = list(Form('>%d{element.value}' % n).unpack_from(data, pos))")
            self._line(f"{indent}pos = stop")
        else:
            self._line(f"{indent}items = []")
            self._line(f"{indent}for _ in range(n):")
            if isinstance(element, type):
                self._line(f"{indent} item, pos = decode_{element.__name__}(data, pos, end)")
            else:
                self._bytes_like(element, _CANNOT_BE_NULL, "item", path, indent + " ")
            self._line(f"{indent} items.append(item)")
        self._line(f"{indent}{target} = items")

    def _tags(self, known: list[Field], path: str) -> None:
        """Tagged fields of a flexible struct, in any order, as Kafka reads them; unknown ones are kept."""
        self._line(f" if pos >= end: raise ends({path + ' tags'!r}, pos, 1, end)")
        self._line(" m.unknown_tags = ()")
        self._line(" count = data[pos]")
        self._line(" if count == 0: pos += 1")
        self._line(" else:")
        self._line(f"  count, pos = uvarint(data, pos, end, {path + ' tags'!r})")
        self._line(f"  if count > (end - pos) // 2: raise bad_count({path + ' tags'!r}, pos, count, end)")
        self._line("  unknown = []")
        self._line("  message_end = end")
        self._line("  for _ in range(count):")
        self._line(f"   tag, pos = uvarint(data, pos, message_end, {path + ' tags'!r})")
        self._line(f"   size, pos = uvarint(data, pos, message_end, {path + ' tags'!r})")
        self._line("   end = pos + size")
        self._line(f"   if end > message_end: raise bad_length({path + ' tags'!r}, pos, size, message_end)")
        branch = "if"
        for field in known:
            self._line(f"   {branch} tag == {field.tag}:")
            if field.kind in FIXED_BYTES:
                self._fixed([field], path, "    ")
            else:
                self._value(field, f"m.{field.name}", path, "    ")
            self._line(f"    if pos != end: raise surplus({path + '.' + field.name!r}, pos, end)")
            branch = "elif"
        if known:
            self._line("   else: unknown.append((tag, data[pos:end]))")
        else:
            self._line("   unknown.append((tag, data[pos:end]))")
        self._line("   pos = end")
        self._line("  if unknown: m.unknown_tags = tuple(sorted(unknown))")
        self._line("  end = message_end")


def _ends(path: str, pos: int, wanted: int, end: int) -> Malformed:
    return Malformed(path, pos, f"needs {wanted} bytes, {max(0, end - pos)} are left")


def _bad_length(path: str, pos: int, length: int, end: int) -> Malformed:
    return Malformed(path, pos, f"a length of {length}, {end - pos} bytes are left")


def _bad_count(path: str, pos: int, count: int, end: int) -> Malformed:
    return Malformed(path, pos, f"a count of {count}, {end - pos} bytes are left")


def _is_null(path: str, pos: int, length: int) -> Malformed:
    return Malformed(path, pos, "null, which it must not be" if length == -1 else f"a length of {length}")


def _not_utf8(path: str, pos: int) -> Malformed:
    return Malformed(path, pos, "not UTF-8")


def _surplus(path: str, pos: int, end: int) -> Malformed:
    return Malformed(path, pos, f"a tagged field {end - pos} bytes longer than its content")
