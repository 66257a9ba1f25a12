"""CreateTopics (key 19), versions 2 to 7, and DeleteTopics (key 20), 1 to 6, by the services that the console uses.

An answer that says "created" comes once this broker can take records for the topic. Replication factor and assignments
are accepted only as -1 or 1 and empty: durability comes from the topic's durability setting, not from replicas.
"""

from collections import Counter
from uuid import UUID

from ....tenants.catalogue import TopicEntry
from ....tenants.permissions import CLUSTER_NAME, Operation, ResourceType
from ....tenants.topic_configs import resolve, to_text
from ....tenants.topics import create_topic, delete_topic
from ...wire.api import ApiKey
from ...wire.errors import ErrorCode
from ...wire.messages import create_topics as creation
from ...wire.messages import delete_topics as deletion
from ...wire.schema import ZERO_UUID
from ..context import Context
from ..errors import ApiError
from ..registry import Right, Scope, handles
from ..tenancy_errors import actor_of, catch_up, transaction
from .configs import SOURCE_DEFAULT, SOURCE_TOPIC

TOPICS_PER_REQUEST_MAX = 1000


@handles(
    ApiKey.CREATE_TOPICS,
    scopes={Scope.TOPICS},
    authorises=(Right(Operation.CREATE, ResourceType.TOPIC), Right(Operation.CREATE, ResourceType.CLUSTER)),
)
async def create_topics(request: creation.CreateTopicsRequest, context: Context) -> creation.CreateTopicsResponse:
    """Each topic in a transaction of its own, as Kafka does; then wait until they can be written to."""
    times_named = Counter(topic.name for topic in request.topics)
    results = []
    for topic in request.topics:
        try:
            if len(request.topics) > TOPICS_PER_REQUEST_MAX:
                raise ApiError(ErrorCode.INVALID_REQUEST, f"more than {TOPICS_PER_REQUEST_MAX} topics in one request")
            if times_named[topic.name] > 1:
                raise ApiError(ErrorCode.INVALID_REQUEST, f"topic {topic.name!r} is named twice in one request")
            results.append(created(await create(context, topic, request.validate_only), context))
        except ApiError as refused:
            results.append(
                creation.CreatableTopicResult(name=topic.name, error_code=refused.code, error_message=refused.message)
            )
    if not request.validate_only and any(not result.error_code for result in results):
        await catch_up(context)
    return creation.CreateTopicsResponse(topics=results)


async def create(context: Context, topic: creation.CreatableTopic, validate_only: bool) -> TopicEntry:
    """Create or check one topic. Raises ApiError."""
    if not context.allows_topic(Operation.CREATE, topic.name) and not context.allows(
        Operation.CREATE, ResourceType.CLUSTER, CLUSTER_NAME
    ):
        raise ApiError(ErrorCode.TOPIC_AUTHORIZATION_FAILED, f"this key may not create topic {topic.name!r}")
    if topic.assignments:
        raise ApiError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT, "the platform places partitions itself: leave assignments out"
        )
    if topic.replication_factor not in (-1, 1):
        raise ApiError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"replication factor {topic.replication_factor}: use 1 or -1; durability is a setting of the topic here",
        )
    configs: dict[str, str] = {}
    for config in topic.configs:
        if config.value is None:
            raise ApiError(ErrorCode.INVALID_CONFIG, f"{config.name}: a value is needed")
        configs[config.name] = config.value
    async with transaction(context) as session:
        return await create_topic(
            session,
            actor_of(context.caller),
            context.namespace.id,
            topic.name,
            topic.num_partitions,
            configs,
            validate_only,
        )


def created(entry: TopicEntry, context: Context) -> creation.CreatableTopicResult:
    """What was made, with its configuration when the caller may see it (KIP-525)."""
    result = creation.CreatableTopicResult(
        name=entry.name,
        topic_id=entry.id,
        error_code=ErrorCode.NONE,
        num_partitions=entry.partitions,
        replication_factor=1,
    )
    if not context.allows_topic(Operation.DESCRIBE_CONFIGS, entry.name):
        result.topic_config_error_code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
        result.num_partitions = result.replication_factor = -1
        return result
    result.configs = [
        creation.CreatableTopicConfigs(
            name=name,
            value=to_text(value),
            read_only=False,
            config_source=SOURCE_TOPIC if name in entry.configs else SOURCE_DEFAULT,
            is_sensitive=False,
        )
        for name, value in resolve(entry.configs, {}).items()
    ]
    return result


@handles(ApiKey.DELETE_TOPICS, scopes={Scope.TOPICS}, authorises=(Right(Operation.DELETE, ResourceType.TOPIC),))
async def delete_topics(request: deletion.DeleteTopicsRequest, context: Context) -> deletion.DeleteTopicsResponse:
    """The names are free at once; files and objects go afterwards."""
    asked = [(topic.name, topic.topic_id) for topic in request.topics] + [
        (name, ZERO_UUID) for name in request.topic_names
    ]
    responses = []
    for name, topic_id in asked:
        result = deletion.DeletableTopicResult(name=name, topic_id=topic_id, error_code=ErrorCode.NONE)
        try:
            result.name, result.topic_id = await delete(context, name, topic_id)
        except ApiError as refused:
            result.error_code, result.error_message = refused.code, refused.message
        responses.append(result)
    if any(not result.error_code for result in responses):
        await catch_up(context)
    return deletion.DeleteTopicsResponse(responses=responses)


async def delete(context: Context, name: str | None, topic_id: UUID) -> tuple[str, UUID]:
    """Delete one topic by name or id. Raises ApiError."""
    if (name is None) == (topic_id == ZERO_UUID):
        raise ApiError(ErrorCode.INVALID_REQUEST, "name a topic or give its id, one of the two")
    topic = context.topic_by_id(Operation.DELETE, topic_id) if name is None else context.topic(Operation.DELETE, name)
    async with transaction(context) as session:
        await delete_topic(session, actor_of(context.caller), context.namespace.id, topic.name, topic_id=topic.id)
    return topic.name, topic.id
