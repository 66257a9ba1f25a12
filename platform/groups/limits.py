"""Limits and times of groups, handed in by whoever wires the broker.

State is bounded three ways: members per group, groups per namespace, and bytes per group and per namespace (what
members sent us, assignments, committed offsets, and a fixed amount for each). Bytes are counted once; memory may hold
about twice as much, since the last stored form of a group is kept for snapshots.
"""

from dataclasses import dataclass

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLimits:
    session_timeout_min_ms: int = 6_000  # Kafka's group.min.session.timeout.ms
    session_timeout_max_ms: int = 1_800_000  # and group.max.session.timeout.ms
    initial_rebalance_delay_ms: int = 0  # group.initial.rebalance.delay.ms; Kafka's default is 3,000
    new_member_join_timeout_ms: int = 300_000  # a JoinGroup whose client went away unnoticed, as in Kafka
    members_max: int = 10_000  # group.max.size
    groups_max: int = 10_000  # per namespace
    group_bytes_max: int = 4 * 2**20
    namespace_bytes_max: int = 64 * 2**20
    group_id_bytes_max: int = 32_767  # what the protocol's older string fields can carry
    offset_metadata_bytes_max: int = 4096  # offset.metadata.max.bytes
    offsets_retention_ms: int = 7 * DAY_MS  # since the group became empty; offsets.retention.minutes
    expiry_check_ms: int = 600_000  # offsets.retention.check.interval.ms

    @property
    def record_bytes_max(self) -> int:
        """The records of one append are together no larger than this: the internal topic's `max.message.bytes` has
        to allow it."""
        return self.group_bytes_max + 2**20


def utf8_bytes(text: str) -> int:
    """What a string takes in a record."""
    return len(text) if text.isascii() else len(text.encode())
