"""`/metrics` and `/healthz` of one broker, on a port and a thread of their own: a scrape never runs on the loop."""

import logging
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.registry import Collector

from ..settings import Address
from .cannot_start import CannotStart

log = logging.getLogger("coldstream.metrics")

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
# The loop goes on while a scrape walks its dictionaries: one that changes size under the walk is walked again.
SCRAPE_TRIES = 5
REQUEST_TIMEOUT_S = 10


class MetricsServer:
    """Serves until `close`. `health` answers None, or why the broker is not well."""

    def __init__(self, address: Address, collector: Collector, health: Callable[[], str | None]) -> None:
        registry = CollectorRegistry()
        for each in (ProcessCollector, PlatformCollector, GCCollector):
            each(registry=registry)
        registry.register(collector)
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        server_class = type("Server", (ThreadingHTTPServer,), {"address_family": family, "daemon_threads": True})
        try:
            self._server = server_class((address.host, address.port), handler_class(registry, health))
        except OSError as error:
            raise CannotStart(f"cannot listen on {address} (setting broker_metrics): {error.strerror}") from None
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def handler_class(registry: CollectorRegistry, health: Callable[[], str | None]) -> type[BaseHTTPRequestHandler]:
    """The request handler over one registry."""

    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_TIMEOUT_S

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._send(200, TEXT_FORMAT, scrape(registry))
            elif path == "/healthz":
                trouble = health()
                self._send(
                    200 if trouble is None else 503, "text/plain; charset=utf-8", (trouble or "ok").encode() + b"\n"
                )
            else:
                self._send(404, "text/plain; charset=utf-8", b"here are /metrics and /healthz\n")

        def _send(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            log.debug("scraped", extra={"request": format % args})

    return Handler


def scrape(registry: CollectorRegistry) -> bytes:
    """The registry's samples as text."""
    for _ in range(SCRAPE_TRIES - 1):
        try:
            return generate_latest(registry)
        except RuntimeError:
            continue
    return generate_latest(registry)
