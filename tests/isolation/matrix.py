"""Every API of the broker with the ways a client could use it to reach for what is another namespace's.

An entry is a list of probes; a probe makes a request that names somebody's topic, group, member or producer id. The
test sends it naming the victim's things and naming things nobody has, and wants the same answer. An API that is served
and has no entry here fails the suite, so scoping is thought about before a handler can land.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from coldstream.platform.wire.api import ApiKey
from coldstream.storage.records import Record, build_batch
from coldstream.tests.raw_kafka import plain_token

Fields = Mapping[str, Any]
GROUP, TRANSACTION = 0, 1  # FindCoordinator's key types
TOPIC_CONFIGS, BROKER_CONFIGS, BROKER_LOGGERS, GROUP_CONFIGS = 2, 4, 8, 32
EARLIEST, LATEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED = -2, -1, -3, -4, -5
NEWEST = 99


@dataclass(frozen=True, slots=True)
class Things:
    """What belongs to one namespace, or to nobody. Names of two such sets are equally long."""

    topic: str
    topic_id: UUID
    group: str
    member_id: str
    instance_id: str
    producer_id: int
    key_id: str
    own_topic: str  # a topic of the attacker, to be combined with somebody else's ids

    def tokens(self) -> list[bytes]:
        """Every form in which these could show in an answer, longest first."""
        texts = [self.topic, self.group, self.member_id, self.instance_id, self.key_id, str(self.topic_id)]
        tokens = [*(text.encode() for text in texts), self.topic_id.bytes, self.producer_id.to_bytes(8, "big")]
        return sorted(tokens, key=len, reverse=True)

    def mask(self, answer: bytes) -> bytes:
        """The answer with these made unrecognisable."""
        for token in self.tokens():
            answer = answer.replace(token, b"?" * len(token))
        return answer


@dataclass(frozen=True, slots=True)
class Probe:
    """One way to ask. `blank` names fields of the answer that differ from call to call; `tells_own` says that the
    answer for the attacker's own things is another one, which shows that the probe reaches what it aims at."""

    what: str
    fields: Callable[[Things], Fields]
    versions: tuple[int, int] = (0, NEWEST)
    blank: frozenset[str] = frozenset()
    tells_own: bool = True
    signed_in: bool = True


def _batch(producer_id: int = -1) -> bytes:
    record = Record(offset=0, timestamp_ms=time.time_ns() // 1_000_000, key=None, value=b"attack", headers=())
    if producer_id < 0:
        return build_batch([record])
    return build_batch([record], producer_id=producer_id, producer_epoch=0, base_sequence=0)


def _produce(topic: Fields, producer_id: int = -1) -> Fields:
    partition = {"index": 0, "records": _batch(producer_id)}
    return {"acks": -1, "timeout_ms": 5000, "topic_data": [{**topic, "partition_data": [partition]}]}


def _fetch(topic: Fields, **more: Any) -> Fields:
    partition = {"partition": 0, "fetch_offset": 0, "partition_max_bytes": 65536}
    return {
        "max_wait_ms": 0,
        "min_bytes": 0,
        "max_bytes": 65536,
        "topics": [{**topic, "partitions": [partition]}],
        **more,
    }


def _list_offsets(things: Things, timestamp_ms: int, replica_id: int = -1) -> Fields:
    partitions = [{"partition_index": 0, "timestamp": timestamp_ms}]
    return {"replica_id": replica_id, "topics": [{"name": things.topic, "partitions": partitions}]}


def _join(things: Things, member_id: str, instance_id: str | None = None) -> Fields:
    return {
        "group_id": things.group,
        "session_timeout_ms": 10_000,
        "rebalance_timeout_ms": 10_000,
        "member_id": member_id,
        "group_instance_id": instance_id,
        "protocol_type": "consumer",
        "protocols": [{"name": "range", "metadata": b""}],
    }


def _commit(things: Things, topic: Fields, **more: Any) -> Fields:
    partition = {"partition_index": 0, "committed_offset": 1, "committed_metadata": ""}
    return {"group_id": things.group, "topics": [{**topic, "partitions": [partition]}], **more}


def _fetch_commits(things: Things, topics: Sequence[Fields] | None) -> Fields:
    """As versions before 8 say it, and as those after do."""
    return {"group_id": things.group, "topics": topics, **_fetch_commits_of(things, topics)}


def _fetch_commits_of(things: Things, topics: Sequence[Fields] | None) -> Fields:
    return {"groups": [{"group_id": things.group, "topics": topics}]}


def _configs(resource_type: int, name: str) -> Fields:
    resource = {"resource_type": resource_type, "resource_name": name}
    return {"resources": [resource], "include_synonyms": True, "include_documentation": True}


def _alter(resource_type: int, name: str) -> Fields:
    config = {"name": "retention.ms", "config_operation": 0, "value": "1000"}
    return {
        "resources": [{"resource_type": resource_type, "resource_name": name, "configs": [config]}],
        "validate_only": True,
    }


def _epochs(things: Things) -> Fields:
    return {"topics": [{"topic": things.topic, "partitions": [{"partition": 0, "leader_epoch": 0}]}]}


MATRIX: Mapping[ApiKey, Sequence[Probe]] = {
    ApiKey.PRODUCE: [
        Probe("by name", lambda t: _produce({"name": t.topic}), (3, 12)),
        Probe("by id", lambda t: _produce({"topic_id": t.topic_id}), (13, NEWEST)),
        Probe(
            "own topic, foreign producer id",
            lambda t: _produce({"name": t.own_topic}, t.producer_id),
            (3, 12),
            tells_own=False,
        ),
    ],
    ApiKey.FETCH: [
        Probe("by name", lambda t: _fetch({"topic": t.topic}), (4, 12)),
        Probe("by id", lambda t: _fetch({"topic_id": t.topic_id}), (13, NEWEST)),
        Probe("as a follower", lambda t: _fetch({"topic": t.topic}, replica_id=1), (4, 12), tells_own=False),
        Probe(
            "forgotten",
            lambda t: _fetch({"topic": t.topic}, forgotten_topics_data=[{"topic": t.topic, "partitions": [0]}]),
            (7, 12),
        ),
        Probe(
            "in somebody's session",
            lambda t: _fetch({"topic": t.topic}, session_id=1, session_epoch=1),
            (7, 12),
            tells_own=False,
        ),
    ],
    ApiKey.LIST_OFFSETS: [
        *(Probe(f"timestamp {at}", lambda t, at=at: _list_offsets(t, at)) for at in (0, EARLIEST, LATEST)),
        Probe("largest timestamp", lambda t: _list_offsets(t, MAX_TIMESTAMP), (7, NEWEST)),
        Probe("earliest local", lambda t: _list_offsets(t, EARLIEST_LOCAL), (8, NEWEST)),
        Probe("latest tiered", lambda t: _list_offsets(t, LATEST_TIERED), (9, NEWEST)),
        Probe("as a follower", lambda t: _list_offsets(t, LATEST, replica_id=1)),
        Probe("as a debugger", lambda t: _list_offsets(t, LATEST, replica_id=-2)),
    ],
    ApiKey.METADATA: [
        Probe("by name", lambda t: {"topics": [{"name": t.topic}], "allow_auto_topic_creation": False}),
        Probe("by name, may be created", lambda t: {"topics": [{"name": t.topic}]}),
        Probe("by id", lambda t: {"topics": [{"name": None, "topic_id": t.topic_id}]}, (12, NEWEST)),
        Probe(
            "by id and name",
            lambda t: {"topics": [{"name": t.topic, "topic_id": t.topic_id}]},
            (12, NEWEST),
            tells_own=False,
        ),
        Probe(
            "everything",
            lambda t: {"topics": None, "include_topic_authorized_operations": True},
            (1, NEWEST),
            tells_own=False,
        ),
        Probe("everything, as v0 says it", lambda t: {"topics": []}, (0, 0), tells_own=False),
    ],
    ApiKey.OFFSET_COMMIT: [
        Probe("group and topic by name", lambda t: _commit(t, {"name": t.topic}), (2, 9)),
        Probe("group and topic by id", lambda t: _commit(t, {"topic_id": t.topic_id}), (10, NEWEST)),
        Probe(
            "as a member",
            lambda t: _commit(t, {"name": t.topic}, member_id=t.member_id, generation_id_or_member_epoch=1),
            (2, 9),
            tells_own=False,
        ),
        Probe(
            "as a static member",
            lambda t: _commit(
                t,
                {"name": t.topic},
                member_id=t.member_id,
                group_instance_id=t.instance_id,
                generation_id_or_member_epoch=1,
            ),
            (7, 9),
            tells_own=False,
        ),
    ],
    ApiKey.OFFSET_FETCH: [
        Probe("one topic", lambda t: _fetch_commits(t, [{"name": t.topic, "partition_indexes": [0]}]), (1, 9)),
        Probe(
            "one topic by id",
            lambda t: _fetch_commits_of(t, [{"topic_id": t.topic_id, "partition_indexes": [0]}]),
            (10, NEWEST),
        ),
        Probe("all topics", lambda t: _fetch_commits(t, None), (2, NEWEST)),
    ],
    ApiKey.FIND_COORDINATOR: [
        Probe("group", lambda t: {"key": t.group, "coordinator_keys": [t.group]}, tells_own=False),
        Probe(
            "transaction",
            lambda t: {"key": t.group, "key_type": TRANSACTION, "coordinator_keys": [t.group]},
            (1, NEWEST),
            tells_own=False,
        ),
    ],
    ApiKey.JOIN_GROUP: [
        Probe("as somebody's member", lambda t: _join(t, t.member_id), tells_own=False),
        Probe(
            "as somebody's static member", lambda t: _join(t, t.member_id, t.instance_id), (5, NEWEST), tells_own=False
        ),
        Probe("as a new member", lambda t: _join(t, ""), (4, NEWEST), frozenset({"member_id"}), tells_own=False),
    ],
    ApiKey.SYNC_GROUP: [
        Probe(
            "as a member",
            lambda t: {"group_id": t.group, "generation_id": 1, "member_id": t.member_id},
            tells_own=False,
        ),
        Probe(
            "as a static member",
            lambda t: {
                "group_id": t.group,
                "generation_id": 1,
                "member_id": t.member_id,
                "group_instance_id": t.instance_id,
            },
            (3, NEWEST),
            tells_own=False,
        ),
    ],
    ApiKey.HEARTBEAT: [
        Probe(
            "as a member",
            lambda t: {"group_id": t.group, "generation_id": 1, "member_id": t.member_id},
            tells_own=False,
        ),
        Probe(
            "as a static member",
            lambda t: {
                "group_id": t.group,
                "generation_id": 1,
                "member_id": t.member_id,
                "group_instance_id": t.instance_id,
            },
            (3, NEWEST),
            tells_own=False,
        ),
    ],
    ApiKey.LEAVE_GROUP: [
        Probe("one member", lambda t: {"group_id": t.group, "member_id": t.member_id}, (0, 2), tells_own=False),
        Probe(
            "a static member",
            lambda t: {"group_id": t.group, "members": [{"member_id": "", "group_instance_id": t.instance_id}]},
            (3, NEWEST),
            tells_own=False,
        ),
        Probe(
            "a member by id",
            lambda t: {"group_id": t.group, "members": [{"member_id": t.member_id}]},
            (3, NEWEST),
            tells_own=False,
        ),
    ],
    ApiKey.DESCRIBE_GROUPS: [
        Probe("by name", lambda t: {"groups": [t.group], "include_authorized_operations": False}),
        Probe("with rights", lambda t: {"groups": [t.group], "include_authorized_operations": True}, (3, NEWEST)),
    ],
    ApiKey.LIST_GROUPS: [
        Probe("all", lambda t: {}, tells_own=False),
        Probe("by state", lambda t: {"states_filter": ["Stable", "Empty"]}, (4, NEWEST), tells_own=False),
    ],
    ApiKey.SASL_HANDSHAKE: [Probe("mechanism", lambda t: {"mechanism": "PLAIN"}, tells_own=False, signed_in=False)],
    ApiKey.API_VERSIONS: [Probe("versions", lambda t: {}, tells_own=False, signed_in=False)],
    ApiKey.SASL_AUTHENTICATE: [
        Probe(
            "guessing a secret",
            lambda t: {"auth_bytes": plain_token(t.key_id, "guess")},
            tells_own=False,
            signed_in=False,
        ),
        Probe(
            "as somebody else",
            lambda t: {"auth_bytes": b"admin" + plain_token(t.key_id, "guess")},
            tells_own=False,
            signed_in=False,
        ),
    ],
    ApiKey.CREATE_TOPICS: [
        Probe(
            "is the name taken",
            lambda t: {
                "topics": [{"name": t.topic, "num_partitions": 1, "replication_factor": 1}],
                "validate_only": True,
            },
            blank=frozenset({"topic_id"}),
        ),
    ],
    ApiKey.DELETE_TOPICS: [
        Probe("by name", lambda t: {"topic_names": [t.topic], "timeout_ms": 1000}, (1, 5), tells_own=False),
        Probe(
            "by name, v6", lambda t: {"topics": [{"name": t.topic}], "timeout_ms": 1000}, (6, NEWEST), tells_own=False
        ),
        Probe(
            "by id", lambda t: {"topics": [{"topic_id": t.topic_id}], "timeout_ms": 1000}, (6, NEWEST), tells_own=False
        ),
    ],
    ApiKey.INIT_PRODUCER_ID: [
        Probe(
            "transactional id", lambda t: {"transactional_id": t.group, "transaction_timeout_ms": 1000}, tells_own=False
        ),
        Probe(
            "somebody's producer id",
            lambda t: {
                "transactional_id": None,
                "transaction_timeout_ms": 1000,
                "producer_id": t.producer_id,
                "producer_epoch": 0,
            },
            (3, NEWEST),
            frozenset({"producer_id", "producer_epoch"}),
            tells_own=False,
        ),
    ],
    ApiKey.OFFSET_FOR_LEADER_EPOCH: [
        Probe("by name", _epochs),
        Probe("as a follower", lambda t: {**_epochs(t), "replica_id": 1}, (3, NEWEST)),
    ],
    ApiKey.DESCRIBE_CONFIGS: [
        Probe("topic", lambda t: _configs(TOPIC_CONFIGS, t.topic)),
        Probe("group", lambda t: _configs(GROUP_CONFIGS, t.group), tells_own=False),
        Probe("broker", lambda t: _configs(BROKER_CONFIGS, "1"), tells_own=False),
        Probe("loggers", lambda t: _configs(BROKER_LOGGERS, "1"), tells_own=False),
    ],
    ApiKey.DESCRIBE_LOG_DIRS: [
        Probe("by name", lambda t: {"topics": [{"topic": t.topic, "partitions": [0]}]}),
        Probe("everything", lambda t: {"topics": None}, tells_own=False),
    ],
    ApiKey.INCREMENTAL_ALTER_CONFIGS: [
        Probe("topic", lambda t: _alter(TOPIC_CONFIGS, t.topic)),
        Probe("group", lambda t: _alter(GROUP_CONFIGS, t.group), tells_own=False),
        Probe("broker", lambda t: _alter(BROKER_CONFIGS, "1"), tells_own=False),
    ],
    ApiKey.DESCRIBE_CLUSTER: [
        Probe("all", lambda t: {"include_cluster_authorized_operations": True}, tells_own=False),
        Probe(
            "fenced ones too",
            lambda t: {"include_cluster_authorized_operations": False, "include_fenced_brokers": True},
            (2, NEWEST),
            tells_own=False,
        ),
    ],
}
