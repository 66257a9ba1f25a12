"""Waiting after failed sign-ins: who waits, for how long, and who never does."""

import pytest
from coldstream.tenants.sign_in_limits import (
    FORGET_MS,
    FREE_FAILURES,
    NAMES_MAX,
    ORIGIN_BURST,
    ORIGIN_EVERY_MS,
    ORIGINS_MAX,
    WAIT_MAX_MS,
    SignInLimits,
    origin_of,
)

T = 1_700_000_000_000
HERE, THERE = "192.0.2.1", "198.51.100.9"


def test_the_first_failures_are_free_and_each_further_one_doubles_the_wait() -> None:
    limits, waits, now_ms = SignInLimits(), [], T
    for _ in range(FREE_FAILURES + 9):
        limits.failed("joe", HERE, now_ms)
        waits.append(limits.wait_ms("joe", HERE, now_ms))
        now_ms += waits[-1]
        assert limits.wait_ms("joe", HERE, now_ms) == 0
    assert waits == [0] * 5 + [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]


def test_a_wait_passes_with_time_and_is_forgotten_in_the_end() -> None:
    limits = SignInLimits()
    for _ in range(FREE_FAILURES + 3):
        limits.failed("joe", HERE, T)
    assert [limits.wait_ms("joe", HERE, T + ms) for ms in (0, 1, 3999, 4000)] == [4000, 3999, 1, 0]
    limits.failed("joe", HERE, T + FORGET_MS)
    assert limits.wait_ms("joe", HERE, T + FORGET_MS) == 0
    limits.failed("joe", HERE, T + FORGET_MS + 1)
    assert limits.wait_ms("joe", HERE, T + FORGET_MS + 1) == 0


def test_nobody_elsewhere_delays_a_member() -> None:
    limits = SignInLimits()
    for n in range(1000):
        limits.failed("joe", HERE, T + n)
        limits.failed("joe", f"origin {n}", T + n)
    assert limits.wait_ms("joe", HERE, T + 1000) > 0
    assert limits.wait_ms("joe", THERE, T + 1000) == 0
    assert limits.wait_ms("joe", "device 7f", T + 1000) == 0


def test_an_origin_that_tries_many_names_waits_for_all_of_them() -> None:
    limits, tried, now_ms = SignInLimits(), 0, T
    while limits.attempt(f"member {tried}", HERE, now_ms) == 0:
        tried += 1
    assert tried == ORIGIN_BURST
    assert limits.wait_ms("joe", HERE, now_ms) == ORIGIN_EVERY_MS
    assert limits.wait_ms("joe", THERE, now_ms) == 0
    now_ms += ORIGIN_EVERY_MS
    assert limits.attempt("joe", HERE, now_ms) == 0
    assert limits.attempt("ann", HERE, now_ms) == ORIGIN_EVERY_MS
    now_ms += (ORIGIN_BURST + 5) * ORIGIN_EVERY_MS
    assert [limits.attempt(f"other {n}", HERE, now_ms) for n in range(ORIGIN_BURST)] == [0] * ORIGIN_BURST
    assert limits.wait_ms("ann", HERE, now_ms) == ORIGIN_EVERY_MS


def test_signing_in_clears_the_name_and_not_the_origins_other_guesses() -> None:
    limits = SignInLimits()
    for n in range(ORIGIN_BURST * 2):  # an attacker signs in with a name of their own between guesses at another's
        limits.attempt("victim", HERE, T + n)
        if limits.attempt("attacker", HERE, T + n) == 0:
            limits.succeeded("attacker", HERE)
    assert limits.wait_ms("victim", HERE, T + ORIGIN_BURST * 2) > 0
    quiet = SignInLimits()
    for n in range(500):  # a whole office signs in from one address
        assert quiet.attempt(f"member {n}", HERE, T) == 0
        quiet.succeeded(f"member {n}", HERE)
    for _ in range(FREE_FAILURES + 5):
        quiet.failed("joe", HERE, T)
    quiet.succeeded("joe", HERE)
    assert quiet.wait_ms("joe", HERE, T) == 0


def test_guesses_all_at_once_are_not_all_let_in() -> None:
    limits = SignInLimits()
    let_in = sum(limits.attempt("joe", HERE, T) == 0 for _ in range(1000))
    assert let_in == FREE_FAILURES + 1


@pytest.mark.parametrize("announced", [True, False])
def test_a_name_of_ones_own_does_not_pay_for_guesses_at_others(announced: bool) -> None:
    limits, guessed = SignInLimits(), 0

    def begins(name: str) -> bool:
        return (limits.attempt if announced else limits.wait_ms)(name, HERE, T) == 0

    while begins(f"victim {guessed}") and guessed < 1000:
        limits.failed(f"victim {guessed}", HERE, T)
        guessed += 1
        if begins("attacker"):
            limits.succeeded("attacker", HERE)
    assert guessed == ORIGIN_BURST


def test_a_failure_that_was_announced_counts_once() -> None:
    limits = SignInLimits()
    for _ in range(FREE_FAILURES):
        assert limits.attempt("joe", HERE, T) == 0
        limits.failed("joe", HERE, T)
    assert limits.wait_ms("joe", HERE, T) == 0
    limits.failed("joe", HERE, T)
    assert limits.wait_ms("joe", HERE, T) == 1000


def test_memory_is_bounded_and_the_least_recent_are_forgotten() -> None:
    limits = SignInLimits()
    for _ in range(FREE_FAILURES + 10):
        limits.failed("joe", HERE, T)
    for n in range(NAMES_MAX + 10):
        limits.failed(f"member {n}" * 100, f"origin {n}" * 100, T)
        if n % 1000 == 0:
            assert limits.wait_ms("joe", HERE, T) == WAIT_MAX_MS, "what is asked for is kept"
    assert len(limits._failures._entries) == NAMES_MAX and len(limits._guesses._entries) == ORIGINS_MAX
    assert all(len(part) <= 100 for key in limits._failures._entries for part in key)


def test_a_clock_that_goes_back_never_makes_anybody_wait_longer_than_the_most() -> None:
    limits = SignInLimits()
    for n in range(20):
        limits.failed("joe", HERE, T - n)
    assert limits.wait_ms("joe", HERE, T) == WAIT_MAX_MS


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("testclient", "testclient"),
        ("", ""),
        ("x" * 1000, "x" * 100),
    ],
)
def test_an_address_is_an_origin_by_its_network(address: str, origin: str) -> None:
    assert origin_of(address) == origin
