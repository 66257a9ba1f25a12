"""`coldstream doctor`: what this machine, with these settings, would trip over. Changes nothing that stays.

A platform may be running meanwhile: its own lock and ports are then no problem but a fact.
"""

import argparse
import asyncio
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from .. import ports
from ..data_dir import holder_of
from ..settings import Settings
from .command import Command, Output, human_bytes, table
from .serve import add_settings_flags, settings_of

FREE_BYTES_LEAST, FREE_BYTES_WANTED = 2**30, 10 * 2**30
OPEN_FILES_WANTED = 65_536
CLOCK_OFF_S = 2.0
DEADLINE_S = 20.0
YEAR_2024_S = 1_704_067_200


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `detail` says what is so, and what to do when it is not ok."""

    check: str
    verdict: Verdict
    detail: str


Check = Callable[[Settings, int | None], Iterator[Finding]]


def doctor(args: argparse.Namespace, output: Output) -> int:
    settings = settings_of(args)
    findings = examine(settings)
    healthy = all(finding.verdict is not Verdict.WRONG for finding in findings)
    document = {
        "healthy": healthy,
        "findings": [
            {"check": finding.check, "verdict": finding.verdict.value, "detail": finding.detail} for finding in findings
        ],
    }
    rows = [(finding.check, finding.verdict, finding.detail) for finding in findings]
    output.show(document, lambda: table(("CHECK", "VERDICT", "DETAIL"), rows))
    return 0 if healthy else 1


def examine(settings: Settings) -> list[Finding]:
    """Every finding; a check that breaks is a finding too."""
    holder = holder_of(settings)
    findings: list[Finding] = []
    for check in CHECKS:
        try:
            findings += check(settings, holder)
        except Exception as error:
            findings.append(
                Finding(check.__name__.replace("_", " "), Verdict.WRONG, f"{type(error).__name__}: {error}")
            )
    return findings


def data_directory(settings: Settings, holder: int | None) -> Iterator[Finding]:
    path = settings.data_dir
    there = next(parent for parent in (path, *path.parents) if parent.exists())
    where = f"{path}" if there == path else f"{path} (to be made in {there})"
    try:
        if not there.is_dir():
            raise NotADirectoryError(20, "not a directory")
        with tempfile.NamedTemporaryFile(dir=there, prefix=".doctor-") as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        yield Finding("data directory", Verdict.WRONG, f"{where} cannot be written: {error.strerror}")
        return
    yield Finding("data directory", Verdict.OK, f"{where} is writable")
    disk = os.statvfs(there)
    free = disk.f_bavail * disk.f_frsize
    enough = Verdict.OK if free >= FREE_BYTES_WANTED else Verdict.WARNING
    verdict = Verdict.WRONG if free < FREE_BYTES_LEAST else enough
    yield Finding("disk space", verdict, f"{human_bytes(free)} free; {human_bytes(FREE_BYTES_WANTED)} is comfortable")


def lock(settings: Settings, holder: int | None) -> Iterator[Finding]:
    if holder is None:
        yield Finding("lock", Verdict.OK, "no platform runs on the data directory")
    else:
        yield Finding("lock", Verdict.OK, f"a platform runs on the data directory: process {holder or 'unknown'}")


def listeners(settings: Settings, holder: int | None) -> Iterator[Finding]:
    for name in ports.LISTENERS:
        address, what = getattr(settings, name), f"port of {name.replace('_', ' ')}"
        problem = ports.problem(name, address)
        if problem is None:
            yield Finding(what, Verdict.OK, f"{address} is free")
        elif holder is not None:
            yield Finding(what, Verdict.OK, f"{address} is in use, as it should be while the platform runs")
        else:
            yield Finding(what, Verdict.WRONG, problem)


def open_files(settings: Settings, holder: int | None) -> Iterator[Finding]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= OPEN_FILES_WANTED:
        yield Finding("open files", Verdict.OK, f"the limit is {'none' if hard == resource.RLIM_INFINITY else hard}")
    else:
        detail = (
            f"the hard limit is {hard}; with many partitions and clients raise it to {OPEN_FILES_WANTED} (ulimit -n)"
        )
        yield Finding("open files", Verdict.WARNING, detail)


def database(settings: Settings, holder: int | None) -> Iterator[Finding]:
    from ...tenants.database_url import parse_database_url
    from ...wiring import database_at_head

    url = parse_database_url(settings.database)
    if url.path is not None and not url.path.exists():
        yield Finding("database", Verdict.OK, f"{url.path} will be made by the first start")
        return
    if database_at_head(settings):
        yield Finding("database", Verdict.OK, f"{url.without_password()} is at this release's schema")
    else:
        yield Finding(
            "database", Verdict.WARNING, "the schema is older: `coldstream up` or `migrate` brings it up to date"
        )
        return
    off_s = abs(asyncio.run(_database_now_s(settings.database)) - time.time())
    verdict = Verdict.OK if off_s < CLOCK_OFF_S else Verdict.WRONG
    yield Finding(
        "database clock", verdict, f"{off_s:.1f} s from this machine's; leases need less than {CLOCK_OFF_S:.0f} s"
    )


def object_store(settings: Settings, holder: int | None) -> Iterator[Finding]:
    from ...storage.object_store import ObjectStoreError
    from ...storage.store_url import DirectoryLocation, InvalidStoreUrl, parse_store_url

    shown = settings.object_store.partition("?")[0]
    try:
        location = parse_store_url(settings.object_store)
        if isinstance(location, DirectoryLocation) and not location.path.exists():
            yield Finding("object store", Verdict.OK, f"{shown} will be made by the first start")
            return
        asyncio.run(_probe(settings.object_store))
    except InvalidStoreUrl as error:
        yield Finding("object store", Verdict.WRONG, str(error))
    except ObjectStoreError as error:
        yield Finding("object store", Verdict.WRONG, str(error))
    except TimeoutError:
        yield Finding("object store", Verdict.WRONG, f"{shown} did not answer within {DEADLINE_S:.0f} s")
    else:
        yield Finding("object store", Verdict.OK, f"{shown}: an object was written, read and deleted")


def clock(settings: Settings, holder: int | None) -> Iterator[Finding]:
    now_s = time.time()
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_s))
    newest = max((path.stat().st_mtime for path in _own_files(settings.data_dir)), default=0.0)
    if now_s < YEAR_2024_S or newest > now_s + CLOCK_OFF_S:
        detail = f"it is {shown} here, earlier than what was written before: timestamps and retention would go wrong"
        yield Finding("clock", Verdict.WRONG, detail)
    else:
        yield Finding("clock", Verdict.OK, f"it is {shown}")


def _own_files(data_dir: Path) -> list[Path]:
    return [path for name in ("lock", "cluster-secret", "admin-token") if (path := data_dir / name).exists()]


async def _database_now_s(url: str) -> float:
    from ...tenants.database import Database

    database = Database.open(url)
    try:
        async with asyncio.timeout(DEADLINE_S):
            await database.check_database()
            return await database.now_ms() / 1000
    finally:
        await database.dispose()


async def _probe(url: str) -> None:
    from ...storage.store_url import open_store

    store = open_store(url)
    try:
        async with asyncio.timeout(DEADLINE_S):
            await store.probe()
    finally:
        await store.close()


CHECKS: tuple[Check, ...] = (data_directory, lock, listeners, open_files, database, object_store, clock)
COMMANDS = {("doctor",): Command(("doctor",), add_settings_flags, doctor, "Takes the settings that `up` takes.")}
