"""The CLI's side of the HTTP API: where it is, which token opens it, and its errors in the words of a terminal.

Standard library only: a command should be over before httpx is imported.
"""

import argparse
import http.client
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ..data_dir import read_endpoints
from ..settings import DATA_DIR_DEFAULT
from .command import CommandError, UsageError

TIMEOUT_S = 30.0


class Api:
    """Requests to one console. Each opens its own connection."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise UsageError(f"--url {url}: expected http://HOST:PORT or https://HOST:PORT")
        if any(not 33 <= ord(character) <= 126 for character in token):
            raise UsageError("the token has characters that no token has; is it quoted or broken over lines?")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port = parts.hostname, port
        self._token = token

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Any:
        return self._ask("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, object] | None = None) -> Any:
        return self._ask("POST", path, body=body or {})

    def patch(self, path: str, body: Mapping[str, object]) -> Any:
        return self._ask("PATCH", path, body=body)

    def delete(self, path: str, query: Mapping[str, object] | None = None) -> Any:
        return self._ask("DELETE", path, query=query)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Any:
        """The answer's document, None for an empty one. Raises CommandError."""
        target = f"/api/v1{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        connection = self._connect(self._host, self._port, timeout=TIMEOUT_S)
        try:
            connection.request(method, target, data, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (TimeoutError, socket.timeout):  # noqa: UP041 - the alias is what older handlers raise
            raise CommandError(f"no answer from {self.url} within {TIMEOUT_S:.0f} s") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise CommandError(f"cannot reach the console at {self.url}: {reason}") from None
        finally:
            connection.close()
        return _document(self.url, answer.status, content)


def _document(url: str, status: int, content: bytes) -> Any:
    try:
        document = json.loads(content) if content else None
    except ValueError:
        raise CommandError(f"what answers at {url} is not a Coldstream console (HTTP {status}, no JSON)") from None
    if 200 <= status < 300:
        return document
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict):
        raise CommandError(f"HTTP {status} from {url}")
    hint = f" ({error['hint']})" if error.get("hint") else ""
    raise CommandError(f"{error.get('message', f'HTTP {status}')}{hint}")


def in_path(name: str) -> str:
    """A name as one segment of an address."""
    return quote(name, safe="")


def add_api_flags(parser: argparse.ArgumentParser) -> None:
    """`--url`, `--token`, `--data-dir`, for every command that talks to the API."""
    group = parser.add_argument_group("which platform")
    group.add_argument("--url", help="console to talk to (COLDSTREAM_URL)")
    group.add_argument("--token", help="access token (COLDSTREAM_TOKEN)")
    group.add_argument("--data-dir", help="data directory of a platform on this machine (COLDSTREAM_DATA_DIR)")


def connect(args: argparse.Namespace) -> Api:
    """The API that flags, variables and the data directory name, in this order. Raises CommandError, UsageError."""
    data_dir = Path(args.data_dir or os.environ.get("COLDSTREAM_DATA_DIR") or DATA_DIR_DEFAULT).expanduser()
    url = args.url or os.environ.get("COLDSTREAM_URL") or _noted_url(data_dir)
    token = args.token or os.environ.get("COLDSTREAM_TOKEN") or _noted_token(data_dir)
    return Api(url, token)


def _noted_url(data_dir: Path) -> str:
    endpoints = read_endpoints(data_dir)
    if endpoints is None or not isinstance(endpoints.get("console"), str):
        raise CommandError(
            f"no platform runs on the data directory {data_dir}: start one with `coldstream up`, "
            "or name another with --data-dir or --url and --token"
        )
    return str(endpoints["console"])


def _noted_token(data_dir: Path) -> str:
    path = data_dir / "admin-token"
    try:
        return path.read_text(encoding="ascii").strip()
    except PermissionError:
        raise CommandError(f"{path} belongs to another user: give --token, or run as that user") from None
    except (OSError, ValueError):
        raise CommandError(f"no access token in {path}: give --token or set COLDSTREAM_TOKEN") from None
