"""What a person sees of a long job: bars on a terminal, a line each elsewhere, and a table at the end."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

REPORT_EVERY = 100_000


class Bar(Protocol):
    """How far one job is."""

    def to(self, done: int) -> None: ...


class Narrator:
    """Speaks to a console."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)

    def say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True, markup=False)

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Bar]:
        if not self.console.is_terminal:
            yield _Lines(self.console, what, total)
            return
        columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console) as progress:
            yield _Live(progress, progress.add_task(what, total=total))

    def table(self, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        table = Table(title=title, title_justify="left")
        for number, heading in enumerate(headings):
            table.add_column(heading, justify="left" if number == 0 else "right", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        self.console.print(table)


class _Live:
    def __init__(self, progress: Progress, task: object) -> None:
        self._progress, self._task = progress, task

    def to(self, done: int) -> None:
        self._progress.update(self._task, completed=done)  # type: ignore[arg-type]


class _Lines:
    def __init__(self, console: Console, what: str, total: int) -> None:
        self._console, self._what, self._total = console, what, total
        self._next = REPORT_EVERY

    def to(self, done: int) -> None:
        if done >= self._next or done == self._total:
            self._console.print(f"{self._what}: {done:,} of {self._total:,}")
            self._next = (done // REPORT_EVERY + 1) * REPORT_EVERY
