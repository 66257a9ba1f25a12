"""What a broker remembers of consumer groups over a restart."""

from pathlib import Path

from coldstream.platform.wire.api import ApiKey
from coldstream.tests.broker_in_process import InProcessBroker, prepare
from coldstream.tests.platform.broker.conftest import Bench, WilfulDisk, batch_of, produce_fields, wait_until
from coldstream.tests.raw_kafka import RawKafka

GROUP = "kept"


def join(client: RawKafka, member_id: str = "") -> tuple[int, str]:
    """Generation and member id of the only member of a group."""
    fields = {
        "group_id": GROUP,
        "session_timeout_ms": 30_000,
        "rebalance_timeout_ms": 30_000,
        "member_id": member_id,
        "protocol_type": "consumer",
        "protocols": [{"name": "range", "metadata": b"mine"}],
    }
    answer = client.ask(ApiKey.JOIN_GROUP, 3, fields)
    assert answer.error_code == 0
    fields = {
        "group_id": GROUP,
        "generation_id": answer.generation_id,
        "member_id": answer.member_id,
        "assignments": [{"member_id": answer.member_id, "assignment": b"all"}],
    }
    synced = client.ask(ApiKey.SYNC_GROUP, 3, fields)
    assert (synced.error_code, synced.assignment) == (0, b"all")
    return answer.generation_id, answer.member_id


def commit(client: RawKafka, generation: int, member_id: str, offset: int) -> None:
    partition = {"partition_index": 0, "committed_offset": offset, "committed_metadata": "note"}
    fields = {
        "group_id": GROUP,
        "generation_id_or_member_epoch": generation,
        "member_id": member_id,
        "topics": [{"name": "read", "partitions": [partition]}],
    }
    (topic,) = client.ask(ApiKey.OFFSET_COMMIT, 6, fields).topics
    assert topic.partitions[0].error_code == 0


def committed(client: RawKafka) -> tuple[int, str]:
    asked = {"group_id": GROUP, "topics": [{"name": "read", "partition_indexes": [0]}]}
    part = client.ask(ApiKey.OFFSET_FETCH, 5, asked).topics[0].partitions[0]
    return part.committed_offset, part.metadata


def test_members_generation_and_offsets_of_a_group_survive_a_restart_and_go_with_the_topic(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    prepare(data_dir)
    with InProcessBroker(data_dir) as broker:
        Bench(broker, WilfulDisk()).create("read")
        with RawKafka(broker.address) as client:
            client.ask(ApiKey.PRODUCE, 9, produce_fields("read", batch_of(b"a", b"b")))
            generation, member_id = join(client)
            commit(client, generation, member_id, 2)
    with InProcessBroker(data_dir) as broker, RawKafka(broker.address) as client:
        assert committed(client) == (2, "note")
        beat = {"group_id": GROUP, "generation_id": generation, "member_id": member_id}
        assert client.ask(ApiKey.HEARTBEAT, 3, beat).error_code == 0
        commit(client, generation, member_id, 1)
        (group,) = client.ask(ApiKey.DESCRIBE_GROUPS, 3, {"groups": [GROUP]}).groups
        assert (group.group_state, [member.member_id for member in group.members]) == ("Stable", [member_id])
        client.ask(ApiKey.DELETE_TOPICS, 6, {"topics": [{"name": "read"}], "timeout_ms": 1})
        Bench(broker, WilfulDisk()).create("read")
        wait_until(lambda: committed(client) == (-1, ""))
        assert committed(client) == (-1, "")
