"""Server-sent events (WHATWG HTML, "Server-sent events"): how they are written, and the answer that carries them.

Always true: whatever the data, it stays within its event: every line of it is a `data:` line, and line ends of all
three kinds are line ends.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.responses import StreamingResponse

KEEP_ALIVE_S = 15.0
RETRY_MS = 2_000
KEEP_ALIVE = b": waiting\n\n"
_LINE_ENDS = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Event:
    """`id` comes back as Last-Event-ID when the browser connects again."""

    name: str
    data: str
    id: str = ""

    def encode(self) -> bytes:
        assert not _LINE_ENDS.search(self.name + self.id), "names and ids are ours, and one line"
        lines = [f"event: {self.name}"]
        if self.id:
            lines.append(f"id: {self.id}")
        lines += [f"data: {line}" for line in _LINE_ENDS.split(self.data)]
        return ("\n".join(lines) + "\n\n").encode("utf-8", "replace")


def event_response(events: AsyncIterator[Event | None]) -> StreamingResponse:
    """The events as they come; None is a sign of life between them."""

    async def encoded() -> AsyncIterator[bytes]:
        yield f"retry: {RETRY_MS}\n\n".encode()
        async for event in events:
            yield KEEP_ALIVE if event is None else event.encode()

    # A proxy that collects what it passes on would hold events back.
    headers = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}
    return StreamingResponse(encoded(), headers=headers, media_type="text/event-stream")
