"""The console as a process: what it reports, what it serves, and how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from coldstream.tests.console.world import template


@contextmanager
def console(directory: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[bytes], Any, int]]:
    """The process, what it reported, and our end of its lifeline."""
    ready, report = os.pipe()
    lifeline, held = os.pipe()
    environ = {
        "PATH": os.environ["PATH"],
        "COLDSTREAM_DATA_DIR": str(directory),
        "COLDSTREAM_CONSOLE": f"127.0.0.1:{port}",
        "COLDSTREAM_READY_FD": str(report),
        "COLDSTREAM_LIFELINE_FD": str(lifeline),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "coldstream.console"],
        env=environ,
        pass_fds=(report, lifeline),
        stderr=subprocess.PIPE,
    )
    os.close(report)
    os.close(lifeline)
    try:
        with os.fdopen(ready, "rb") as pipe:
            yield process, json.loads(pipe.readline()), held
    finally:
        os.close(held)
        process.kill()
        process.communicate()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "coldstream.db").write_bytes(template()[0].read_bytes())
    return tmp_path


def test_it_says_where_it_serves_and_ends_well_on_sigterm(directory: Path) -> None:
    with console(directory) as (process, report, _):
        with urllib.request.urlopen(f"http://{report['ready']}/healthz", timeout=10) as answer:
            assert answer.read() == b"ok\n"
            assert "server" not in {name.lower() for name in answer.headers}
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_it_ends_when_its_supervisor_is_gone(directory: Path) -> None:
    with console(directory) as (process, report, held):
        assert report["ready"]
        os.close(os.dup(held))
        os.dup2(os.open(os.devnull, os.O_RDONLY), held)  # our end of the pipe is closed by being replaced
        assert process.wait(10) == 0


def test_a_taken_port_and_an_old_schema_are_reported(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with console(directory, port) as (process, report, _):
            assert report == {"error": f"cannot listen on 127.0.0.1:{port} (Address already in use)"}
            assert process.wait(10) == 1
    with console(tmp_path_factory.mktemp("empty")) as (process, report, _):
        assert report == {"error": "the database is not at this release's schema: run `coldstream migrate`"}
        assert process.wait(10) == 1
