"""A real platform for tests: `coldstream up` as a child process, on free ports, in a directory of its own.

with PlatformProcess.started(directory, offload_interval_ms=50) as platform:
    platform.cli("topic", "create", "default/default/orders")      # -> the JSON document
    platform.kill()                                                # SIGKILL to every process at once
    platform.start()                                               # on the same data and the same ports
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

READY_S = 60.0  # a machine that runs other tests beside this one may be slow; tests of speed measure by themselves
STOP_S = 45.0
LISTENERS = ("kafka", "console", "broker_metrics")


class NotReady(AssertionError):
    """`coldstream up` ended, or said nothing, instead of its ready line."""


class CliFailed(AssertionError):
    """A command of the CLI ended with another status than 0."""

    def __init__(self, arguments: Sequence[str], status: int, stderr: str) -> None:
        super().__init__(f"coldstream {' '.join(arguments)}: status {status}: {stderr}")
        self.status = status
        self.stderr = stderr


class PlatformProcess:
    """One platform. `settings` are Coldstream's own, by name; ports stay the same from the first start on."""

    def __init__(self, directory: Path, **settings: object) -> None:
        self.directory = directory
        self.data_dir = Path(str(settings.pop("data_dir", directory / "data")))
        self.stderr_path = directory / "stderr.log"
        self._settings = {**dict.fromkeys(LISTENERS, "127.0.0.1:0"), **settings}
        self._process: subprocess.Popen[str] | None = None

    @classmethod
    @contextmanager
    def started(cls, directory: Path, **settings: object) -> Iterator["PlatformProcess"]:
        """A running platform, stopped at the end of the block; a stop that is not clean fails the test."""
        platform = cls(directory, **settings)
        platform.start()
        try:
            yield platform
        except BaseException:
            platform.kill()
            raise
        assert platform.stop() == 0, f"the platform did not stop cleanly:\n{platform.log_text()[-4000:]}"

    def start(self) -> None:
        """Starts it and waits for the ready line. Raises NotReady with what it said on stderr."""
        assert self._process is None or self._process.poll() is not None, "it is running"
        self.directory.mkdir(parents=True, exist_ok=True)
        with self.stderr_path.open("a") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "coldstream", "up"],
                env=self._environ(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        line = self._ready_line()
        if not line.startswith("ready "):
            status = self._process.poll()
            self.kill()
            raise NotReady(f"{line!r}, status {status}; stderr:\n{self.log_text()[-4000:]}")
        self._settings |= dict(zip(LISTENERS, self._bound(), strict=True))

    def stop(self) -> int:
        """SIGTERM, and the exit status. 0 when it is not running."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self._forget()
        return status

    def kill(self) -> None:
        """SIGKILL to all of its processes, stopped first so that none restarts another; waits until they are gone."""
        if self._process is None:
            return
        processes = self.processes()
        for process in processes:
            try:
                process.suspend()
            except psutil.NoSuchProcess:
                continue
        for process in processes:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self._process.wait()
        psutil.wait_procs(processes, timeout=STOP_S)
        self._forget()

    def processes(self) -> list[psutil.Process]:
        """The supervisor and everything below it."""
        if self._process is None:
            return []
        try:
            supervisor = psutil.Process(self._process.pid)
            return [supervisor, *supervisor.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of `supervisor`, `broker` and `console`, as they are now."""
        pids: dict[str, int] = self._endpoints()["pids"]
        return pids

    @property
    def kafka(self) -> str:
        """HOST:PORT for Kafka clients."""
        return str(self._endpoints()["kafka"])

    bootstrap = kafka

    @property
    def url(self) -> str:
        """http://HOST:PORT of the console and HTTP API."""
        return str(self._endpoints()["console"])

    console = url

    @property
    def metrics_url(self) -> str:
        """The broker's `/metrics`."""
        return str(self._endpoints()["metrics"])

    @property
    def token(self) -> str:
        """The administrator's access token."""
        return (self.data_dir / "admin-token").read_text().strip()

    def cli(self, *arguments: str, stdin: str | None = None) -> Any:
        """Runs one command with `--json`; its document. Raises CliFailed."""
        done = self.run_cli(*arguments, "--json", stdin=stdin)
        if done.returncode != 0:
            raise CliFailed(arguments, done.returncode, done.stderr)
        return json.loads(done.stdout)

    def run_cli(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Runs one command as a person would, and answers whatever came of it."""
        return subprocess.run(
            [sys.executable, "-m", "coldstream", *arguments],
            env=self._environ(),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=READY_S,
            check=False,
        )

    def log_text(self) -> str:
        """All that its processes wrote on stderr, of every start."""
        return self.stderr_path.read_text(errors="replace") if self.stderr_path.exists() else ""

    def wait_for_log(self, *words: str, deadline_s: float = 10.0) -> str:
        """The first log line that has all the words; fails when there is none in time."""
        until_s = time.monotonic() + deadline_s
        while True:
            for line in self.log_text().splitlines():
                if all(word in line for word in words):
                    return line
            assert time.monotonic() < until_s, f"no log line with {words} within {deadline_s:.0f} s"
            time.sleep(0.05)

    def _environ(self) -> dict[str, str]:
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("COLDSTREAM_")}
        mine = {f"COLDSTREAM_{name.upper()}": _text(value) for name, value in self._settings.items()}
        return {**inherited, "COLDSTREAM_DATA_DIR": str(self.data_dir), **mine}

    def _endpoints(self) -> dict[str, Any]:
        endpoints: dict[str, Any] = json.loads((self.data_dir / "endpoints.json").read_text())
        return endpoints

    def _bound(self) -> tuple[str, str, str]:
        return self.kafka, self.url.removeprefix("http://"), self.metrics_url.split("/")[2]

    def _ready_line(self) -> str:
        assert self._process is not None and self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], READY_S)
        return self._process.stdout.readline() if readable else ""

    def _forget(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
