"""The supervisor against small children that say and do what a broker or console might."""

import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from coldstream.platform import supervisor as module
from coldstream.platform.data_dir import DataDirError, DataDirLock, read_endpoints
from coldstream.platform.settings import Settings
from coldstream.platform.supervisor import Command, StartError, Supervisor, restart_delay_s

CHILD = """
import json, os, select, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
def report(**what):
    os.write(int(os.environ["COLDSTREAM_READY_FD"]), json.dumps(what).encode() + b"\\n")
def until_the_lifeline_ends():
    os.read(int(os.environ["COLDSTREAM_LIFELINE_FD"]), 1)
"""
WELL = CHILD + 'report(ready="127.0.0.1:{port}")\nuntil_the_lifeline_ends()'


def command(name: str, script: str) -> Command:
    return Command(name, (sys.executable, "-S", "-E", "-c", script))


def well(name: str, port: int) -> Command:
    return command(name, WELL.replace("{port}", str(port)))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def lock(settings: Settings) -> Iterator[DataDirLock]:
    lock = DataDirLock.acquire(settings)
    yield lock
    lock.release()


@pytest.fixture(autouse=True)
def stderr_with_a_descriptor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with open(tmp_path / "stderr", "w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        yield


class Output(io.StringIO):
    """Calls `then` once the ready line is written, from another thread so that the supervisor goes on."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__()
        self._then = then

    def flush(self) -> None:
        if "\n" in self.getvalue():
            threading.Thread(target=self._then, daemon=True).start()


def stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_one_ready_line_when_all_are_ready_and_a_clean_end_on_sigterm(settings: Settings, lock: DataDirLock) -> None:
    noted: list[object] = []

    def look_and_stop() -> None:
        noted.append(read_endpoints(settings.data_dir))
        stop()

    output = Output(look_and_stop)
    children = [well("broker", 19092), well("console", 18080)]
    assert Supervisor(settings, lock, dict(os.environ), children, output).run() == 0
    assert output.getvalue() == "ready kafka=127.0.0.1:19092 console=http://127.0.0.1:18080\n"
    (endpoints,) = noted
    assert isinstance(endpoints, dict)
    assert (endpoints["kafka"], endpoints["console"]) == ("127.0.0.1:19092", "http://127.0.0.1:18080")
    assert endpoints["pids"].keys() == {"supervisor", "broker", "console"}
    assert read_endpoints(settings.data_dir) is None, "nobody may look for a platform that has stopped"


def test_an_error_a_child_reports_before_it_was_ready_ends_the_start(settings: Settings, lock: DataDirLock) -> None:
    broken = command("console", CHILD + 'report(error="the database is from a newer release"); sys.exit(1)')
    output = io.StringIO()
    with pytest.raises(StartError, match="the console cannot start: the database is from a newer release"):
        Supervisor(settings, lock, dict(os.environ), [well("broker", 1), broken], output).run()
    assert output.getvalue() == ""


def test_a_child_that_dies_silently_before_it_was_ready_ends_the_start(settings: Settings, lock: DataDirLock) -> None:
    broken = command("broker", "import sys; sys.exit(3)")
    with pytest.raises(StartError, match="the broker ended with status 3 before it was ready"):
        Supervisor(settings, lock, dict(os.environ), [broken, well("console", 1)], io.StringIO()).run()


def test_a_report_that_is_no_report_is_named(settings: Settings, lock: DataDirLock) -> None:
    broken = command("broker", CHILD + 'os.write(int(os.environ["COLDSTREAM_READY_FD"]), b"[1]\\n"); time.sleep(60)')
    with pytest.raises(StartError, match="the broker cannot start: it reported nothing"):
        Supervisor(settings, lock, dict(os.environ), [broken], io.StringIO()).run()


def test_a_child_killed_later_is_started_again_and_noted(
    settings: Settings, lock: DataDirLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESTART_FIRST_S", 0.001)

    def pid() -> int:
        endpoints = read_endpoints(settings.data_dir)
        return endpoints["pids"]["broker"] if endpoints else 0

    def kill_and_stop() -> None:
        first = pid()
        os.kill(first, signal.SIGKILL)
        eventually(lambda: pid() != first)
        stop()

    output = Output(kill_and_stop)
    children = [well("broker", 1), well("console", 2)]
    assert Supervisor(settings, lock, dict(os.environ), children, output).run() == 0
    assert output.getvalue().count("ready ") == 1


def test_a_child_that_will_not_stop_is_killed_and_the_status_says_so(
    settings: Settings, lock: DataDirLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_S", 0.05)
    deaf = CHILD + 'signal.signal(signal.SIGTERM, signal.SIG_IGN)\nreport(ready="127.0.0.1:1")\ntime.sleep(60)'
    children = [command("broker", deaf), well("console", 2)]
    assert Supervisor(settings, lock, dict(os.environ), children, Output(stop)).run() == 1


def test_children_see_the_end_of_a_killed_supervisor_and_hold_the_lock_until_they_are_gone(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    slow_to_go = WELL + "\ntime.sleep(0.3)"
    script = f"""
import os, sys
from pathlib import Path
from coldstream.platform.data_dir import DataDirLock
from coldstream.platform.settings import Settings
from coldstream.platform.supervisor import Command, Supervisor
settings = Settings(data_dir=Path({str(data_dir)!r}))
children = [Command(n, (sys.executable, "-c", {slow_to_go!r}.replace("{{port}}", "1"))) for n in ("broker", "console")]
Supervisor(settings, DataDirLock.acquire(settings), dict(os.environ), children).run()
"""
    process = module.subprocess.Popen([sys.executable, "-c", script], stdout=module.subprocess.PIPE)
    assert process.stdout is not None
    with process, process.stdout as stdout:
        assert stdout.readline().startswith(b"ready ")
        endpoints = read_endpoints(data_dir)
        assert endpoints is not None
        with pytest.raises(DataDirError, match=f"in use by process {process.pid}"):
            DataDirLock.acquire(Settings(data_dir=data_dir))
        process.kill()
    after = DataDirLock.acquire(Settings(data_dir=data_dir))  # waits for the children, since their supervisor is gone
    after.release()
    for child in ("broker", "console"):
        eventually(
            lambda child=child: (
                not Path(f"/proc/{endpoints['pids'][child]}").exists() or _is_zombie(endpoints["pids"][child])
            )
        )


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_restarts_come_later_each_time_up_to_a_limit() -> None:
    delays = [restart_delay_s(count) for count in range(1, 100)]
    assert delays[0] == module.RESTART_FIRST_S
    assert delays == sorted(delays)
    assert delays[-1] == module.RESTART_MAX_S


def test_up_names_a_taken_port_in_one_line(settings: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        busy = Settings.load({"data_dir": str(settings.data_dir), "kafka": f"127.0.0.1:{port}"}, {})
        status = module.up(busy, is_prepared=lambda _: True, prepare_command=("false",))
    assert status == 1
    reason = f"port {port} is taken by another program; stop that one or choose another port"
    assert capfd.readouterr().err == f"coldstream: --kafka 127.0.0.1:{port}: {reason}\n"


def test_up_stops_when_preparing_fails_and_lets_go_of_the_lock(settings: Settings) -> None:
    free = Settings.load(
        {"data_dir": str(settings.data_dir), **dict.fromkeys(("kafka", "console", "broker_metrics"), "127.0.0.1:0")}, {}
    )
    assert module.up(free, is_prepared=lambda _: False, prepare_command=("false",)) == 1
    DataDirLock.acquire(free).release()
    secret = free.cluster_secret_path
    assert secret.stat().st_mode & 0o777 == 0o600
    assert len(bytes.fromhex(secret.read_text())) == 32


def test_the_endpoints_file_is_json_without_secrets(settings: Settings, lock: DataDirLock) -> None:
    module.write_endpoints(settings, {"kafka": "127.0.0.1:1", "console": "http://127.0.0.1:2"})
    assert json.loads(settings.endpoints_path.read_text())["kafka"] == "127.0.0.1:1"
