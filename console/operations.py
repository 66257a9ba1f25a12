"""One operation of the HTTP API as data: the router, the request's checks and the OpenAPI document all read it."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from ..tenants.actor import Actor
from ..tenants.catalogue import NamespaceEntry
from ..tenants.database import Database
from ..tenants.member_access import MemberAccess
from ..tenants.member_entry import MemberEntry
from ..tenants.rights import Right
from ..tenants.sessions import SessionEntry
from ..tenants.sign_in_limits import SignInLimits
from ..tenants.tenancy import TenantEntry
from . import failures
from .config import ConsoleConfig
from .cookies import Cookies
from .kafka import BrokerClient
from .places import Places
from .records import RecordReader
from .sampler import Sampler
from .waits import Waits

# A broker answers one preview after another, and each may read much.
PREVIEWS_OF_MEMBER_MAX, PREVIEWS_MAX = 4, 16
# What a path parameter may look like. Anything else is as unknown as a name that was never given (404), and never
# reaches the database.
PARAMETERS: Mapping[str, str] = {
    "tenant": r"^[a-z0-9-]{1,63}$",
    "namespace": r"^[a-z0-9-]{1,63}$",
    "topic": r"^[A-Za-z0-9._-]{1,249}$",
    "key_id": r"^[A-Za-z][A-Za-z0-9]{11}$",
    "job_id": r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    "member": r"^[A-Za-z0-9._@-]{1,100}$",
    "account": r"^[A-Za-z0-9._@-]{1,100}$",
    "token_id": r"^[A-Za-z][A-Za-z0-9]{11}$",
    "session_id": r"^[A-Za-z0-9_-]{1,40}$",
}


@dataclass(frozen=True, slots=True)
class Services:
    """What the console process holds for its lifetime."""

    config: ConsoleConfig
    database: Database
    broker: BrokerClient
    sampler: Sampler
    cookies: Cookies
    sign_ins: SignInLimits
    records: RecordReader
    waits: Waits
    previews: Places = field(default_factory=lambda: Places(PREVIEWS_OF_MEMBER_MAX, PREVIEWS_MAX))

    @staticmethod
    def monotonic_ms() -> int:
        """A clock that nobody sets, for limits on how often."""
        return time.monotonic_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """What a path names: nothing, a tenant, or a namespace. The caller may do there what the operation needs."""

    tenant: TenantEntry | None = None
    namespace: NamespaceEntry | None = None

    @property
    def tenant_id(self) -> UUID | None:
        if self.namespace is not None:
            return self.namespace.tenant_id
        return None if self.tenant is None else self.tenant.id

    @property
    def namespace_id(self) -> UUID | None:
        return None if self.namespace is None else self.namespace.id


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, and how they showed it: by a session's cookie, or by an access token."""

    access: MemberAccess
    session: SessionEntry | None = None
    cookie: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    @property
    def member(self) -> MemberEntry:
        return self.access.member


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated and authorised request: who asks, and what the path names."""

    services: Services
    caller: Caller
    place: Place
    path: Mapping[str, str]

    @property
    def database(self) -> Database:
        return self.services.database

    @property
    def config(self) -> ConsoleConfig:
        return self.services.config

    @property
    def member(self) -> MemberEntry:
        return self.caller.member

    @property
    def actor(self) -> Actor:
        return self.member.actor

    @property
    def access(self) -> MemberAccess:
        return self.caller.access

    @property
    def namespace(self) -> NamespaceEntry:
        """Of the namespace that the path names."""
        assert self.place.namespace is not None, "only operations on a namespace ask for it"
        return self.place.namespace

    def allows(self, right: Right) -> bool:
        """Whether the caller may do that at the place of this call."""
        return self.access.allows(right, self.place.tenant_id, self.place.namespace_id)

    def require(self, right: Right, tenant_id: UUID | None = None, namespace_id: UUID | None = None) -> None:
        """For what the query or the body names. Raises Failure, 404 as for what does not exist."""
        if not self.access.allows(right, tenant_id, namespace_id):
            raise failures.not_found()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`handler` gets the call, then the query, then the body, as far as their types are given here.

    `needs` is checked where the path leads, before the handler runs; who lacks it is told 404, as for what does not
    exist. None: every member may ask, and the handler shows each what is theirs.
    `dangerous`: a session has to have proven the password within CONFIRMED_MS; tokens are a proof of their own.
    """

    name: str
    method: str
    path: str
    summary: str
    handler: Callable[..., Awaitable[Any]]
    needs: Right | None
    answer: type | None
    status: int = 200
    body: type | None = None
    query: type | None = None
    errors: tuple[int, ...] = ()
    secret: bool = False
    dangerous: bool = False
