"""Server-sent events as they go over the wire: whatever the data, it stays within its event."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from coldstream.console.events import Event, event_response
from starlette.types import Message


def fields(content: bytes) -> list[tuple[str, str]]:
    """What a browser makes of it, up to the empty line that ends an event (WHATWG HTML 9.2.6)."""
    text = content.decode()
    assert text.endswith("\n\n") and "\n\n" not in text[:-2]
    return [
        (name, value.removeprefix(" ")) for name, _, value in (line.partition(":") for line in text[:-2].split("\n"))
    ]


@pytest.mark.parametrize("data", ["one", "two\nlines", "a\r\nb\rc", "data: x\n\nevent: end\nid: 7", "", "\n", ": no"])
def test_data_cannot_leave_its_event(data: str) -> None:
    name, identity, *rest = fields(Event("part", data, "0:1").encode())
    assert (name, identity) == (("event", "part"), ("id", "0:1"))
    assert {field for field, _ in rest} == {"data"}
    assert "\n".join(value for _, value in rest) == data.replace("\r\n", "\n").replace("\r", "\n")


def test_an_event_without_id_keeps_the_last_one() -> None:
    assert fields(Event("end", "x").encode()) == [("event", "end"), ("data", "x")]


def test_text_that_is_no_unicode_does_not_stop_the_stream() -> None:
    assert Event("part", "\ud800").encode() == b"event: part\ndata: ?\n\n"


def test_the_answer_is_kept_by_nobody_and_held_back_by_nobody() -> None:
    closed = []

    async def events() -> AsyncIterator[Event | None]:
        try:
            yield None
            yield Event("end", "over")
        finally:
            closed.append(True)

    async def scenario() -> list[Message]:
        sent: list[Message] = []

        async def receive() -> Message:
            await asyncio.sleep(10)
            raise AssertionError

        async def send(message: Message) -> None:
            sent.append(message)

        await event_response(events())({"type": "http"}, receive, send)
        return sent

    start, *parts = asyncio.run(scenario())
    headers = dict(start["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert b"no-store" in headers[b"cache-control"] and headers[b"x-accel-buffering"] == b"no"
    content = b"".join(part.get("body", b"") for part in parts)
    assert content == b"retry: 2000\n\n: waiting\n\nevent: end\ndata: over\n\n"
    assert closed == [True]
