"""Which Kafka error each refusal of a tenancy service is, and who an actor is in the audit log."""

from collections.abc import Mapping

from ...tenants import errors as tenancy
from ...tenants.actor import Actor
from ..wire.errors import ErrorCode
from .context import Caller

CODES: Mapping[type[tenancy.TenancyError], ErrorCode] = {
    tenancy.InvalidTopicName: ErrorCode.INVALID_TOPIC_EXCEPTION,
    tenancy.InvalidPartitions: ErrorCode.INVALID_PARTITIONS,
    tenancy.InvalidConfig: ErrorCode.INVALID_CONFIG,
    tenancy.TopicExists: ErrorCode.TOPIC_ALREADY_EXISTS,
    tenancy.NotFound: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    tenancy.QuotaExceeded: ErrorCode.POLICY_VIOLATION,
    tenancy.TenancyError: ErrorCode.INVALID_REQUEST,
}


def tenancy_error(error: tenancy.TenancyError) -> ErrorCode:
    """The code of the error's class, or of the nearest class it derives from."""
    return next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)


def actor_of(caller: Caller) -> Actor:
    """The audit log's name for a caller."""
    if caller.principal is None:
        return Actor.local(caller.name)
    return Actor.service_account(caller.principal.service_account_id, caller.principal.name)
