"""JoinGroup (key 11), versions 0 to 9; SyncGroup (14), 0 to 5; Heartbeat (12), 0 to 4; LeaveGroup (13), 0 to 5."""

import asyncio

from ....tenants.permissions import Operation, ResourceType
from ...groups import exchange
from ...wire.api import ApiKey
from ...wire.errors import ErrorCode
from ...wire.messages import heartbeat as heartbeats
from ...wire.messages import join_group as joining
from ...wire.messages import leave_group as leaving
from ...wire.messages import sync_group as syncing
from ..answers import setting
from ..context import Context
from ..registry import Right, Scope, handles

MEMBER_ID_REQUIRED_FROM = 4
NULL_PROTOCOL_FROM = 7
SKIP_ASSIGNMENT_FROM = 9
SEVERAL_MEMBERS_FROM = 3
READ_GROUP = Right(Operation.READ, ResourceType.GROUP)


def may_read(context: Context, group_id: str) -> bool:
    """Whether the caller may be a member of the group."""
    return context.allows(Operation.READ, ResourceType.GROUP, group_id)


@handles(ApiKey.JOIN_GROUP, scopes={Scope.GROUPS}, authorises=(READ_GROUP,))
async def join_group(request: joining.JoinGroupRequest, context: Context) -> joining.JoinGroupResponse:
    """Answered when the rebalance is complete."""
    version = context.api_version
    empty_name = None if version >= NULL_PROTOCOL_FROM else ""
    if not may_read(context, request.group_id):
        return joining.JoinGroupResponse(
            error_code=ErrorCode.GROUP_AUTHORIZATION_FAILED, protocol_name=empty_name, member_id=request.member_id
        )
    answered: asyncio.Future[exchange.JoinResult] = context.services.loop.create_future()
    context.services.coordinator.join(
        context.namespace.id,
        exchange.JoinRequest(
            group_id=request.group_id,
            member_id=request.member_id,
            instance_id=request.group_instance_id,
            client_id=context.header.client_id or "",
            client_host=context.client_host,
            session_timeout_ms=request.session_timeout_ms,
            rebalance_timeout_ms=request.rebalance_timeout_ms,
            protocol_type=request.protocol_type,
            protocols=tuple((protocol.name, protocol.metadata) for protocol in request.protocols),
            member_id_required=version >= MEMBER_ID_REQUIRED_FROM,
            may_skip_assignment=version >= SKIP_ASSIGNMENT_FROM,
        ),
        setting(answered),
    )
    result = await answered
    return joining.JoinGroupResponse(
        error_code=result.error,
        generation_id=result.generation,
        protocol_type=result.protocol_type,
        protocol_name=empty_name if result.protocol_name is None else result.protocol_name,
        leader=result.leader_id,
        skip_assignment=result.skip_assignment,
        member_id=result.member_id,
        members=[
            joining.JoinGroupResponseMember(
                member_id=member.member_id, group_instance_id=member.instance_id, metadata=member.metadata
            )
            for member in result.members
        ],
    )


@handles(ApiKey.SYNC_GROUP, scopes={Scope.GROUPS}, authorises=(READ_GROUP,))
async def sync_group(request: syncing.SyncGroupRequest, context: Context) -> syncing.SyncGroupResponse:
    """Answered when the leader's assignment is durable."""
    if not may_read(context, request.group_id):
        return syncing.SyncGroupResponse(error_code=ErrorCode.GROUP_AUTHORIZATION_FAILED)
    answered: asyncio.Future[exchange.SyncResult] = context.services.loop.create_future()
    context.services.coordinator.sync(
        context.namespace.id,
        exchange.SyncRequest(
            group_id=request.group_id,
            generation=request.generation_id,
            member_id=request.member_id,
            instance_id=request.group_instance_id,
            protocol_type=request.protocol_type,
            protocol_name=request.protocol_name,
            assignments=tuple((each.member_id, each.assignment) for each in request.assignments),
        ),
        setting(answered),
    )
    result = await answered
    return syncing.SyncGroupResponse(
        error_code=result.error,
        protocol_type=result.protocol_type,
        protocol_name=result.protocol_name,
        assignment=result.assignment,
    )


@handles(ApiKey.HEARTBEAT, scopes={Scope.GROUPS}, authorises=(READ_GROUP,))
def heartbeat(request: heartbeats.HeartbeatRequest, context: Context) -> heartbeats.HeartbeatResponse:
    """I am here; is there a rebalance?"""
    if not may_read(context, request.group_id):
        return heartbeats.HeartbeatResponse(error_code=ErrorCode.GROUP_AUTHORIZATION_FAILED)
    error = context.services.coordinator.heartbeat(
        context.namespace.id, request.group_id, request.generation_id, request.member_id, request.group_instance_id
    )
    return heartbeats.HeartbeatResponse(error_code=error)


@handles(ApiKey.LEAVE_GROUP, scopes={Scope.GROUPS}, authorises=(READ_GROUP,))
def leave_group(request: leaving.LeaveGroupRequest, context: Context) -> leaving.LeaveGroupResponse:
    """One member leaves, or an administrator removes several."""
    if not may_read(context, request.group_id):
        return leaving.LeaveGroupResponse(error_code=ErrorCode.GROUP_AUTHORIZATION_FAILED)
    several = context.api_version >= SEVERAL_MEMBERS_FROM
    members = (
        tuple(exchange.LeavingMember(member.member_id, member.group_instance_id) for member in request.members)
        if several
        else (exchange.LeavingMember(request.member_id),)
    )
    result = context.services.coordinator.leave(context.namespace.id, request.group_id, members)
    if not several:
        return leaving.LeaveGroupResponse(error_code=result.first)
    return leaving.LeaveGroupResponse(
        error_code=result.error,
        members=[
            leaving.MemberResponse(
                member_id=member.member_id, group_instance_id=member.group_instance_id, error_code=error
            )
            for member, error in zip(request.members, result.members, strict=False)
        ],
    )
