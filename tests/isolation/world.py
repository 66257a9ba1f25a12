"""Two tenants on one platform: a victim with something of everything, and an attacker with a full key of its own.

Both have a topic `orders` and a group `workers`; the rest has names only its owner knows. `nobody` has things of the
same shape that do not exist.
"""

import random
import secrets
from dataclasses import dataclass
from uuid import UUID, uuid4

from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.errors import ErrorCode
from coldstream.tests.raw_kafka import RawKafka
from coldstream.tests.virtual_cluster import HttpApi, Key, VirtualCluster, consume, produce

from .matrix import Things

SHARED_TOPIC, SHARED_GROUP = "orders", "workers"
SESSION_MS = 300_000  # nobody sends heartbeats for the victim's member


@dataclass(frozen=True)
class World:
    attacker: VirtualCluster
    victim: VirtualCluster
    own: Things
    foreign: Things
    nobody: Things
    full_key: Key
    narrow_key: Key  # of the attacker: `orders` and `workers` only
    victim_key: Key
    hidden: Things  # of the victim too, and named in no probe

    def secrets_of_the_victim(self) -> list[bytes]:
        """What no answer to the attacker may contain: the attacker never says any of it."""
        return [
            self.victim.tenant.encode(),
            self.victim.id.encode(),
            UUID(self.victim.id).bytes,
            self.victim.cluster_id.encode(),
            *self.hidden.tokens(),
        ]


def build(api: HttpApi, bootstrap: str) -> World:
    attacker, victim = VirtualCluster.make(api, bootstrap), VirtualCluster.make(api, bootstrap)
    full, victims = attacker.key(), victim.key()
    own = _things(attacker, full, SHARED_TOPIC)
    return World(
        attacker,
        victim,
        own,
        _things(victim, victims, SHARED_TOPIC),
        _nobodys(own),
        full,
        attacker.key("developer", topic=SHARED_TOPIC, group=SHARED_GROUP),
        victims,
        _things(victim, victim.key(), "hidden-orders"),
    )


def _things(cluster: VirtualCluster, key: Key, shared_topic: str) -> Things:
    """Makes a topic with records, a group with a static member and a commit, and a producer id."""
    mark = secrets.token_hex(4)
    topic = cluster.topic(f"topic-of-one-{mark}")
    cluster.topic(shared_topic)
    for name in (topic, shared_topic):
        produce(key.confluent(cluster.bootstrap), name, [f"{cluster.tenant} {n}".encode() for n in range(5)])
    group, instance = f"group-of-one-{mark}", f"instance-of-one-{mark}"
    with RawKafka(cluster.bootstrap) as client:
        assert client.sign_in(key.id, key.secret).error_code == 0
        member_id = join(client, group, instance)
        commit(client, group, topic, 3)
        if shared_topic == SHARED_TOPIC:
            join(client, SHARED_GROUP, instance)
            commit(client, SHARED_GROUP, SHARED_TOPIC, 3)
        producer_id = client.ask(
            ApiKey.INIT_PRODUCER_ID, 4, {"transactional_id": None, "transaction_timeout_ms": 1}
        ).producer_id
    topic_id = UUID(cluster.show(topic)["id"])
    return Things(topic, topic_id, group, member_id, instance, producer_id, key.id, shared_topic)


def join(client: RawKafka, group: str, instance: str) -> str:
    """A static member in a new group, with its assignment; the member id."""
    fields = {
        "group_id": group,
        "session_timeout_ms": SESSION_MS,
        "rebalance_timeout_ms": SESSION_MS,
        "member_id": "",
        "group_instance_id": instance,
        "protocol_type": "consumer",
        "protocols": [{"name": "range", "metadata": b"m"}],
    }
    joined = client.ask(ApiKey.JOIN_GROUP, 5, fields)
    assert joined.error_code == 0, joined
    assignments = [{"member_id": joined.member_id, "assignment": b"a"}]
    sync = {
        "group_id": group,
        "generation_id": joined.generation_id,
        "member_id": joined.member_id,
        "assignments": assignments,
    }
    assert client.ask(ApiKey.SYNC_GROUP, 3, {**sync, "group_instance_id": instance}).error_code == 0
    return str(joined.member_id)


def commit(client: RawKafka, group: str, topic: str, offset: int) -> None:
    """As the group's one member, in its first generation."""
    described = client.ask(ApiKey.DESCRIBE_GROUPS, 4, {"groups": [group]}).groups[0]
    member = described.members[0]
    partition = {"partition_index": 0, "committed_offset": offset, "committed_metadata": "kept"}
    fields = {
        "group_id": group,
        "generation_id_or_member_epoch": 1,
        "member_id": member.member_id,
        "group_instance_id": member.group_instance_id,
        "topics": [{"name": topic, "partitions": [partition]}],
    }
    answer = client.ask(ApiKey.OFFSET_COMMIT, 7, fields)
    assert answer.topics[0].partitions[0].error_code == 0, answer


def _nobodys(like: Things) -> Things:
    """Things of the same shape that exist nowhere."""
    mark = secrets.token_hex(4)
    member = "".join(random.choice("0123456789abcdef") if c in "0123456789abcdef" else c for c in like.member_id)
    return Things(
        f"topic-of-one-{mark}",
        uuid4(),
        f"group-of-one-{mark}",
        member,
        f"instance-of-one-{mark}",
        random.randrange(2**40, 2**41),
        "Z" + secrets.token_hex(6)[: len(like.key_id) - 1],
        like.own_topic,
    )


def signed_in(world: World, key_of: str = "full_key") -> RawKafka:
    key = getattr(world, key_of)
    client = RawKafka(world.attacker.bootstrap)
    assert client.sign_in(key.id, key.secret).error_code == ErrorCode.NONE
    return client


def committed(world: World, key_of: str, group: str, topic: str) -> int:
    with signed_in(world, key_of) as client:
        topics = [{"name": topic, "partition_indexes": [0]}]
        answer = client.ask(ApiKey.OFFSET_FETCH, 7, {"group_id": group, "topics": topics})
        return int(answer.topics[0].partitions[0].committed_offset)


def values(cluster: VirtualCluster, topic: str) -> list[bytes]:
    (end,) = cluster.ends(topic)
    return [message.value() for message in consume(cluster.confluent(), topic, end)]


def assert_untouched(world: World) -> None:
    """The victim's records, commits, members and configs are what `build` made."""
    things = world.foreign
    assert values(world.victim, things.topic) == [f"{world.victim.tenant} {n}".encode() for n in range(5)]
    assert committed(world, "victim_key", things.group, things.topic) == 3
    assert world.victim.show(things.topic)["configs"] == {}
    with signed_in(world, "victim_key") as client:
        (group,) = client.ask(ApiKey.DESCRIBE_GROUPS, 4, {"groups": [things.group]}).groups
        assert [member.group_instance_id for member in group.members] == [things.instance_id]
