"""What a command of the CLI is made of: arguments, a run, and a way to show its result to people or to programs."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any


class CommandError(Exception):
    """The command cannot do what was asked. One line for stderr; exit status 1."""


class UsageError(Exception):
    """The command line itself is wrong. One line for stderr; exit status 2."""


@dataclass(frozen=True, slots=True)
class Output:
    """Where results go: one JSON document, or text for people."""

    json: bool

    def show(self, document: Any, text: Callable[[], None]) -> None:
        """Prints the document with --json, else calls `text`."""
        if self.json:
            print(json.dumps(document, indent=2, ensure_ascii=False))
        else:
            text()

    def note(self, message: str) -> None:
        """Something worth knowing beside the result, on stderr."""
        print(f"coldstream: {message}", file=sys.stderr)


@dataclass(frozen=True, slots=True)
class Command:
    """`run` answers the exit status; it raises CommandError and UsageError."""

    path: tuple[str, ...]
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Output], int]
    description: str = ""


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints rows under headings, whole: an id that was cut to fit a terminal is of no use."""
    lines = [list(columns), *([printable("" if cell is None else str(cell)) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def fields(pairs: Iterable[tuple[str, object]]) -> None:
    """Prints names and values, one pair a line."""
    shown = [(name, "-" if value is None else printable(str(value))) for name, value in pairs]
    width = max(len(name) for name, _ in shown)
    for name, value in shown:
        print(f"{name:<{width}}  {value}")


def printable(text: str) -> str:
    """Text that cannot steer a terminal: control and format characters as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def human_bytes(size: int | None) -> str:
    """A size for people: `-` when it is not known."""
    if size is None:
        return "-"
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def split_path(text: str, parts: int) -> list[str]:
    """`TENANT/NAMESPACE/TOPIC` taken apart. Raises UsageError."""
    names = text.split("/")
    if len(names) != parts or not all(names):
        wanted = "/".join(("TENANT", "NAMESPACE", "TOPIC")[:parts])
        raise UsageError(f"{text!r}: expected {wanted}")
    return names
