"""One operation of the HTTP API as data: the router, the request's checks and the OpenAPI document all read it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..tenants.actor import Actor
from ..tenants.database import Database
from .config import ConsoleConfig
from .kafka import BrokerClient
from .sampler import Sampler
from .schemas import Me

# What a path parameter may look like. Anything else is as unknown as a name that was never given (404), and never
# reaches the database.
PARAMETERS: Mapping[str, str] = {
    "tenant": r"^[a-z0-9-]{1,63}$",
    "namespace": r"^[a-z0-9-]{1,63}$",
    "topic": r"^[A-Za-z0-9._-]{1,249}$",
    "key_id": r"^[A-Za-z][A-Za-z0-9]{11}$",
    "job_id": r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
}


@dataclass(frozen=True, slots=True)
class Services:
    """What the console process holds for its lifetime."""

    config: ConsoleConfig
    database: Database
    broker: BrokerClient
    sampler: Sampler


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request: who asks, and what the path names."""

    services: Services
    member: Me
    actor: Actor
    path: Mapping[str, str]

    @property
    def database(self) -> Database:
        return self.services.database

    @property
    def config(self) -> ConsoleConfig:
        return self.services.config


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`handler` gets the call, then the query, then the body, as far as their types are given here.

    `everyone` lets members without platform rights in; they are told 404 everywhere else.
    """

    name: str
    method: str
    path: str
    summary: str
    handler: Callable[..., Awaitable[Any]]
    answer: type | None
    status: int = 200
    body: type | None = None
    query: type | None = None
    errors: tuple[int, ...] = ()
    secret: bool = False
    everyone: bool = False
