"""Producer ids: random blocks, so that nobody can count another's producers, each bound to one namespace for good.

Always true: blocks do not overlap (each begins at a multiple of BLOCK_IDS, and its beginning is the primary key), and
ids are in [0, 2^62), within what every client takes as a positive long.
"""

import secrets
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from ...tenants.database import Database, session_now_ms
from ...tenants.errors import NotFound
from ...tenants.models import Namespace
from .tables import ProducerIdBlock

BLOCK_IDS = 1_000
BLOCKS = 2**62 // BLOCK_IDS
ATTEMPTS = 5


async def reserve_block(db: Database, namespace_id: UUID) -> range:
    """A block nobody had before. Raises NotFound when there is no such namespace."""
    for _ in range(ATTEMPTS):
        first_id = secrets.randbelow(BLOCKS) * BLOCK_IDS
        try:
            async with db.write() as session:
                if await session.scalar(select(Namespace.id).where(Namespace.id == namespace_id)) is None:
                    raise NotFound(f"no namespace {namespace_id}")
                now_ms = await session_now_ms(session)
                session.add(
                    ProducerIdBlock(first_id=first_id, size=BLOCK_IDS, namespace_id=namespace_id, reserved_at_ms=now_ms)
                )
        except IntegrityError:
            continue  # taken: as likely as guessing 52 bits
        return range(first_id, first_id + BLOCK_IDS)
    raise RuntimeError(f"no free block of producer ids found in {ATTEMPTS} attempts")


async def load_blocks(db: Database) -> dict[int, UUID]:
    """Which namespace each reserved block belongs to; a block's number is its first id divided by BLOCK_IDS."""
    async with db.read() as session:
        rows = await session.execute(select(ProducerIdBlock.first_id, ProducerIdBlock.namespace_id))
        return {first_id // BLOCK_IDS: namespace_id for first_id, namespace_id in rows}
