"""How many of something one member, and all members together, may have under way in one process at once.

Always true: a place that was taken is given back however its block ends.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from uuid import UUID


class Full(Exception):
    """There is no place: `mine` because the member has as many as one member may."""

    def __init__(self, mine: bool, most: int) -> None:
        super().__init__(f"{most} of one member" if mine else f"{most} in all")
        self.mine = mine
        self.most = most


class Places:
    def __init__(self, of_member_max: int, in_all_max: int) -> None:
        self._of_member_max = of_member_max
        self._in_all_max = in_all_max
        self._taken: Counter[UUID] = Counter()

    @contextlib.contextmanager
    def one_for(self, member_id: UUID) -> Iterator[None]:
        """For the length of the block. Raises Full."""
        if self._taken[member_id] >= self._of_member_max:
            raise Full(mine=True, most=self._of_member_max)
        if self._taken.total() >= self._in_all_max:
            raise Full(mine=False, most=self._in_all_max)
        self._taken[member_id] += 1
        try:
            yield
        finally:
            self._taken[member_id] -= 1
            if not self._taken[member_id]:
                del self._taken[member_id]
