"""kill -9 of everything, again and again, while an idempotent producer writes with acks=all.

    python -m coldstream.tests.faults.kill --kills 20 --broker-kills 5

Two topics: a plain one, and one of tiny segments that leave local disk as soon as they are in the object store, so that
kills also hit rolling, offload and eviction. The whole platform is killed at once: supervisor, broker, console, worker;
in between the broker alone, which its supervisor has to start again. A group commits all the while.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from coldstream.tests.faults.witness import Committer, Memory, Watcher, Writer, contradictions, read_all
from coldstream.tests.platform_process import PlatformProcess
from coldstream.tests.virtual_cluster import HttpApi, VirtualCluster, eventually

PLAIN, TIERED = "plain", "tiered"
PARTITIONS = {PLAIN: 3, TIERED: 2}
TIERED_CONFIGS = {"segment_bytes": 64 * 1024, "local_retention_bytes": 0, "retention_bytes": -1}
BETWEEN_KILLS_S = (0.3, 1.5)


@dataclass(frozen=True, slots=True)
class Outcome:
    kills: int
    produced: int
    acknowledged: int
    visible: int
    evicted: int
    slowest_start_s: float
    wrong: list[str]

    def __str__(self) -> str:
        verdict = "every acknowledged record at its offset, none twice" if not self.wrong else "\n".join(self.wrong)
        return (
            f"{self.kills} kills, {self.produced:,} records produced, {self.acknowledged:,} acknowledged, "
            f"{self.visible:,} visible, {self.evicted:,} of them in the object store only, "
            f"slowest start {self.slowest_start_s:.1f} s: "
            f"{verdict}"
        )


def kill_everything(platform: PlatformProcess) -> None:
    platform.kill()
    platform.start()


def kill_the_broker(platform: PlatformProcess) -> None:
    """And wait until the supervisor has another one ready."""
    before = platform.pids["broker"]
    psutil.Process(before).kill()
    eventually(lambda: platform.pids["broker"] != before, "a new broker", 30)


def run(kills: int, directory: Path, *, broker_kills: int = 0, seed: int = 0, say: bool = False) -> Outcome:
    """Kills the platform, or its broker alone, that many times. What is wrong afterwards is in the outcome."""
    chance = random.Random(seed)
    blows: list[Callable[[PlatformProcess], None]] = [kill_everything] * kills + [kill_the_broker] * broker_kills
    chance.shuffle(blows)
    memory = Memory()
    slowest_s = 0.0
    with PlatformProcess.started(directory, offload_interval_ms=50) as platform:
        cluster = VirtualCluster.make(HttpApi(platform.url, platform.token), platform.bootstrap)
        cluster.topic(PLAIN, partitions=PARTITIONS[PLAIN])
        cluster.topic(TIERED, partitions=PARTITIONS[TIERED], **TIERED_CONFIGS)
        writers = [Writer(cluster.confluent(), name, count, 400, memory) for name, count in PARTITIONS.items()]
        watcher = Watcher(cluster.confluent(), PARTITIONS, memory)
        committer = Committer(cluster.confluent(), PLAIN, "workers")
        for thread in (*writers, watcher, committer):
            thread.start()
        eventually(lambda: memory.acknowledged and memory.seen, "first acknowledgements")
        for number, blow in enumerate(blows, 1):
            time.sleep(chance.uniform(*BETWEEN_KILLS_S))
            before = len(memory.acknowledged)
            began_s = time.monotonic()
            blow(platform)
            slowest_s = max(slowest_s, time.monotonic() - began_s)
            said = f"{blow.__name__.replace('_', ' ')} ({number} of {len(blows)})"
            eventually(lambda before=before: len(memory.acknowledged) > before, f"acknowledgements after {said}", 60)
            if say:
                print(f"{said}: {len(memory.acknowledged):,} acknowledged, {len(memory.seen):,} seen", flush=True)
        unanswered = [writer.stop() for writer in writers]
        watcher.stop()
        forgotten = committer.stop()
        ends = {(name, index): end for name in PARTITIONS for index, end in enumerate(cluster.ends(name))}
        now = read_all(cluster.confluent(), ends)
        evicted = sum(p["local_start"] - p["log_start"] for p in cluster.show(TIERED)["partitions"])
        wrong = [*contradictions(memory, now), *forgotten]
        if any(unanswered):
            wrong.append(f"{sum(unanswered)} records had no answer a minute after the last start")
        if memory.refused:
            wrong.append(f"{len(memory.refused)} records were refused: {sorted(set(memory.refused))[:5]}")
        wrong += [f"producer of {writer.topic} gave up: {writer.fatal}" for writer in writers if writer.fatal]
        if len(now.seen) != sum(ends.values()):
            wrong.append(f"{len(now.seen)} records can be read, the ends say {sum(ends.values())}")
        if not evicted:
            wrong.append("nothing left local disk: offload never finished between two kills")
    return Outcome(len(blows), memory.produced, len(memory.acknowledged), len(now.seen), evicted, slowest_s, wrong)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--broker-kills", type=int, default=5, help="kills of the broker alone, in between")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the pauses between kills")
    parser.add_argument("--keep", type=Path, help="a directory for the platform's data and logs, kept afterwards")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="coldstream-kill-") as temporary:
        outcome = run(
            arguments.kills,
            arguments.keep or Path(temporary),
            broker_kills=arguments.broker_kills,
            seed=arguments.seed,
            say=True,
        )
    print(outcome)
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
