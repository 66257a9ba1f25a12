"""Compiles a description into an encoder for one version: Python source, generated once, when first asked for.

An encoder appends pieces of bytes to a list. Neighbouring fields of fixed size, and the length of what follows them
where it has a fixed size too, are packed by one `struct` call. Byte fields are not copied until the frame is joined.

A value that its field cannot hold (a number out of range, None where null is not allowed, a string of more than
32767 bytes in an old version) is an error of ours: struct.error, AttributeError or TypeError.
"""

from collections.abc import Callable
from struct import Struct as Form
from typing import Any, TypeAlias

from .schema import FIXED_BYTES, Field, Kind, Message, Struct
from .varint import SMALL, encode_uvarint

Out: TypeAlias = Callable[[bytes], None]
Encoder: TypeAlias = Callable[[Any, Out], None]


def compile_encoder(message: Message, version: int) -> Encoder:
    """A function of (message, out) that hands the message's bytes, piece by piece, to `out`."""
    return _Compiler(version, message.flexible(version)).struct(message.root)


class _Compiler:
    def __init__(self, version: int, flexible: bool) -> None:
        self.version = version
        self.flexible = flexible
        self.scope: dict[str, Any] = {
            "SMALL": SMALL,
            "uvarint": encode_uvarint,
            "Form": Form,
            "tagged": _encode_tagged,
        }
        self.lines: list[str] = []
        self.run: list[tuple[str, str]] = []  # (struct letter, expression) not yet packed
        self.encoders: dict[type[Struct], Encoder] = {}
        self.names = 0
        self.out = "out"  # what generated code calls with each piece

    def struct(self, struct: type[Struct]) -> Encoder:
        """The encoder of one struct, made after those of the structs in it."""
        if struct in self.encoders:
            return self.encoders[struct]
        present = [f for f in struct.FIELDS if self.version in f.versions]
        for field in present:
            if isinstance(field.element, type):
                self.scope[f"encode_{field.element.__name__}"] = self.struct(field.element)
        self.lines = ["def encode(m, out):"]
        for field in present:
            if field.tag is None:
                self._value(field, f"m.{field.name}", " ")
        if self.flexible:
            self._tags(sorted((f for f in present if f.tag is not None), key=lambda f: f.tag or 0))
        self._flush(" ")
        if len(self.lines) == 1:
            self._line(" pass")
        source = compile("\n".join(self.lines), f"<encode {struct.__name__} v{self.version}>", "exec")
        exec(source, self.scope)  # noqa: S102 - made of our own descriptions only
        encoder: Encoder = self.scope.pop("encode")
        self.encoders[struct] = encoder
        return encoder

    def _line(self, text: str) -> None:
        self.lines.append(text)

    def _name(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}{self.names}"

    def _flush(self, indent: str) -> None:
        """Packs what has gathered in `run`. Called wherever control flow or a piece of bytes comes between."""
        if not self.run:
            return
        letters = "".join(letter for letter, _ in self.run)
        name = "pack_" + letters.replace("?", "t")
        self.scope[name] = Form(">" + letters).pack
        self._line(f"{indent}{self.out}({name}({', '.join(expression for _, expression in self.run)}))")
        self.run = []

    def _length(self, expression: str, *, short: bool, indent: str) -> None:
        if not self.flexible:
            self.run.append(("h" if short else "i", expression))
            self._flush(indent)
            return
        self._flush(indent)
        length = self._name("n")
        self._line(f"{indent}{length} = {expression} + 1")
        self._line(f"{indent}{self.out}(SMALL[{length}] if {length} < 128 else uvarint({length}))")

    def _null(self, *, short: bool, indent: str) -> None:
        if self.flexible:
            self._line(f"{indent}{self.out}(b'\\0')")
        else:
            self._line(f"{indent}{self.out}({bytes([255] * (2 if short else 4))!r})")

    def _value(self, field: Field, expression: str, indent: str) -> None:
        if field.kind in FIXED_BYTES:
            self._fixed(field.kind, expression)
        elif field.kind is Kind.STRUCT:
            assert isinstance(field.element, type)
            self._flush(indent)
            self._line(f"{indent}encode_{field.element.__name__}({expression}, {self.out})")
        elif self.version in field.nullable:
            self._flush(indent)
            value = self._name("v")
            self._line(f"{indent}{value} = {expression}")
            self._line(f"{indent}if {value} is None:")
            self._null(short=field.kind is Kind.STRING, indent=indent + " ")
            self._line(f"{indent}else:")
            self._variable(field, value, indent + " ")
        else:
            self._variable(field, expression, indent)

    def _fixed(self, kind: Kind, expression: str) -> None:
        self.run.append((kind.value, f"{expression}.bytes" if kind is Kind.UUID else expression))

    def _variable(self, field: Field, expression: str, indent: str) -> None:
        if field.kind is not Kind.ARRAY:
            self._bytes_like(field.kind, expression, indent)
            return
        element = field.element
        items = self._name("a")
        self._line(f"{indent}{items} = {expression}")
        self._length(f"len({items})", short=False, indent=indent)
        if isinstance(element, Kind) and element in FIXED_BYTES:
            self._line(f"{indent}{self.out}(Form('>%d{element.value}' % len({items})).pack(*{items}))")
            return
        self._line(f"{indent}for item in {items}:")
        if isinstance(element, Kind):
            self._bytes_like(element, "item", indent + " ")
        else:
            assert element is not None
            self._line(f"{indent} encode_{element.__name__}(item, {self.out})")

    def _bytes_like(self, kind: Kind, expression: str, indent: str) -> None:
        raw = self._name("b")
        self._line(f"{indent}{raw} = {expression}{'.encode()' if kind is Kind.STRING else ''}")
        self._length(f"len({raw})", short=kind is Kind.STRING, indent=indent)
        self._line(f"{indent}{self.out}({raw})")

    def _tags(self, known: list[Field]) -> None:
        """Known tagged fields that differ from their default, merged with the unknown ones by tag."""
        self._flush(" ")
        self._line(" tags = list(m.unknown_tags)" if known else " tags = m.unknown_tags")
        for field in known:
            default = self._name("default")
            self.scope[default] = field.default
            value = f"m.{field.name}"
            if field.kind is Kind.ARRAY:
                self._line(f" if len({value} or ()):")
            elif field.default is None:
                self._line(f" if {value} is not None:")
            else:
                self._line(f" if {value} != {default}:")
            self._line("  parts = []")
            self._line("  tag_out = parts.append")
            self.out = "tag_out"
            self._value(field, value, "  ")
            self._flush("  ")
            self.out = "out"
            self._line(f"  tags.append(({field.tag}, b''.join(parts)))")
        self._line(" if tags: tagged(tags, out)")
        self._line(" else: out(b'\\0')")


def _encode_tagged(tags: list[tuple[int, bytes]], out: Out) -> None:
    out(encode_uvarint(len(tags)))
    for tag, content in sorted(tags):
        out(encode_uvarint(tag))
        out(encode_uvarint(len(content)))
        out(content)
