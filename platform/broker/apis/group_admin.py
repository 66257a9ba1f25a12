"""FindCoordinator (key 10), versions 0 to 6; DescribeGroups (key 15), 0 to 6; ListGroups (key 16), 0 to 5."""

from ....tenants.permissions import CLUSTER_NAME, Operation, ResourceType
from ...wire.api import ApiKey
from ...wire.errors import ErrorCode
from ...wire.messages import describe_groups as description
from ...wire.messages import find_coordinator as finding
from ...wire.messages import list_groups as listing
from ..context import Context
from ..errors import ApiError
from ..registry import Right, Scope, handles

SEVERAL_KEYS_FROM = 4
GROUP_NOT_FOUND_FROM = 6
MAY_DESCRIBE = Right(Operation.DESCRIBE, ResourceType.GROUP)


def unauthorised_group(group_id: str) -> ApiError:
    """No right to the group id, existing or not."""
    return ApiError(ErrorCode.GROUP_AUTHORIZATION_FAILED, f"this key has no such right on group {group_id!r}")


def check_group(context: Context, operation: Operation, group_id: str) -> None:
    """Raises ApiError without the right."""
    if not context.allows(operation, ResourceType.GROUP, group_id):
        raise unauthorised_group(group_id)


@handles(ApiKey.FIND_COORDINATOR, scopes={Scope.GROUPS}, authorises=(MAY_DESCRIBE,))
def find_coordinator(request: finding.FindCoordinatorRequest, context: Context) -> finding.FindCoordinatorResponse:
    """Every group of a namespace is coordinated here."""
    if context.api_version >= SEVERAL_KEYS_FROM:
        return finding.FindCoordinatorResponse(
            coordinators=[coordinator(context, request.key_type, key) for key in request.coordinator_keys]
        )
    found = coordinator(context, request.key_type, request.key)
    return finding.FindCoordinatorResponse(
        error_code=found.error_code,
        error_message=found.error_message,
        node_id=found.node_id,
        host=found.host,
        port=found.port,
    )


def coordinator(context: Context, key_type: int, key: str) -> finding.Coordinator:
    """Where one group is coordinated, or why nowhere."""
    error: ErrorCode | None = None
    message: str | None = None
    if key_type == finding.TRANSACTION_KEY:
        error, message = ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "transactions are not offered yet"
    elif key_type != finding.GROUP_KEY:
        error, message = ErrorCode.INVALID_REQUEST, f"coordinators of key type {key_type} are not offered"
    elif not context.allows(Operation.DESCRIBE, ResourceType.GROUP, key):
        refused = unauthorised_group(key)
        error, message = refused.code, refused.message
    if error is not None:
        return finding.Coordinator(key=key, node_id=-1, host="", port=-1, error_code=error, error_message=message)
    advertised = context.services.advertised
    return finding.Coordinator(
        key=key,
        node_id=context.services.broker_id,
        host=advertised.host,
        port=advertised.port,
        error_code=ErrorCode.NONE,
    )


@handles(ApiKey.DESCRIBE_GROUPS, scopes={Scope.GROUPS}, authorises=(MAY_DESCRIBE,))
def describe_groups(request: description.DescribeGroupsRequest, context: Context) -> description.DescribeGroupsResponse:
    """State and members of groups."""
    return description.DescribeGroupsResponse(groups=[describe(context, group_id) for group_id in request.groups])


def describe(context: Context, group_id: str) -> description.DescribedGroup:
    """One group, or why not. Up to version 5 a group that does not exist is Dead without an error (KIP-1043)."""
    try:
        check_group(context, Operation.DESCRIBE, group_id)
    except ApiError as refused:
        return description.DescribedGroup(
            error_code=refused.code,
            error_message=refused.message,
            group_id=group_id,
            group_state="",
            protocol_type="",
            protocol_data="",
            members=(),
        )
    found = context.services.coordinator.describe(
        context.namespace.id, group_id, missing_is_error=context.api_version >= GROUP_NOT_FOUND_FROM
    )
    error = found.error
    return description.DescribedGroup(
        error_code=error,
        error_message=f"no group {group_id!r}" if error is ErrorCode.GROUP_ID_NOT_FOUND else None,
        group_id=group_id,
        group_state=found.state,
        protocol_type=found.protocol_type,
        protocol_data=found.protocol_name,
        members=[
            description.DescribedGroupMember(
                member_id=member.member_id,
                group_instance_id=member.instance_id,
                client_id=member.client_id,
                client_host=f"/{member.client_host}",
                member_metadata=member.metadata,
                member_assignment=member.assignment,
            )
            for member in found.members
        ],
    )


@handles(
    ApiKey.LIST_GROUPS,
    scopes={Scope.GROUPS},
    authorises=(MAY_DESCRIBE, Right(Operation.DESCRIBE, ResourceType.CLUSTER)),
)
def list_groups(request: listing.ListGroupsRequest, context: Context) -> listing.ListGroupsResponse:
    """The namespace's groups: all for who may describe the cluster, else those that may be described one by one."""
    found = context.services.coordinator.list_groups(context.namespace.id, request.states_filter, request.types_filter)
    sees_all = context.allows(Operation.DESCRIBE, ResourceType.CLUSTER, CLUSTER_NAME)
    groups = [
        listing.ListedGroup(
            group_id=group.group_id,
            protocol_type=group.protocol_type,
            group_state=group.state,
            group_type=group.group_type,
        )
        for group in found.groups
        if sees_all or context.allows(Operation.DESCRIBE, ResourceType.GROUP, group.group_id)
    ]
    return listing.ListGroupsResponse(error_code=found.error, groups=groups)
