"""What went wrong, as a page: which limit, what to do, and the id that finds it in the log."""

from typing import Any

from starlette.responses import Response

from ..failures import Failure
from ..operations import Caller
from . import rendering


def failure_page(failure: Failure, request_id: str, caller: Caller | None = None) -> Response:
    context = {
        **surroundings(caller, 0),
        "failure": failure,
        "request_id": request_id,
        "title": failure_title(failure),
    }
    return rendering.respond("failure.html", context, failure.status, dict(failure.headers))


def failure_title(failure: Failure) -> str:
    known = {403: "Not allowed", 404: "Nothing here", 405: "Not this way", 413: "Too large", 429: "Too often"}
    return known.get(failure.status, "This did not work")


def surroundings(caller: Caller | None, now_ms: int) -> dict[str, Any]:
    member = None if caller is None else caller.member
    return {
        "member": member,
        "preferences": rendering.SIGNED_OUT if member is None else member.preferences,
        "now_ms": now_ms,
    }
