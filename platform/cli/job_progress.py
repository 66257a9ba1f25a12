"""Jobs that a command asks for: waiting for one, with a bar on the terminal, and saying in a line what came of it."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .api import Api
from .command import CommandError, Output

LOOK_FIRST_S, LOOK_MAX_S = 0.1, 1.0
Show = Callable[[Mapping[str, Any]], None]


def follow(api: Api, job: Any, what: str, output: Output, *, wait: bool) -> int:
    """Show a job that was asked for; with `wait` once it has ended. Raises CommandError when it failed."""
    if wait:
        with _progress(what, wanted=not output.json and sys.stderr.isatty()) as show:
            job = _ended(api, job, show)
        if job["state"] == "failed":
            raise CommandError(f"{what} failed: {job['error']}")
    output.show(job, lambda: print(_sentence(what, job)))
    return 0


def _ended(api: Api, job: Any, show: Show) -> Any:
    """The job once it has ended."""
    pause_s = LOOK_FIRST_S
    while job["state"] not in ("done", "failed"):
        show(job["progress"])
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, LOOK_MAX_S)
        job = api.get(f"/jobs/{job['id']}")
    show(job["progress"])
    return job


def _amounts(progress: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {amount}" for name, amount in progress.items())


def _sentence(what: str, job: Any) -> str:
    if job["state"] != "done":
        return f"{what} is {job['state']}: job {job['id']}"
    amounts = _amounts(job["progress"])
    return f"{what} is done" + (f": {amounts}" if amounts else "")


@contextlib.contextmanager
def _progress(what: str, *, wanted: bool) -> Iterator[Show]:
    """A bar on the terminal: partitions done of all, once the broker says how many there are."""
    if not wanted:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[amounts]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, amounts="queued")

        def show(progress: Mapping[str, Any]) -> None:
            total, done = progress.get("partitions"), progress.get("partitions_done")
            bar.update(
                task,
                total=total if isinstance(total, int) else None,
                completed=done if isinstance(done, int) else 0,
                amounts=_amounts(progress) or "queued",
            )

        yield show
