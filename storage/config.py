"""The topic configuration a log cares about, already resolved: names as Kafka's, with units."""

from dataclasses import dataclass

SEGMENT_BYTES_MAX = 2**31 - 1  # positions in Kafka's index files are signed 32-bit integers


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """Resolved values of the Kafka topic configs of the same name. -1 means "no limit" for every `retention` field."""

    segment_bytes: int = 128 * 2**20
    segment_ms: int = 3_600_000
    retention_ms: int = 7 * 86_400_000
    retention_bytes: int = -1
    local_retention_ms: int = 86_400_000
    local_retention_bytes: int = -1
    tiered: bool = True
    max_message_bytes: int = 2**20
    compacted: bool = False
    deleted_by_age: bool = True
    log_append_time: bool = False
    timestamp_before_max_ms: int = 2**63 - 1
    timestamp_after_max_ms: int = 3_600_000
    compression: str = "producer"
    delete_retention_ms: int = 86_400_000
    min_compaction_lag_ms: int = 0
    max_compaction_lag_ms: int = 2**63 - 1
    min_cleanable_dirty_ratio: float = 0.5
    index_interval_bytes: int = 4096

    def __post_init__(self) -> None:
        if not 1 <= self.segment_bytes <= SEGMENT_BYTES_MAX:
            raise ValueError(f"segment_bytes is {self.segment_bytes}: it must lie in [1, {SEGMENT_BYTES_MAX}]")
        if self.segment_ms < 1 or self.index_interval_bytes < 0 or self.max_message_bytes < 0:
            raise ValueError("segment_ms must be at least 1; index_interval_bytes and max_message_bytes not negative")
