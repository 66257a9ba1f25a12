"""Metadata (key 3), versions 0 to 13, and DescribeCluster (key 60), 0 to 2: the namespace seen as a Kafka cluster.

A name is authorised before it is looked up, so whether a topic exists shows only to those who may describe it. A
topic's encoded form is kept per version: a client that asks for a thousand topics costs a join of bytes.
"""

from collections.abc import Awaitable, Callable, Iterable
from uuid import UUID

from ....tenants.actor import Actor
from ....tenants.permissions import CLUSTER_NAME, Operation, ResourceType
from ....tenants.topics import create_topic
from ...wire.api import ApiKey
from ...wire.errors import ErrorCode
from ...wire.messages import describe_cluster as description
from ...wire.messages import metadata as wire
from ...wire.metadata import MetadataBroker, MetadataPartition, encode_metadata_response, encode_topic
from ...wire.schema import ZERO_UUID
from ..context import Context
from ..errors import ApiError
from ..namespace import Topic
from ..registry import Right, Scope, handles
from ..tenancy_errors import catch_up, transaction

NULL_TOPICS_FROM = 1  # in version 0 an empty list asks for all topics
# AclOperation codes of Kafka, as bits of "authorised operations" (KIP-430)
OPERATION_BITS = (
    (Operation.READ, 3),
    (Operation.WRITE, 4),
    (Operation.CREATE, 5),
    (Operation.DELETE, 6),
    (Operation.ALTER, 7),
    (Operation.DESCRIBE, 8),
    (Operation.DESCRIBE_CONFIGS, 10),
    (Operation.ALTER_CONFIGS, 11),
)


@handles(
    ApiKey.METADATA, scopes={Scope.TOPICS, Scope.CLUSTER}, authorises=(Right(Operation.DESCRIBE, ResourceType.TOPIC),)
)
def metadata(request: wire.MetadataRequest, context: Context) -> bytes | Awaitable[bytes]:
    """Brokers and topics. Missing topics are made first, where the namespace and the caller's rights allow it."""
    if context.namespace.auto_create_topics and request.allow_auto_topic_creation and request.topics:
        names = [asked.name for asked in request.topics if asked.name is not None]
        return create_missing(context, names, lambda: describe(request, context))
    return describe(request, context)


def describe(request: wire.MetadataRequest, context: Context) -> bytes:
    """The whole answer, from what is in memory."""
    version = context.api_version
    if request.topics is None or (version < NULL_TOPICS_FROM and not request.topics):
        topics = [
            encoded(context, topic, request) for topic in context.namespace.topics() if describes(context, topic.name)
        ]
    else:
        topics = [answer(context, asked, request) for asked in request.topics]
    services = context.services
    operations = wire.OPERATIONS_NOT_ASKED
    if request.include_cluster_authorized_operations:
        operations = authorised_operations(context, ResourceType.CLUSTER, CLUSTER_NAME)
    broker = MetadataBroker(services.broker_id, services.advertised.host, services.advertised.port)
    return encode_metadata_response(
        version,
        context.header.correlation_id,
        [broker],
        context.namespace.cluster_id,
        services.broker_id,
        topics,
        cluster_operations=operations,
    )


def describes(context: Context, name: str) -> bool:
    """Whether the caller may know of the name."""
    return context.allows_topic(Operation.DESCRIBE, name)


def answer(context: Context, asked: wire.MetadataRequestTopic, request: wire.MetadataRequest) -> bytes:
    """One topic that was asked for by name or id."""
    version = context.api_version
    if asked.name is not None:
        if not describes(context, asked.name):
            return encode_topic(version, ErrorCode.TOPIC_AUTHORIZATION_FAILED, asked.name, ZERO_UUID.bytes, ())
        topic = context.namespace.topic(asked.name.encode())
        if topic is None:
            return encode_topic(version, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, asked.name, ZERO_UUID.bytes, ())
        return encoded(context, topic, request)
    topic = context.namespace.topic_by_id(asked.topic_id.bytes)
    if topic is None or not describes(context, topic.name):
        return unknown_id(version, asked.topic_id)
    return encoded(context, topic, request)


def unknown_id(version: int, topic_id: UUID) -> bytes:
    """An id that is not of this namespace, or that the caller may not know of: the same bytes for both."""
    name = None if version >= 12 else ""
    return encode_topic(version, ErrorCode.UNKNOWN_TOPIC_ID, name, topic_id.bytes, ())


def encoded(context: Context, topic: Topic, request: wire.MetadataRequest) -> bytes:
    """A topic's bytes, kept per version unless the caller's own rights are asked for."""
    version = context.api_version
    if request.include_topic_authorized_operations:
        operations = authorised_operations(context, ResourceType.TOPIC, topic.name)
        return encode_topic(
            version, ErrorCode.NONE, topic.name, topic.id.bytes, partitions_of(context, topic), operations=operations
        )
    known = topic.metadata.get(version)
    if known is None:
        known = encode_topic(version, ErrorCode.NONE, topic.name, topic.id.bytes, partitions_of(context, topic))
        topic.metadata[version] = known
    return known


def partitions_of(context: Context, topic: Topic) -> list[MetadataPartition]:
    """Every partition with this broker as leader and only replica."""
    replicas = (context.services.broker_id,)
    return [
        MetadataPartition(ErrorCode.NONE, partition.index, replicas[0], partition.leader_epoch, replicas, replicas)
        for partition in topic.partitions
    ]


def authorised_operations(context: Context, resource: ResourceType, name: str) -> int:
    """The caller's rights as Kafka's bit field."""
    return sum(1 << bit for operation, bit in OPERATION_BITS if context.allows(operation, resource, name))


async def create_missing(context: Context, names: Iterable[str], then: Callable[[], bytes]) -> bytes:
    """Automatic creation, for namespaces that switched it on. What cannot be made stays unknown, as in Kafka."""
    made = False
    for name in names:
        may = context.allows_topic(Operation.CREATE, name) or context.allows(
            Operation.CREATE, ResourceType.CLUSTER, CLUSTER_NAME
        )
        if not may or context.namespace.topic(name.encode()) is not None:
            continue
        try:
            async with transaction(context) as session:
                await create_topic(
                    session, Actor.system("automatic topic creation"), context.namespace.id, name, -1, {}
                )
            made = True
        except ApiError as refused:
            context.services.metrics.failed(ApiKey.METADATA, refused.code)
    if made:
        await catch_up(context)
    return then()


@handles(ApiKey.DESCRIBE_CLUSTER, scopes={Scope.CLUSTER}, authorises=())
def describe_cluster(
    request: description.DescribeClusterRequest, context: Context
) -> description.DescribeClusterResponse:
    """The namespace's cluster id and broker; every signed-in client knows both from Metadata."""
    services = context.services
    if request.endpoint_type != 1:
        return description.DescribeClusterResponse(
            error_code=ErrorCode.UNSUPPORTED_ENDPOINT_TYPE,
            error_message="only brokers (endpoint type 1) can be asked for",
        )
    broker = description.DescribeClusterBroker(
        broker_id=services.broker_id, host=services.advertised.host, port=services.advertised.port
    )
    response = description.DescribeClusterResponse(
        cluster_id=context.namespace.cluster_id, controller_id=services.broker_id, brokers=[broker]
    )
    if request.include_cluster_authorized_operations:
        response.cluster_authorized_operations = authorised_operations(context, ResourceType.CLUSTER, CLUSTER_NAME)
    return response
