"""`coldstream up` as its users meet it: real processes, one ready line, clear refusals, clean ends."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from coldstream.tests.platform_process import PlatformProcess
from coldstream.tests.virtual_cluster import eventually

PASSWORD = "correct horse battery staple"


def up(data_dir: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """A start that is expected to end by itself."""
    ports = ("--kafka", "127.0.0.1:0", "--console", "127.0.0.1:0", "--broker-metrics", "127.0.0.1:0")
    return coldstream(data_dir, "up", *ports, *flags)


def coldstream(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith("COLDSTREAM_")}
    command = [sys.executable, "-m", "coldstream", *arguments, "--data-dir", str(data_dir)]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_from_the_first_start_to_the_last(tmp_path: Path) -> None:
    with PlatformProcess.started(tmp_path, admin_password=PASSWORD) as platform:
        data_dir = platform.data_dir
        assert not (data_dir / "initial-admin-password").exists(), "a password that was given is not written down"
        assert "COLDSTREAM_ADMIN_PASSWORD" not in psutil.Process(platform.pids["broker"]).environ()
        for name in ("admin-token", "cluster-secret"):
            assert stat.S_IMODE((data_dir / name).stat().st_mode) == 0o600
        assert [n["name"] for n in platform.cli("namespace", "list")["namespaces"]] == ["default"]

        second = up(data_dir)
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr == (
            f"coldstream: the data directory {data_dir} is in use by process {platform.pids['supervisor']}: "
            "stop that, or give another --data-dir\n"
        )
        taken = up(tmp_path / "other", "--kafka", platform.kafka)
        assert (taken.returncode, taken.stdout) == (1, "")
        assert f"--kafka {platform.kafka}: port" in taken.stderr
        assert taken.stderr.count("\n") == 1

        before = platform.pids["console"]
        os.kill(before, signal.SIGKILL)
        eventually(lambda: platform.pids["console"] != before, "the console is started again")
        assert platform.cli("tenant", "list")["tenants"]

        processes = platform.processes()
        os.kill(platform.pids["supervisor"], signal.SIGKILL)
        _, alive = psutil.wait_procs(processes, timeout=20)
        assert alive == [], "children end with their supervisor"
        platform.kill()

        token = platform.token
        (data_dir / "admin-token").unlink()
        platform.start()
        assert "made a new access token" in platform.log_text()
        assert platform.token != token
        assert platform.cli("tenant", "list")["tenants"]
        assert platform.stop() == 0
        assert not (data_dir / "endpoints.json").exists()
        said = platform.log_text()
        assert not any(secret in said for secret in (PASSWORD, token, platform.token))


def test_migrate_makes_what_a_first_start_makes_and_says_where_the_password_is(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    first, second = coldstream(data_dir, "migrate", "--json"), coldstream(data_dir, "migrate", "--json")
    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stdout == second.stdout == '{\n  "database": "ready"\n}\n'
    password = data_dir / "initial-admin-password"
    assert f"member admin can sign in with the password in {password}" in first.stderr
    assert second.stderr == ""
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    assert password.read_text().strip() not in first.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--object-store", "ftp://x"), "ftp"),
        (("--database", "mysql://x/y"), "not a database URL"),
    ],
)
def test_a_start_that_cannot_be_says_why(tmp_path: Path, flags: tuple[str, ...], said: str) -> None:
    done = up(tmp_path / "data", *flags)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = [
        line for line in done.stderr.splitlines() if line.startswith("coldstream: ") and "first start" not in line
    ]
    assert said in line
