"""From the records of an internal partition to the groups they leave behind.

Pure and without a clock, so that it can run in a thread. A record that cannot be understood is reported and skipped:
one bad record must not cost every group of the partition its offsets.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from .limits import utf8_bytes
from .offsets import Change, Offsets
from .records import CorruptRecord, GroupKey, OffsetKey, StoredGroup, decode_group, decode_key, decode_offset
from .seams import Record

PROBLEMS_KEPT = 100


@dataclass(slots=True)
class LoadedGroup:
    offsets: Offsets
    stored: StoredGroup | None = None


@dataclass(slots=True)
class Loaded:
    groups: dict[tuple[UUID, str], LoadedGroup] = field(default_factory=dict)
    record_count: int = 0
    problem_count: int = 0
    problems: list[str] = field(default_factory=list)  # the first PROBLEMS_KEPT


def fold(records: Iterable[Record]) -> Loaded:
    """The state after these records, in order. Replaying any part of them again from some point to the end changes
    nothing, which is what lets a tail overlap its snapshot."""
    loaded = Loaded()
    for record in records:
        loaded.record_count += 1
        try:
            _apply(loaded, record)
        except CorruptRecord as problem:
            loaded.problem_count += 1
            if len(loaded.problems) < PROBLEMS_KEPT:
                loaded.problems.append(f"record {loaded.record_count} of the partition skipped: {problem}")
    for identity in [i for i, group in loaded.groups.items() if group.stored is None and not group.offsets.count]:
        del loaded.groups[identity]
    return loaded


def _apply(loaded: Loaded, record: Record) -> None:
    key = decode_key(record.key)
    if isinstance(key, GroupKey):
        stored = decode_group(record.value) if record.value is not None else None
        _group(loaded, key).stored = stored
    else:
        committed = decode_offset(record.value) if record.value is not None else None
        _group(loaded, key).offsets.apply([Change(key.where, committed)])


def _group(loaded: Loaded, key: GroupKey | OffsetKey) -> LoadedGroup:
    identity = (key.namespace_id, key.group_id)
    found = loaded.groups.get(identity)
    if found is None:
        found = loaded.groups[identity] = LoadedGroup(Offsets(utf8_bytes(key.group_id)))
    return found
