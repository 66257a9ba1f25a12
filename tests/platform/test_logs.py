"""Log lines: one JSON object each, whatever is in them."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from coldstream.platform import logs

log = logging.getLogger("coldstream.test")


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level, loud = root.handlers[:], root.level, logging.raiseExceptions
    stream = io.StringIO()
    logs.configure("info", process="broker", stream=stream)
    yield stream
    root.handlers[:], logging.raiseExceptions = handlers, loud
    root.setLevel(level)


def lines(written: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_a_line_has_time_level_logger_event_and_bound_fields(written: io.StringIO) -> None:
    about = logs.bound(logs.bound(log, topic="orders"), partition=3)
    about.warning("segment %s sealed", 7, extra={"size_bytes": 1})
    (line,) = lines(written)
    assert str(line.pop("ts")).endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "coldstream.test",
        "event": "segment 7 sealed",
        "process": "broker",
        "topic": "orders",
        "partition": 3,
        "size_bytes": 1,
    }


def test_text_from_a_client_cannot_forge_or_colour_a_line(written: io.StringIO) -> None:
    hostile = 'a\n{"level":"info"}\r\x1b[31m\x00\x7f\x9b\u2028\u202e'
    log.info("client said %s", hostile, extra={"client_id": hostile})
    assert written.getvalue().count("\n") == 1
    assert all(" " <= character <= "~" for character in written.getvalue().rstrip("\n"))
    assert lines(written)[0]["client_id"] == hostile


@pytest.mark.parametrize("name", ["password", "secret", "admin_token", "Authorization"])
def test_a_field_named_like_a_secret_is_never_written(written: io.StringIO, name: str) -> None:
    log.info("signed in", extra={name: "hunter2", "more": {name: "hunter2"}})
    assert "hunter2" not in written.getvalue()


def test_an_exception_is_part_of_its_line_and_long_text_is_cut(written: io.StringIO) -> None:
    try:
        raise ValueError("x" * 100_000)
    except ValueError:
        log.exception("failed", extra={"key": b"\xff", "ids": {1}, "much": "y" * 100_000})
    (line,) = lines(written)
    assert str(line["error"]).startswith("ValueError: xxx")
    assert "left out" in str(line["much"])
    assert len(written.getvalue()) < 5 * logs.TEXT_MAX


def test_less_severe_lines_are_left_out(written: io.StringIO) -> None:
    log.debug("nothing")
    assert lines(written) == []
