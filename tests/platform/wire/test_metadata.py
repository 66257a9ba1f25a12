"""Metadata answers joined from topics encoded once equal the generic description, for every version."""

from typing import Any
from uuid import UUID

import pytest
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.codec import encode_response
from coldstream.platform.wire.messages.metadata import (
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from coldstream.platform.wire.metadata import (
    MetadataBroker,
    MetadataPartition,
    encode_metadata_response,
    encode_topic,
)

from .values import METADATA_VERSIONS, seeded


def random_topic(rng: Any, version: int) -> MetadataResponseTopic:
    def ids() -> list[int]:
        return [rng.getrandbits(31) for _ in range(rng.choice((0, 1, 1, 3, 126)))]

    return MetadataResponseTopic(
        error_code=rng.randint(-1, 133),
        name=None if version >= 12 and rng.random() < 0.2 else "té" * rng.choice((1, 20, 80)),
        topic_id=UUID(int=rng.getrandbits(128)),
        is_internal=rng.random() < 0.5,
        partitions=[
            MetadataResponsePartition(
                error_code=rng.randint(-1, 133),
                partition_index=rng.getrandbits(31),
                leader_id=rng.choice((-1, rng.getrandbits(31))),
                leader_epoch=rng.choice((-1, rng.getrandbits(31))),
                replica_nodes=ids(),
                isr_nodes=ids(),
                offline_replicas=ids(),
            )
            for _ in range(rng.choice((0, 1, 3, 130)))
        ],
        topic_authorized_operations=rng.choice((-(2**31), rng.getrandbits(31))),
    )


def tuned(version: int, topic: MetadataResponseTopic) -> bytes:
    return encode_topic(
        version,
        topic.error_code,
        topic.name,
        topic.topic_id.bytes,
        [
            MetadataPartition(
                p.error_code,
                p.partition_index,
                p.leader_id,
                p.leader_epoch,
                p.replica_nodes,
                p.isr_nodes,
                p.offline_replicas,
            )
            for p in topic.partitions
        ],
        is_internal=topic.is_internal,
        operations=topic.topic_authorized_operations,
    )


@pytest.mark.parametrize("version", METADATA_VERSIONS)
def test_answers_equal_the_description(version: int) -> None:
    for seed in range(12):
        rng = seeded("metadata", version, seed)
        topics = [random_topic(rng, version) for _ in range(rng.choice((0, 1, 3)))]
        brokers = [
            MetadataBroker(rng.getrandbits(31), "hé" * 70, 9092, rng.choice((None, "", "rack")))
            for _ in range(rng.choice((0, 1, 3)))
        ]
        cluster_id = rng.choice((None, "cluster"))
        frame = encode_metadata_response(
            version,
            -9,
            brokers,
            cluster_id,
            1,
            [tuned(version, topic) for topic in topics],
            throttle_ms=seed,
            error=seed,
            cluster_operations=seed,
        )
        described = MetadataResponse(
            throttle_time_ms=seed,
            brokers=[MetadataResponseBroker(node_id=b.node_id, host=b.host, port=b.port, rack=b.rack) for b in brokers],
            cluster_id=cluster_id,
            controller_id=1,
            topics=topics,
            cluster_authorized_operations=seed,
            error_code=seed,
        )
        assert frame == encode_response(ApiKey.METADATA, version, -9, described)


def test_more_replicas_than_a_byte_can_count_are_refused() -> None:
    with pytest.raises(AssertionError, match="more replicas"):
        encode_topic(9, 0, "t", bytes(16), [MetadataPartition(0, 0, 1, 0, list(range(127)), [1])])
