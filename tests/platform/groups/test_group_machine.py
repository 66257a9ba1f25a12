"""Members of every temper against one coordinator, in two namespaces that share a group id: any mix of joining,
syncing, committing, leaving, vanishing, failing disks, crashes and time keeps what the protocol promises.
"""

from dataclasses import dataclass, field
from uuid import UUID

from coldstream.platform.groups.exchange import (
    CommitResult,
    GroupState,
    JoinResult,
    LeavingMember,
    OffsetToCommit,
    SyncResult,
)
from coldstream.platform.groups.group import GROUP_BYTES, Group
from coldstream.platform.groups.loading import fold
from coldstream.platform.groups.roster import MEMBER_BYTES, NEVER_MS
from coldstream.platform.wire.errors import ErrorCode
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from .harness import NS, OK, OTHER_NS, TOPIC, Platform, Waiting

PROTOCOLS = (
    (("range", b"1"),),
    (("range", b"2"),),
    (("range", b"1"), ("sticky", b"1")),
    (("sticky", b"1"), ("range", b"1")),
)
LONGEST_WAIT_MS = 300_000  # of a new member's first JoinGroup; rebalances are bounded by a minute here


@dataclass(eq=False)
class Client:
    ns: UUID
    name: str
    instance_id: str | None
    modern: bool  # takes its member id first, may skip assignments
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocols: tuple[tuple[str, bytes], ...]
    member_id: str = ""
    joined: JoinResult | None = None
    joining: Waiting[JoinResult] | None = None
    syncing: Waiting[SyncResult] | None = None
    synced: tuple[int, str] = (-1, "")  # generation and identity of the latest sync
    left: bool = False

    @property
    def identity(self) -> str:
        return self.instance_id or self.member_id


@dataclass
class Commit:
    ns: UUID
    partition: int
    offset: int
    waiting: Waiting[CommitResult] = field(default_factory=Waiting)


def identity_of(member_id: str, instance_id: str | None) -> str:
    return instance_id or member_id


class GroupMachine(RuleBasedStateMachine):
    clients = Bundle("clients")

    @initialize(delay_ms=st.sampled_from([0, 0, 3_000]), members_max=st.sampled_from([2, 10]))
    def start(self, delay_ms: int, members_max: int) -> None:
        self.platform = Platform(
            initial_rebalance_delay_ms=delay_ms, members_max=members_max, namespace_bytes_max=200_000
        ).load()
        self.known: list[Client] = []
        self.commits: list[Commit] = []
        self.committed: dict[tuple[UUID, int], int] = {}
        self.leaders: dict[tuple[Group, int], str] = {}
        self.leaders_ever: dict[tuple[UUID, int], set[str]] = {}
        self.waits: list[tuple[int, Waiting[JoinResult] | Waiting[SyncResult]]] = []
        self.offset = 0

    # -- members -----------------------------------------------------------------------------------------------------

    @rule(
        target=clients,
        ns=st.sampled_from([NS, NS, NS, OTHER_NS]),
        instance_id=st.sampled_from([None, None, None, "i1", "i2"]),
        modern=st.booleans(),
        session_timeout_ms=st.sampled_from([6_000, 30_000]),
        rebalance_timeout_ms=st.sampled_from([-1, 0, 20_000, 60_000]),
        protocols=st.sampled_from(PROTOCOLS),
    )
    def client(self, ns: UUID, instance_id: str | None, **changes: object) -> Client:
        client = Client(ns, f"client{len(self.known)}", instance_id, **changes)  # type: ignore[arg-type]
        self.known.append(client)
        self.join(client)
        return client

    @rule(client=clients)
    def join(self, client: Client) -> None:
        client.joining = self.platform.join(
            client.member_id,
            ns=client.ns,
            client_id=client.name,
            instance_id=client.instance_id,
            session_timeout_ms=client.session_timeout_ms,
            rebalance_timeout_ms=client.rebalance_timeout_ms,
            protocols=client.protocols,
            member_id_required=client.modern,
            may_skip_assignment=client.modern,
        )
        self.waits.append((self.platform.clock.at_ms, client.joining))
        self.read_answers()

    @rule(client=clients, protocols=st.sampled_from(PROTOCOLS))
    def change_and_join(self, client: Client, protocols: tuple[tuple[str, bytes], ...]) -> None:
        client.protocols = protocols
        self.join(client)

    @rule(client=clients)
    def restart_client(self, client: Client) -> None:
        """Its process is another one: answers to the former reach nobody."""
        client.member_id, client.joined, client.joining, client.syncing = "", None, None, None
        self.join(client)

    @rule(client=clients)
    def sync(self, client: Client) -> None:
        joined = client.joined
        if joined is None:
            return
        plan = {
            member.member_id: (
                f"{joined.generation} {client.identity} {identity_of(member.member_id, member.instance_id)}".encode()
            )
            for member in joined.members
        }
        client.syncing = self.platform.sync(joined, plan, ns=client.ns)
        client.synced = (joined.generation, client.identity)
        self.waits.append((self.platform.clock.at_ms, client.syncing))
        self.read_answers()

    @rule()
    def everybody_goes_on(self) -> None:
        """All that a well-behaved client would do next."""
        for client in self.known:
            if client.left or (client.joining is not None and not client.joining.answered):
                continue
            error = self.heartbeat(client) if client.joined is not None else ErrorCode.REBALANCE_IN_PROGRESS
            if error is not OK:
                if error is not ErrorCode.REBALANCE_IN_PROGRESS:
                    client.member_id = ""
                self.join(client)
        for client in self.known:
            if not client.left and client.joined is not None:
                self.sync(client)

    @rule(client=clients)
    def heart_beats(self, client: Client) -> None:
        self.heartbeat(client)

    def heartbeat(self, client: Client) -> ErrorCode:
        if client.joined is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        return self.platform.coordinator.heartbeat(
            client.ns, "g", client.joined.generation, client.member_id, client.instance_id
        )

    @rule(client=consumes(clients))
    def leave(self, client: Client) -> None:
        client.left = True
        self.platform.coordinator.leave(client.ns, "g", [LeavingMember(client.member_id, client.instance_id)])
        self.read_answers()

    @rule(client=consumes(clients))
    def vanish(self, client: Client) -> None:
        client.left = True

    @rule(client=clients, partition=st.integers(0, 2), simple=st.booleans())
    def commit(self, client: Client, partition: int, simple: bool) -> None:
        self.offset += 1
        by = None if simple else client.joined
        commit = Commit(client.ns, partition, self.offset)
        commit.waiting = self.platform.commit(OffsetToCommit(TOPIC, partition, self.offset), by=by, ns=client.ns)
        self.commits.append(commit)
        self.read_answers()

    # -- surroundings ------------------------------------------------------------------------------------------------

    @rule(by_ms=st.sampled_from([1, 2_000, 5_900, 25_000, 70_000]))
    def advance(self, by_ms: int) -> None:
        self.platform.clock.advance(by_ms)
        self.read_answers()

    @rule()
    def slow_disk(self) -> None:
        self.platform.log.hold = True

    @rule(fail=st.sampled_from([False, False, True]), all_of_it=st.booleans())
    def disk(self, fail: bool, all_of_it: bool) -> None:
        self.platform.log.release(fail=fail, most=None if all_of_it else 1)
        self.platform.log.hold = not all_of_it
        self.read_answers()

    @rule()
    def crash(self) -> None:
        self.platform = self.platform.restarted()
        self.commits.clear()
        self.waits.clear()
        for client in self.known:
            client.joining = client.syncing = None

    @rule(ns=st.sampled_from([NS, OTHER_NS]))
    def delete(self, ns: UUID) -> None:
        waiting: Waiting[tuple[ErrorCode, ...]] = Waiting()
        if self.platform.log.waiting or self.platform.log.hold:
            return
        self.platform.coordinator.delete_groups(ns, ["g"], waiting)
        if waiting.result == (OK,):
            self.committed = {where: offset for where, offset in self.committed.items() if where[0] != ns}

    @rule()
    def nobody_waits_for_ever(self) -> None:
        self.platform.log.release()
        self.platform.log.hold = False
        self.platform.clock.advance(LONGEST_WAIT_MS)
        self.read_answers()
        assert all(waiting.answered for _, waiting in self.waits)
        assert all(commit.waiting.answered for commit in self.commits)

    # -- what is promised --------------------------------------------------------------------------------------------

    def read_answers(self) -> None:
        for client in self.known:
            if client.joining is not None and client.joining.answered:
                self.told_of_join(client, client.joining.result)
                client.joining = None
            if client.syncing is not None and client.syncing.answered:
                self.told_of_sync(client, client.syncing.result)
                client.syncing = None
        for commit in [commit for commit in self.commits if commit.waiting.answered]:
            self.commits.remove(commit)
            if commit.waiting.result.errors == (OK,):
                self.committed[commit.ns, commit.partition] = commit.offset
        self.waits = [(since_ms, waiting) for since_ms, waiting in self.waits if not waiting.answered]

    def told_of_join(self, client: Client, result: JoinResult) -> None:
        if result.error is ErrorCode.MEMBER_ID_REQUIRED:
            assert client.modern and client.instance_id is None and not client.member_id
            client.member_id = result.member_id
        elif result.error in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.GROUP_MAX_SIZE_REACHED):
            client.member_id, client.joined = "", None
        elif result.error is OK:
            assert result.generation > 0 and result.member_id and result.protocol_name in ("range", "sticky")
            assert result.protocol_name in dict(client.protocols)
            client.member_id, client.joined = result.member_id, result
            if result.members:
                assert result.leader_id == result.member_id
                self.leaders_ever.setdefault((client.ns, result.generation), set()).add(client.identity)

    def told_of_sync(self, client: Client, result: SyncResult) -> None:
        if result.error is OK and result.assignment:
            generation, leader, assigned_to = result.assignment.decode().split()
            assert (int(generation), assigned_to) == client.synced
            assert leader in self.leaders_ever[client.ns, int(generation)]

    @invariant()
    def one_generation_has_one_leader(self) -> None:
        for entry in self.platform.coordinator._registry.entries():
            group = entry.group
            if group.state in (GroupState.COMPLETING_REBALANCE, GroupState.STABLE):
                leader = group.members[group.members.leader_id or ""]
                identity = identity_of(leader.member_id, leader.instance_id)
                assert self.leaders.setdefault((group, group.generation), identity) == identity

    @invariant()
    def what_is_read_is_what_was_acknowledged(self) -> None:
        rows = self.platform.coordinator.committed_offsets()
        assert {(row.namespace_id, row.partition): row.offset for row in rows} == self.committed

    @invariant()
    def books_are_kept(self) -> None:
        registry = self.platform.coordinator._registry
        for entry in registry.entries():
            group = entry.group
            assert group.members.size_bytes == sum(member.size_bytes for member in group.members)
            pending_bytes = sum(MEMBER_BYTES + len(member_id) for member_id in group.pending)
            if not self.platform.log.waiting:
                assert group.size_bytes == GROUP_BYTES + len("g") + pending_bytes + group.members.size_bytes
            assert group._joined == sum(member.join_answer is not None for member in group.members)
            assert (group.members.leader_id is None) == (len(group.members) == 0)
            assert (group.state is GroupState.EMPTY) <= (len(group.members) == 0)
            assert group.deadline_ms > self.platform.clock.at_ms
            assert entry.wake_ms <= group.deadline_ms or group.deadline_ms == NEVER_MS
            if group.state is not GroupState.COMPLETING_REBALANCE:
                assert all(member.sync_answer is None for member in group.members)
        for ns in registry.namespace_ids():
            assert registry.bytes_in(ns) == sum(entry.size_bytes for entry in registry.entries_in(ns))
        assert registry.member_count == sum(len(entry.group.members) for entry in registry.entries())

    @invariant()
    def replay_gives_the_same_state(self) -> None:
        coordinator, log = self.platform.coordinator, self.platform.log
        for partition in range(log.partitions):
            replayed, snapshot = fold(log.replay(partition)), fold(coordinator.snapshot(partition))
            assert replayed.problem_count == 0
            assert {identity: (group.stored, dict(group.offsets)) for identity, group in replayed.groups.items()} == {
                identity: (group.stored, dict(group.offsets)) for identity, group in snapshot.groups.items()
            }
        for entry in coordinator._registry.entries():
            if entry.group.state is GroupState.STABLE and not log.waiting:
                again = Group.restored("g", entry.stored, coordinator.limits, str, 0)
                assert again.generation == entry.group.generation
                assert {m.member_id: m for m in again.described()}.keys() == set(entry.group.members.ids())
                kept = {m.member_id: m.assignment for m in again.members}
                assert kept == {m.member_id: m.assignment for m in entry.group.members}

    def teardown(self) -> None:
        if hasattr(self, "platform"):
            self.nobody_waits_for_ever()


TestGroups = GroupMachine.TestCase
TestGroups.settings = settings(max_examples=80, stateful_step_count=40, derandomize=True, deadline=None)
