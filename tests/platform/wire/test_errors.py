"""Error codes and what they tell a client."""

from coldstream.platform.wire.errors import RETRIABLE, ErrorCode, Malformed, WireError


def test_codes_are_gapless_and_complete() -> None:
    assert sorted(ErrorCode) == list(range(-1, 134))


def test_retriable_codes_say_so() -> None:
    assert ErrorCode.NOT_LEADER_OR_FOLLOWER.retriable
    assert not ErrorCode.MESSAGE_TOO_LARGE.retriable
    assert ErrorCode.NONE not in RETRIABLE


def test_malformed_is_a_wire_error_that_names_field_and_position() -> None:
    error = Malformed("topics.name", 12, "a length of 9, 2 bytes are left")
    assert isinstance(error, WireError)
    assert str(error) == "topics.name at byte 12: a length of 9, 2 bytes are left"
