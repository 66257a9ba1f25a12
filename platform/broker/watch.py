"""What the broker looks at regularly: has the database changed, is a key revoked, has one expired."""

import asyncio
import logging
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from ...tenants.catalogue import Versions, versions
from ...tenants.keys import key_states

if TYPE_CHECKING:
    from .services import Services

log = logging.getLogger("coldstream.watch")

POLL_S = 0.1
REREAD_EVERY_POLLS = 10  # a notification is a hint only: the versions row itself is read once a second


class DatabaseWatch:
    """Follows the versions row: catalogue, policies, revocations, jobs."""

    def __init__(self, services: "Services", seen: Versions) -> None:
        self._services = services
        self._seen = seen

    async def run(self) -> None:
        """Until cancelled. An outage of the database stops nothing that is loaded (DURABILITY 5)."""
        polls = 0
        while True:
            await asyncio.sleep(POLL_S)
            polls += 1
            try:
                if await self._services.database.changed() or polls % REREAD_EVERY_POLLS == 0:
                    await self.look()
            except (SQLAlchemyError, OSError) as error:
                log.warning("the database cannot be read", extra={"error": str(error)})
                await asyncio.sleep(1)

    async def look(self) -> None:
        """Read the versions row, and act on what moved."""
        now = await versions(self._services.database)
        was, self._seen = self._seen, now
        if now.catalogue != was.catalogue:
            await self._services.follower.refresh()
        if now.policy != was.policy:
            await self._renew_permissions()
        if (now.revocations, now.catalogue) != (was.revocations, was.catalogue):
            await self._close_revoked()
        if now.jobs != was.jobs:
            self._services.offload_jobs.changed()

    async def _renew_permissions(self) -> None:
        services = self._services
        for connection in tuple(services.connections):
            caller = connection.caller
            if caller is not None and caller.principal is not None:
                caller.permissions = await services.authentication.permissions_of(caller.principal)

    async def _close_revoked(self) -> None:
        services = self._services
        callers = {
            c.caller.key_id for c in services.connections if c.caller is not None and c.caller.key_id is not None
        }
        if not callers:
            return
        states = await key_states(services.database, callers, services.now_ms())
        for connection in tuple(services.connections):
            caller = connection.caller
            if caller is None or caller.key_id is None or caller.key_id not in states:
                continue
            state = states[caller.key_id]
            caller.expires_at_ms = state.expires_at_ms
            if state.unusable is not None:
                connection.close(f"key {caller.key_id}: {state.unusable}", expected=True)


async def close_expired(services: "Services") -> None:
    """Close connections whose sign-in has run out; every second, until cancelled."""
    while True:
        await asyncio.sleep(1)
        now_ms = services.now_ms()
        for connection in tuple(services.connections):
            caller = connection.caller
            if caller is not None and caller.expires_at_ms is not None and caller.expires_at_ms <= now_ms:
                connection.close(f"key {caller.key_id}: expired", expected=True)
