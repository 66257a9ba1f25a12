"""What the broker looks at regularly: has the database changed, is a key revoked, has one expired."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

from ...tenants.catalogue import Versions, versions
from ...tenants.keys import key_states
from ...tenants.permissions import Permissions

if TYPE_CHECKING:
    from .services import Services

log = logging.getLogger("coldstream.watch")

POLL_S = 0.1
REREAD_EVERY_POLLS = 10  # a notification is a hint only: the versions row itself is read once a second
SIGN_IN_S_MAX = 30.0  # strangers may not fill up the connections there are
REOPEN_EVERY_POLLS = 50  # topics whose files could not be opened


class Step(NamedTuple):
    """What to do when any of some versions moved."""

    versions: Callable[[Versions], tuple[int, ...]]
    act: Callable[[], Awaitable[None]]


class DatabaseWatch:
    """Follows the versions row: catalogue, policies, revocations, jobs.

    A version counts as seen only when what it asks for was done: what fails is done again at the next look, and keeps
    nothing else from being done.
    """

    def __init__(self, services: "Services", seen: Versions) -> None:
        self._services = services
        self._steps = (
            Step(lambda now: (now.jobs,), self._tell_of_jobs),
            Step(lambda now: (now.revocations, now.catalogue), self._close_revoked),
            Step(lambda now: (now.policy,), self._renew_permissions),
            Step(lambda now: (now.catalogue,), self._follow_catalogue),
        )
        self._done = [step.versions(seen) for step in self._steps]
        self._seen = seen

    async def run(self) -> None:
        """Until cancelled. An outage of the database stops nothing that is loaded."""
        polls = 0
        while True:
            await asyncio.sleep(POLL_S)
            polls += 1
            try:
                if await self._services.database.changed() or polls % REREAD_EVERY_POLLS == 0:
                    await self.look()
                if polls % REOPEN_EVERY_POLLS == 0 and not self._services.follower.is_complete:
                    await self._services.follower.refresh()
            except Exception as error:
                log.warning("the database cannot be followed", extra={"error": repr(error)})
                await asyncio.sleep(1)

    async def look(self) -> None:
        """Read the versions row, and act on what moved. Raises what the last step that failed raised."""
        now = await versions(self._services.database)
        if now != self._seen:
            self._seen = now
            self._services.rights_version += 1  # before anybody is looked at: sign-ins under way look again
        failure: Exception | None = None
        for number, step in enumerate(self._steps):
            wanted = step.versions(now)
            if wanted == self._done[number]:
                continue
            try:
                await step.act()
            except Exception as error:
                failure = error
            else:
                self._done[number] = wanted
        if failure is not None:
            raise failure

    async def _tell_of_jobs(self) -> None:
        self._services.jobs.changed()

    async def _follow_catalogue(self) -> None:
        services = self._services
        await services.follower.refresh()
        for connection in tuple(services.connections):
            caller = connection.caller
            if caller is not None and (reason := services.homeless(caller)) is not None:
                connection.close(reason, expected=True)

    async def _renew_permissions(self) -> None:
        services = self._services
        renewed: dict[str, Permissions] = {}
        for connection in tuple(services.connections):
            caller = connection.caller
            if caller is None or caller.principal is None:
                continue
            key_id = caller.principal.key_id
            if key_id not in renewed:
                renewed[key_id] = await services.authentication.permissions_of(caller.principal)
            caller.permissions = renewed[key_id]

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
    """Close connections whose sign-in has run out, or does not come; every second, until cancelled."""
    while True:
        await asyncio.sleep(1)
        now_ms, now_s = services.now_ms(), services.loop.time()
        for connection in tuple(services.connections):
            caller = connection.caller
            if caller is None and now_s - connection.made_s > SIGN_IN_S_MAX:
                connection.close(f"no sign-in within {SIGN_IN_S_MAX} seconds", expected=True)
            elif caller is not None and caller.expires_at_ms is not None and caller.expires_at_ms <= now_ms:
                connection.close(f"key {caller.key_id}: expired", expected=True)
