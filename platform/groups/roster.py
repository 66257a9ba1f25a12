"""The members of one group and what follows from them: leader, common protocols, static ids, bytes held.

Always true: `supported` counts, for every protocol, the members that offer it; an instance id names exactly the static
member that holds it; the leader is a member, and there is one exactly when there are members.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ..wire.errors import ErrorCode
from .exchange import JoinAnswer, SyncAnswer
from .limits import utf8_bytes

NEVER_MS: Final = 2**63 - 1
MEMBER_BYTES: Final = 512  # what a member costs beside what it sent, roughly

Protocols = tuple[tuple[str, bytes], ...]


@dataclass(slots=True, kw_only=True)
class Member:
    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocols: Protocols  # the favourite first
    assignment: bytes = b""
    deadline_ms: int = NEVER_MS  # of its session, or of its first JoinGroup
    new: bool = False  # cannot know its member id yet
    join_answer: JoinAnswer | None = None
    sync_answer: SyncAnswer | None = None

    @property
    def excused(self) -> bool:
        """Waits for us, so it owes no heartbeat. A new member has a deadline all the same: if its client gave up, it
        comes back as another member, and this one has to go."""
        return not self.new and (self.join_answer is not None or self.sync_answer is not None)

    def metadata(self, protocol_name: str | None) -> bytes:
        return next((metadata for name, metadata in self.protocols if name == protocol_name), b"")

    @property
    def size_bytes(self) -> int:
        ids = (self.member_id, self.instance_id or "", self.client_id, self.client_host)
        return MEMBER_BYTES + sum(map(utf8_bytes, ids)) + protocols_bytes(self.protocols) + len(self.assignment)


def protocols_bytes(protocols: Protocols) -> int:
    return sum(utf8_bytes(name) + len(metadata) for name, metadata in protocols)


def distinct(protocols: Protocols) -> Protocols:
    """Without repetitions of a name, the first one counts."""
    found: dict[str, bytes] = {}
    for name, metadata in protocols:
        found.setdefault(name, metadata)
    return tuple(found.items())


class Roster:
    def __init__(self) -> None:
        self._members: dict[str, Member] = {}  # in the order of arrival
        self._instances: dict[str, str] = {}
        self._supported: Counter[str] = Counter()
        self.leader_id: str | None = None
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __contains__(self, member_id: str) -> bool:
        return member_id in self._members

    def __getitem__(self, member_id: str) -> Member:
        return self._members[member_id]

    def get(self, member_id: str) -> Member | None:
        return self._members.get(member_id)

    def ids(self) -> Iterable[str]:
        return self._members.keys()

    def holder_of(self, instance_id: str) -> str | None:
        return self._instances.get(instance_id)

    def check(self, member_id: str, instance_id: str | None) -> ErrorCode:
        """Is this request from the member it says? An instance id decides first (KIP-345)."""
        if instance_id is not None:
            holder = self._instances.get(instance_id)
            if holder is not None and holder != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
            return ErrorCode.NONE if holder is not None else ErrorCode.UNKNOWN_MEMBER_ID
        return ErrorCode.NONE if member_id in self._members else ErrorCode.UNKNOWN_MEMBER_ID

    def supports(self, protocols: Protocols) -> bool:
        """Is one of these offered by every member?"""
        return any(self._supported[name] == len(self._members) for name, _ in protocols)

    def vote(self) -> str:
        """Each member votes for its favourite among the protocols that all offer; the oldest member breaks a tie."""
        everyone = len(self._members)
        votes = Counter(
            next(name for name, _ in member.protocols if self._supported[name] == everyone) for member in self
        )
        return votes.most_common(1)[0][0]  # equal counts keep the order of their first votes

    def elect_leader(self) -> bool:
        """A leader that has joined: the one there was, else who has been here longest. False if nobody has joined."""
        leader = self._members.get(self.leader_id or "")
        if leader is not None and leader.join_answer is not None:
            return True
        joined = next((member.member_id for member in self if member.join_answer is not None), None)
        self.leader_id = joined or self.leader_id
        return joined is not None

    def admit(self, member: Member) -> None:
        assert member.member_id not in self._members
        self._members[member.member_id] = member
        if member.instance_id is not None:
            self._instances[member.instance_id] = member.member_id
        self._supported.update(name for name, _ in member.protocols)
        self.size_bytes += member.size_bytes
        if self.leader_id is None:
            self.leader_id = member.member_id

    def drop(self, member: Member) -> None:
        del self._members[member.member_id]
        if member.instance_id is not None:
            del self._instances[member.instance_id]
        self._unsupport(member)
        self.size_bytes -= member.size_bytes
        if self.leader_id == member.member_id:
            self.leader_id = next(iter(self._members), None)

    def offer(self, member: Member, protocols: Protocols) -> None:
        """The member offers these from now on."""
        self._unsupport(member)
        self.size_bytes += protocols_bytes(protocols) - protocols_bytes(member.protocols)
        member.protocols = protocols
        self._supported.update(name for name, _ in protocols)

    def assign(self, member: Member, assignment: bytes) -> None:
        self.size_bytes += len(assignment) - len(member.assignment)
        member.assignment = assignment

    def rename(self, member: Member, member_id: str) -> None:
        """A static member goes on under another id, as leader if it was."""
        assert member.instance_id is not None and member_id not in self._members
        if self.leader_id == member.member_id:
            self.leader_id = member_id
        del self._members[member.member_id]
        self.size_bytes += utf8_bytes(member_id) - utf8_bytes(member.member_id)
        member.member_id = member_id
        self._members[member_id] = member
        self._instances[member.instance_id] = member_id

    def _unsupport(self, member: Member) -> None:
        for name, _ in member.protocols:
            self._supported[name] -= 1
            if not self._supported[name]:
                del self._supported[name]
