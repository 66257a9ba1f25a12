"""Producer ids: platform-wide, in random blocks, each block bound to the namespace it was given to."""

import asyncio
from collections.abc import Iterator
from uuid import UUID

from ...tenants.database import Database
from ..cluster.producer_ids import BLOCK_IDS, reserve_block
from .namespace import NamespaceView


class ProducerIds:
    """Hands out ids from reserved blocks; what is left of a block at a restart is never used."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._left: dict[UUID, Iterator[int]] = {}
        self._reserving = asyncio.Lock()

    async def next_id(self, namespace: NamespaceView) -> int:
        """An id that no one had before."""
        async with self._reserving:
            fresh = next(self._left.get(namespace.id, iter(())), None)
            if fresh is None:
                block = await reserve_block(self._database, namespace.id)
                namespace.producer_blocks.add(block.start // BLOCK_IDS)
                self._left[namespace.id] = iter(block)
                fresh = next(self._left[namespace.id])
            return fresh
