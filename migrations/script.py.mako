"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}

While this is applied, processes of the release before may still be running: say here why that is safe for them.
"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    raise RuntimeError("a metadata database is not downgraded: restore the backup taken before the upgrade")
