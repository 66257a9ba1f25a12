"""Puts text that no service would accept into every column a client's text can reach, so that pages are tried alone.

Names have a narrow alphabet today. A page must not rest on that: an older release, a migration or a hand at the
database may have left anything there.
"""

from collections.abc import Mapping

import msgspec
from coldstream.tenants.database import Database
from coldstream.tests.browser.corpus import polyglot
from sqlalchemy import text

# Text that pages show and no path needs. Of the rest every column is an id, a state, a digest or a name in paths.
OPEN: Mapping[str, tuple[str, ...]] = {
    "api_keys": ("name", "created_by", "last_used_address"),
    "role_grants": ("topic_pattern", "group_pattern"),
    "access_tokens": ("name",),
    "member_grants": ("created_by",),
    "sessions": ("address", "user_agent"),
    "jobs": ("error", "created_by"),
    "audit": ("actor_name", "object_name"),
}
CLOSED: Mapping[str, tuple[str, ...]] = {
    "tenants": ("name",),
    "namespaces": ("name", "cluster_id"),
    "topics": ("name", "durability"),
    "service_accounts": ("name",),
    "members": ("name", "password_hash"),
    "api_keys": ("id", "last4", "rotated_from"),
    "role_grants": ("subject", "role"),
    "access_rules": ("subject", "resource_type", "pattern_type", "pattern", "operation", "effect"),
    "access_tokens": ("id",),
    "member_grants": ("role",),
    "sessions": ("id",),
    "jobs": ("kind", "state", "lease_owner"),
    "audit": ("action", "actor_id", "actor_kind", "object_id", "object_kind"),
    "usage": ("measure",),
}


async def make_hostile(database: Database) -> None:
    """Rows that exist keep their number and their ids; their text becomes the corpus, another order in each row."""
    async with database.write() as session:
        for table, columns in OPEN.items():
            rowids = (await session.scalars(text(f"SELECT rowid FROM {table}"))).all()
            for number, rowid in enumerate(rowids):
                for at, column in enumerate(columns):
                    given = {"text": polyglot(number + 5 * at), "rowid": rowid}
                    await session.execute(text(f"UPDATE {table} SET {column} = :text WHERE rowid = :rowid"), given)
        document = msgspec.json.encode({polyglot(n): polyglot(n + 9) for n in range(3)}).decode()
        await session.execute(text("UPDATE audit SET before = :json, after = :json"), {"json": document})
        await session.execute(text("UPDATE jobs SET state = 'failed', progress = :json"), {"json": document})
        await session.execute(text("UPDATE api_keys SET last_used_at_ms = created_at_ms"))
