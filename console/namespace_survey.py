"""One look at a whole namespace: which questions have to be asked, given what an earlier look found.

Every look asks for ends and sizes of every partition. Log starts are asked where one of those changed, which is when
they can have moved, and of one in thirty others, so that nothing stays wrong. The newest timestamp is asked where the
end moved, a few partitions at a time and so many in one look, first one of each topic: the broker looks it up in files,
with permits that it shares out among the tenant's own reads. A quiet namespace costs two short answers per 200
partitions.
"""

import random
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..platform.wire.messages import list_offsets as wire
from . import kafka_questions as questions
from .figures import (
    NOTHING_KNOWN,
    GroupFigures,
    NamespaceFigures,
    PartitionFigures,
    PartitionName,
    TopicFigures,
    group_figures,
)
from .kafka_connection import BrokerRefused, BrokerUnavailable, Conversation

TIMES_AT_ONCE = 4  # half of the permits that a tenant's slow reads have at the broker
TIMES_IN_ONE_LOOK = 1_000
TIMES_S_MAX = 1.5
GROUPS_IN_ONE_LOOK = 1_000
LOOKED_AT_ANYWAY = 1 / 30
NOBODY_KNOWS = -1
# Measured: of a look, a fifth at least is spent on making requests and reading answers here, the rest on sockets and in
# the broker; a look-up by time costs the broker half a millisecond and more.
COST_OF_CPU, COST_OF_TIME_S = 5, 0.0006
NOBODY_IN_IT = ("Empty", "Dead")  # group states


class Survey:
    """`topics` are names with partition counts. Each `look_…` adds to what `figures` answers."""

    def __init__(
        self, conversation: Conversation, topics: Mapping[str, int], known: NamespaceFigures | None = None
    ) -> None:
        self._conversation = conversation
        self._counts = topics
        self._known = known or NamespaceFigures({})
        self._partitions: dict[PartitionName, PartitionFigures] = {}
        self._groups: tuple[GroupFigures, ...] | None = None
        self._groups_missing_because: str | None = None
        self._times_asked = 0

    def topics(self) -> dict[str, TopicFigures]:
        return {
            topic: TopicFigures(
                tuple(self._partitions.get((topic, index), NOTHING_KNOWN) for index in range(partitions))
            )
            for topic, partitions in self._counts.items()
        }

    def figures(self) -> NamespaceFigures:
        """All that was found."""
        return NamespaceFigures(self.topics(), self._groups, self._groups_missing_because, self._cost_s())

    def _cost_s(self) -> float:
        """By what this process spent on answers: how long they took says little on a busy machine."""
        return self._conversation.cpu_s * COST_OF_CPU + self._times_asked * COST_OF_TIME_S

    # logs

    async def look_at_logs(self) -> None:
        """Ends, sizes and starts. Raises BrokerUnavailable."""
        names = [(topic, index) for topic, count in self._counts.items() for index in range(count)]
        ends = await questions.offsets(self._conversation, names, wire.LATEST_TIMESTAMP)
        sizes = await questions.sizes(self._conversation, names)
        moved: list[PartitionName] = []
        for name in names:
            before = self._before(name)
            end = ends[name].offset if name in ends else None
            if end is not None and before.end is not None and end < before.end:
                before = NOTHING_KNOWN  # the tail was lost, or it is another topic of the name
            hot, cold = sizes["hot"].get(name), sizes["cold"].get(name)
            if (end, hot, cold) == (before.end, before.hot_bytes, before.cold_bytes) and before.is_complete:
                self._partitions[name] = before  # the same object: nothing has to be compared again
                if random.random() >= LOOKED_AT_ANYWAY:  # noqa: S311 - a sample, not a secret
                    continue
            else:
                self._partitions[name] = replace(before, end=end, hot_bytes=hot, cold_bytes=cold)
            moved.append(name)
        await self._look_at_starts(moved)

    async def _look_at_starts(self, names: list[PartitionName]) -> None:
        log_starts = await questions.offsets(self._conversation, names, wire.EARLIEST_TIMESTAMP)
        local_starts = await questions.offsets(self._conversation, names, wire.EARLIEST_LOCAL_TIMESTAMP)
        for name in names:
            log_start = log_starts[name].offset if name in log_starts else None
            local_start = local_starts[name].offset if name in local_starts else None
            now = self._partitions[name]
            if (log_start, local_start) != (now.log_start, now.local_start):
                self._partitions[name] = replace(now, log_start=log_start, local_start=local_start)

    def _before(self, name: PartitionName) -> PartitionFigures:
        topic = self._known.topics.get(name[0])
        if topic is None or name[1] >= len(topic.partitions):
            return NOTHING_KNOWN
        return topic.partitions[name[1]]

    # times

    async def look_at_times(self) -> None:
        """The newest timestamp where it is not known, as far as the broker tells it; what it does not tell stays
        unknown, and is not asked for again before the partition grows (or chance would have it)."""
        wanted = _one_of_each_topic_first([name for name, now in self._partitions.items() if _time_is_wanted(now)])
        until_s = time.monotonic() + TIMES_S_MAX
        for some in questions.runs(wanted[:TIMES_IN_ONE_LOOK], TIMES_AT_ONCE):
            try:
                found = await questions.offsets(self._conversation, some, wire.MAX_TIMESTAMP, TIMES_AT_ONCE)
            except BrokerUnavailable:
                found = {}
            self._times_asked += len(some)
            for name in some:
                now = self._partitions[name]
                newest_ms = found[name].timestamp_ms if name in found else NOBODY_KNOWS
                told = now.newest_ms if newest_ms < 0 else newest_ms
                self._partitions[name] = replace(now, newest_ms=told, newest_end=now.end)
            # A look-up that hangs (the object store is away) may hang for all. The next look goes on.
            if not found or time.monotonic() > until_s:
                return

    # groups

    async def look_at_groups(self) -> None:
        """States, members and lag. A refusal is kept as a reason; raises BrokerUnavailable for anything else."""
        try:
            states = await questions.group_states(self._conversation)
        except BrokerRefused as refused:
            self._groups_missing_because = str(refused)
            return
        if len(states) > GROUPS_IN_ONE_LOOK:
            self._groups_missing_because = f"of {len(states)} groups, only the first {GROUPS_IN_ONE_LOOK} are shown"
            states = dict(list(states.items())[:GROUPS_IN_ONE_LOOK])
        live = [group for group, state in states.items() if state not in NOBODY_IN_IT]
        members = await questions.member_counts(self._conversation, live)
        offsets = await self._committed(list(states))
        ends = await self._ends_of({name for of_group in offsets.values() for name in of_group})
        self._groups = tuple(
            group_figures(group, state, 0 if state in NOBODY_IN_IT else members.get(group), offsets.get(group), ends)
            for group, state in states.items()
        )

    async def _committed(self, groups: list[str]) -> dict[str, dict[PartitionName, int]]:
        """Groups that are known to be small are asked for together, the others one at a time."""
        known = {group.group: group.partitions for group in self._known.groups or ()}
        found: dict[str, dict[PartitionName, int]] = {}
        together: list[str] = []
        room = questions.PARTITIONS_AT_ONCE
        for group in groups:
            partitions = max(1, known.get(group, questions.PARTITIONS_AT_ONCE))
            if partitions > questions.PARTITIONS_AT_ONCE and self._partitions:
                found |= await questions.committed(self._conversation, [group], self._partitions)
                continue
            if together and partitions > room:
                found |= await questions.committed(self._conversation, together)
                together, room = [], questions.PARTITIONS_AT_ONCE
            together.append(group)
            room -= partitions
        if together:
            found |= await questions.committed(self._conversation, together)
        return found

    async def _ends_of(self, names: Iterable[PartitionName]) -> dict[PartitionName, int]:
        ends = {name: now.end for name, now in self._partitions.items() if now.end is not None}
        missing = [name for name in names if name not in self._partitions]
        told = await questions.offsets(self._conversation, missing, wire.LATEST_TIMESTAMP)
        return ends | {name: offset.offset for name, offset in told.items()}


def _time_is_wanted(now: PartitionFigures) -> bool:
    if not now.records:
        return False
    if now.newest_end == now.end:
        return now.newest_ms is None and random.random() < LOOKED_AT_ANYWAY  # noqa: S311 - a sample, not a secret
    return True


def _one_of_each_topic_first(names: list[PartitionName]) -> list[PartitionName]:
    """In a new order each time, so that all have their turn whichever keep moving."""
    random.shuffle(names)
    firsts = {topic: (topic, index) for topic, index in names}
    return [*firsts.values(), *(name for name in names if firsts[name[0]] != name)]
