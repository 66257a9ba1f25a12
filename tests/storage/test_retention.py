from dataclasses import dataclass

import pytest
from coldstream.storage.config import LogConfig
from coldstream.storage.retention import Holding, plan_local_eviction, plan_log_start
from hypothesis import given, settings
from hypothesis import strategies as st

NOW_MS = 1_000_000
DAY_MS = 86_400_000


@dataclass
class Piece:
    """A segment of either tier, or the active one."""

    base: int
    end: int
    size_bytes: int = 100
    max_timestamp_ms: int = NOW_MS
    sealed_at_ms: int = NOW_MS
    committed_at_ms: int = NOW_MS

    @property
    def raw_bytes(self) -> int:
        return self.size_bytes


def pieces(*ends: int, age_ms: int = 0, size_bytes: int = 100) -> list[Piece]:
    return [Piece(base, end, size_bytes, NOW_MS - age_ms) for base, end in zip((0, *ends), ends, strict=False)]


def evict(sealed: list[Piece], cold_end: int, durable: int = 10**9, active: Piece | None = None, **config: int) -> int:
    cold = [Piece(0, cold_end)] if cold_end else []
    holding = Holding(log_start=0, durable=durable, cold=cold, sealed=sealed, active=active)
    return plan_local_eviction(holding, LogConfig(**config), NOW_MS)


def start(
    cold: list[Piece],
    sealed: list[Piece],
    log_start: int = 0,
    durable: int = 10**9,
    active: Piece | None = None,
    **config: int,
) -> int:
    holding = Holding(log_start=log_start, durable=durable, cold=cold, sealed=sealed, active=active)
    return plan_log_start(holding, LogConfig(**config), NOW_MS)


def test_local_data_leaves_only_behind_its_cold_copy() -> None:
    old = pieces(10, 20, 30, age_ms=5000)
    assert evict(old, cold_end=0, local_retention_ms=1000) == 0
    assert evict(old, cold_end=25, local_retention_ms=1000) == 20
    assert evict(old, cold_end=30, durable=15, local_retention_ms=1000) == 10
    assert evict(old, cold_end=30, local_retention_ms=1000) == 30
    assert evict(old, cold_end=30, local_retention_ms=5000) == 0


def test_local_data_of_an_untiered_topic_never_leaves_this_way() -> None:
    assert evict(pieces(10, age_ms=9**9), 10, tiered=False) == 0


def test_local_size_leaves_at_least_the_limit() -> None:
    four = pieces(10, 20, 30, 40)
    assert evict(four, 40, local_retention_bytes=250) == 10
    assert evict(four, 40, local_retention_bytes=200) == 20
    assert evict(four, 40, local_retention_bytes=0) == 40
    assert evict(four, 40, active=Piece(40, 50), local_retention_bytes=250) == 20


def test_minus_two_takes_the_limit_of_the_whole_topic() -> None:
    assert evict(pieces(10, 20, age_ms=5000), 20, local_retention_ms=-2, retention_ms=1000) == 20
    assert evict(pieces(10, 20), 20, local_retention_ms=-2, local_retention_bytes=-2, retention_bytes=100) == 10


def test_eviction_is_a_prefix() -> None:
    mixed = [Piece(0, 10, max_timestamp_ms=0), Piece(10, 20), Piece(20, 30, max_timestamp_ms=0)]
    assert evict(mixed, 30, local_retention_ms=1000) == 10


def test_a_segment_without_timestamps_is_as_old_as_its_sealing() -> None:
    assert evict([Piece(0, 10, max_timestamp_ms=-1, sealed_at_ms=0)], 10, local_retention_ms=1000) == 10
    assert evict([Piece(0, 10, max_timestamp_ms=-1)], 10, local_retention_ms=1000) == 0


def test_age_moves_the_log_start_through_both_tiers() -> None:
    assert start(pieces(10, 20, age_ms=5000), [Piece(20, 30, max_timestamp_ms=0)], retention_ms=1000) == 30
    assert start(pieces(10, 20, age_ms=5000), [Piece(20, 30)], retention_ms=1000) == 20
    assert start(pieces(10, 20, age_ms=5000), [], retention_ms=-1) == 0
    assert start(pieces(10, 20, age_ms=5000), [], retention_ms=1000, durable=15) == 10


def test_size_counts_what_is_in_both_tiers_once() -> None:
    cold, sealed = pieces(10, 20), [Piece(10, 20), Piece(20, 30)]
    assert start(cold, sealed, retention_bytes=300) == 0  # 300 in all, not 400
    assert start(cold, sealed, retention_bytes=200) == 10
    assert start(cold, sealed, active=Piece(30, 40), retention_bytes=200) == 20
    assert start(cold, sealed, retention_bytes=250) == 0  # what is left must still reach the limit


def test_what_was_deleted_before_does_not_count() -> None:
    assert start(pieces(10, 20, 30), [], log_start=20, retention_bytes=100) == 20
    assert start(pieces(10, 20, 30), [], log_start=25, retention_bytes=0) == 30


def test_topics_that_are_only_compacted_keep_everything() -> None:
    assert start(pieces(10, age_ms=9**9), [], deleted_by_age=False, retention_ms=1) == 0


def test_a_cold_segment_without_timestamps_is_as_old_as_its_commit() -> None:
    assert start([Piece(0, 10, max_timestamp_ms=-1)], [], retention_ms=1000) == 0
    assert start([Piece(0, 10, max_timestamp_ms=-1, committed_at_ms=0)], [], retention_ms=1000) == 10


def test_the_active_segment_goes_once_its_newest_record_is_past_retention() -> None:
    old, young = Piece(20, 25, max_timestamp_ms=NOW_MS - 5000), Piece(20, 25)
    sealed = pieces(10, 20, age_ms=5000)
    assert start([], sealed, active=old, retention_ms=1000) == 25
    assert start([], sealed, active=old, retention_ms=5000) == 0
    assert start([], sealed, active=young, retention_ms=1000) == 20
    assert start([], pieces(10, 20), active=old, retention_ms=1000) == 0  # what goes is a prefix
    assert start([], sealed, active=old, retention_ms=1000, durable=24) == 20
    assert start([], [], log_start=20, active=old, retention_ms=1000) == 25
    assert start([], sealed, active=old, retention_ms=1000, deleted_by_age=False) == 0


def test_an_active_segment_without_timestamps_waits_until_it_is_sealed() -> None:
    assert start([], [], active=Piece(0, 10, max_timestamp_ms=-1), retention_ms=0) == 0


def test_the_active_segment_is_what_a_size_is_reached_with() -> None:
    """As in Kafka: it goes by size only where nothing at all is to be kept."""
    assert start([], pieces(10), active=Piece(10, 20, size_bytes=500), retention_bytes=1) == 10
    assert start([], pieces(10), active=Piece(10, 20, size_bytes=500), retention_bytes=0) == 20


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 100), st.integers(0, 2000)), max_size=12),
    st.integers(0, 12),
    st.booleans(),
    st.integers(0, 600),
    st.integers(-1, 500),
    st.integers(-1, 1500),
)
@settings(max_examples=200, derandomize=True, deadline=None)
def test_plans_are_prefixes_within_what_is_durable(
    parts: list[tuple[int, int, int]],
    cold_count: int,
    has_active: bool,
    durable: int,
    limit_bytes: int,
    limit_ms: int,
) -> None:
    at, all_pieces = 0, list[Piece]()
    for length, size, age_ms in parts:
        all_pieces.append(Piece(at, at + length, size, NOW_MS - age_ms))
        at += length
    active = all_pieces[-1] if has_active and all_pieces else None
    sealed = all_pieces[:-1] if active else all_pieces
    cold = sealed[:cold_count]
    cold_end = cold[-1].end if cold else 0
    borders = {0, *(piece.end for piece in all_pieces)}
    below = evict(sealed, cold_end, durable, active, local_retention_ms=limit_ms, local_retention_bytes=limit_bytes)
    assert below in borders and below <= min(cold_end, durable)
    begins = start(cold, sealed, durable=durable, active=active, retention_ms=limit_ms, retention_bytes=limit_bytes)
    assert begins in borders and begins <= durable
    left = sum(piece.size_bytes for piece in all_pieces if piece.end > begins)
    went = [piece for piece in all_pieces if piece.end <= begins]
    if limit_bytes >= 0 and went and all(NOW_MS - p.max_timestamp_ms <= limit_ms or limit_ms < 0 for p in went):
        assert left >= limit_bytes


@pytest.mark.parametrize("limit", ["retention_bytes", "retention_ms"])
def test_no_limit_keeps_everything(limit: str) -> None:
    assert start(pieces(10, 20, age_ms=10), [], **{limit: -1}) == 0
