"""Alembic's entry: runs the revisions on the connection that `upgrade` opened and locked; it opens none itself."""

from alembic import context
from coldstream.migrations.upgrade import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata(),
    transaction_per_migration=False,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
