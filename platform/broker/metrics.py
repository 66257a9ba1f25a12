"""What the broker counts. Hot paths add to plain numbers; Prometheus samples are made when somebody scrapes."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from time import perf_counter
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ..wire.api import ApiKey
from ..wire.errors import ErrorCode

if TYPE_CHECKING:
    from .services import Services

LATENCY_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Latency:
    """Counts per latency bucket, and their sum."""

    __slots__ = ("buckets", "sum_s")

    def __init__(self) -> None:
        self.buckets = [0] * (len(LATENCY_BOUNDS_S) + 1)
        self.sum_s = 0.0

    def observe(self, seconds: float, count: int) -> None:
        """Count requests that took the same time."""
        self.buckets[bisect_left(LATENCY_BOUNDS_S, seconds)] += count
        self.sum_s += seconds * count


class BrokerMetrics:
    """The broker's counters; only the loop's thread writes them."""

    def __init__(self) -> None:
        self.bytes_in = 0
        self.bytes_out = 0
        self.sign_ins_refused = 0
        self.cold_read_bytes = 0
        self.uploaded_bytes = 0
        self.uploaded_segments = 0
        self.upload_failures = 0
        self.commit_rounds = 0
        self.compaction_passes = 0
        self.compaction_failures = 0
        self.compacted_bytes = 0
        self.compaction_bytes_removed = 0
        self.compaction_records_removed = 0
        self._latencies: dict[int, Latency] = {}
        self._errors: Counter[tuple[int, int]] = Counter()

    def answered(self, api_key: int, seconds: float, count: int = 1) -> None:
        """Count answered requests and how long each took."""
        latency = self._latencies.get(api_key)
        if latency is None:
            latency = self._latencies[api_key] = Latency()
        latency.observe(seconds, count)

    def fetched(self, began_s: float, *, waited: bool) -> None:
        """Count a fetch; one that waited for records says nothing about our speed."""
        self.answered(ApiKey.FETCH, 0.0 if waited else perf_counter() - began_s)

    def failed(self, api_key: int, error: int) -> None:
        """Count one error code in an answer."""
        self._errors[api_key, error] += 1

    def samples(self) -> Iterator[Metric]:
        """Everything counted here, as Prometheus metrics."""
        requests = HistogramMetricFamily(
            "coldstream_request_seconds", "Time from reading a request to queueing its answer", labels=["api"]
        )
        for api_key, latency in sorted(self._latencies.items()):
            total, buckets = 0, []
            for bound, count in zip((*LATENCY_BOUNDS_S, float("inf")), latency.buckets, strict=True):
                total += count
                buckets.append(("+Inf" if bound == float("inf") else str(bound), float(total)))
            requests.add_metric([ApiKey(api_key).name], buckets, latency.sum_s)
        yield requests
        errors = CounterMetricFamily("coldstream_request_errors", "Error codes in answers", labels=["api", "error"])
        for (api_key, error), count in sorted(self._errors.items()):
            errors.add_metric([ApiKey(api_key).name, ErrorCode(error).name], count)
        yield errors
        for name, text, value in (
            ("coldstream_bytes_in", "Bytes received from Kafka clients", self.bytes_in),
            ("coldstream_bytes_out", "Bytes sent to Kafka clients", self.bytes_out),
            ("coldstream_sign_ins_refused", "Sign-ins refused", self.sign_ins_refused),
            ("coldstream_cold_read_bytes", "Record bytes served from the cold tier", self.cold_read_bytes),
            ("coldstream_offloaded_bytes", "Bytes of segment objects uploaded and committed", self.uploaded_bytes),
            ("coldstream_offloaded_segments", "Segments uploaded and committed", self.uploaded_segments),
            (
                "coldstream_offload_failures",
                "Offload attempts that failed and will be tried again",
                self.upload_failures,
            ),
            ("coldstream_commit_rounds", "Commit rounds made durable", self.commit_rounds),
            ("coldstream_compaction_passes", "Passes of compaction over a log", self.compaction_passes),
            ("coldstream_compaction_failures", "Passes that failed and will be tried again", self.compaction_failures),
            ("coldstream_compacted_bytes", "Bytes of segments that passes went through", self.compacted_bytes),
            ("coldstream_compaction_removed_bytes", "Bytes that compaction took away", self.compaction_bytes_removed),
            (
                "coldstream_compaction_removed_records",
                "Records that compaction took away",
                self.compaction_records_removed,
            ),
        ):
            yield CounterMetricFamily(name, text, value)


class BrokerCollector(Collector):
    """All samples of one broker: its counters, and the sizes of what it holds."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        """Called by a scrape, on the metrics thread: it reads numbers and changes nothing."""
        services = self._services
        yield from services.metrics.samples()
        yield GaugeMetricFamily("coldstream_connections", "Open client connections", len(services.connections))
        yield from log_sizes(services)
        yield from offload_backlog(services)
        yield from group_samples(services)


def log_sizes(services: "Services") -> Iterator[Metric]:
    """Hot and cold bytes per topic, and the partitions there are."""
    labels = ["tenant", "namespace", "topic"]
    hot = GaugeMetricFamily("coldstream_topic_hot_bytes", "Bytes of a topic on local disk", labels=labels)
    cold = GaugeMetricFamily("coldstream_topic_cold_bytes", "Bytes of a topic in the object store", labels=labels)
    end = CounterMetricFamily("coldstream_topic_records_offsets", "Sum of a topic's end offsets", labels=labels)
    partitions = 0
    for namespace in services.follower.namespaces():
        for topic in namespace.topics():
            names = [namespace.tenant, namespace.name, topic.name]
            hot.add_metric(names, sum(partition.log.hot_bytes for partition in topic.partitions))
            cold.add_metric(names, sum(partition.cold_bytes for partition in topic.partitions))
            end.add_metric(names, sum(partition.log.durable for partition in topic.partitions))
            partitions += len(topic.partitions)
    yield from (hot, cold, end)
    yield GaugeMetricFamily("coldstream_partitions", "Partitions led by this broker", partitions)


def offload_backlog(services: "Services") -> Iterator[Metric]:
    """How far the cold tier is behind."""
    backlog = services.tiering.backlog()
    yield GaugeMetricFamily("coldstream_offload_backlog_segments", "Sealed segments not yet cold", backlog.segments)
    yield GaugeMetricFamily("coldstream_offload_backlog_bytes", "Bytes of sealed segments not yet cold", backlog.bytes)
    yield GaugeMetricFamily(
        "coldstream_offload_backlog_age_seconds", "Age of the oldest of them", backlog.oldest_age_ms / 1000
    )


def group_samples(services: "Services") -> Iterator[Metric]:
    """Groups, members, rebalances, and how far each group's committed offsets are behind."""
    lag = GaugeMetricFamily(
        "coldstream_group_lag_records",
        "End offset less committed offset",
        labels=["tenant", "namespace", "group", "topic", "partition"],
    )
    for namespace_id, group_id, topic_id, index, offset in services.coordinator.committed_offsets():
        namespace = services.follower.namespace(namespace_id)
        topic = namespace.topic_by_id(topic_id.bytes) if namespace else None
        partition = topic.partition(index) if topic else None
        if namespace is not None and topic is not None and partition is not None:
            names = [namespace.tenant, namespace.name, group_id, topic.name, str(index)]
            lag.add_metric(names, max(0, partition.log.durable - offset))
    yield lag
    yield GaugeMetricFamily("coldstream_groups", "Consumer groups", services.coordinator.group_count)
    yield GaugeMetricFamily("coldstream_group_members", "Members of consumer groups", services.coordinator.member_count)
    yield CounterMetricFamily("coldstream_group_rebalances", "Rebalances completed", services.coordinator.rebalances)
