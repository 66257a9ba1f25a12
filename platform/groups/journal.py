"""Writing to the group log: each append ends exactly once, and says whether it is durable.

A failure is told as False: the record may or may not come back after a crash, so nothing that rests on it may be
promised, and nothing that contradicts it either. Everybody here repeats the request, which settles it.
"""

import logging
from collections.abc import Callable, Sequence

from .registry import Entry
from .seams import GroupLog, Record

log = logging.getLogger("coldstream.groups")


class Journal:
    def __init__(self, group_log: GroupLog) -> None:
        self.partitions = group_log.partitions
        self.replay = group_log.replay
        self.failed = 0  # appends since the start
        self._append = group_log.append

    def write(self, entry: Entry, records: Sequence[Record], then: Callable[[bool], None]) -> None:
        """Calls `then` once, now or later, with whether all of `records` are durable."""
        finished = False

        def done(error: BaseException | None) -> None:
            nonlocal finished
            assert not finished, "the log ends an append once"
            finished = True
            if error is not None:
                self.failed += 1
                log.error("group records could not be stored: %r", error, extra={"partition": entry.partition})
            then(error is None)

        try:
            self._append(entry.partition, records, done)
        except Exception as error:
            if finished:
                raise  # not the append failed but what came after it: our own mistake
            done(error)
