"""Who makes a change, as the audit log will say it."""

from dataclasses import dataclass
from typing import Self
from uuid import UUID

from .models import ActorKind


@dataclass(frozen=True, slots=True)
class Actor:
    """`id` is the member's or service account's id; a key is named by its service account's name and its own id."""

    kind: ActorKind
    id: str
    name: str

    @classmethod
    def local(cls, name: str = "local") -> Self:
        """Somebody with access to this machine: the CLI on a data directory, an anonymous loopback client."""
        return cls(ActorKind.LOCAL, name, name)

    @classmethod
    def system(cls, name: str = "coldstream") -> Self:
        """The platform itself: first start, retention, automatic topic creation by its own hand."""
        return cls(ActorKind.SYSTEM, name, name)

    @classmethod
    def member(cls, member_id: UUID, name: str) -> Self:
        return cls(ActorKind.MEMBER, str(member_id), name)

    @classmethod
    def service_account(cls, service_account_id: UUID, name: str) -> Self:
        return cls(ActorKind.SERVICE_ACCOUNT, str(service_account_id), name)
