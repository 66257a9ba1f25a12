"""What a preview of an altered topic answers; the broker writes the middle part of it into the job's progress."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from .schemas import Answer, Request, Time

Source = Literal["topic", "namespace", "default", "limited"]


class ConfigChangeView(Answer):
    """Effective values, and what gives them: the topic's own config, its namespace's defaults, the platform's default,
    or a limit that another config sets (the topic's retention for the local one, compaction for offloading).
    """

    name: str
    before: str
    after: str
    source_before: Source
    source: Source


class PartitionEffect(Answer):
    """What goes from one partition: records, counted by their offsets, and segments for good; files and objects in
    bytes; `local_bytes_evicted` only leaves the broker's disk and can still be read from the object store.
    """

    partition: int
    log_start_before: int
    log_start_after: int
    records_gone: int
    segments_gone: int
    bytes_gone_hot: int
    bytes_gone_cold: int
    local_bytes_evicted: int


class EffectTotals(Answer):
    """Sums over the partitions; `partitions_changed` counts those that lose anything."""

    partitions_changed: int
    records_gone: int
    segments_gone: int
    bytes_gone_hot: int
    bytes_gone_cold: int
    local_bytes_evicted: int


class CompactionEffect(Answer):
    """What compaction would take away besides, of the records that were looked at: all of them if `exact`."""

    applies: bool
    records: int
    records_removable: int
    bytes_removable: int
    exact: bool
    note: str


class BrokerEffect(Struct, kw_only=True):
    """The progress of a `preview` job that is done."""

    as_of_ms: int
    partitions: list[PartitionEffect]
    compaction: CompactionEffect | None = None


class TopicPreview(Answer):
    """What PATCH of the topic with the same body would change, and what retention and compaction would do then.

    It is what they would do at `as_of`, with what each partition holds at that time. Where the broker could not say,
    `missing_because` does, and `partitions`, `totals`, `compaction` and `as_of` are empty or null.
    """

    changes: list[ConfigChangeView]
    partition_count_before: int
    partition_count_after: int
    partitions: list[PartitionEffect]
    totals: EffectTotals | None = None
    compaction: CompactionEffect | None = None
    as_of: Time | None = None
    missing_because: str | None = None


class HistoryPage(Request):
    """The newest first; `before` continues a listing behind that `seq`."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    before: Annotated[int, Meta(ge=0, le=2**63 - 1)] | UnsetType = UNSET
