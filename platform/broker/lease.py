"""The broker's lease: renewed every second. A fenced broker ends; an outage of the database ends nobody."""

import asyncio
import logging
from collections.abc import Callable

from ...tenants.database import Database
from ..cluster.errors import BrokerFenced
from ..cluster.membership import LEASE_RENEWAL_MS, BrokerRegistration, renew_lease

log = logging.getLogger("coldstream.lease")


async def keep_lease(
    database: Database, registration: BrokerRegistration, on_fenced: Callable[[BaseException], None]
) -> None:
    """Until cancelled, or fenced."""
    while True:
        await asyncio.sleep(LEASE_RENEWAL_MS / 1000)
        try:
            await renew_lease(database, registration)
        except BrokerFenced as fenced:
            on_fenced(fenced)
            return
        except Exception as error:
            log.warning("the lease cannot be renewed", extra={"error": repr(error)})
