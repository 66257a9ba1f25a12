"""For developers: `python -m coldstream.migrations "what changes"` writes the next revision from the models.

It compares the models with a fresh SQLite database at head. Read what it wrote; set HEAD in upgrade.py.
"""

import sys
import tempfile
from pathlib import Path

from alembic import command
from sqlalchemy import create_engine

from ..tenants.database import prepare_sqlite
from .upgrade import HEAD, alembic_config, upgrade


def main(message: str) -> None:
    """Writes versions/<next>_<message>.py."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "head.db")
        upgrade(f"sqlite:///{path}")
        engine = create_engine(f"sqlite:///{path}")
        prepare_sqlite(engine)
        with engine.connect() as connection:
            command.revision(alembic_config(connection), message, autogenerate=True, rev_id=f"{int(HEAD) + 1:04d}")
        engine.dispose()


main(" ".join(sys.argv[1:]) or sys.exit("usage: python -m coldstream.migrations MESSAGE"))
