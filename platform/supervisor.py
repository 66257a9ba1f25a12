"""`coldstream up`: starts broker and console on this machine, keeps them running, stops them.

Always true: the data directory's lock is held from before the first child starts until the last one is gone (children
inherit it, so a killed supervisor's leftovers still hold it); children see the supervisor's death as the end of their
lifeline; stdout carries the ready line and nothing else. Before the platform was ready once, a child's end is the end
of `up`; afterwards the child is started again, later each time.

Small on purpose: no event loop, no database, no HTTP; it lives as long as the platform and holds next to nothing.
"""

import contextlib
import json
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

from . import logs
from .data_dir import DataDirError, DataDirLock, ensure_cluster_secret, write_endpoints
from .ports import PortError, settle
from .settings import Address, Settings

log = logging.getLogger(__name__)

STOP_S = 30.0  # what a child gets to flush and close before it is killed
RESTART_FIRST_S, RESTART_MAX_S = 0.1, 10.0
STEADY_S = 60.0  # a child that lived this long starts again at the first delay
REPORT_BYTES_MAX = 64 * 1024
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def restart_delay_s(failures_in_a_row: int) -> float:
    """How long to wait before starting a child again; doubles up to a limit."""
    return min(RESTART_FIRST_S * (1 << min(failures_in_a_row - 1, 30)), RESTART_MAX_S)


class StartError(Exception):
    """The platform did not become ready. The message is one line for whoever started it; empty if already said."""


@dataclass(frozen=True, slots=True)
class Command:
    """One child: what to call it, and how to run it."""

    name: str
    arguments: Sequence[str]


def default_commands() -> tuple[Command, ...]:
    """The parts of a platform on one machine. The broker comes first: it is the slower one to be ready."""
    return (
        Command("broker", (sys.executable, "-m", "coldstream.platform.broker")),
        Command("console", (sys.executable, "-m", "coldstream.console")),
    )


@dataclass(slots=True)
class Child:
    """A child process as the supervisor sees it."""

    command: Command
    process: subprocess.Popen[bytes] | None = None
    report_fd: int | None = None
    report: bytes = b""
    ready_at: str | None = None
    started_s: float = 0.0
    failures: int = 0
    restart_at_s: float | None = None

    @property
    def name(self) -> str:
        return self.command.name

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None else None


@dataclass(slots=True)
class Supervisor:
    """The children of one `up`. `run` returns the exit status."""

    settings: Settings
    lock: DataDirLock
    environ: Mapping[str, str]
    commands: Sequence[Command] = field(default_factory=default_commands)
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    clock: Callable[[], float] = time.monotonic
    children: list[Child] = field(default_factory=list)
    announced: bool = False
    _lifeline: tuple[int, int] = (-1, -1)
    _wakeup: tuple[int, int] = (-1, -1)

    def run(self) -> int:
        """Starts everything, watches until a stop signal, stops everything. Raises StartError."""
        with self._signals_as_bytes():
            self._lifeline = os.pipe()
            try:
                self.children = [Child(command) for command in self.commands]
                for child in self.children:
                    self._start(child)
                self._watch()
            finally:
                clean = self._stop_all()
                for fd in self._lifeline:
                    os.close(fd)
        return 0 if clean else 1

    def _watch(self) -> None:
        """Returns when a stop signal came. Raises StartError when a child fails before everything was ready."""
        while True:
            if self._wait(self._due_in_s()):
                return
            now_s = self.clock()
            for child in self.children:
                status = child.process.poll() if child.process is not None else None
                self._read_report(child)  # after the look at the status: what a child said before its end comes first
                if status is not None:
                    self._ended(child, status, now_s)
                if child.restart_at_s is not None and now_s >= child.restart_at_s:
                    self._start(child)
            if not self.announced and all(child.ready_at for child in self.children):
                self._announce()

    def _start(self, child: Child) -> None:
        report_fd, write_fd = os.pipe()
        os.set_blocking(report_fd, False)
        environ = {
            **self.environ,
            "COLDSTREAM_READY_FD": str(write_fd),
            "COLDSTREAM_LIFELINE_FD": str(self._lifeline[0]),
        }
        try:
            child.process = subprocess.Popen(
                child.command.arguments,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),  # our stdout carries one line; a stray print of a child must not join it
                pass_fds=(write_fd, self._lifeline[0], self.lock.fd),
                process_group=0,  # Ctrl-C on a terminal reaches the supervisor alone, which then stops its children
            )
        finally:
            os.close(write_fd)
        child.report_fd, child.report, child.ready_at = report_fd, b"", None
        child.started_s, child.restart_at_s = self.clock(), None

    def _read_report(self, child: Child) -> None:
        """Takes what a child wrote about its start: one JSON line, `ready` or `error`."""
        if child.report_fd is None:
            return
        ended = False
        with contextlib.suppress(BlockingIOError):
            while len(child.report) < REPORT_BYTES_MAX:
                data = os.read(child.report_fd, 4096)
                if not data:
                    ended = True
                    break
                child.report += data
        if b"\n" not in child.report and not ended:
            return
        os.close(child.report_fd)
        child.report_fd = None
        if b"\n" in child.report:
            self._reported(child, _parse_report(child.report))

    def _reported(self, child: Child, report: Mapping[str, Any]) -> None:
        if isinstance(report.get("ready"), str):
            child.ready_at = report["ready"]
            if self.announced:
                log.info("child is ready again", extra={"child": child.name, "pid": child.pid})
                self._note_endpoints()
            return
        reason = str(report.get("error") or "it reported nothing that we understand")
        if not self.announced:
            raise StartError(f"the {child.name} cannot start: {reason}")
        log.error("child cannot start", extra={"child": child.name, "reason": reason})

    def _ended(self, child: Child, status: int, now_s: float) -> None:
        how = f"was killed by {_signal_name(-status)}" if status < 0 else f"ended with status {status}"
        if not self.announced:
            raise StartError(f"the {child.name} {how} before it was ready; its log lines above say why")
        child.failures = 1 if now_s - child.started_s >= STEADY_S else child.failures + 1
        delay_s = restart_delay_s(child.failures)
        log.warning(
            "child ended, starting it again",
            extra={"child": child.name, "pid": child.pid, "how": how, "failures": child.failures, "delay_s": delay_s},
        )
        child.process, child.ready_at, child.restart_at_s = None, None, now_s + delay_s
        if child.report_fd is not None:
            os.close(child.report_fd)
            child.report_fd = None

    def _announce(self) -> None:
        kafka, console = self._endpoints()
        self._note_endpoints()
        self.announced = True
        print(f"ready kafka={kafka} console={console}", file=self.stdout, flush=True)

    def _endpoints(self) -> tuple[str, str]:
        """What to connect to: a bound 0.0.0.0 is shown as loopback, an advertised Kafka address as itself."""
        at = {child.name: child.ready_at or "" for child in self.children}
        kafka = str(self.settings.advertised_kafka or _reachable(at["broker"]))
        return kafka, f"http://{_reachable(at['console'])}"

    def _note_endpoints(self) -> None:
        kafka, console = self._endpoints() if all(child.ready_at for child in self.children) else ("", "")
        if not kafka:
            return
        pids = {"supervisor": os.getpid(), **{child.name: child.pid for child in self.children}}
        write_endpoints(
            self.settings,
            {
                "kafka": kafka,
                "console": console,
                "metrics": f"http://{self.settings.broker_metrics}/metrics",
                "pids": pids,
            },
        )

    def _stop_all(self) -> bool:
        """Asks every child to stop, waits, kills what is left. True when each ended by itself, and well."""
        running = [child for child in self.children if child.process is not None and child.process.poll() is None]
        for child in running:
            _send(child, signal.SIGTERM)
        give_up_s = self.clock() + STOP_S
        killed: set[str] = set()
        while left := [child for child in running if child.process is not None and child.process.poll() is None]:
            again = self._wait(max(0.0, min(1.0, give_up_s - self.clock())))
            if again or self.clock() >= give_up_s:
                for child in left:
                    log.error("child does not stop, killing it", extra={"child": child.name, "pid": child.pid})
                    _send(child, signal.SIGKILL)
                    killed.add(child.name)
                give_up_s = self.clock() + STOP_S
        for child in self.children:
            if child.report_fd is not None:
                os.close(child.report_fd)
                child.report_fd = None
        # A child that had not installed its handler yet ends by the signal itself: clean all the same.
        ends = {child.name: child.process.returncode for child in running if child.process is not None}
        wrong = {name: status for name, status in ends.items() if status not in (0, -signal.SIGTERM)}
        if wrong:
            log.error("children did not stop cleanly", extra={"statuses": wrong})
        self.settings.endpoints_path.unlink(missing_ok=True)
        return not wrong and not killed

    def _due_in_s(self) -> float | None:
        due = [child.restart_at_s for child in self.children if child.restart_at_s is not None]
        return max(0.0, min(due) - self.clock()) if due else None

    def _wait(self, timeout_s: float | None) -> bool:
        """Sleeps until a signal, a report or the timeout. True when the signal says stop."""
        poll = select.poll()
        poll.register(self._wakeup[0], select.POLLIN)
        for child in self.children:
            if child.report_fd is not None:
                poll.register(child.report_fd, select.POLLIN)
        poll.poll(None if timeout_s is None else timeout_s * 1000 + 1)
        arrived = b""
        with contextlib.suppress(BlockingIOError):
            arrived = os.read(self._wakeup[0], 4096)
        return any(number in arrived for number in STOP_SIGNALS)

    @contextlib.contextmanager
    def _signals_as_bytes(self) -> Iterator[None]:
        """Signals arrive as bytes in a pipe that `_wait` polls, so none is lost between two looks."""
        self._wakeup = os.pipe()
        for fd in self._wakeup:
            os.set_blocking(fd, False)
        numbers = (*STOP_SIGNALS, signal.SIGCHLD)
        before = {number: signal.signal(number, lambda *_: None) for number in numbers}
        old_fd = signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(old_fd)
            for number, handler in before.items():
                signal.signal(number, handler)
            for fd in self._wakeup:
                os.close(fd)


def _parse_report(line: bytes) -> Mapping[str, Any]:
    try:
        report = json.loads(line.partition(b"\n")[0])
    except ValueError:
        return {}
    return report if isinstance(report, dict) else {}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _send(child: Child, number: int) -> None:
    if child.process is not None:
        with contextlib.suppress(ProcessLookupError):
            child.process.send_signal(number)


def _reachable(text: str) -> Address:
    address = Address.parse(text)
    if not address.is_unspecified:
        return address
    return Address("::1" if ":" in address.host else "127.0.0.1", address.port)


def up(
    settings: Settings,
    *,
    is_prepared: Callable[[Settings], bool],
    prepare_command: Sequence[str],
    environ: Mapping[str, str] | None = None,
) -> int:
    """Runs the platform until it is told to stop; the exit status. Failures are one line on stderr and status 1."""
    logs.configure(settings.log_level, process="supervisor")
    try:
        lock = DataDirLock.acquire(settings)
    except DataDirError as error:
        return _refuse(str(error))
    try:
        settings = settle(settings)
        inherited = os.environ if environ is None else environ
        child_environ = {k: v for k, v in inherited.items() if k != "COLDSTREAM_CONFIG"} | settings.as_environ()
        ensure_cluster_secret(settings)
        if not _in_a_fork(is_prepared, settings):
            _prepare(prepare_command, child_environ, lock)
        child_environ.pop("COLDSTREAM_ADMIN_PASSWORD", None)
        return Supervisor(settings, lock, child_environ).run()
    except (PortError, DataDirError, StartError) as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"{settings.data_dir}: {error.strerror or error}")
    finally:
        lock.release()


def _in_a_fork(ask: Callable[[Settings], bool], settings: Settings) -> bool:
    """The answer of a short-lived copy of this process, so that what it had to import is not kept for ever."""
    pid = os.fork()
    if pid == 0:
        status = 1
        with contextlib.suppress(Exception):  # whatever is wrong, `prepare` meets it again and says it
            status = 0 if ask(settings) else 1
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _prepare(command: Sequence[str], environ: Mapping[str, str], lock: DataDirLock) -> None:
    """Brings the database to the newest schema and makes what a first start makes, in a process that ends."""
    done = subprocess.run(
        command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=(lock.fd,)
    )
    if done.returncode < 0:
        raise StartError(f"preparing the database was stopped by {_signal_name(-done.returncode)}")
    if done.returncode > 0:
        raise StartError("")  # it said why, on the stderr we share


def _refuse(reason: str) -> int:
    if reason:
        print(f"coldstream: {reason}", file=sys.stderr, flush=True)
    return 1
