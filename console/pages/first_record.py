"""From nothing to a first record: one form makes topic and key, its answer says what to paste and waits for what comes.

Always true: the secret is on the page that answers the form and nowhere else; a record's content is shown to whoever
may see records, everybody else sees that one arrived; all of it works without JavaScript, by asking again.
"""

from typing import Literal

from ...tenants import overview
from ...tenants.errors import InvalidPartitions, InvalidTopicName, NotFound, QuotaExceeded, TopicExists
from ...tenants.rights import Right
from ...tenants.topics import PARTITIONS_DEFAULT
from .. import first_record, positions, schemas
from ..failures import Failure
from ..first_record_routes import newest_records
from ..kafka import BrokerUnavailable
from ..key_routes import new_key
from ..record_schemas import ShownRecord, all_shown
from ..scopes import scope_of
from ..snippets import Snippet, snippet, snippets
from .expiry import DEFAULT, EXPIRY_CHOICES, Choice, expires_at
from .navigation import NAMESPACE_PATH
from .page import Action, Fields, Page, Query, Redirect, Refused, Shown, View, Visit, address
from .refusals import at_field, sentence, why_not

SUGGESTED_MAX = 200
SHOWN_MAX = 3
LOOK_S = 0.5
ROLES = {
    "developer": ("Developer", "writes and reads"),
    "producer": ("Producer", "writes only"),
}
FORM_PATH = f"{NAMESPACE_PATH}/first-record"
TOPIC_PATH = f"{NAMESPACE_PATH}/topics/{{topic}}/first-record"
EVENTS_PATH = f"{TOPIC_PATH}/events"
# What the address of a topic may be too long or too strange for is no topic's name anyway.
NAME_CHARACTERS_MAX = 300


class FormQuery(Query):
    topic: str = ""


class FormView(View):
    """`problem`: what is wrong with the name asked for, which is how forms.js checks it while it is typed."""

    tenant: str
    namespace: str
    topic: str
    problem: str
    exists: bool
    topics: list[str]
    partitions: int
    partitions_max: int
    expiries: list[Choice]
    expiry: str
    refused: str


State = Literal["waiting", "arrived", "gone", "over", "crowded"]


class Arrival(View):
    """What the live part of a page shows. `position` is where records that are waited for begin."""

    state: State
    tenant: str
    namespace: str
    topic: str
    position: str
    records: list[ShownRecord]
    sees_records: bool
    makes_keys: bool
    more: int = 0
    problem: str = ""
    newest: bool = False  # nobody waited for them: they are what there is


class MadeView(View):
    """Shown once."""

    topic_created: bool
    topic: schemas.TopicView
    key: schemas.NewKey
    snippets: list[Snippet]
    arrival: Arrival
    events: str


class WaitingQuery(Query):
    """`from`: wait for records from this position on; else the newest are shown."""

    position: str = ""


class WaitingView(View):
    arrival: Arrival
    snippet: Snippet
    events: str
    may_make_keys: bool


async def show_form(visit: Visit, query: FormQuery) -> FormView:
    name = query.topic.strip()[:NAME_CHARACTERS_MAX]
    namespace = visit.call.namespace
    problem, exists = await first_record.name_problem(visit.call, name) if name else ("", False)
    async with visit.call.database.read() as session:
        names = await overview.topic_names(session, namespace.id, SUGGESTED_MAX)
    return FormView(
        tenant=namespace.tenant,
        namespace=namespace.name,
        topic=name,
        problem=sentence(problem),
        exists=exists,
        topics=names,
        partitions=PARTITIONS_DEFAULT,
        partitions_max=namespace.partitions_per_topic_max,
        expiries=EXPIRY_CHOICES,
        expiry=DEFAULT,
        refused=why_not(visit, Right.TOPICS_MANAGE) or why_not(visit, Right.KEYS_MANAGE),
    )


async def make(visit: Visit, fields: Fields) -> Shown | Redirect:
    topic = fields.required("topic", "Give the topic a name, or choose one that is there.")
    if len(topic) > NAME_CHARACTERS_MAX:
        raise Refused({"topic": "A topic's name has 1 to 249 characters."})
    most = visit.call.namespace.partitions_per_topic_max
    partitions = PARTITIONS_DEFAULT
    if fields.text("partitions"):
        partitions = fields.integer("partitions", "The number of partitions", 1, most)
    role = fields.text("role", "developer")
    if role not in ROLES:
        raise Refused({"role": "Choose one of these."})
    expires = expires_at(fields, visit.now_ms)
    with at_field("topic", InvalidTopicName, TopicExists, QuotaExceeded), at_field("partitions", InvalidPartitions):
        made = await first_record.make(visit.call, topic, partitions, role, expires)
    key = new_key(made.key, visit.call.namespace, visit.call.config, made.now_ms)
    arrival = waiting(visit, topic, made.position)
    view = MadeView(
        topic_created=made.topic_created,
        topic=schemas.TopicView(
            id=str(made.topic.id),
            name=made.topic.name,
            partitions=made.topic.partitions,
            configs=dict(made.topic.configs),
            durability=made.topic.durability,
            created_at=schemas.time_of(made.topic.created_at_ms),
        ),
        key=key,
        snippets=snippets(first_record.connection(visit.call.config, topic, made.key)),
        arrival=arrival,
        events=_at(visit, EVENTS_PATH, topic, made.position),
    )
    return Shown("pages/first_record_made.html", view, f"First record of {topic}")


async def show_waiting(visit: Visit, query: WaitingQuery) -> WaitingView:
    topic = visit.path["topic"]
    arrival = await _look(visit, topic, query.position)
    connection = first_record.connection(visit.call.config, topic)
    return WaitingView(
        arrival=arrival,
        snippet=snippet("kcat", connection),
        events=_at(visit, EVENTS_PATH, topic, arrival.position),
        may_make_keys=visit.allows(Right.KEYS_MANAGE),
    )


async def _look(visit: Visit, name: str, position: str) -> Arrival:
    """What is there now. Raises NotFound."""
    async with visit.call.database.read() as session:
        topic = await (await scope_of(session, visit.call)).topic(name)
    reader = visit.call.services.records
    try:
        if not position or position in (positions.LATEST, positions.NEWEST):
            newest = await newest_records(visit.call, topic, SHOWN_MAX)
            records, after = newest.records, newest.next
        else:
            offsets = positions.parse(position, topic.partitions)
            async with reader.watching(
                visit.member.id, visit.call.namespace.id, name, topic.partitions, offsets
            ) as watch:
                found = await watch.next(LOOK_S)
                records = all_shown(found, with_content=visit.allows(Right.RECORDS_VIEW))
                after = position
    except BrokerUnavailable as unavailable:
        return waiting(visit, name, position or positions.LATEST, f"{sentence(str(unavailable))} Trying again.")
    except Failure as failure:
        return waiting(visit, name, position or positions.LATEST, f"{sentence(failure.message)}")
    except ValueError:
        raise NotFound(f"no position {position[:40]!r}") from None
    if not records:
        return waiting(visit, name, after)
    arrival = arrived(visit, name, after, records)
    arrival.newest = not position
    return arrival


def waiting(visit: Visit, topic: str, position: str, problem: str = "") -> Arrival:
    return _arrival(visit, "waiting", topic, position, [], problem)


def arrived(visit: Visit, topic: str, position: str, records: list[ShownRecord]) -> Arrival:
    """The first of them, and how many more."""
    return _arrival(visit, "arrived", topic, position, records)


def _arrival(
    visit: Visit, state: State, topic: str, position: str, records: list[ShownRecord], problem: str = ""
) -> Arrival:
    return Arrival(
        state=state,
        tenant=visit.call.namespace.tenant,
        namespace=visit.call.namespace.name,
        topic=topic,
        position=position,
        records=records[:SHOWN_MAX],
        more=max(0, len(records) - SHOWN_MAX),
        sees_records=visit.allows(Right.RECORDS_VIEW),
        makes_keys=visit.allows(Right.KEYS_MANAGE),
        problem=problem,
    )


def _at(visit: Visit, path: str, topic: str, position: str) -> str:
    place = {"tenant": visit.path["tenant"], "namespace": visit.path["namespace"]}
    return address(path, **place, topic=topic, position=position)


FORM = Page(
    name="first_record",
    path=FORM_PATH,
    title="First record",
    template="pages/first_record.html",
    handler=show_form,
    needs=Right.NAMESPACE_VIEW,
    query=FormQuery,
    section="home",
)
WAITING = Page(
    name="first_record_of_topic",
    path=TOPIC_PATH,
    title="First record of {topic}",
    template="pages/first_record_waiting.html",
    handler=show_waiting,
    needs=Right.NAMESPACE_VIEW,
    query=WaitingQuery,
    section="topics",
)
PAGES = (FORM, WAITING)
ACTIONS = (
    Action(
        name="make_first_record",
        path=FORM_PATH,
        page=FORM,
        handler=make,
        needs=Right.TOPICS_MANAGE,
        dangerous=True,
    ),
)
