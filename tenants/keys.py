"""API keys and access tokens: their format, and who a client is that presents one.

    cs_key_<id: 12>_<secret: 43><checksum: 6>         cs_token_… for the HTTP API's bearer tokens

Letters, digits and `_` only, a letter first (Java's JAAS strings are parsed; a double click selects the whole). The
SASL username is the id, the password the whole token. 43 base62 digits are 256 bits, so the database keeps a plain
SHA-256 of the token and no slow hash. The checksum, CRC-32 in base62 over all before it, lets scanners and clients
reject a typing error offline; it is no secret. The tenant is looked up from the id, never parsed from anything.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Row, Select, or_, select, update

from .database import Database
from .models import ApiKey, Namespace, ServiceAccount, Tenant

TOKEN_PATTERN = r"cs_(?:key|token)_[A-Za-z][A-Za-z0-9]{11}_[A-Za-z0-9]{49}"  # published, for secret scanners  # noqa: S105
KEY_ID_PATTERN = r"[A-Za-z][A-Za-z0-9]{11}"
LAST_USED_EVERY_MS = 60_000
PUBLIC_MESSAGE = "Authentication failed"

_TOKEN = re.compile(r"cs_(key|token)_([A-Za-z][A-Za-z0-9]{11})_([A-Za-z0-9]{43})([A-Za-z0-9]{6})", re.ASCII)
_KEY_ID = re.compile(KEY_ID_PATTERN, re.ASCII)
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
NOBODYS_DIGEST = hashlib.sha256(b"no token has this digest").digest()


class TokenKind(StrEnum):
    KEY = "key"
    TOKEN = "token"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Token:
    """A freshly made token. `text` is shown once and kept nowhere."""

    kind: TokenKind
    id: str
    text: str

    @property
    def digest(self) -> bytes:
        return digest_of(self.text)

    @property
    def last4(self) -> str:
        """The end of the secret part's checksum: enough to tell two keys apart in a list, useless to an attacker."""
        return self.text[-4:]

    def __repr__(self) -> str:
        return f"Token({self.kind}, {self.id})"


def new_token(kind: TokenKind) -> Token:
    token_id = secrets.choice(string.ascii_letters) + "".join(secrets.choice(_BASE62) for _ in range(11))
    secret = "".join(secrets.choice(_BASE62) for _ in range(43))
    head = f"cs_{kind}_{token_id}_{secret}"
    return Token(kind, token_id, head + checksum(head))


def parse_token(text: str, kind: TokenKind) -> str | None:
    """The id in a well-formed token of that kind with a right checksum; None for anything else."""
    match = _TOKEN.fullmatch(text)
    if match is None or match[1] != kind or checksum(text[:-6]) != match[4]:
        return None
    return match[2]


def checksum(head: str) -> str:
    """CRC-32 as six base62 digits, most significant first."""
    value, digits = zlib.crc32(head.encode()), ""
    for _ in range(6):
        value, digit = divmod(value, 62)
        digits = _BASE62[digit] + digits
    return digits


def digest_of(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


class AuthenticationFailed(Exception):
    """One message for strangers whatever the cause; `reason` and `key_id` are for our log.

    Only somebody who proved to hold the secret (`secret_was_right`) may be told the reason, such as a revocation.
    """

    def __init__(self, reason: str, key_id: str | None = None, *, secret_was_right: bool = False) -> None:
        super().__init__(PUBLIC_MESSAGE)
        self.reason = reason
        self.key_id = key_id
        self.secret_was_right = secret_was_right


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a connection is. `name` is the service account's."""

    key_id: str
    service_account_id: UUID
    name: str
    namespace_id: UUID
    tenant_id: UUID
    expires_at_ms: int | None


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """Whether a key works now (`unusable` says why not) and until when it would."""

    unusable: str | None
    expires_at_ms: int | None


async def authenticate_key(db: Database, username: str, password: str, now_ms: int) -> Principal:
    """Who presents this key id and token. Raises AuthenticationFailed.

    A key that does not exist costs the same query, digest and comparison as one that does, so that time tells nothing.
    """
    if not _KEY_ID.fullmatch(username):
        raise AuthenticationFailed("malformed key id")
    async with db.read() as session:
        row = (await session.execute(_keys().where(ApiKey.id == username))).one_or_none()
    expected = NOBODYS_DIGEST if row is None else row.ApiKey.secret_sha256
    right = hmac.compare_digest(digest_of(password), expected)
    if row is None:
        raise AuthenticationFailed("unknown key", username)
    if not right:
        wrong = (
            "wrong secret" if parse_token(password, TokenKind.KEY) == username else "password is not this key's token"
        )
        raise AuthenticationFailed(wrong, username)
    unusable = _unusable(row, now_ms)
    if unusable is not None:
        raise AuthenticationFailed(unusable, username, secret_was_right=True)
    account: ServiceAccount = row.ServiceAccount
    return Principal(
        username, account.id, account.name, account.namespace_id, row.Namespace.tenant_id, row.ApiKey.expires_at_ms
    )


async def key_states(db: Database, key_ids: Collection[str], now_ms: int) -> dict[str, KeyStatus]:
    """How the keys of open connections stand; ask when the revocations counter or the catalogue's has moved."""
    states = {key_id: KeyStatus("unknown key", None) for key_id in key_ids}
    ids = sorted(states)
    async with db.read() as session:
        for start in range(0, len(ids), 500):
            for row in await session.execute(_keys().where(ApiKey.id.in_(ids[start : start + 500]))):
                states[row.ApiKey.id] = KeyStatus(_unusable(row, now_ms), row.ApiKey.expires_at_ms)
    return states


async def touch_key(db: Database, key_id: str, now_ms: int, address: str | None = None) -> None:
    """Notes that the key was used, at most once a minute; call it after the client was answered."""
    due = or_(ApiKey.last_used_at_ms.is_(None), ApiKey.last_used_at_ms <= now_ms - LAST_USED_EVERY_MS)
    async with db.read() as session:
        if await session.scalar(select(ApiKey.id).where(ApiKey.id == key_id, due)) is None:
            return
    async with db.write() as session:
        values = {"last_used_at_ms": now_ms, "last_used_address": address}
        await session.execute(update(ApiKey).where(ApiKey.id == key_id, due).values(values))


Joined = Row[ApiKey, ServiceAccount, Namespace, Tenant]


def _keys() -> Select[ApiKey, ServiceAccount, Namespace, Tenant]:
    return (
        select(ApiKey, ServiceAccount, Namespace, Tenant)
        .join(ServiceAccount, ServiceAccount.id == ApiKey.service_account_id)
        .join(Namespace, Namespace.id == ServiceAccount.namespace_id)
        .join(Tenant, Tenant.id == Namespace.tenant_id)
    )


def _unusable(row: Joined, now_ms: int) -> str | None:
    key, account, namespace, tenant = row.ApiKey, row.ServiceAccount, row.Namespace, row.Tenant
    if key.revoked_at_ms is not None:
        return "revoked"
    if key.expires_at_ms is not None and key.expires_at_ms <= now_ms:
        return "expired"
    if account.deleted_at_ms is not None or namespace.deleted_at_ms is not None or tenant.deleted_at_ms is not None:
        return "deleted"
    if namespace.suspended_at_ms is not None:
        return "namespace suspended"
    if tenant.suspended_at_ms is not None:
        return "tenant suspended"
    return None
