"""What a handler is given to work with: the caller's namespace, its rights, and the broker's services."""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from ...tenants.keys import Principal
from ...tenants.permissions import Operation, Permissions, ResourceType
from .errors import unauthorised_topic, unknown_topic, unknown_topic_id
from .namespace import NamespaceView, Topic

if TYPE_CHECKING:
    from ..wire.header import RequestHeader
    from .services import Services


@dataclass(slots=True)
class Caller:
    """Who is signed in on a connection. `permissions` is replaced when policies change; `principal` is none for those
    who hold no API key: the console and anonymous clients on loopback."""

    name: str
    key_id: str | None
    namespace: NamespaceView
    permissions: Permissions
    expires_at_ms: int | None
    principal: Principal | None


@dataclass(frozen=True, slots=True)
class Context:
    """One request's surroundings. The namespace is the caller's own: a handler has no way to another."""

    signed_in: Caller | None  # none only for what may come before sign-in
    services: "Services"
    header: "RequestHeader"
    client_host: str

    @property
    def caller(self) -> Caller:
        """Who asks."""
        assert self.signed_in is not None, "the connection lets nothing but ApiVersions through before sign-in"
        return self.signed_in

    @property
    def namespace(self) -> NamespaceView:
        """The caller's namespace."""
        return self.caller.namespace

    @property
    def api_version(self) -> int:
        """The version the request was sent in."""
        return self.header.api_version

    def allows(self, operation: Operation, resource: ResourceType, name: str) -> bool:
        """Whether the caller has a right on a name, existing or not."""
        return self.caller.permissions.allows(operation, resource, name)

    def allows_topic(self, operation: Operation, name: str) -> bool:
        """Whether the caller has a right on a topic name, existing or not."""
        return self.caller.permissions.allows(operation, ResourceType.TOPIC, name)

    def topic(self, operation: Operation, name: str) -> Topic:
        """Resolve a topic name; raises ApiError: no right (asked first), or no such topic."""
        if not self.allows_topic(operation, name):
            raise unauthorised_topic(name)
        topic = self.namespace.topic(name.encode())
        if topic is None:
            raise unknown_topic(name)
        return topic

    def topic_by_id(self, operation: Operation, topic_id: UUID) -> Topic:
        """Resolve a topic id; an id of another namespace is as unknown as a random one."""
        topic = self.namespace.topic_by_id(topic_id.bytes)
        if topic is None:
            raise unknown_topic_id(topic_id)
        if not self.allows_topic(operation, topic.name):
            raise unauthorised_topic(topic.name)
        return topic
