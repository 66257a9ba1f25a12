"""The live part of a page that waits for a record, as server-sent events.

Always true: it is authorised as its page is, again every RECHECK_S and before a record is shown; it ends when the
session, the right or the topic does, when the console stops, and after STREAM_S; whoever connects again with the last
id misses nothing and is shown nothing twice. A member has few at once, the process too (`records.RecordReader`).
"""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...tenants.catalogue import TopicEntry
from ...tenants.errors import NotFound, TenancyError
from ...tenants.rights import Right
from .. import failures, positions
from ..authentication import authenticate
from ..dispatch import authorised_call, failure_of
from ..events import KEEP_ALIVE_S, Event, event_response
from ..failures import Failure
from ..first_record_routes import still_allowed
from ..kafka import BrokerUnavailable
from ..middleware import OPERATION, request_id_of
from ..operations import Call, Place, Services
from ..record_schemas import all_shown
from ..records import RecordView, RecordWatch
from ..scopes import scope_of
from . import rendering
from .first_record import EVENTS_PATH, Arrival, State, arrived, waiting
from .page import Visit
from .refusals import sentence

STREAM_S = 600.0
RECHECK_S = 3.0
TEMPLATE = "pages/_arrival.html"
PART, END = "part", "end"
_POSITION = re.compile(positions.PATTERN, re.ASCII)


def routes(services: Services) -> list[Route]:
    async def handle(request: Request) -> Response:
        request.scope[OPERATION] = "page.first_record_events"
        caller = None
        try:
            caller = await authenticate(services.database, services.cookies, request)
            call = await authorised_call(services, caller, Right.NAMESPACE_VIEW, request)
            topic = await _topic(call)
        except Failure as failure:
            return failures.answer(failure, request_id_of(request))
        except TenancyError as error:
            assert caller is not None, "services are asked for authenticated callers only"
            return failures.answer(failure_of(error, caller, Place()), request_id_of(request))
        position = request.headers.get("last-event-id") or request.query_params.get("position") or positions.LATEST
        if not _POSITION.fullmatch(position) or len(position) > positions.LENGTH_MAX:
            position = positions.LATEST
        return event_response(Waiting(call, topic, position).events())

    return [Route(EVENTS_PATH, handle, methods=["GET"])]


class Waiting:
    """One page that waits. `position` is where what it waits for begins."""

    def __init__(self, call: Call, topic: TopicEntry, position: str) -> None:
        self._call = call
        self._topic = topic
        self._position = position
        self._until_s = asyncio.get_running_loop().time() + STREAM_S

    async def events(self) -> AsyncGenerator[Event | None, None]:
        """What the page is told, until there is nothing more to wait for."""
        try:
            while self._left_s() > 0 and not self._call.services.waits.closed:
                try:
                    async with aclosing(self._watched()) as watched:
                        async for event in watched:
                            yield event
                            if event is not None and event.name == END:
                                return
                except BrokerUnavailable as unavailable:
                    with self._call.services.records.place(self._call.member.id):  # who waits to read counts too
                        yield await self._event("waiting", f"{sentence(str(unavailable))} Trying again.")
                        await self._call.services.waits.pause(RECHECK_S)
                        await self._look_again()
            if not self._call.services.waits.closed:
                yield await self._event("over")
        except (Failure, NotFound) as refused:
            if isinstance(refused, Failure) and refused.status == 429:
                yield await self._event("crowded", f"{sentence(refused.message)} {sentence(refused.hint or '')}")
            elif not isinstance(refused, Failure) or refused.status != 401:
                yield await self._event("gone")
            # A session that ended says nothing: the browser connects again, with its new id if it has one.

    async def _watched(self) -> AsyncGenerator[Event | None, None]:
        """Until the time is over or a record has come. Raises BrokerUnavailable, Failure, NotFound."""
        call, topic = self._call, self._topic
        offsets = None
        if self._position not in (positions.LATEST, positions.NEWEST):
            offsets = positions.parse(self._position, topic.partitions)
        reader = call.services.records
        async with reader.watching(call.member.id, call.namespace.id, topic.name, topic.partitions, offsets) as watch:
            self._position = positions.spell(watch.positions)
            yield await self._event("waiting")
            task = call.services.waits.begin(watch.next(self._left_s()))
            try:
                async for event in self._until_done(task, watch):
                    yield event
            finally:
                task.cancel()

    async def _until_done(
        self, task: "asyncio.Task[list[RecordView]]", watch: RecordWatch
    ) -> AsyncGenerator[Event | None, None]:
        loop = asyncio.get_running_loop()
        alive_s = loop.time()
        while not task.done():
            await asyncio.wait({task}, timeout=RECHECK_S)
            if task.cancelled():
                return
            await self._look_again()
            if not task.done() and loop.time() - alive_s >= KEEP_ALIVE_S:
                alive_s = loop.time()
                yield None
        if found := task.result():
            self._position = positions.spell(watch.positions)
            visit = await self._visit()
            records = all_shown(found, with_content=visit.allows(Right.RECORDS_VIEW))
            yield self._told(visit, END, arrived(visit, self._topic.name, self._position, records))

    def _left_s(self) -> float:
        return max(0.0, self._until_s - asyncio.get_running_loop().time())

    async def _look_again(self) -> None:
        """Whether this may still be shown. Raises Failure, NotFound."""
        self._call = await still_allowed(self._call, Right.NAMESPACE_VIEW)
        if (await _topic(self._call)).id != self._topic.id:
            raise NotFound("another topic has that name now")

    async def _event(self, state: State, problem: str = "") -> Event:
        visit = await self._visit()
        arrival = waiting(visit, self._topic.name, self._position, problem)
        if state != "waiting":
            arrival.state = state
        return self._told(visit, PART if state == "waiting" else END, arrival)

    def _told(self, visit: Visit, name: str, arrival: Arrival) -> Event:
        content = (
            rendering.environment()
            .get_template(TEMPLATE)
            .render(arrival=arrival, preferences=visit.preferences, now_ms=visit.now_ms)
        )
        return Event(name, content, self._position)

    async def _visit(self) -> Visit:
        return Visit(self._call, await self._call.database.now_ms())


async def _topic(call: Call) -> TopicEntry:
    """Raises NotFound."""
    async with call.database.read() as session:
        return await (await scope_of(session, call)).topic(call.path["topic"])
