"""Remove objects that nobody wants any more, and their rows once the store confirmed that they are gone.

Always true: only objects of MARKED rows are deleted, and those that readers may have been sent to only after the grace
period. A row that never was committed is deleted at once, and again once any put for it must have ended, because a late
put may land after the first; only then is it forgotten. So an object without a row does not exist. Passes are bounded.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from .manifest import ColdSegment, Manifest
from .offload import OffloadTimes

_LOG = logging.getLogger(__name__)
PAGE = 500
LATE_PUT_MARGIN_MS = 30_000  # a put that was cut off at its deadline may still be on its way through a proxy


class CollectionReport(NamedTuple):
    expired: int = 0  # PREPARED rows whose time had run out
    forgotten: int = 0  # rows that went, their objects confirmed gone
    unconfirmed: int = 0  # objects that the store did not confirm; the next pass asks again


class Collector:
    """Runs collection passes. Any number of brokers may, at the same time.

    Args:
        delete: Answers the keys that are confirmed gone (`ColdWorker.delete`).
        late_put_margin_ms: How long after its deadline a put may still land.
    """

    def __init__(
        self,
        manifest: Manifest,
        delete: Callable[[Collection[str]], Awaitable[set[str]]],
        *,
        times: OffloadTimes | None = None,
        late_put_margin_ms: int = LATE_PUT_MARGIN_MS,
    ) -> None:
        times = times or OffloadTimes()
        self._manifest = manifest
        self._delete = delete
        self._grace_ms = times.grace_ms
        self._settled_ms = times.put_deadline_ms + late_put_margin_ms
        self._deleted_once = set[UUID]()  # of rows never committed

    async def run(self) -> CollectionReport:
        """One pass. Raises what manifest and store raise; what was done until then counts, the rest is done again."""
        expired = await self._manifest.expire_prepared()
        await self._delete_first()
        unreadable = [s for s in await self._manifest.marked(PAGE, self._grace_ms) if s.was_committed]
        settled = [s for s in await self._manifest.marked(PAGE, self._settled_ms) if not s.was_committed]
        wanted = unreadable + settled
        gone = await self._confirmed(wanted)
        await self._manifest.forget([segment.object_id for segment in gone])
        self._deleted_once.difference_update(segment.object_id for segment in gone)
        report = CollectionReport(expired, len(gone), len(wanted) - len(gone))
        if any(report):
            _LOG.info("collection: %d expired, %d forgotten, %d unconfirmed", *report)
        return report

    async def _delete_first(self) -> None:
        """Frees the space of failed uploads early. Their rows stay for the second deletion."""
        marked = [s for s in await self._manifest.marked(PAGE, 0) if not s.was_committed]
        self._deleted_once.intersection_update(segment.object_id for segment in marked)
        new = [segment for segment in marked if segment.object_id not in self._deleted_once]
        self._deleted_once.update(segment.object_id for segment in await self._confirmed(new))

    async def _confirmed(self, segments: Sequence[ColdSegment]) -> list[ColdSegment]:
        """Deletes the objects, and answers those of the segments whose objects are confirmed gone."""
        if not segments:
            return []
        gone = await self._delete([segment.key for segment in segments])
        return [segment for segment in segments if segment.key in gone]
