"""`coldstream doctor` finds what would go wrong, and nothing where nothing would."""

import socket
from pathlib import Path

import pytest
from coldstream.migrations.upgrade import upgrade
from coldstream.platform.cli import doctor
from coldstream.platform.cli.doctor import Verdict, examine
from coldstream.platform.data_dir import DataDirLock
from coldstream.platform.settings import Settings

FREE = dict.fromkeys(("kafka", "console", "broker_metrics"), "127.0.0.1:0")


def settings_for(data_dir: Path, **more: str) -> Settings:
    return Settings.load({"data_dir": str(data_dir), **FREE, **more}, {})


def verdicts(settings: Settings) -> dict[str, tuple[Verdict, str]]:
    return {finding.check: (finding.verdict, finding.detail) for finding in examine(settings)}


def test_a_machine_before_its_first_start_is_fine_and_stays_untouched(tmp_path: Path) -> None:
    found = verdicts(settings_for(tmp_path / "data"))
    assert {check for check, (verdict, _) in found.items() if verdict is Verdict.WRONG} == set()
    assert found["database"][1].endswith("will be made by the first start")
    assert list(tmp_path.iterdir()) == []


def test_a_machine_in_use_is_fine_too(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "data")
    lock = DataDirLock.acquire(settings)
    upgrade(settings.database)
    (settings.data_dir / "objects").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        running = settings_for(settings.data_dir, kafka=f"127.0.0.1:{taken.getsockname()[1]}")
        found = verdicts(running)
    lock.release()
    assert {check for check, (verdict, _) in found.items() if verdict is Verdict.WRONG} == set()
    assert "in use, as it should be" in found["port of kafka"][1]
    assert found["object store"][1].endswith("an object was written, read and deleted")
    assert [path for path in (settings.data_dir / "objects").rglob("*") if path.is_file()] == []


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "coldstream.db").write_bytes(b"this is no database, whatever its name" * 100)
    (tmp_path / "file").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = verdicts(settings_for(data_dir, console=f"127.0.0.1:{port}", object_store="s3://no_such_bucket!"))
    wrong = {check for check, (verdict, _) in found.items() if verdict is Verdict.WRONG}
    assert wrong == {"port of console", "database", "object store"}
    assert f"port {port} is taken" in found["port of console"][1]


def test_a_clock_that_went_back_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_for(tmp_path)
    settings.cluster_secret_path.touch()
    monkeypatch.setattr(doctor.time, "time", lambda: settings.cluster_secret_path.stat().st_mtime - 3600)
    assert verdicts(settings)["clock"][0] is Verdict.WRONG


def test_a_full_or_closed_disk_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FREE_BYTES_LEAST", 2**62)
    assert verdicts(settings_for(tmp_path))["disk space"][0] is Verdict.WRONG
    (tmp_path / "file").touch()
    assert verdicts(settings_for(tmp_path / "file"))["data directory"][0] is Verdict.WRONG
