"""What the machine is, and who used its processors while something was measured."""

import os
import platform as python_platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from crc32c import crc32c

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
WARM_BYTES = 2_500_000_000
WARM_CHUNK = bytes(2**20)
CALIBRATION_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Facts:
    """Enough to judge a figure by, later and elsewhere."""

    cpu: str
    cores: int
    memory_gb: float
    kernel: str
    file_system: str
    python: str
    librdkafka: str
    commit: str
    load_1m: float

    @classmethod
    def gather(cls, directory: Path) -> "Facts":
        from confluent_kafka import libversion

        return cls(
            cpu=_cpu_model(),
            cores=os.cpu_count() or 0,
            memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
            kernel=python_platform.release(),
            file_system=_file_system(directory),
            python=python_platform.python_version(),
            librdkafka=libversion()[0],
            commit=_commit(),
            load_1m=round(os.getloadavg()[0], 2),
        )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return python_platform.machine()


def _file_system(directory: Path) -> str:
    inside = [p for p in psutil.disk_partitions(all=True) if directory.resolve().is_relative_to(p.mountpoint)]
    return max(inside, key=lambda p: len(p.mountpoint)).fstype if inside else "unknown"


def _commit() -> str:
    git = Path(__file__).resolve().parents[2] / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        return (git / head.removeprefix("ref: ")).read_text().strip()[:12] if head.startswith("ref: ") else head[:12]
    except OSError:
        return "unknown"


def warm(directory: Path) -> float:
    """Touches memory by writing and deleting a file: page-cache writes into memory that a virtual machine never used
    cost several times as much as the same write later. Seconds that it took."""
    began_s = time.monotonic()
    size = min(WARM_BYTES, shutil.disk_usage(directory).free // 2, psutil.virtual_memory().available // 2)
    path = directory / "warm"
    with path.open("wb", buffering=0) as file:
        for _ in range(size // len(WARM_CHUNK)):
            file.write(WARM_CHUNK)
    path.unlink()
    return time.monotonic() - began_s


def cpu_s(pid: int, *, first_thread: bool = False) -> float:
    """Processor time of a process so far, of all its threads or of the first alone; 0 when it is gone."""
    try:
        stat = f"/proc/{pid}/task/{pid}/stat" if first_thread else f"/proc/{pid}/stat"
        fields = Path(stat).read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def machine_busy_s() -> float:
    """Processor time of everything on the machine, so far."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_S


def bare_receive_s_per_gb() -> float:
    """What this machine takes to receive a gigabyte over loopback, 128 KB a call, and do nothing with it."""
    theirs, mine = _loopback_pair()
    sender = subprocess.Popen(
        [sys.executable, "-c", "import os\nwhile True: os.write(1, bytes(1 << 20))"], stdout=theirs
    )
    theirs.close()
    buffer = bytearray(2**17)
    before = time.thread_time()
    received = 0
    while received < CALIBRATION_BYTES:
        got = mine.recv_into(buffer)
        assert got, "the sender ended"
        received += got
    spent_s = time.thread_time() - before
    sender.kill()
    sender.wait()
    mine.close()
    return spent_s / (received / 1e9)


def page_cache_write_s_per_gb(directory: Path) -> float:
    """What it takes to write a gigabyte into the page cache, 1 MB a call."""
    path = directory / "calibration"
    before = time.thread_time()
    with path.open("wb", buffering=0) as file:
        for _ in range(CALIBRATION_BYTES // len(WARM_CHUNK)):
            file.write(WARM_CHUNK)
        size = file.tell()
    spent_s = time.thread_time() - before
    path.unlink()
    return spent_s / (size / 1e9)


def crc_us() -> float:
    """Microseconds of CRC-32C over 16 KB."""
    data = os.urandom(2**14)
    before = time.thread_time()
    for _ in range(20_000):
        crc32c(data)
    return (time.thread_time() - before) / 20_000 * 1e6


def _loopback_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    return near, far


@dataclass(slots=True)
class Spent:
    """Processor time during one measurement; `loops` is that of each process's first thread alone, `foreign_cores`
    what others used meanwhile, in cores."""

    wall_s: float = 0.0
    of: dict[str, float] | None = None
    loops: dict[str, float] | None = None
    foreign_cores: float = 0.0


@contextmanager
def measured(processes: dict[str, int], *, clients: Iterable[int] = ()) -> Iterator[Spent]:
    """Fills in a Spent at the end of the block. Children of ours that end within it count as ours."""
    spent = Spent()
    ours = [*processes.values(), *clients, os.getpid()]
    before = {name: cpu_s(pid) for name, pid in processes.items()}
    before_loops = {name: cpu_s(pid, first_thread=True) for name, pid in processes.items()}
    before_ours, before_all, began_s = sum(map(cpu_s, ours)), machine_busy_s(), time.monotonic()
    children = os.times()
    yield spent
    spent.wall_s = time.monotonic() - began_s
    spent.of = {name: cpu_s(pid) - before[name] for name, pid in processes.items()}
    spent.loops = {name: cpu_s(pid, first_thread=True) - before_loops[name] for name, pid in processes.items()}
    ended = os.times()
    reaped_s = ended.children_user + ended.children_system - children.children_user - children.children_system
    mine_s = sum(map(cpu_s, ours)) - before_ours + reaped_s
    spent.foreign_cores = max(0.0, (machine_busy_s() - before_all - mine_s) / spent.wall_s)
