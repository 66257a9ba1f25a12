"""kill -9 of everything, again and again, while an idempotent producer writes with acks=all.

    python -m coldstream.tests.faults.kill --kills 20

Two topics: a plain one, and one of tiny segments that leave local disk as soon as they are in the object store, so that
kills also hit rolling, offload and eviction. The whole platform is killed at once: supervisor, broker, console, worker.
"""

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

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


def run(kills: int, directory: Path, *, seed: int = 0, say: bool = False) -> Outcome:
    """Kills the platform that many times. What is wrong afterwards is in the outcome."""
    chance = random.Random(seed)
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
        for number in range(1, kills + 1):
            time.sleep(chance.uniform(*BETWEEN_KILLS_S))
            before = len(memory.acknowledged)
            platform.kill()
            began_s = time.monotonic()
            platform.start()
            slowest_s = max(slowest_s, time.monotonic() - began_s)
            eventually(
                lambda before=before: len(memory.acknowledged) > before, f"acknowledgements after kill {number}", 60
            )
            if say:
                print(
                    f"kill {number} of {kills}: {len(memory.acknowledged):,} acknowledged, {len(memory.seen):,} seen",
                    flush=True,
                )
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
    return Outcome(kills, memory.produced, len(memory.acknowledged), len(now.seen), evicted, slowest_s, wrong)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the pauses between kills")
    parser.add_argument("--keep", type=Path, help="a directory for the platform's data and logs, kept afterwards")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="coldstream-kill-") as temporary:
        outcome = run(arguments.kills, arguments.keep or Path(temporary), seed=arguments.seed, say=True)
    print(outcome)
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
