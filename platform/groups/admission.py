"""What a request must pass before it reaches a group: bounds of times, sizes and numbers. Pure decisions.

A refusal is a sentence for the log that says what, which limit and what to do; an empty one means yes.
"""

from uuid import UUID

from ..wire.errors import ErrorCode
from .exchange import CommitRequest
from .limits import GroupLimits
from .offsets import Change, Committed, TopicPartition
from .registry import Entry, Registry

TIMESTAMP_MS_MAX = 2**63 - 1


class Admission:
    def __init__(self, limits: GroupLimits, registry: Registry) -> None:
        self._limits = limits
        self._registry = registry

    def session_timeout(self, session_timeout_ms: int) -> str:
        least_ms, most_ms = self._limits.session_timeout_min_ms, self._limits.session_timeout_max_ms
        if least_ms <= session_timeout_ms <= most_ms:
            return ""
        return f"session timeout of {session_timeout_ms} ms: allowed are {least_ms} to {most_ms}"

    def group_id(self, group_id: str, *, empty_allowed: bool) -> bool:
        """Old clients without a group id commit and fetch under the empty one; members need a name (as in Kafka)."""
        return (bool(group_id) or empty_allowed) and len(group_id) <= self._limits.group_id_bytes_max

    def new_group(self, namespace_id: UUID, size_bytes: int) -> str:
        if self._registry.count_in(namespace_id) >= self._limits.groups_max:
            return f"this namespace has reached the limit of {self._limits.groups_max} groups: delete unused ones"
        return self._size(namespace_id, 0, size_bytes)

    def growth(self, entry: Entry, growth_bytes: int) -> str:
        """Only growth is refused: a group at its limit can still shrink, leave and go on."""
        return self._size(entry.namespace_id, entry.size_bytes, growth_bytes) if growth_bytes > 0 else ""

    def offsets(self, request: CommitRequest, now_ms: int) -> tuple[list[Change], tuple[ErrorCode, ...]]:
        """What of a commit can be stored, and one error for each of its offsets. Of an offset that is named twice
        the last one counts."""
        expires_at_ms = min(now_ms + request.retention_ms, TIMESTAMP_MS_MAX) if request.retention_ms >= 0 else -1
        changes: dict[TopicPartition, Change] = {}
        errors: list[ErrorCode] = []
        for asked in request.offsets:
            metadata = asked.metadata or ""
            if len(metadata.encode()) > self._limits.offset_metadata_bytes_max:
                errors.append(ErrorCode.OFFSET_METADATA_TOO_LARGE)
                continue
            errors.append(ErrorCode.NONE)
            where = TopicPartition(asked.topic_id, asked.partition)
            committed = Committed(asked.offset, asked.leader_epoch, metadata, now_ms, expires_at_ms)
            changes[where] = Change(where, committed)
        return list(changes.values()), tuple(errors)

    def _size(self, namespace_id: UUID, size_bytes: int, growth_bytes: int) -> str:
        if size_bytes + growth_bytes > self._limits.group_bytes_max:
            return f"the group's state would pass the limit of {self._limits.group_bytes_max} bytes"
        if self._registry.bytes_in(namespace_id) + growth_bytes > self._limits.namespace_bytes_max:
            return f"this namespace's groups would pass the limit of {self._limits.namespace_bytes_max} bytes"
        return ""
