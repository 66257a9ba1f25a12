"""The tables of a classic group: which state may follow which, and what each state answers."""

from collections.abc import Mapping
from enum import Enum, auto

from ..wire.errors import ErrorCode
from .exchange import GroupState

EMPTY, PREPARING, COMPLETING, STABLE, DEAD = (
    GroupState.EMPTY,
    GroupState.PREPARING_REBALANCE,
    GroupState.COMPLETING_REBALANCE,
    GroupState.STABLE,
    GroupState.DEAD,
)

NEXT: Mapping[GroupState, frozenset[GroupState]] = {
    EMPTY: frozenset({PREPARING, DEAD}),
    PREPARING: frozenset({COMPLETING, EMPTY, DEAD}),  # Empty: everybody left meanwhile
    COMPLETING: frozenset({STABLE, PREPARING, DEAD}),
    STABLE: frozenset({PREPARING, DEAD}),
    DEAD: frozenset(),
}


class Rejoiner(Enum):
    """What a member that is known asks for when it joins again."""

    LEADER_SAME = auto()
    LEADER_CHANGED = auto()
    FOLLOWER_SAME = auto()
    FOLLOWER_CHANGED = auto()

    @classmethod
    def of(cls, *, leader: bool, same: bool) -> "Rejoiner":
        if leader:
            return cls.LEADER_SAME if same else cls.LEADER_CHANGED
        return cls.FOLLOWER_SAME if same else cls.FOLLOWER_CHANGED


class Rejoin(Enum):
    REBALANCE = auto()  # wait for the next generation, and begin it if nobody has
    CURRENT = auto()  # answered with the generation there is: it may have missed the answer


# A leader that joins a stable group again wants a new assignment: only it sees that topics have grown.
REJOIN: Mapping[GroupState, Mapping[Rejoiner, Rejoin]] = {
    PREPARING: dict.fromkeys(Rejoiner, Rejoin.REBALANCE),
    COMPLETING: {
        Rejoiner.LEADER_SAME: Rejoin.CURRENT,
        Rejoiner.LEADER_CHANGED: Rejoin.REBALANCE,
        Rejoiner.FOLLOWER_SAME: Rejoin.CURRENT,
        Rejoiner.FOLLOWER_CHANGED: Rejoin.REBALANCE,
    },
    STABLE: {
        Rejoiner.LEADER_SAME: Rejoin.REBALANCE,
        Rejoiner.LEADER_CHANGED: Rejoin.REBALANCE,
        Rejoiner.FOLLOWER_SAME: Rejoin.CURRENT,
        Rejoiner.FOLLOWER_CHANGED: Rejoin.REBALANCE,
    },
}

# What a valid member of the current generation is told. Empty and Dead groups have no members: their rows answer what
# is said before anyone looks for the member.
HEARTBEAT: Mapping[GroupState, ErrorCode] = {
    EMPTY: ErrorCode.UNKNOWN_MEMBER_ID,
    PREPARING: ErrorCode.REBALANCE_IN_PROGRESS,
    COMPLETING: ErrorCode.NONE,
    STABLE: ErrorCode.NONE,
    DEAD: ErrorCode.COORDINATOR_NOT_AVAILABLE,
}
COMMIT: Mapping[GroupState, ErrorCode] = {
    EMPTY: ErrorCode.NONE,
    PREPARING: ErrorCode.NONE,  # the last chance to keep what was processed; heartbeats tell of the rebalance
    COMPLETING: ErrorCode.REBALANCE_IN_PROGRESS,
    STABLE: ErrorCode.NONE,
    DEAD: ErrorCode.COORDINATOR_NOT_AVAILABLE,
}
