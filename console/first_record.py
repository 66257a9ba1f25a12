"""The first minutes with a topic: the topic, a key for it alone, what to paste, and where its records begin.

Always true: topic and key are made in one transaction, or neither is; the key reaches that topic and the consumer
groups whose names begin with the topic's, and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ..tenants import key_service, names, topics
from ..tenants.catalogue import TopicEntry
from ..tenants.database import session_now_ms
from ..tenants.errors import NotFound, TenancyError
from ..tenants.key_service import CreatedKey
from ..tenants.rights import Right
from . import positions
from .config import ConsoleConfig
from .kafka import BrokerUnavailable
from .operations import Call
from .schemas import ms_of
from .scopes import scope_of
from .snippet_connection import Connection

TITLE_LENGTH_MAX = 100
NAMELESS = "first-record"


@dataclass(frozen=True, slots=True)
class Made:
    """What was made, and the position at which records that come from now on begin."""

    topic: TopicEntry
    topic_created: bool
    key: CreatedKey = field(repr=False)
    position: str
    now_ms: int


async def make(call: Call, topic: str, partitions: int, role: str, expires_at: datetime | None) -> Made:
    """The topic, if there is none of that name, and the key. Raises Failure (404) and what the services raise."""
    call.require(Right.KEYS_MANAGE, call.place.tenant_id, call.place.namespace_id)
    position = await position_before(call, topic)  # a question to the broker: not while the database is locked
    async with call.database.write() as session:
        scope = await scope_of(session, call)
        created = False
        try:
            entry = await scope.topic(topic)
        except NotFound:
            entry = await topics.create_topic(session, call.actor, scope.id, topic, partitions, {})
            created, position = True, positions.EARLIEST
        key = await key_service.create_key(
            session,
            call.actor,
            scope.id,
            key_name(topic),
            role,
            topic_pattern=topic,
            group_pattern=f"{topic}*",
            expires_at_ms=ms_of(expires_at),
        )
        now_ms = await session_now_ms(session)
    return Made(entry, created, key, position, now_ms)


def key_name(topic: str) -> str:
    """The topic's, as far as a key can be called so."""
    stem = topic[:TITLE_LENGTH_MAX].strip("._-")
    return stem if names.is_title(stem) else NAMELESS


async def name_problem(call: Call, topic: str) -> tuple[str, bool]:
    """What is wrong with the name for a topic to write to, or nothing; and whether there is a topic of it."""
    async with call.database.read() as session:
        scope = await scope_of(session, call)
        try:
            await scope.topic(topic)
        except NotFound:
            try:
                await topics.create_topic(session, call.actor, scope.id, topic, -1, {}, validate_only=True)
            except TenancyError as error:
                return str(error), False
            return "", False
    return "", True


async def position_before(call: Call, topic: str) -> str:
    """Where what comes from now on begins, for a topic that exists; `latest` where the broker does not tell."""
    try:
        async with call.database.read() as session:
            entry = await (await scope_of(session, call)).topic(topic)
    except NotFound:
        return positions.EARLIEST
    ends = await ends_of(call, entry)
    return positions.LATEST if ends is None else positions.spell(ends)


async def ends_of(call: Call, topic: TopicEntry) -> Mapping[int, int] | None:
    """The end of each partition; None unless the broker tells of all."""
    try:
        figures = await call.services.broker.figures(call.namespace.id, topic.name, topic.partitions)
    except BrokerUnavailable:
        return None
    ends = {index: partition.end for index, partition in figures.items() if partition.end is not None}
    return ends if len(ends) == topic.partitions else None


def connection(config: ConsoleConfig, topic: str, key: CreatedKey | None = None) -> Connection:
    """What a client has to know; without a key, with placeholders for what is shown once."""
    group = f"{topic}-group"
    if key is None:
        return Connection(
            bootstrap=config.bootstrap, security_protocol=config.security_protocol, topic=topic, group=group
        )
    return Connection(
        bootstrap=config.bootstrap,
        security_protocol=config.security_protocol,
        topic=topic,
        group=group,
        username=key.id,
        password=key.secret,
    )
