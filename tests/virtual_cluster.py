"""A tenant's namespace on a running platform, as its users see it: topics and keys made over the HTTP API, which is
quicker than a process of the command line each, and clients' settings for them.
"""

import itertools
import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

DEADLINE_S = 20.0
_numbers = itertools.count(1)


class HttpRefused(Exception):
    """An answer of the HTTP API other than success."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


@dataclass(frozen=True, slots=True)
class HttpApi:
    """The platform's HTTP API with a bearer token."""

    url: str
    token: str

    def __call__(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The decoded answer. Raises HttpRefused."""
        request = urllib.request.Request(
            f"{self.url}/api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            raise HttpRefused(error.code, error.read().decode(errors="replace")) from None
        return json.loads(content) if content else None


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as a client uses it."""

    id: str
    secret: str

    def confluent(self, bootstrap: str) -> dict[str, Any]:
        """Settings of librdkafka."""
        return {
            "bootstrap.servers": bootstrap,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": self.id,
            "sasl.password": self.secret,
            "log_level": 0,  # tests look at errors, and a broker that is killed would fill their output
        }

    def python(self, bootstrap: str) -> dict[str, Any]:
        """Settings of aiokafka and kafka-python."""
        return {
            "bootstrap_servers": bootstrap,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN",
            "sasl_plain_username": self.id,
            "sasl_plain_password": self.secret,
        }


@dataclass(slots=True)
class VirtualCluster:
    """One namespace. Names given are used as they are; names left out are made up."""

    api: HttpApi
    bootstrap: str
    tenant: str
    namespace: str
    cluster_id: str
    id: str
    _keys: dict[str, Key] = field(default_factory=dict)

    @classmethod
    def make(
        cls, api: HttpApi, bootstrap: str, *, tenant: str | None = None, namespace: str = "main"
    ) -> "VirtualCluster":
        """A namespace of a new tenant."""
        tenant = tenant or fresh("tenant")
        api("POST", "/tenants", {"name": tenant})
        made = api("POST", f"/namespaces/{tenant}", {"name": namespace})
        return cls(api, bootstrap, tenant, namespace, made["cluster_id"], made["id"])

    @property
    def path(self) -> str:
        return f"/namespaces/{self.tenant}/{self.namespace}"

    def topic(self, name: str | None = None, *, partitions: int = 1, **configs: object) -> str:
        """A new topic that can be written to; config names with `_` for `.`."""
        name = name or fresh("topic")
        settings = {config.replace("_", "."): str(value) for config, value in configs.items()}
        self.api("POST", f"{self.path}/topics", {"name": name, "partitions": partitions, "configs": settings})
        eventually(lambda: self.ends(name), f"topic {name} has a leader")
        return name

    def show(self, topic: str) -> Any:
        """What `topic show` shows."""
        return self.api("GET", f"{self.path}/topics/{topic}")

    def ends(self, topic: str) -> list[int]:
        """The end offset of each partition; empty while one is not known."""
        ends = [partition["end"] for partition in self.show(topic)["partitions"]]
        return [] if None in ends else ends

    def key(self, role: str = "admin", *, topic: str = "*", group: str = "*", expires_in_s: float | None = None) -> Key:
        """A new API key."""
        body = {"name": fresh("key"), "role": role, "topic_pattern": topic, "group_pattern": group}
        if expires_in_s is not None:
            body["expires_at"] = (datetime.now(UTC) + timedelta(seconds=expires_in_s)).isoformat()
        made = self.api("POST", f"{self.path}/keys", body)
        return Key(made["id"], made["secret"])

    def revoke(self, key: Key) -> None:
        self.api("POST", f"/keys/{key.id}/revoke")

    def key_for(self, role: str) -> Key:
        """A key of that role for the whole namespace, the same one each time."""
        if role not in self._keys:
            self._keys[role] = self.key(role)
        return self._keys[role]

    def confluent(self, role: str = "admin", **settings: Any) -> dict[str, Any]:
        """Settings of librdkafka, with `_` for `.` in names (callbacks, `…_cb`, keep theirs)."""
        mine = {name if name.endswith("_cb") else name.replace("_", "."): value for name, value in settings.items()}
        return {**self.key_for(role).confluent(self.bootstrap), **mine}

    def python(self, role: str = "admin", **settings: Any) -> dict[str, Any]:
        return {**self.key_for(role).python(self.bootstrap), **settings}

    def offload(self, topic: str, *, drop_local: bool = True) -> Any:
        """Everything of a topic to the object store, and the job that did it."""
        job = self.api("POST", f"{self.path}/topics/{topic}/offload", {"drop_local": drop_local})

        def finished() -> Any:
            now = self.api("GET", f"/jobs/{job['id']}")
            return now if now["state"] in ("done", "failed") else None

        ended = eventually(finished, f"offload of {topic}")
        assert ended["state"] == "done", ended
        return ended


def fresh(what: str) -> str:
    """A name nobody has yet."""
    return f"{what}-{next(_numbers)}-{secrets.token_hex(3)}"


def eventually(holds: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
    """The first true value of `holds`; fails when there is none in time."""
    until_s = time.monotonic() + deadline_s
    while not (value := holds()):
        assert time.monotonic() < until_s, f"not within {deadline_s:.0f} s: {what}"
        time.sleep(0.02)
    return value


def produce(settings: Mapping[str, Any], topic: str, values: Sequence[bytes], *, partition: int = 0) -> list[int]:
    """Records through confluent-kafka; their offsets, in order. Fails on the first that is not acknowledged."""
    from confluent_kafka import Producer

    offsets: dict[int, int] = {}
    failures: list[str] = []
    producer = Producer({"linger.ms": 5, **settings})
    for at, value in enumerate(values):

        def delivered(error: Any, message: Any, at: int = at) -> None:
            if error:
                failures.append(str(error))
            else:
                offsets[at] = message.offset()

        while True:
            try:
                producer.produce(topic, value, partition=partition, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(DEADLINE_S)
    assert not failures and not left, (failures[:3], left)
    return [offsets[at] for at in range(len(values))]


def consume(settings: Mapping[str, Any], topic: str, count: int, *, partition: int = 0, start: int = 0) -> list[Any]:
    """`count` messages of a partition from `start` on, through confluent-kafka without a group's offsets."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"group.id": "unused", "enable.auto.commit": False, "auto.offset.reset": "error", **settings})
    try:
        consumer.assign([TopicPartition(topic, partition, start)])
        found: list[Any] = []
        until_s = time.monotonic() + DEADLINE_S
        while len(found) < count and time.monotonic() < until_s:
            for message in consumer.consume(count - len(found), 0.2):
                assert message.error() is None, message.error()
                found.append(message)
        assert len(found) == count, f"{len(found)} of {count} records within {DEADLINE_S:.0f} s"
        return found
    finally:
        consumer.close()
