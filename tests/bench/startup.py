"""How soon a platform with many topics is ready, and how much memory it keeps while nothing happens."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from coldstream.tests.platform_process import PlatformProcess
from coldstream.tests.virtual_cluster import HttpApi, VirtualCluster

TOPICS = 100
STARTS = 3
IDLE_S = 4.0


@dataclass(frozen=True, slots=True)
class Startup:
    """Seconds from the command to the ready line, clean stop or kill before it; proportional memory by process."""

    ready_s: tuple[float, ...]
    ready_after_kill_s: float
    pss_mb: Mapping[str, float]


def measure(directory: Path) -> Startup:
    platform = PlatformProcess(directory)
    platform.start()
    try:
        cluster = VirtualCluster.make(HttpApi(platform.url, platform.token), platform.bootstrap)
        for number in range(TOPICS):
            cluster.api("POST", f"{cluster.path}/topics", {"name": f"topic-{number}", "partitions": 1, "configs": {}})
        cluster.topic("last")
        ready_s = []
        for _ in range(STARTS):
            platform.stop()
            ready_s.append(_start(platform))
        platform.kill()
        after_kill_s = _start(platform)
        time.sleep(IDLE_S)
        pss_mb = {name: round(pss / 1e6, 1) for name, pss in memory(platform).items()}
    finally:
        platform.stop()
    return Startup(tuple(round(s, 2) for s in ready_s), round(after_kill_s, 2), pss_mb)


def _start(platform: PlatformProcess) -> float:
    began_s = time.monotonic()
    platform.start()
    return time.monotonic() - began_s


def memory(platform: PlatformProcess) -> dict[str, int]:
    """PSS in bytes of each process, by what it is."""
    names = {pid: name for name, pid in platform.pids.items()}
    return {
        names.get(process.pid, "cold worker"): int(process.memory_full_info().pss) for process in platform.processes()
    }
