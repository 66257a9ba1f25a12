"""`coldstream offload`: asks the topic's broker, by way of a job, to move what it holds to the object store now."""

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .api import Api, add_api_flags, connect
from .command import Command, CommandError, Output
from .topics import address as topic_address

LOOK_FIRST_S, LOOK_MAX_S = 0.1, 1.0
Show = Callable[[Mapping[str, Any]], None]


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", metavar="TENANT/NAMESPACE/TOPIC")
    parser.add_argument("--wait", action="store_true", help="return when it is done, status 1 if it failed")
    parser.add_argument("--drop-local", action="store_true", help="then delete the local copies")
    add_api_flags(parser)


def offload(args: argparse.Namespace, output: Output) -> int:
    api = connect(args)
    job = api.post(f"{topic_address(args.topic)}/offload", {"drop_local": args.drop_local})
    if args.wait:
        with _progress(args.topic, wanted=not output.json and sys.stderr.isatty()) as show:
            job = wait_for(api, job, show)
        if job["state"] == "failed":
            raise CommandError(f"offload of {args.topic} failed: {job['error']}")
    output.show(job, lambda: print(_sentence(args.topic, job)))
    return 0


def wait_for(api: Api, job: Any, show: Show) -> Any:
    """The job once it has ended."""
    pause_s = LOOK_FIRST_S
    while job["state"] not in ("done", "failed"):
        show(job["progress"])
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, LOOK_MAX_S)
        job = api.get(f"/jobs/{job['id']}")
    show(job["progress"])
    return job


def _sentence(topic: str, job: Any) -> str:
    if job["state"] != "done":
        return f"offload of {topic} is {job['state']}: job {job['id']}"
    amounts = ", ".join(f"{name.replace('_', ' ')} {amount}" for name, amount in job["progress"].items())
    return f"offload of {topic} is done" + (f": {amounts}" if amounts else "")


@contextlib.contextmanager
def _progress(topic: str, *, wanted: bool) -> Iterator[Show]:
    """A bar on the terminal: partitions done of all, once the broker says how many there are."""
    if not wanted:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[amounts]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"offload {topic}", total=None, amounts="queued")

        def show(progress: Mapping[str, Any]) -> None:
            total, done = progress.get("partitions"), progress.get("partitions_done")
            amounts = ", ".join(f"{name.replace('_', ' ')} {amount}" for name, amount in progress.items())
            bar.update(
                task,
                total=total if isinstance(total, int) else None,
                completed=done if isinstance(done, int) else 0,
                amounts=amounts or "queued",
            )

        yield show


COMMANDS = {("offload",): Command(("offload",), _flags, offload)}
