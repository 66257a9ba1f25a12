"""What Prometheus reads from the console at `/metrics`. Labels come from closed sets, so nobody can grow them."""

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.process_collector import ProcessCollector

_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class ConsoleMetrics:
    """One registry per application, so that tests do not share counts."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "coldstream_console_requests",
            "HTTP requests answered.",
            ("operation", "method", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "coldstream_console_request_seconds",
            "Time from a request's arrival to the end of its answer.",
            ("operation",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        ProcessCollector(namespace="coldstream_console", registry=self._registry)

    def observe(self, operation: str, method: str, status: int, seconds: float) -> None:
        """Counts one answered request."""
        known_method = method if method in _METHODS else "other"
        self._requests.labels(operation, known_method, str(status)).inc()
        self._seconds.labels(operation).observe(seconds)

    def exposition(self) -> bytes:
        """The text format, version 0.0.4."""
        text: bytes = generate_latest(self._registry)
        return text
