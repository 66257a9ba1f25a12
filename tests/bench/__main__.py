"""`make bench`: first figures of speed, beside the prototype's, and how long the console takes for its pages.

    python -m coldstream.tests.bench [--repeats 3] [--only TEXT|pages] [--pin] [--directory DIR]

The client runs in a process of its own. Memory is warmed first. Medians are shown; runs beside a busy machine say so.
Results go to bench-results/ as JSON. Nothing fails for being slow: these are figures, not tests.
"""

import argparse
import dataclasses
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from coldstream.tests.bench import pages, scenarios, startup
from coldstream.tests.bench.machine import (
    Facts,
    bare_receive_s_per_gb,
    crc_us,
    measured,
    page_cache_write_s_per_gb,
    warm,
)
from coldstream.tests.bench.scenarios import Scenario
from coldstream.tests.platform_process import PlatformProcess
from coldstream.tests.virtual_cluster import HttpApi, Key, VirtualCluster
from rich.console import Console
from rich.table import Table

FOREIGN_CORES_MAX = 0.1  # more, and a run is marked
RESULTS = Path("bench-results")
TOPIC_CONFIGS = {"segment.bytes": str(64 * 2**20), "retention.ms": "-1", "max.message.bytes": str(2 * 2**20)}


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a scenario."""

    wall_s: float
    mb_per_s: float
    records_per_s: float
    requests: int
    payload_bytes: int
    broker_s: float
    loop_s: float
    worker_s: float
    client_s: float
    foreign_cores: float

    @property
    def broker_s_per_gb(self) -> float:
        return self.broker_s / (self.payload_bytes / 1e9)

    @property
    def loop_s_per_gb(self) -> float:
        """The part of it that the event loop's thread took; the rest is commit rounds and slow reads."""
        return self.loop_s / (self.payload_bytes / 1e9)

    @property
    def worker_s_per_gb(self) -> float:
        return self.worker_s / (self.payload_bytes / 1e9)

    @property
    def broker_us_per_request(self) -> float:
        return self.broker_s / max(1, self.requests) * 1e6

    @property
    def kb_per_request(self) -> float:
        """What a client put into a request, or got out of one: small ones make a gigabyte dear."""
        return self.payload_bytes / 1e3 / max(1, self.requests)


@dataclass(frozen=True, slots=True)
class Bare:
    """What the machine takes for what no broker can do without."""

    receive_s_per_gb: float
    write_s_per_gb: float
    crc_16kb_us: float

    def __str__(self) -> str:
        return (
            f"this machine, the prototype's in brackets: bare receive {self.receive_s_per_gb:.2f} (0.18) s/GB, "
            f"page-cache write {self.write_s_per_gb:.2f} (0.20) s/GB, CRC-32C of 16 KB {self.crc_16kb_us:.2f} (0.76) us"
        )


class Bench:
    """A running platform and the scenarios that were run on it."""

    def __init__(self, platform: PlatformProcess, arguments: argparse.Namespace, console: Console) -> None:
        self.platform = platform
        self.arguments = arguments
        self.console = console
        self.cluster = VirtualCluster.make(HttpApi(platform.url, platform.token), platform.bootstrap)
        self.key: Key = self.cluster.key()
        self.runs: dict[str, list[Run]] = {}
        self.scenarios: list[Scenario] = []
        broker = psutil.Process(platform.pids["broker"])
        workers = broker.children()
        self.processes = {"broker": broker.pid, **({"worker": workers[0].pid} if workers else {})}
        if arguments.pin:
            broker.cpu_affinity([0])

    def fresh_topic(self, name: str) -> None:
        with suppress(Exception):
            self.cluster.api("DELETE", f"{self.cluster.path}/topics/{name}")
        self.cluster.api(
            "POST", f"{self.cluster.path}/topics", {"name": name, "partitions": 1, "configs": TOPIC_CONFIGS}
        )
        deadline_s = time.monotonic() + 10
        while self.cluster.ends(name) != [0]:
            assert time.monotonic() < deadline_s, f"topic {name} has no leader"
            time.sleep(0.05)

    def run(self, scenario: Scenario) -> Run:
        settings = {**self.key.confluent(self.cluster.bootstrap), **scenario.settings}
        mine = {
            "settings": settings,
            "bootstrap": self.cluster.bootstrap,
            "username": self.key.id,
            "password": self.key.secret,
        }
        job: Mapping[str, Any] = {
            **scenario.job,
            **mine,
            "topic": scenario.topic,
            "cpu": 1 if self.arguments.pin else None,
        }
        command = [sys.executable, "-m", "coldstream.tests.bench.load", scenario.kind, json.dumps(job)]
        before = self.requests()
        with measured(self.processes) as spent:
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        done = json.loads(output)
        assert spent.of is not None and spent.loops is not None
        run = Run(
            wall_s=done["wall_s"],
            mb_per_s=done["payload_bytes"] / 1e6 / done["wall_s"],
            records_per_s=done["records"] / done["wall_s"],
            requests=self.requests() - before,
            payload_bytes=done["payload_bytes"],
            broker_s=spent.of["broker"],
            loop_s=spent.loops["broker"],
            worker_s=spent.of.get("worker", 0.0),
            client_s=done["cpu_s"],
            foreign_cores=spent.foreign_cores,
        )
        if scenario not in self.scenarios:
            self.scenarios.append(scenario)
        self.runs.setdefault(scenario.name, []).append(run)
        return run

    def requests(self) -> int:
        """Produce and fetch requests that the broker has answered so far."""
        with urllib.request.urlopen(self.platform.metrics_url, timeout=10) as answer:
            text = answer.read().decode()
        counts = re.findall(r'^coldstream_request_seconds_count\{api="(?:PRODUCE|FETCH)"\} (\S+)$', text, re.MULTILINE)
        return int(sum(map(float, counts)))

    def all(self) -> None:
        """Produce into fresh topics each time, fetch what the last one left, then offload and fetch it again."""
        wanted = self.arguments.only
        for scenario in (*scenarios.PRODUCE, *scenarios.RAW):
            if wanted is None or wanted in scenario.name:
                for _ in range(self.arguments.repeats):
                    self.fresh_topic(scenario.topic)
                    self.say(scenario, self.run(scenario))
        for scenario in scenarios.FETCH_HOT:
            if wanted is None or wanted in scenario.name:
                self.fill(scenario.topic)
                for _ in range(self.arguments.repeats):
                    self.say(scenario, self.run(scenario))
        cold, cached = scenarios.FETCH_COLD
        if wanted is None or wanted in cold.name or wanted in cached.name:
            for _ in range(max(1, self.arguments.repeats - 1)):
                self.fresh_topic(cold.topic)
                self.fill(cold.topic)
                self.offload(cold.topic)
                for scenario in (cold, cached):
                    self.say(scenario, self.run(scenario))

    def fill(self, topic: str) -> None:
        """Makes sure that the topic has what the fetches read."""
        if sum(self.cluster.ends(topic) if self.has(topic) else [0]) < scenarios.KB_RECORDS:
            self.fresh_topic(topic)
            source = next(s for s in scenarios.PRODUCE if s.topic == topic)
            self.run(dataclasses.replace(source, name=f"(filling {topic})"))
            self.runs.pop(f"(filling {topic})")
            self.scenarios = [s for s in self.scenarios if not s.name.startswith("(filling")]

    def has(self, topic: str) -> bool:
        return any(entry["name"] == topic for entry in self.cluster.api("GET", f"{self.cluster.path}/topics")["topics"])

    def offload(self, topic: str) -> None:
        with measured(self.processes) as spent:
            self.cluster.offload(topic)
        size_gb = self.cluster.show(topic)["cold_bytes"] / 1e9
        assert spent.of is not None
        cost = ", ".join(f"{name} {seconds / size_gb:.2f}" for name, seconds in spent.of.items())
        self.console.print(f"  offload of {size_gb * 1000:.0f} MB: {spent.wall_s:.2f} s, s/GB: {cost}", highlight=False)

    def say(self, scenario: Scenario, run: Run) -> None:
        mark = f"  beside {run.foreign_cores:.1f} busy cores" if run.foreign_cores > FOREIGN_CORES_MAX else ""
        self.console.print(
            f"  {scenario.name}: {run.mb_per_s:.0f} MB/s, broker {run.broker_s_per_gb:.2f} s/GB{mark}", highlight=False
        )

    def table(self) -> Table:
        title = (
            "CPU of the broker, medians; in brackets the prototype's, which synced to disk only in its 0.51 and 0.87"
        )
        table = Table(title=title, title_justify="left")
        table.add_column("what", no_wrap=True)
        for heading in (
            "MB/s",
            "records/s",
            "broker s/GB",
            "of it loop",
            "us/request",
            "KB/request",
            "worker s/GB",
            "client s/GB",
            "foreign cores",
        ):
            table.add_column(heading, justify="right", no_wrap=True)
        for scenario in self.scenarios:
            runs = self.runs[scenario.name]
            middle = {
                name: statistics.median(getattr(run, name) for run in runs)
                for name in (
                    "mb_per_s",
                    "records_per_s",
                    "broker_s_per_gb",
                    "loop_s_per_gb",
                    "broker_us_per_request",
                    "kb_per_request",
                    "worker_s_per_gb",
                    "foreign_cores",
                )
            }
            client = statistics.median(run.client_s / (run.payload_bytes / 1e9) for run in runs)
            table.add_row(
                scenario.name,
                f"{middle['mb_per_s']:.0f}",
                f"{middle['records_per_s']:,.0f}" if middle["records_per_s"] else "",
                beside(f"{middle['broker_s_per_gb']:.2f}", scenario.prototype_s_per_gb),
                f"{middle['loop_s_per_gb']:.2f}",
                beside(f"{middle['broker_us_per_request']:.1f}", scenario.prototype_us_per_request),
                f"{middle['kb_per_request']:,.1f}",
                f"{middle['worker_s_per_gb']:.2f}" if middle["worker_s_per_gb"] > 0.01 else "",
                f"{client:.1f}",
                f"{middle['foreign_cores']:.1f}",
            )
        return table


def beside(figure: str, prototype: str) -> str:
    return f"{figure} ({prototype})" if prototype else figure


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", help='scenarios with this text in their name, or "pages": those of the console alone')
    parser.add_argument("--pin", action="store_true", help="broker on CPU 0, client on CPU 1")
    parser.add_argument("--directory", type=Path, help="where the platform keeps its data (a temporary directory)")
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 200)
    with tempfile.TemporaryDirectory(prefix="coldstream-bench-", dir=arguments.directory) as temporary:
        directory = Path(temporary)
        facts = Facts.gather(directory)
        console.print(
            ", ".join(f"{name} {value}" for name, value in dataclasses.asdict(facts).items()), highlight=False
        )
        console.print(f"warmed memory in {warm(directory):.1f} s", highlight=False)
        bare = Bare(bare_receive_s_per_gb(), page_cache_write_s_per_gb(directory), crc_us())
        console.print(str(bare), highlight=False)
        started = startup.measure(directory / "startup") if arguments.only is None else None
        shown = pages.measure(directory / "pages") if arguments.only in (None, "pages") else []
        if shown:
            console.print(pages.table(shown))
        with PlatformProcess.started(directory / "platform", offload_interval_ms=3_600_000) as platform:
            bench = Bench(platform, arguments, console)
            bench.all()
            console.print(bench.table())
    if started is not None:
        total = sum(started.pss_mb.values())
        each = ", ".join(f"{name} {mb:.0f}" for name, mb in started.pss_mb.items())
        ready = ", ".join(f"{seconds:.2f}" for seconds in started.ready_s)
        after_kill = f"after kill -9 {started.ready_after_kill_s:.2f} s (goal 3)"
        console.print(f"ready with {startup.TOPICS} topics: {ready} s; {after_kill}", highlight=False)
        console.print(f"idle memory (PSS): {total:.0f} MB of all processes (goal 250): {each}", highlight=False)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    document = {
        "facts": dataclasses.asdict(facts),
        "bare": dataclasses.asdict(bare),
        "startup": dataclasses.asdict(started) if started else None,
        "pages": [dataclasses.asdict(page) for page in shown],
        "runs": {name: [dataclasses.asdict(run) for run in runs] for name, runs in bench.runs.items()},
        "pinned": arguments.pin,
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
    console.print(f"written to {path}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
