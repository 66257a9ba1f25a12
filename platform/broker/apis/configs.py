"""DescribeConfigs (key 32), versions 1 to 4, and IncrementalAlterConfigs (key 44), versions 0 to 1.

Topics only. The broker resource of a namespace's cluster answers what a client may rely on and nothing of the platform;
synonyms name a topic's own override and the default, never a setting of the machine.
"""

from collections.abc import Iterable

from ....tenants.permissions import CLUSTER_NAME, Operation, ResourceType
from ....tenants.topic_configs import DEFINITIONS, ConfigType, to_text
from ....tenants.topics import ConfigChange, ConfigOperation, alter_configs
from ...wire.api import ApiKey
from ...wire.errors import ErrorCode
from ...wire.messages import describe_configs as description
from ...wire.messages import incremental_alter_configs as alteration
from ..context import Context
from ..errors import ApiError
from ..namespace import Topic
from ..registry import Right, Scope, handles
from ..tenancy_errors import actor_of, catch_up, transaction

SOURCE_TOPIC, SOURCE_STATIC_BROKER, SOURCE_DEFAULT = 1, 4, 5
RESOURCE_TOPIC, RESOURCE_BROKER = description.TOPIC_RESOURCE, description.BROKER_RESOURCE


@handles(
    ApiKey.DESCRIBE_CONFIGS,
    scopes={Scope.TOPICS, Scope.CLUSTER},
    authorises=(
        Right(Operation.DESCRIBE_CONFIGS, ResourceType.TOPIC),
        Right(Operation.DESCRIBE_CONFIGS, ResourceType.CLUSTER),
    ),
)
def describe_configs(
    request: description.DescribeConfigsRequest, context: Context
) -> description.DescribeConfigsResponse:
    """Effective values, with where each comes from."""
    results = []
    for resource in request.resources:
        result = description.DescribeConfigsResult(
            error_code=ErrorCode.NONE, resource_type=resource.resource_type, resource_name=resource.resource_name
        )
        try:
            entries = describe(context, resource, request)
            wanted = None if resource.configuration_keys is None else set(resource.configuration_keys)
            result.configs = [entry for entry in entries if wanted is None or entry.name in wanted]
        except ApiError as refused:
            result.error_code, result.error_message = refused.code, refused.message
        results.append(result)
    return description.DescribeConfigsResponse(results=results)


def describe(
    context: Context, resource: description.DescribeConfigsResource, request: description.DescribeConfigsRequest
) -> Iterable[description.DescribeConfigsResourceResult]:
    """The configs of one resource. Raises ApiError."""
    if resource.resource_type == RESOURCE_TOPIC:
        topic = context.topic(Operation.DESCRIBE_CONFIGS, resource.resource_name)
        return [describe_topic_config(topic, name, request) for name in DEFINITIONS]
    if resource.resource_type == RESOURCE_BROKER:
        if not context.allows(Operation.DESCRIBE_CONFIGS, ResourceType.CLUSTER, CLUSTER_NAME):
            raise ApiError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "this key may not describe the cluster's configs")
        if resource.resource_name not in ("", str(context.services.broker_id)):
            raise ApiError(ErrorCode.INVALID_REQUEST, f"no broker {resource.resource_name[:40]!r}")
        return [broker_config(name, value) for name, value in broker_facts(context)]
    raise ApiError(ErrorCode.INVALID_REQUEST, f"resource type {resource.resource_type} has no configs here")


def broker_facts(context: Context) -> list[tuple[str, str]]:
    """What a namespace's cluster says of itself."""
    return [
        ("auto.create.topics.enable", to_text(context.namespace.auto_create_topics)),
        ("default.replication.factor", "1"),
        ("num.partitions", "1"),
    ]


def broker_config(name: str, value: str) -> description.DescribeConfigsResourceResult:
    """A read-only fact."""
    return description.DescribeConfigsResourceResult(
        name=name, value=value, read_only=True, config_source=SOURCE_STATIC_BROKER, is_sensitive=False
    )


def describe_topic_config(
    topic: Topic, name: str, request: description.DescribeConfigsRequest
) -> description.DescribeConfigsResourceResult:
    """One config of a topic."""
    definition = DEFINITIONS[name]
    value = to_text(topic.configs[name])
    source = SOURCE_TOPIC if name in topic.overrides else SOURCE_DEFAULT
    default = value if source == SOURCE_DEFAULT else to_text(definition.default)
    synonyms = []
    if request.include_synonyms:
        if source == SOURCE_TOPIC:
            synonyms.append(description.DescribeConfigsSynonym(name=name, value=value, source=SOURCE_TOPIC))
        synonyms.append(description.DescribeConfigsSynonym(name=name, value=default, source=SOURCE_DEFAULT))
    return description.DescribeConfigsResourceResult(
        name=name,
        value=value,
        read_only=False,
        config_source=source,
        is_sensitive=definition.type is ConfigType.PASSWORD,
        synonyms=synonyms,
        config_type=definition.type,
        documentation=definition.doc if request.include_documentation else None,
    )


@handles(
    ApiKey.INCREMENTAL_ALTER_CONFIGS,
    scopes={Scope.TOPICS},
    authorises=(Right(Operation.ALTER_CONFIGS, ResourceType.TOPIC),),
)
async def incremental_alter_configs(
    request: alteration.IncrementalAlterConfigsRequest, context: Context
) -> alteration.IncrementalAlterConfigsResponse:
    """Change what is named and leave the rest (KIP-339); in force on this broker when the answer comes."""
    responses = []
    for resource in request.resources:
        response = alteration.AlterConfigsResourceResponse(
            error_code=ErrorCode.NONE, resource_type=resource.resource_type, resource_name=resource.resource_name
        )
        try:
            await alter(context, resource, request.validate_only)
        except ApiError as refused:
            response.error_code, response.error_message = refused.code, refused.message
        responses.append(response)
    if not request.validate_only:
        await catch_up(context)
    return alteration.IncrementalAlterConfigsResponse(responses=responses)


async def alter(context: Context, resource: alteration.AlterConfigsResource, validate_only: bool) -> None:
    """Change one topic's configs. Raises ApiError."""
    if resource.resource_type != RESOURCE_TOPIC:
        raise ApiError(ErrorCode.INVALID_REQUEST, "only topics have configs that a namespace can alter")
    topic = context.topic(Operation.ALTER_CONFIGS, resource.resource_name)
    try:
        changes = [ConfigChange(c.name, ConfigOperation(c.config_operation), c.value) for c in resource.configs]
    except ValueError:
        raise ApiError(
            ErrorCode.INVALID_REQUEST, "a config operation is 0 set, 1 delete, 2 append or 3 subtract"
        ) from None
    async with transaction(context) as session:
        await alter_configs(session, actor_of(context.caller), context.namespace.id, topic.name, changes, validate_only)
