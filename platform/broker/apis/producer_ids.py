"""InitProducerId (key 22), versions 0 to 5, for idempotent producers. Transactions are not offered yet and say so."""

import logging

from sqlalchemy.exc import SQLAlchemyError

from ....tenants.permissions import CLUSTER_NAME, Operation, ResourceType
from ...wire.api import ApiKey
from ...wire.errors import ErrorCode
from ...wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from ..context import Context
from ..registry import Right, Scope, handles

log = logging.getLogger("coldstream.database")

NO_PRODUCER = -1


@handles(
    ApiKey.INIT_PRODUCER_ID,
    scopes={Scope.PRODUCER_IDS},
    authorises=(Right(Operation.IDEMPOTENT_WRITE, ResourceType.CLUSTER), Right(Operation.WRITE, ResourceType.TOPIC)),
)
async def init_producer_id(request: InitProducerIdRequest, context: Context) -> InitProducerIdResponse:
    """A fresh producer id bound to the namespace; who asks with an id of its own gets a fresh one too (KIP-360)."""
    if request.transactional_id is not None:
        return InitProducerIdResponse(error_code=ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    permissions = context.caller.permissions
    may = permissions.allows(Operation.IDEMPOTENT_WRITE, ResourceType.CLUSTER, CLUSTER_NAME)
    if not may and not permissions.allowed_any(Operation.WRITE, ResourceType.TOPIC):  # KIP-679
        return InitProducerIdResponse(error_code=ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
    try:
        producer_id = await context.services.producer_ids.next_id(context.namespace)
    except (SQLAlchemyError, OSError) as error:
        log.error("no producer ids can be reserved", extra={"error": str(error)})
        return InitProducerIdResponse(error_code=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)  # what every client repeats
    return InitProducerIdResponse(error_code=ErrorCode.NONE, producer_id=producer_id, producer_epoch=0)
