"""The first schema: tenancy, and what a cluster needs from its first day.

Revision ID: 0001
Revises: nothing
"""

import time
import uuid

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

JSON_OBJECT = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object_kind", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("object_name", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        sa.Column("namespace_id", sa.Uuid(), nullable=True),
        sa.Column("before", JSON_OBJECT, nullable=True),
        sa.Column("after", JSON_OBJECT, nullable=True),
        sa.CheckConstraint(
            "actor_kind IN ('member', 'service_account', 'local', 'system')", name=op.f("ck_audit_actor_kind_known")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit")),
        sa.UniqueConstraint("id", name=op.f("uq_audit_id")),
    )
    op.create_index("ix_audit_namespace", "audit", ["namespace_id", "seq"], unique=False)
    op.create_index(op.f("ix_audit_tenant_id"), "audit", ["tenant_id"], unique=False)
    op.create_table(
        "brokers",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("data_dir_id", sa.Uuid(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("advertised", sa.Text(), nullable=True),
        sa.Column("registered_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id >= 1 AND epoch >= 1", name=op.f("ck_brokers_counted_from_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_brokers")),
        sa.UniqueConstraint("data_dir_id", name=op.f("uq_brokers_data_dir_id")),
    )
    op.create_table(
        "cluster",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cluster_id", sa.Uuid(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_cluster_single_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cluster")),
    )
    op.create_table(
        "members",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("platform_admin", sa.Boolean(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("deleted_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_members")),
    )
    op.create_index(
        "uq_members_live_name",
        "members",
        ["name"],
        unique=True,
        sqlite_where=sa.text("deleted_at_ms IS NULL"),
        postgresql_where=sa.text("deleted_at_ms IS NULL"),
    )
    op.create_table(
        "tenants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("suspended_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("deleted_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
    )
    op.create_index(
        "uq_tenants_live_name",
        "tenants",
        ["name"],
        unique=True,
        sqlite_where=sa.text("deleted_at_ms IS NULL"),
        postgresql_where=sa.text("deleted_at_ms IS NULL"),
    )
    op.create_table(
        "usage",
        sa.Column("namespace_id", sa.Uuid(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("period_start_ms", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_usage_not_negative")),
        sa.PrimaryKeyConstraint("namespace_id", "measure", "period_start_ms", name=op.f("pk_usage")),
    )
    op.create_table(
        "versions",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("catalogue", sa.BigInteger(), nullable=False),
        sa.Column("catalogue_floor", sa.BigInteger(), nullable=False),
        sa.Column("policy", sa.BigInteger(), nullable=False),
        sa.Column("revocations", sa.BigInteger(), nullable=False),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_versions_single_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_versions")),
    )
    op.create_table(
        "access_tokens",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("length(secret_sha256) = 32", name=op.f("ck_access_tokens_digest_length")),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_access_tokens_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_tokens")),
    )
    op.create_index(op.f("ix_access_tokens_member_id"), "access_tokens", ["member_id"], unique=False)
    op.create_table(
        "broker_leases",
        sa.Column("broker_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("renewed_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["broker_id"], ["brokers.id"], name=op.f("fk_broker_leases_broker_id")),
        sa.PrimaryKeyConstraint("broker_id", name=op.f("pk_broker_leases")),
    )
    op.create_table(
        "namespaces",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("cluster_id", sa.String(length=22), nullable=False),
        sa.Column("auto_create_topics", sa.Boolean(), nullable=False),
        sa.Column("defaults", JSON_OBJECT, nullable=False),
        sa.Column("topics_max", sa.BigInteger(), nullable=False),
        sa.Column("partitions_max", sa.BigInteger(), nullable=False),
        sa.Column("partitions_per_topic_max", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("suspended_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("deleted_at_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "topics_max >= 0 AND partitions_max >= 0 AND partitions_per_topic_max >= 1",
            name=op.f("ck_namespaces_limits"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_namespaces_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_namespaces")),
        sa.UniqueConstraint("cluster_id", name=op.f("uq_namespaces_cluster_id")),
    )
    op.create_index(op.f("ix_namespaces_version"), "namespaces", ["version"], unique=False)
    op.create_index(
        "uq_namespaces_live_name",
        "namespaces",
        ["tenant_id", "name"],
        unique=True,
        sqlite_where=sa.text("deleted_at_ms IS NULL"),
        postgresql_where=sa.text("deleted_at_ms IS NULL"),
    )
    op.create_table(
        "wal_head",
        sa.Column("broker_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["broker_id"], ["brokers.id"], name=op.f("fk_wal_head_broker_id")),
        sa.PrimaryKeyConstraint("broker_id", name=op.f("pk_wal_head")),
    )
    op.create_table(
        "access_rules",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("namespace_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("pattern_type", sa.Text(), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("effect", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("effect IN ('allow', 'deny')", name=op.f("ck_access_rules_effect_known")),
        sa.CheckConstraint("pattern_type IN ('literal', 'prefix')", name=op.f("ck_access_rules_pattern_type_known")),
        sa.ForeignKeyConstraint(["namespace_id"], ["namespaces.id"], name=op.f("fk_access_rules_namespace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_rules")),
    )
    op.create_index(op.f("ix_access_rules_namespace_id"), "access_rules", ["namespace_id"], unique=False)
    op.create_index(op.f("ix_access_rules_subject"), "access_rules", ["subject"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("namespace_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", JSON_OBJECT, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("progress", JSON_OBJECT, nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_expires_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("finished_at_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('queued', 'running', 'done', 'failed')", name=op.f("ck_jobs_state_known")),
        sa.ForeignKeyConstraint(["namespace_id"], ["namespaces.id"], name=op.f("fk_jobs_namespace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs_namespace_id"), "jobs", ["namespace_id"], unique=False)
    op.create_index("ix_jobs_state_kind", "jobs", ["state", "kind", "created_at_ms"], unique=False)
    op.create_table(
        "producer_id_blocks",
        sa.Column("first_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("namespace_id", sa.Uuid(), nullable=False),
        sa.Column("reserved_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("first_id >= 0 AND size >= 1", name=op.f("ck_producer_id_blocks_range")),
        sa.ForeignKeyConstraint(["namespace_id"], ["namespaces.id"], name=op.f("fk_producer_id_blocks_namespace_id")),
        sa.PrimaryKeyConstraint("first_id", name=op.f("pk_producer_id_blocks")),
    )
    op.create_index(op.f("ix_producer_id_blocks_namespace_id"), "producer_id_blocks", ["namespace_id"], unique=False)
    op.create_table(
        "role_grants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("namespace_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("topic_pattern", sa.Text(), nullable=False),
        sa.Column("group_pattern", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["namespace_id"], ["namespaces.id"], name=op.f("fk_role_grants_namespace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role_grants")),
    )
    op.create_index(op.f("ix_role_grants_namespace_id"), "role_grants", ["namespace_id"], unique=False)
    op.create_index(op.f("ix_role_grants_subject"), "role_grants", ["subject"], unique=False)
    op.create_table(
        "service_accounts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("namespace_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["namespace_id"], ["namespaces.id"], name=op.f("fk_service_accounts_namespace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_accounts")),
    )
    op.create_index(op.f("ix_service_accounts_namespace_id"), "service_accounts", ["namespace_id"], unique=False)
    op.create_index(
        "uq_service_accounts_live_name",
        "service_accounts",
        ["namespace_id", "name"],
        unique=True,
        sqlite_where=sa.text("deleted_at_ms IS NULL"),
        postgresql_where=sa.text("deleted_at_ms IS NULL"),
    )
    op.create_table(
        "topics",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("namespace_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=249), nullable=False),
        sa.Column("partitions", sa.BigInteger(), nullable=False),
        sa.Column("configs", JSON_OBJECT, nullable=False),
        sa.Column("durability", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("durability IN ('local', 'object')", name=op.f("ck_topics_durability_known")),
        sa.CheckConstraint("partitions >= 1", name=op.f("ck_topics_has_partitions")),
        sa.ForeignKeyConstraint(["namespace_id"], ["namespaces.id"], name=op.f("fk_topics_namespace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topics")),
    )
    op.create_index(op.f("ix_topics_namespace_id"), "topics", ["namespace_id"], unique=False)
    op.create_index(op.f("ix_topics_version"), "topics", ["version"], unique=False)
    op.create_index(
        "uq_topics_live_name",
        "topics",
        ["namespace_id", "name"],
        unique=True,
        sqlite_where=sa.text("deleted_at_ms IS NULL"),
        postgresql_where=sa.text("deleted_at_ms IS NULL"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("service_account_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("last4", sa.String(length=4), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_used_address", sa.Text(), nullable=True),
        sa.Column("revoked_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("rotated_from", sa.String(length=12), nullable=True),
        sa.CheckConstraint("length(secret_sha256) = 32", name=op.f("ck_api_keys_digest_length")),
        sa.ForeignKeyConstraint(
            ["service_account_id"], ["service_accounts.id"], name=op.f("fk_api_keys_service_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )
    op.create_index(op.f("ix_api_keys_service_account_id"), "api_keys", ["service_account_id"], unique=False)
    op.create_table(
        "partitions",
        sa.Column("topic_id", sa.Uuid(), nullable=False),
        sa.Column("partition", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("leader", sa.BigInteger(), nullable=True),
        sa.Column("leader_epoch", sa.BigInteger(), nullable=False),
        sa.Column("data_dir_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("offline_reason", sa.Text(), nullable=True),
        sa.Column("log_start", sa.BigInteger(), nullable=False),
        sa.Column("cold_end", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('online', 'offline', 'purging')", name=op.f("ck_partitions_state_known")),
        sa.CheckConstraint(
            "leader_epoch >= 0 AND log_start >= 0 AND cold_end >= 0", name=op.f("ck_partitions_not_negative")
        ),
        sa.ForeignKeyConstraint(["leader"], ["brokers.id"], name=op.f("fk_partitions_leader")),
        sa.ForeignKeyConstraint(["topic_id"], ["topics.id"], name=op.f("fk_partitions_topic_id")),
        sa.PrimaryKeyConstraint("topic_id", "partition", name=op.f("pk_partitions")),
    )
    op.create_index(op.f("ix_partitions_leader"), "partitions", ["leader"], unique=False)
    op.create_table(
        "cold_segments",
        sa.Column("object_id", sa.Uuid(), nullable=False),
        sa.Column("topic_id", sa.Uuid(), nullable=False),
        sa.Column("partition", sa.BigInteger(), nullable=False),
        sa.Column("base_offset", sa.BigInteger(), nullable=False),
        sa.Column("end_offset", sa.BigInteger(), nullable=False),
        sa.Column("leader_epoch", sa.BigInteger(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("tail_bytes", sa.BigInteger(), nullable=False),
        sa.Column("raw_bytes", sa.BigInteger(), nullable=False),
        sa.Column("first_timestamp_ms", sa.BigInteger(), nullable=False),
        sa.Column("max_timestamp_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("prepared_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("committed_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("marked_at_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(state = 'marked') = (marked_at_ms IS NOT NULL)", name=op.f("ck_cold_segments_marked_since")
        ),
        sa.CheckConstraint("state IN ('prepared', 'committed', 'marked')", name=op.f("ck_cold_segments_state_known")),
        sa.CheckConstraint(
            "base_offset >= 0 AND base_offset < end_offset", name=op.f("ck_cold_segments_half_open_range")
        ),
        sa.ForeignKeyConstraint(
            ["topic_id", "partition"],
            ["partitions.topic_id", "partitions.partition"],
            name=op.f("fk_cold_segments_topic_id_partition"),
        ),
        sa.PrimaryKeyConstraint("object_id", name=op.f("pk_cold_segments")),
        sa.UniqueConstraint("object_key", name=op.f("uq_cold_segments_object_key")),
    )
    op.create_index("ix_cold_segments_partition", "cold_segments", ["topic_id", "partition", "state"], unique=False)
    op.create_index("ix_cold_segments_state", "cold_segments", ["state", "expires_at_ms", "marked_at_ms"], unique=False)
    op.create_index(
        "uq_cold_segments_committed_base",
        "cold_segments",
        ["topic_id", "partition", "base_offset"],
        unique=True,
        sqlite_where=sa.text("state = 'committed'"),
        postgresql_where=sa.text("state = 'committed'"),
    )
    op.create_table(
        "epoch_starts",
        sa.Column("topic_id", sa.Uuid(), nullable=False),
        sa.Column("partition", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("leader_epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("start_offset", sa.BigInteger(), nullable=False),
        sa.Column("broker_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("start_offset >= 0", name=op.f("ck_epoch_starts_not_negative")),
        sa.ForeignKeyConstraint(
            ["topic_id", "partition"],
            ["partitions.topic_id", "partitions.partition"],
            name=op.f("fk_epoch_starts_topic_id_partition"),
        ),
        sa.PrimaryKeyConstraint("topic_id", "partition", "leader_epoch", name=op.f("pk_epoch_starts")),
    )
    _first_rows()


def _first_rows() -> None:
    """The rows of which there is exactly one: the counters, and the id this platform's objects are kept under."""
    versions = sa.table(
        "versions", *map(sa.column, ("id", "catalogue", "catalogue_floor", "policy", "revocations", "jobs"))
    )
    op.bulk_insert(
        versions, [{"id": 1, "catalogue": 0, "catalogue_floor": 0, "policy": 0, "revocations": 0, "jobs": 0}]
    )
    cluster = sa.table("cluster", sa.column("id"), sa.column("cluster_id", sa.Uuid()), sa.column("created_at_ms"))
    op.bulk_insert(cluster, [{"id": 1, "cluster_id": uuid.uuid4(), "created_at_ms": time.time_ns() // 1_000_000}])


def downgrade() -> None:
    raise RuntimeError("a metadata database is not downgraded: restore the backup taken before the upgrade")
