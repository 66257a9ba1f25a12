"""What a group wants done after an event, in order. The coordinator does it; the group itself touches nothing."""

from dataclasses import dataclass

from .exchange import JoinAnswer, JoinResult, SyncAnswer, SyncResult
from .records import StoredGroup


@dataclass(frozen=True, slots=True)
class AnswerJoin:
    answer: JoinAnswer
    result: JoinResult


@dataclass(frozen=True, slots=True)
class AnswerSync:
    answer: SyncAnswer
    result: SyncResult


@dataclass(frozen=True, slots=True)
class Store:
    """Make this durable, then tell the group by `stored(store_id, ...)`."""

    store_id: int
    stored: StoredGroup


@dataclass(frozen=True, slots=True)
class GenerationStarted:
    """A rebalance is complete. With no members left the group is Empty now."""

    generation: int
    member_count: int
    why: str


@dataclass(frozen=True, slots=True)
class MembersExpired:
    """Members were removed that had not been heard of, or that did not take part in a rebalance in time."""

    count: int


Effect = AnswerJoin | AnswerSync | Store | GenerationStarted | MembersExpired
