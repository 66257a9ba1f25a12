"""API keys of a namespace: create, rotate, revoke, list.

Always true: the secret is in the answer of the call that made it and nowhere else; every key has its own grant, so that
rotating or revoking one touches no other; a revocation moves the counter that makes brokers close live connections.
"""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from .actor import Actor
from .audit import Subject, record
from .catalogue import NamespaceEntry
from .database import session_now_ms
from .errors import Conflict, InvalidArgument, NotFound
from .keys import TokenKind, new_token
from .models import AccessRule, ApiKey, RoleGrant, ServiceAccount
from .names import check_title, parse_pattern
from .roles import Role, parse_role
from .scope import namespace_scope_by_id
from .tenancy import create_service_account, find_service_account
from .versions import Counter, bump

ROTATION_OVERLAP_MS = 24 * 3_600_000
EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A key as lists show it: everything but the secret."""

    id: str
    name: str
    service_account_id: UUID
    service_account: str
    namespace_id: UUID
    role: str
    topic_pattern: str
    group_pattern: str
    last4: str
    created_by: str
    created_at_ms: int
    expires_at_ms: int | None
    last_used_at_ms: int | None
    revoked_at_ms: int | None
    rotated_from: str | None

    def state(self, now_ms: int) -> str:
        """active, expired or revoked."""
        if self.revoked_at_ms is not None:
            return "revoked"
        return "expired" if self.expires_at_ms is not None and self.expires_at_ms <= now_ms else "active"


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """`id` is the SASL username, `secret` the SASL password. Show it once."""

    key: KeyEntry
    secret: str = field(repr=False)

    @property
    def id(self) -> str:
        return self.key.id


async def create_key(
    session: AsyncSession,
    actor: Actor,
    namespace_id: UUID,
    name: str,
    role: Role | str,
    *,
    topic_pattern: str = EVERYTHING,
    group_pattern: str = EVERYTHING,
    expires_at_ms: int | None = None,
    service_account: str | None = None,
) -> CreatedKey:
    """A key of the named service account (by default one called as the key; made if there is none).

    Raises NotFound (namespace), InvalidName, InvalidArgument (role, expiry), InvalidPattern.
    """
    check_title("key", name)
    role = parse_role(role)
    for pattern in (topic_pattern, group_pattern):
        parse_pattern(pattern)
    now_ms = await session_now_ms(session)
    if expires_at_ms is not None and expires_at_ms <= now_ms:
        raise InvalidArgument("the key would be expired already: choose a later time")
    await bump(session, Counter.POLICY)
    scope = await namespace_scope_by_id(session, namespace_id)
    account_name = service_account or name
    account = await find_service_account(scope, account_name)
    if account is None:
        account = await create_service_account(session, actor, scope, account_name)
    grant = RoleGrant(
        namespace_id=namespace_id, role=role, topic_pattern=topic_pattern, group_pattern=group_pattern, subject=""
    )
    return await _issue(session, actor, scope.entry, account, name, grant, expires_at_ms, rotated_from=None)


async def rotate_key(
    session: AsyncSession,
    actor: Actor,
    namespace_id: UUID,
    key_id: str,
    *,
    overlap_ms: int = ROTATION_OVERLAP_MS,
    expires_at_ms: int | None = None,
) -> CreatedKey:
    """A new key with the old one's grants; the old one goes on for `overlap_ms`, or until its own earlier expiry.

    Raises NotFound, Conflict (already revoked or expired), InvalidArgument.
    """
    if overlap_ms < 0:
        raise InvalidArgument(f"an overlap of {overlap_ms} ms: it is at least 0")
    await bump(session, Counter.POLICY, Counter.REVOCATIONS)
    scope = await namespace_scope_by_id(session, namespace_id)
    key, account = await scope.key(key_id)
    now_ms = await session_now_ms(session)
    old = _entry(key, account, await _grant(session, namespace_id, key.id))
    if (state := old.state(now_ms)) != "active":
        raise Conflict(f"key {key_id} is {state}: make a new one instead of rotating it")
    if expires_at_ms is not None and expires_at_ms <= now_ms:
        raise InvalidArgument("the new key would be expired already: choose a later time")
    ends_ms = now_ms + overlap_ms
    key.expires_at_ms = ends_ms if key.expires_at_ms is None else min(key.expires_at_ms, ends_ms)
    rules = await session.scalars(
        select(AccessRule).where(AccessRule.namespace_id == namespace_id, AccessRule.subject == key.id)
    )
    copies = [_copied(rule, now_ms) for rule in rules]
    grant = RoleGrant(
        namespace_id=namespace_id,
        role=old.role,
        topic_pattern=old.topic_pattern,
        group_pattern=old.group_pattern,
        subject="",
    )
    created = await _issue(session, actor, scope.entry, account, key.name, grant, expires_at_ms, rotated_from=key.id)
    for copy in copies:
        copy.subject = created.id
        session.add(copy)
    await record(
        session,
        actor,
        "key.rotate",
        _subject(old, scope.entry),
        before={"expires_at_ms": old.expires_at_ms},
        after={"expires_at_ms": key.expires_at_ms, "rotated_to": created.id},
    )
    return created


async def revoke_key(session: AsyncSession, actor: Actor, namespace_id: UUID, key_id: str) -> KeyEntry:
    """Stops the key now, live connections too. Revoking a revoked key changes nothing. Raises NotFound."""
    await bump(session, Counter.REVOCATIONS)
    scope = await namespace_scope_by_id(session, namespace_id)
    key, account = await scope.key(key_id)
    if key.revoked_at_ms is None:
        key.revoked_at_ms = await session_now_ms(session)
        entry = _entry(key, account, await _grant(session, namespace_id, key.id))
        await record(session, actor, "key.revoke", _subject(entry, scope.entry))
        return entry
    return _entry(key, account, await _grant(session, namespace_id, key.id))


async def list_keys(session: AsyncSession, namespace_id: UUID) -> list[KeyEntry]:
    """The newest first, revoked and expired ones too. Raises NotFound."""
    scope = await namespace_scope_by_id(session, namespace_id)
    grants = await session.scalars(select(RoleGrant).where(RoleGrant.namespace_id == namespace_id))
    by_subject = {grant.subject: grant for grant in grants}
    rows = await session.execute(scope.keys_query().order_by(ApiKey.created_at_ms.desc(), ApiKey.id))
    return [_entry(key, account, by_subject.get(key.id)) for key, account in rows]


async def show_key(session: AsyncSession, namespace_id: UUID, key_id: str) -> KeyEntry:
    """Raises NotFound."""
    scope = await namespace_scope_by_id(session, namespace_id)
    key, account = await scope.key(key_id)
    return _entry(key, account, await _grant(session, namespace_id, key.id))


async def namespace_of_key(session: AsyncSession, key_id: str) -> UUID:
    """Where a key lives: for platform administrators only, who name keys by id alone. Raises NotFound."""
    found = await session.scalar(
        select(ServiceAccount.namespace_id)
        .join(ApiKey, ApiKey.service_account_id == ServiceAccount.id)
        .where(ApiKey.id == key_id)
    )
    if found is None:
        raise NotFound(f"no key {key_id[:12]!r}")
    return found


async def _issue(
    session: AsyncSession,
    actor: Actor,
    namespace: NamespaceEntry,
    account: ServiceAccount,
    name: str,
    grant: RoleGrant,
    expires_at_ms: int | None,
    *,
    rotated_from: str | None,
) -> CreatedKey:
    token = new_token(TokenKind.KEY)
    now_ms = await session_now_ms(session)
    key = ApiKey(
        id=token.id,
        service_account_id=account.id,
        name=name,
        secret_sha256=token.digest,
        last4=token.last4,
        created_by=actor.name,
        created_at_ms=now_ms,
        expires_at_ms=expires_at_ms,
        rotated_from=rotated_from,
    )
    grant.subject, grant.created_at_ms = token.id, now_ms
    session.add_all([key, grant])
    await session.flush()
    entry = _entry(key, account, grant)
    after = {
        "service_account": account.name,
        "role": grant.role,
        "topic_pattern": grant.topic_pattern,
        "group_pattern": grant.group_pattern,
        "expires_at_ms": expires_at_ms,
    }
    await record(session, actor, "key.create", _subject(entry, namespace), after=after)
    return CreatedKey(entry, token.text)


async def _grant(session: AsyncSession, namespace_id: UUID, subject: str) -> RoleGrant | None:
    return await session.scalar(
        select(RoleGrant).where(RoleGrant.namespace_id == namespace_id, RoleGrant.subject == subject)
    )


def _copied(rule: AccessRule, now_ms: int) -> AccessRule:
    kept: dict[str, Any] = {
        column: getattr(rule, column)
        for column in ("namespace_id", "resource_type", "pattern_type", "pattern", "operation", "effect")
    }
    return AccessRule(id=uuid4(), created_at_ms=now_ms, **kept)


def _entry(key: ApiKey, account: ServiceAccount, grant: RoleGrant | None) -> KeyEntry:
    return KeyEntry(
        id=key.id,
        name=key.name,
        service_account_id=account.id,
        service_account=account.name,
        namespace_id=account.namespace_id,
        role=grant.role if grant else "",
        topic_pattern=grant.topic_pattern if grant else "",
        group_pattern=grant.group_pattern if grant else "",
        last4=key.last4,
        created_by=key.created_by,
        created_at_ms=key.created_at_ms,
        expires_at_ms=key.expires_at_ms,
        last_used_at_ms=key.last_used_at_ms,
        revoked_at_ms=key.revoked_at_ms,
        rotated_from=key.rotated_from,
    )


def _subject(entry: KeyEntry, namespace: NamespaceEntry) -> Subject:
    return Subject(kind="key", id=entry.id, name=entry.name, tenant_id=namespace.tenant_id, namespace_id=namespace.id)
