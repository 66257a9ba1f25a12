"""Style and scripts: a handful of files read once, each under an address that holds its digest and never changes."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ..middleware import OPERATION

TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class StaticFile:
    content: bytes
    media_type: str
    address: str


@cache
def static_files() -> dict[str, StaticFile]:
    """By name."""
    found = {}
    for entry in files("coldstream.console").joinpath("static").iterdir():
        stem, _, suffix = entry.name.rpartition(".")
        if suffix in TYPES:
            content = entry.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:12]
            found[entry.name] = StaticFile(content, TYPES[suffix], f"/static/{stem}.{digest}.{suffix}")
    return found


def url_of(name: str) -> str:
    """Where a browser finds the file of that name."""
    return static_files()[name].address


def routes() -> list[Route]:
    async def serve(request: Request) -> Response:
        request.scope[OPERATION] = "static"
        wanted = request.url.path
        found = next((file for file in static_files().values() if file.address == wanted), None)
        if found is None:
            return PlainTextResponse("no such file\n", 404)
        return Response(found.content, headers={"Cache-Control": FOR_EVER}, media_type=found.media_type)

    return [Route("/static/{name}", serve)]
