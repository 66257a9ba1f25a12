"""From nothing to a first record over HTTP: topic and key in one request, and a request that waits for records."""

import asyncio
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType, field

from ..tenants.catalogue import TopicEntry
from ..tenants.rights import Right
from . import first_record, positions, schemas
from .authentication import authenticate_again
from .authorisation import authorise
from .failures import Failure
from .kafka import BrokerUnavailable
from .key_routes import new_key
from .operations import Call, Operation
from .record_schemas import RecordList, all_shown
from .scopes import scope_of
from .snippets import snippets
from .tenant_routes import NAMESPACE
from .topic_routes import TOPIC, topic_view

WAIT_MS_MAX = 30_000
LIMIT_MAX = 100


class FirstRecord(schemas.Request):
    """A topic, made with so many partitions (-1: the default) if there is none of the name, and a key for it alone."""

    topic: schemas.TopicName
    partitions: Annotated[int, Meta(ge=-1, le=schemas.INT32_MAX)] = -1
    role: schemas.RoleName = "developer"
    expires_at: schemas.Time | None = None


class SnippetView(schemas.Answer):
    """What to paste; with the secret, so it is shown once. `install` gets the client."""

    client: str
    title: str
    install: str
    produce: str
    consume: str


class FirstRecordMade(schemas.Answer):
    """`position` is what `from` of `…/topics/{topic}/records` takes to get what is written from now on."""

    topic: schemas.TopicView
    topic_created: bool
    key: schemas.NewKey
    snippets: list[SnippetView]
    position: str


class RecordFilter(schemas.Request):
    """`from`: a position; `earliest`; `latest`, what comes from now on; or `newest`, the last there are. With `wait_ms`
    the answer comes as soon as there is a record, or empty when the time has passed."""

    wait_ms: Annotated[int, Meta(ge=0, le=WAIT_MS_MAX)] = 0
    limit: Annotated[int, Meta(ge=1, le=LIMIT_MAX)] = 10
    from_: Annotated[str, Meta(pattern=positions.PATTERN, max_length=positions.LENGTH_MAX)] | UnsetType = field(
        default=UNSET, name="from"
    )


async def make_first_record(call: Call, body: FirstRecord) -> FirstRecordMade:
    if body.role == "admin":
        raise Failure(
            422, "invalid_argument", "a key with role admin is never good for one topic alone", "make it with /keys"
        )
    made = await first_record.make(call, body.topic, body.partitions, body.role, body.expires_at)
    return FirstRecordMade(
        topic=topic_view(made.topic),
        topic_created=made.topic_created,
        key=new_key(made.key, call.namespace, call.config, made.now_ms),
        snippets=[
            SnippetView(
                client=each.client,
                title=each.title,
                install=each.install,
                produce=each.produce,
                consume=each.consume,
            )
            for each in snippets(first_record.connection(call.config, made.topic.name, made.key))
        ],
        position=made.position,
    )


async def list_records(call: Call, query: RecordFilter) -> RecordList:
    """Never longer than the caller's rights last: they are looked at again when something was waited for."""
    async with call.database.read() as session:
        topic = await (await scope_of(session, call)).topic(call.path["topic"])
    wanted = positions.NEWEST if query.from_ is UNSET else query.from_
    try:
        if wanted != positions.NEWEST:
            return await _records_from(call, topic, wanted, query)
        newest = await newest_records(call, topic, query.limit)
        if newest.records or not query.wait_ms:
            return newest
        return await _records_from(call, topic, newest.next, query)
    except BrokerUnavailable as unavailable:
        raise Failure(503, "broker_unavailable", str(unavailable)) from None
    except ValueError as error:
        raise Failure(422, "invalid_parameter", str(error)) from None


async def newest_records(call: Call, topic: TopicEntry, limit: int) -> RecordList:
    """Newest first. Raises Failure (429), BrokerUnavailable."""
    ends = await first_record.ends_of(call, topic)  # before the records: what comes between is in both, and not lost
    newest = await call.services.records.newest_records(
        call.member.id, call.namespace.id, topic.name, topic.partitions, limit
    )
    if ends is None:
        after = positions.LATEST
    else:
        behind = dict(ends)
        for record in newest.records:
            last = record.offset if record.last_offset is None else record.last_offset
            behind[record.partition] = max(behind[record.partition], last + 1)
        after = positions.spell(behind)
    return RecordList(
        records=all_shown(newest.records, with_content=call.allows(Right.RECORDS_VIEW)),
        next=after,
        missing_because=newest.missing_because,
    )


async def _records_from(call: Call, topic: TopicEntry, position: str, query: RecordFilter) -> RecordList:
    """Raises Failure, BrokerUnavailable, ValueError."""
    offsets = None if position == positions.LATEST else positions.parse(position, topic.partitions)
    reader = call.services.records
    async with reader.watching(call.member.id, call.namespace.id, topic.name, topic.partitions, offsets) as watch:
        waiting = call.services.waits.begin(watch.next(query.wait_ms / 1000, query.limit))
        try:
            await asyncio.wait({waiting})
        finally:
            waiting.cancel()
        stopped = waiting.cancelled()  # the console stops: the client asks the next one, from where it is
        found = [] if stopped else waiting.result()
        after = positions.spell(watch.positions)
    if query.wait_ms:
        await still_allowed(call, Right.RECORDS_VIEW)
    return RecordList(records=all_shown(found, with_content=True), next=after)


async def still_allowed(call: Call, needs: Right) -> Call:
    """The call with the rights of this moment. Raises Failure (401, 404), NotFound."""
    caller = await authenticate_again(call.database, call.caller)
    place = await authorise(call.database, caller.access, needs, call.path)
    return Call(call.services, caller, place, call.path)


OPERATIONS = (
    Operation(
        name="make_first_record",
        method="POST",
        path=f"{NAMESPACE}/first-record",
        summary="A topic if there is none of the name, a key for it alone, and what to paste: its secret is shown once",
        handler=make_first_record,
        needs=Right.TOPICS_MANAGE,
        dangerous=True,
        body=FirstRecord,
        answer=FirstRecordMade,
        status=201,
        errors=(403, 409),
        secret=True,
    ),
    Operation(
        name="list_records",
        method="GET",
        path=f"{TOPIC}/records",
        summary="Records of a topic, their beginnings as text; waits for one if asked to",
        handler=list_records,
        needs=Right.RECORDS_VIEW,
        query=RecordFilter,
        answer=RecordList,
        errors=(429, 503),
    ),
)
