"""The table of APIs this broker serves. An API cannot enter it without saying what of a namespace it can name and which
rights it asks for, so that scoping is decided when a handler is written and not remembered when it runs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ...tenants.permissions import Operation, ResourceType
from ..wire.api import ApiKey
from .context import Context


class Scope(StrEnum):
    """What an API can name. Every name and id is resolved through the connection's own namespace."""

    CONNECTION = "the connection itself; it names nothing"
    CLUSTER = "the namespace as a cluster: its id, its brokers"
    TOPICS = "topics of the namespace, by name or id"
    GROUPS = "groups of the namespace"
    PRODUCER_IDS = "producer ids bound to the namespace"


@dataclass(frozen=True, slots=True)
class Right:
    """One right an API asks for; which resource it is asked on is the handler's to resolve."""

    operation: Operation
    resource: ResourceType


Handler = Callable[[Any, Context], Any | Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Api:
    """One served API: `handle` takes the decoded request and answers the response message, or an awaitable of it."""

    key: ApiKey
    handle: Handler | None  # None: the connection itself handles it, on its tuned path
    scopes: frozenset[Scope]
    authorises: tuple[Right, ...]


APIS: dict[ApiKey, Api] = {}


def handles(key: ApiKey, *, scopes: set[Scope], authorises: tuple[Right, ...]) -> Callable[[Handler], Handler]:
    """Register the handler of one API. An empty `authorises` is legal only for what names nothing or filters itself."""

    def register(handle: Handler) -> Handler:
        enter(Api(key, handle, frozenset(scopes), authorises))
        return handle

    return register


def enter(api: Api) -> None:
    """Put an API into the table. Raises TypeError when it does not say how it is scoped and authorised."""
    if api.key in APIS:
        raise TypeError(f"{api.key.name} is registered twice")
    if not api.scopes:
        raise TypeError(f"{api.key.name}: say what of a namespace it can name")
    if not api.authorises and not api.scopes <= {Scope.CONNECTION, Scope.CLUSTER}:
        raise TypeError(f"{api.key.name}: names {sorted(api.scopes)} and asks for no right")
    APIS[api.key] = api


WRITE_TOPIC = Right(Operation.WRITE, ResourceType.TOPIC)
READ_TOPIC = Right(Operation.READ, ResourceType.TOPIC)
enter(Api(ApiKey.PRODUCE, None, frozenset({Scope.TOPICS, Scope.PRODUCER_IDS}), (WRITE_TOPIC,)))
enter(Api(ApiKey.FETCH, None, frozenset({Scope.TOPICS}), (READ_TOPIC,)))
enter(Api(ApiKey.SASL_HANDSHAKE, None, frozenset({Scope.CONNECTION}), ()))
enter(Api(ApiKey.SASL_AUTHENTICATE, None, frozenset({Scope.CONNECTION}), ()))
