"""Members' roles, sessions and preferences; the audit log by tenant, object and actor.

Revision ID: 0002
Revises: 0001

While this is applied, processes of the release before may still be running: they know nothing of the new tables, and
every new column of `members` has a default of the database's own, so that what they write stays valid.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

JSON_OBJECT = sa.JSON(none_as_null=True)


def upgrade() -> None:
    # Added one by one and not in a batch: SQLite would have to copy `members`, which access tokens refer to.
    op.add_column("members", sa.Column("preferences", JSON_OBJECT, server_default=sa.text("'{}'"), nullable=False))
    op.add_column("members", sa.Column("password_temporary", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column(
        "members", sa.Column("password_version", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column("members", sa.Column("home_tenant_id", sa.Uuid(), nullable=True))
    op.create_table(
        "member_grants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("namespace_id", sa.Uuid(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_member_grants_member_id")),
        sa.ForeignKeyConstraint(["namespace_id"], ["namespaces.id"], name=op.f("fk_member_grants_namespace_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_member_grants_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_member_grants")),
    )
    for column in ("member_id", "namespace_id", "tenant_id"):
        op.create_index(op.f(f"ix_member_grants_{column}"), "member_grants", [column], unique=False)
    _one_role("uq_member_grants_tenant", "namespace_id IS NULL", "tenant_id")
    _one_role("uq_member_grants_namespace", "namespace_id IS NOT NULL", "namespace_id")
    op.create_table(
        "sessions",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.String(length=200), nullable=False),
        sa.CheckConstraint("length(digest) = 32", name=op.f("ck_sessions_digest_length")),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_sessions_member_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sessions")),
        sa.UniqueConstraint("id", name=op.f("uq_sessions_id")),
    )
    for column in ("last_seen_at_ms", "member_id"):
        op.create_index(op.f(f"ix_sessions_{column}"), "sessions", [column], unique=False)
    op.drop_index(op.f("ix_audit_tenant_id"), table_name="audit")
    for name, column in (("tenant", "tenant_id"), ("object", "object_id"), ("actor", "actor_id")):
        op.create_index(f"ix_audit_{name}", "audit", [column, "seq"], unique=False)


def _one_role(name: str, where: str, place: str) -> None:
    op.create_index(
        name,
        "member_grants",
        ["member_id", place, "role"],
        unique=True,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )


def downgrade() -> None:
    raise RuntimeError("a metadata database is not downgraded: restore the backup taken before the upgrade")
