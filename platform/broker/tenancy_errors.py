"""Transactions of handlers: which Kafka error each refusal of a tenancy service is, and who acts in the audit log."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from ...tenants import errors as tenancy
from ...tenants.actor import Actor
from ..wire.errors import ErrorCode
from .context import Caller, Context
from .errors import ApiError

log = logging.getLogger("coldstream.database")

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


@asynccontextmanager
async def transaction(context: Context) -> AsyncIterator[AsyncSession]:
    """A transaction of the metadata database on behalf of a client. Raises ApiError for what anybody refuses.

    Where the database fails, the outcome is unknown: a retriable error says so.
    """
    try:
        async with context.services.database.write() as session:
            yield session
    except tenancy.TenancyError as error:
        raise ApiError(tenancy_error(error), str(error)) from None
    except (SQLAlchemyError, OSError) as error:
        log.error("a client's transaction failed", extra={"api": context.header.api_key, "error": str(error)})
        raise ApiError(
            ErrorCode.REQUEST_TIMED_OUT, "the metadata database does not answer: look what became of this, try again"
        ) from None


async def catch_up(context: Context) -> None:
    """Show here what a client's transaction changed. Where that fails, the change is made and the watch shows it."""
    try:
        await context.services.follower.refresh()
    except Exception as error:
        log.error("the catalogue cannot be followed", exc_info=error)
