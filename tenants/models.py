"""The tenancy tables: who there is, what they own, what they may do, and what was changed.

Always true: a live name is unique in its parent (partial unique indexes over rows not deleted), secrets are present
only as verifiers, and a row that a broker caches carries the catalogue version of its last change. Rows of
partitions, cold segments and brokers live in `platform/cluster/tables.py`, on the same metadata.
"""

from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, String, false, text
from sqlalchemy.orm import Mapped, mapped_column

from .schema import Base, JsonObject, one_of

TOPICS_MAX, PARTITIONS_MAX, PARTITIONS_PER_TOPIC_MAX = 1_000, 10_000, 1_000  # of a namespace, unless changed in its row


class Durability(StrEnum):
    LOCAL = "local"
    OBJECT = "object"


class PatternType(StrEnum):
    LITERAL = "literal"
    PREFIX = "prefix"


class Effect(StrEnum):
    ALLOW = "allow"
    DENY = "deny"


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class ActorKind(StrEnum):
    MEMBER = "member"
    SERVICE_ACCOUNT = "service_account"
    LOCAL = "local"
    SYSTEM = "system"


def live_name(table: str, *columns: str) -> Index:
    """Unique among the rows that are not deleted, so that a name is free again the moment its owner is deleted."""
    live = text("deleted_at_ms IS NULL")
    return Index(f"uq_{table}_live_name", *columns, unique=True, sqlite_where=live, postgresql_where=live)


def _one_role(name: str, where: str, *columns: str) -> Index:
    """Two indexes, since an absent namespace is not equal to another absent one."""
    return Index(name, *columns, unique=True, sqlite_where=text(where), postgresql_where=text(where))


class Tenant(Base):
    __tablename__ = "tenants"
    __table_args__ = (live_name("tenants", "name"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str]
    created_at_ms: Mapped[int]
    suspended_at_ms: Mapped[int | None]
    deleted_at_ms: Mapped[int | None]


class Namespace(Base):
    __tablename__ = "namespaces"
    __table_args__ = (
        live_name("namespaces", "tenant_id", "name"),
        CheckConstraint("topics_max >= 0 AND partitions_max >= 0 AND partitions_per_topic_max >= 1", name="limits"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str]
    cluster_id: Mapped[str] = mapped_column(String(22), unique=True)
    auto_create_topics: Mapped[bool] = mapped_column(default=False)
    defaults: Mapped[JsonObject] = mapped_column(default=dict)
    topics_max: Mapped[int] = mapped_column(default=TOPICS_MAX)
    partitions_max: Mapped[int] = mapped_column(default=PARTITIONS_MAX)
    partitions_per_topic_max: Mapped[int] = mapped_column(default=PARTITIONS_PER_TOPIC_MAX)
    version: Mapped[int] = mapped_column(index=True)
    created_at_ms: Mapped[int]
    suspended_at_ms: Mapped[int | None]
    deleted_at_ms: Mapped[int | None]


class Topic(Base):
    __tablename__ = "topics"
    __table_args__ = (
        live_name("topics", "namespace_id", "name"),
        one_of("durability", Durability),
        CheckConstraint("partitions >= 1", name="has_partitions"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    namespace_id: Mapped[UUID] = mapped_column(ForeignKey("namespaces.id"), index=True)
    name: Mapped[str] = mapped_column(String(249))
    partitions: Mapped[int]
    configs: Mapped[JsonObject] = mapped_column(default=dict)
    durability: Mapped[str] = mapped_column(default=Durability.LOCAL)
    version: Mapped[int] = mapped_column(index=True)
    created_at_ms: Mapped[int]
    deleted_at_ms: Mapped[int | None]


class ServiceAccount(Base):
    __tablename__ = "service_accounts"
    __table_args__ = (live_name("service_accounts", "namespace_id", "name"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    namespace_id: Mapped[UUID] = mapped_column(ForeignKey("namespaces.id"), index=True)
    name: Mapped[str]
    created_at_ms: Mapped[int]
    deleted_at_ms: Mapped[int | None]


class ApiKey(Base):
    """`secret_sha256` is the digest of the whole token, which nothing else here allows to be rebuilt."""

    __tablename__ = "api_keys"
    __table_args__ = (CheckConstraint("length(secret_sha256) = 32", name="digest_length"),)

    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    service_account_id: Mapped[UUID] = mapped_column(ForeignKey("service_accounts.id"), index=True)
    name: Mapped[str]
    secret_sha256: Mapped[bytes]
    last4: Mapped[str] = mapped_column(String(4))
    created_by: Mapped[str]
    created_at_ms: Mapped[int]
    expires_at_ms: Mapped[int | None]
    last_used_at_ms: Mapped[int | None]
    last_used_address: Mapped[str | None]
    revoked_at_ms: Mapped[int | None]
    rotated_from: Mapped[str | None] = mapped_column(String(12))


class RoleGrant(Base):
    """A role over a topic pattern and a group pattern, for a service account or one key (`subject` is its id)."""

    __tablename__ = "role_grants"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    namespace_id: Mapped[UUID] = mapped_column(ForeignKey("namespaces.id"), index=True)
    subject: Mapped[str] = mapped_column(index=True)
    role: Mapped[str]
    topic_pattern: Mapped[str]
    group_pattern: Mapped[str]
    created_at_ms: Mapped[int]


class AccessRule(Base):
    """One allow or deny beyond the roles: what Kafka calls an ACL."""

    __tablename__ = "access_rules"
    __table_args__ = (one_of("pattern_type", PatternType), one_of("effect", Effect))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    namespace_id: Mapped[UUID] = mapped_column(ForeignKey("namespaces.id"), index=True)
    subject: Mapped[str] = mapped_column(index=True)
    resource_type: Mapped[str]
    pattern_type: Mapped[str]
    pattern: Mapped[str]
    operation: Mapped[str]
    effect: Mapped[str]
    created_at_ms: Mapped[int]


class Member(Base):
    __tablename__ = "members"
    __table_args__ = (live_name("members", "name"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str]
    password_hash: Mapped[str | None]
    platform_admin: Mapped[bool] = mapped_column(default=False)
    created_at_ms: Mapped[int]
    disabled_at_ms: Mapped[int | None]
    deleted_at_ms: Mapped[int | None]
    # Server defaults, so that a process of the release before may still write this table.
    preferences: Mapped[JsonObject] = mapped_column(default=dict, server_default=text("'{}'"))
    password_temporary: Mapped[bool] = mapped_column(default=False, server_default=false())
    password_version: Mapped[int] = mapped_column(default=0, server_default=text("0"))  # grows with each new password
    home_tenant_id: Mapped[UUID | None]  # the tenant whose administrators made the member; none: the platform's


class MemberGrant(Base):
    """A role of a member in a tenant, or in one namespace of it."""

    __tablename__ = "member_grants"
    __table_args__ = (
        _one_role("uq_member_grants_tenant", "namespace_id IS NULL", "member_id", "tenant_id", "role"),
        _one_role("uq_member_grants_namespace", "namespace_id IS NOT NULL", "member_id", "namespace_id", "role"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"), index=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"), index=True)
    namespace_id: Mapped[UUID | None] = mapped_column(ForeignKey("namespaces.id"), index=True)
    role: Mapped[str]
    created_at_ms: Mapped[int]
    created_by: Mapped[str]


class MemberSession(Base):
    """A signed-in browser. `digest` is of the opaque id in its cookie; `id` is what lists call it."""

    __tablename__ = "sessions"
    __table_args__ = (CheckConstraint("length(digest) = 32", name="digest_length"),)

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(12), unique=True)
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"), index=True)
    created_at_ms: Mapped[int]
    last_seen_at_ms: Mapped[int] = mapped_column(index=True)
    expires_at_ms: Mapped[int]
    confirmed_at_ms: Mapped[int]
    address: Mapped[str]
    user_agent: Mapped[str] = mapped_column(String(200))


class AccessToken(Base):
    """A bearer token of a member for the HTTP API."""

    __tablename__ = "access_tokens"
    __table_args__ = (CheckConstraint("length(secret_sha256) = 32", name="digest_length"),)

    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"), index=True)
    name: Mapped[str]
    secret_sha256: Mapped[bytes]
    created_at_ms: Mapped[int]
    expires_at_ms: Mapped[int | None]
    last_used_at_ms: Mapped[int | None]
    revoked_at_ms: Mapped[int | None]


class Job(Base):
    __tablename__ = "jobs"
    __table_args__ = (one_of("state", JobState), Index("ix_jobs_state_kind", "state", "kind", "created_at_ms"))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    namespace_id: Mapped[UUID | None] = mapped_column(ForeignKey("namespaces.id"), index=True)
    kind: Mapped[str]
    payload: Mapped[JsonObject]
    state: Mapped[str] = mapped_column(default=JobState.QUEUED)
    progress: Mapped[JsonObject] = mapped_column(default=dict)
    error: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(default=0)
    lease_owner: Mapped[str | None]
    lease_expires_at_ms: Mapped[int | None]
    created_by: Mapped[str]
    created_at_ms: Mapped[int]
    updated_at_ms: Mapped[int]
    finished_at_ms: Mapped[int | None]


class AuditEntry(Base):
    """What was changed by whom; no foreign keys, since it outlives everything it names."""

    __tablename__ = "audit"
    __table_args__ = (
        one_of("actor_kind", ActorKind),
        Index("ix_audit_namespace", "namespace_id", "seq"),
        Index("ix_audit_tenant", "tenant_id", "seq"),
        Index("ix_audit_object", "object_id", "seq"),
        Index("ix_audit_actor", "actor_id", "seq"),
    )

    seq: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
    id: Mapped[UUID] = mapped_column(default=uuid4, unique=True)
    at_ms: Mapped[int]
    actor_kind: Mapped[str]
    actor_id: Mapped[str]
    actor_name: Mapped[str]
    action: Mapped[str]
    object_kind: Mapped[str]
    object_id: Mapped[str]
    object_name: Mapped[str]
    tenant_id: Mapped[UUID | None]
    namespace_id: Mapped[UUID | None]
    before: Mapped[JsonObject | None]
    after: Mapped[JsonObject | None]


class VersionCounters(Base):
    """One row: counters that processes watch. `catalogue_floor` is the newest version among rows that were removed."""

    __tablename__ = "versions"
    __table_args__ = (CheckConstraint("id = 1", name="single_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    catalogue: Mapped[int] = mapped_column(default=0)
    catalogue_floor: Mapped[int] = mapped_column(default=0)
    policy: Mapped[int] = mapped_column(default=0)
    revocations: Mapped[int] = mapped_column(default=0)
    jobs: Mapped[int] = mapped_column(default=0)


class Usage(Base):
    """What a namespace used of one measure in one period: the base of quotas over time and of bills."""

    __tablename__ = "usage"
    __table_args__ = (CheckConstraint("amount >= 0", name="not_negative"),)

    namespace_id: Mapped[UUID] = mapped_column(primary_key=True)
    measure: Mapped[str] = mapped_column(primary_key=True)
    period_start_ms: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]
