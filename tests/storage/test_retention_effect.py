"""What a configuration would let go is told in numbers, and is what then happens."""

from coldstream.storage.config import LogConfig
from coldstream.storage.retention import Holding, plan_log_start
from coldstream.storage.retention_effect import RetentionEffect, retention_effect, without_what_is_below
from coldstream.tests.storage.test_retention import NOW_MS, Piece, pieces
from hypothesis import given, settings
from hypothesis import strategies as st


def effect(holding: Holding, **config: int) -> RetentionEffect:
    return retention_effect(holding, LogConfig(**config), NOW_MS)


def test_what_both_tiers_hold_goes_once_as_records_and_twice_as_bytes() -> None:
    cold = [Piece(0, 10, size_bytes=60, max_timestamp_ms=0), Piece(10, 20, size_bytes=60)]
    sealed = [Piece(0, 10, max_timestamp_ms=0), Piece(10, 20), Piece(20, 30)]
    holding = Holding(log_start=4, durable=100, cold=cold, sealed=sealed, active=Piece(30, 40))
    assert effect(holding, retention_ms=1000, local_retention_ms=-1) == RetentionEffect(
        log_start_before=4,
        log_start_after=10,
        records_gone=6,
        segments_gone=1,
        bytes_gone_hot=100,
        bytes_gone_cold=60,
        local_bytes_evicted=0,
    )


def test_what_only_leaves_the_local_disk_is_told_apart_from_what_goes() -> None:
    cold = [Piece(0, 10, max_timestamp_ms=0), Piece(10, 20, max_timestamp_ms=NOW_MS - 5000), Piece(20, 30)]
    holding = Holding(log_start=0, durable=100, cold=cold, sealed=cold)
    told = effect(holding, retention_ms=10_000, local_retention_ms=1000)
    assert (told.log_start_after, told.bytes_gone_hot, told.local_bytes_evicted) == (10, 100, 100)


def test_everything_goes_with_the_active_segment() -> None:
    holding = Holding(log_start=0, durable=30, sealed=pieces(10, 20, age_ms=5000), active=Piece(20, 30, 7, 0))
    told = effect(holding, retention_ms=1000)
    assert (told.log_start_after, told.records_gone, told.segments_gone, told.bytes_gone_hot) == (30, 30, 3, 207)


def test_offsets_that_nobody_holds_are_no_records() -> None:
    """After a loss the log goes on 2^32 offsets higher (D3)."""
    far = 2**32
    holding = Holding(log_start=0, durable=2 * far, sealed=[Piece(0, 10, max_timestamp_ms=0), Piece(far, far + 5)])
    assert effect(holding, retention_ms=1000).records_gone == 10
    holding = Holding(log_start=0, durable=2 * far, sealed=[*pieces(10, age_ms=5000), Piece(far, far + 5, 1, 0)])
    assert effect(holding, retention_ms=1000).records_gone == 15


def test_a_configuration_that_lets_nothing_go_has_no_effect() -> None:
    holding = Holding(log_start=7, durable=20, cold=pieces(10), sealed=pieces(10, 20))
    assert effect(holding, retention_ms=1000, local_retention_ms=-1) == RetentionEffect(
        log_start_before=7,
        log_start_after=7,
        records_gone=0,
        segments_gone=0,
        bytes_gone_hot=0,
        bytes_gone_cold=0,
        local_bytes_evicted=0,
    )


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 100), st.integers(0, 2000)), max_size=12),
    st.integers(0, 12),
    st.integers(0, 300),
    st.integers(-1, 500),
    st.integers(-1, 1500),
)
@settings(max_examples=200, derandomize=True, deadline=None)
def test_a_second_pass_finds_nothing_left_to_let_go(
    parts: list[tuple[int, int, int]], cold_count: int, log_start: int, limit_bytes: int, limit_ms: int
) -> None:
    at, found = 0, list[Piece]()
    for length, size, age_ms in parts:
        found.append(Piece(at, at + length, size, NOW_MS - age_ms))
        at += length
    active = found.pop() if found else None
    holding = Holding(log_start=min(log_start, at), durable=at, cold=found[:cold_count], sealed=found, active=active)
    config = LogConfig(retention_ms=limit_ms, retention_bytes=limit_bytes)
    told = retention_effect(holding, config, NOW_MS)
    assert told.log_start_after == plan_log_start(holding, config, NOW_MS)
    assert told.records_gone == told.log_start_after - told.log_start_before  # these offsets have no holes
    left = without_what_is_below(holding, told.log_start_after)
    again = retention_effect(left, config, NOW_MS)
    assert (again.records_gone, again.bytes_gone_hot, again.bytes_gone_cold) == (0, 0, 0)
