"""What a tenant's administrator does over HTTP, and what is refused on the way."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from coldstream.console.kafka import PartitionFigures
from coldstream.tenants.keys import authenticate_key
from coldstream.tests.console.world import NAMESPACE, World, in_world


def test_a_tenant_a_namespace_a_topic_and_a_key_from_nothing(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        assert (await world.done("POST", "/tenants", {"name": "acme"}))["name"] == "acme"
        made = await world.done("POST", "/namespaces/acme", {"name": "prod", "defaults": {"retention.ms": "1d"}})
        assert made["bootstrap"] == "kafka.example:9092"
        assert made["defaults"] == {"retention.ms": "86400000"}
        topic = {"name": "orders", "partitions": 3, "configs": {"segment.bytes": "1MiB"}}
        assert (await world.done("POST", "/namespaces/acme/prod/topics", topic))["configs"] == {
            "segment.bytes": "1048576"
        }
        key = await world.done("POST", "/namespaces/acme/prod/keys", {"name": "shop", "role": "producer"})
        assert (key["sasl_mechanism"], key["security_protocol"]) == ("PLAIN", "SASL_PLAINTEXT")
        principal = await authenticate_key(world.database, key["id"], key["secret"], await world.database.now_ms())
        assert str(principal.namespace_id) == made["id"]
        accounts = await world.done("GET", "/namespaces/acme/prod/service-accounts")
        assert [entry["name"] for entry in accounts["service_accounts"]] == ["shop"]
        assert len((await world.done("GET", "/namespaces"))["namespaces"]) == 2
        assert len((await world.done("GET", "/namespaces?tenant=acme"))["namespaces"]) == 1

    in_world(tmp_path, scenario)


def test_a_topic_is_shown_with_what_its_broker_says(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.done("POST", f"{NAMESPACE}/topics", {"name": "orders", "partitions": 2})
        world.broker.known = {0: PartitionFigures(0, 5, 9, 100, 200), 1: PartitionFigures(1, 1, 1, 0, 0)}
        shown = await world.done("GET", f"{NAMESPACE}/topics/orders")
        assert (shown["hot_bytes"], shown["cold_bytes"], shown["figures_missing_because"]) == (100, 200, None)
        assert shown["partitions"][0] == {
            "partition": 0,
            "log_start": 0,
            "local_start": 5,
            "end": 9,
            "hot_bytes": 100,
            "cold_bytes": 200,
        }
        assert shown["effective_configs"]["retention.ms"] == "604800000"

        world.broker.known = {0: PartitionFigures(0, 5, 9, 100, 200)}
        partly = await world.done("GET", f"{NAMESPACE}/topics/orders")
        assert partly["hot_bytes"] is None, "half a sum would be a wrong answer"
        assert partly["partitions"][1]["end"] is None
        assert partly["figures_missing_because"]

        world.broker.unavailable = "the broker cannot be reached (Connection refused)"
        absent = await world.done("GET", f"{NAMESPACE}/topics/orders")
        assert absent["figures_missing_because"] == world.broker.unavailable
        assert [entry["end"] for entry in absent["partitions"]] == [None, None]

    in_world(tmp_path, scenario)


def test_a_topic_is_altered_grown_and_deleted(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.done("POST", f"{NAMESPACE}/topics", {"name": "orders", "configs": {"retention.ms": "1d"}})
        path = f"{NAMESPACE}/topics/orders"
        changed = await world.done("PATCH", path, {"configs": {"segment.ms": "60000"}, "unset": ["retention.ms"]})
        assert changed["configs"] == {"segment.ms": "60000"}
        assert (await world.done("PATCH", path, {"partitions": 4}))["partitions"] == 4
        assert (await world.done("PATCH", path, {"partitions": 4}))["partitions"] == 4, "asking again is harmless"
        assert (await world.refused("PATCH", path, {"partitions": 2}))[:2] == (422, "invalid_partitions")
        assert await world.done("DELETE", path) is None
        assert (await world.refused("DELETE", path))[:2] == (404, "not_found")
        assert (await world.done("GET", f"{NAMESPACE}/topics"))["topics"] == []

    in_world(tmp_path, scenario)


def test_checking_a_topic_keeps_nothing(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.done("POST", f"{NAMESPACE}/topics", {"name": "orders", "validate_only": True})
        assert (await world.done("GET", f"{NAMESPACE}/topics"))["topics"] == []

    in_world(tmp_path, scenario)


def test_a_compaction_is_a_job_to_watch_where_the_policy_asks_for_one(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.done("POST", f"{NAMESPACE}/topics", {"name": "latest", "configs": {"cleanup.policy": "compact"}})
        shown = await world.done("GET", f"{NAMESPACE}/topics/latest")
        assert shown["effective_configs"]["remote.storage.enable"] == "false"
        answer = await world.send("POST", f"{NAMESPACE}/topics/latest/compact")
        assert answer.status_code == 202 and answer.json()["kind"] == "compact"
        await world.done("POST", f"{NAMESPACE}/topics", {"name": "orders"})
        status, _, message = await world.refused("POST", f"{NAMESPACE}/topics/orders/compact")
        assert status == 409 and "cleanup.policy=delete" in message

    in_world(tmp_path, scenario)


def test_an_offload_is_a_job_to_watch(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.done("POST", f"{NAMESPACE}/topics", {"name": "orders"})
        answer = await world.send("POST", f"{NAMESPACE}/topics/orders/offload", json={"drop_local": True})
        assert answer.status_code == 202
        job = answer.json()
        assert (job["kind"], job["state"]) == ("offload", "queued")
        assert await world.done("GET", f"/jobs/{job['id']}") == job
        assert (await world.refused("POST", f"{NAMESPACE}/topics/nothing/offload"))[0] == 404

    in_world(tmp_path, scenario)


def test_keys_rotate_and_are_revoked(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        expires = (datetime.now(UTC) + timedelta(days=30)).isoformat()
        body = {
            "name": "shop",
            "role": "consumer",
            "topic_pattern": "orders*",
            "group_pattern": "g",
            "expires_at": expires,
        }
        first = await world.done("POST", f"{NAMESPACE}/keys", body)
        assert (first["key"]["topic_pattern"], first["key"]["state"]) == ("orders*", "active")
        second = await world.done("POST", f"/keys/{first['id']}/rotate", {"overlap_ms": 0})
        assert second["key"]["rotated_from"] == first["id"]
        assert (await world.done("GET", f"/keys/{first['id']}"))["state"] == "expired"
        assert (await world.refused("POST", f"/keys/{first['id']}/rotate"))[:2] == (409, "conflict")
        assert (await world.done("POST", f"/keys/{second['id']}/revoke"))["state"] == "revoked"
        keys = (await world.done("GET", f"{NAMESPACE}/keys"))["keys"]
        assert {key["id"]: key["state"] for key in keys} == {first["id"]: "expired", second["id"]: "revoked"}

    in_world(tmp_path, scenario)


def test_a_secret_is_shown_once_and_never_stored_by_anybody_between(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        answer = await world.send("POST", f"{NAMESPACE}/keys", json={"name": "shop", "role": "admin"})
        assert answer.headers["cache-control"] == "no-store"
        secret = answer.json()["secret"]
        for path in (f"{NAMESPACE}/keys", f"/keys/{answer.json()['id']}", "/audit"):
            assert secret not in (await world.send("GET", path)).text

    in_world(tmp_path, scenario)


def test_every_change_is_in_the_audit_log_with_who_made_it(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.done("POST", f"{NAMESPACE}/topics", {"name": "orders"})
        await world.done("DELETE", f"{NAMESPACE}/topics/orders")
        entries = (await world.done("GET", "/audit?tenant=default&namespace=default"))["entries"]
        assert [(entry["action"], entry["actor"]) for entry in entries[:2]] == [
            ("topic.delete", "admin"),
            ("topic.create", "admin"),
        ]
        older = await world.done("GET", f"/audit?limit=1&before={entries[0]['seq']}")
        assert [entry["seq"] for entry in older["entries"]] == [entries[1]["seq"]]
        assert (await world.refused("GET", "/audit?namespace=default"))[:2] == (422, "invalid_argument")

    in_world(tmp_path, scenario)


def test_a_tenant_is_suspended_and_deleted_with_what_it_has_only_on_request(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.done("POST", "/tenants", {"name": "acme"})
        await world.done("POST", "/namespaces/acme", {"name": "prod"})
        await world.done("POST", "/namespaces/acme/prod/topics", {"name": "orders"})
        assert (await world.done("PATCH", "/tenants/acme", {"suspended": True}))["suspended"]
        assert (await world.done("GET", "/namespaces/acme/prod"))["suspended"]
        changes = {"auto_create_topics": True, "topics_max": 5, "suspended": False}
        assert (await world.done("PATCH", "/namespaces/acme/prod", changes))["topics_max"] == 5
        assert (await world.refused("DELETE", "/namespaces/acme/prod"))[:2] == (409, "not_empty")
        assert (await world.refused("DELETE", "/tenants/acme"))[:2] == (409, "not_empty")
        await world.done("DELETE", "/tenants/acme?cascade=true")
        assert (await world.refused("GET", "/namespaces/acme/prod"))[0] == 404

    in_world(tmp_path, scenario)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/tenants", {"name": "Acme!"}, 422, "invalid_name"),
        ("POST", "/tenants", {"name": "default"}, 409, "already_exists"),
        ("POST", "/tenants", {"name": "a", "admin": True}, 422, "invalid_body"),
        ("POST", "/tenants", {}, 422, "invalid_body"),
        ("POST", "/tenants", [], 422, "invalid_body"),
        ("POST", "/namespaces/nobody", {"name": "prod"}, 404, "not_found"),
        ("POST", f"{NAMESPACE}/topics", {"name": "a b"}, 422, "invalid_topic_name"),
        ("POST", f"{NAMESPACE}/topics", {"name": "__consumer_offsets"}, 422, "invalid_topic_name"),
        ("POST", f"{NAMESPACE}/topics", {"name": "t", "partitions": 0}, 422, "invalid_body"),
        ("POST", f"{NAMESPACE}/topics", {"name": "t", "partitions": 2000}, 422, "invalid_partitions"),
        ("POST", f"{NAMESPACE}/topics", {"name": "t", "configs": {"nonsense": "1"}}, 422, "invalid_config"),
        ("POST", f"{NAMESPACE}/topics", {"name": "t", "configs": {"retention.ms": "soon"}}, 422, "invalid_config"),
        ("POST", f"{NAMESPACE}/keys", {"name": "k", "role": "god"}, 422, "invalid_body"),
        ("POST", f"{NAMESPACE}/keys", {"name": "k", "role": "admin", "topic_pattern": "a*b"}, 422, "invalid_pattern"),
        (
            "POST",
            f"{NAMESPACE}/keys",
            {"name": "k", "role": "admin", "expires_at": "2001-01-01T00:00:00Z"},
            422,
            "invalid_argument",
        ),
        ("POST", f"{NAMESPACE}/keys", {"name": "k", "role": "admin", "expires_at": "2030-01-01"}, 422, "invalid_body"),
        ("GET", "/namespaces?tenat=x", None, 422, "invalid_parameter"),
        ("GET", "/namespaces?tenant=a&tenant=b", None, 400, "repeated_parameter"),
        ("GET", "/tenants?x=1", None, 400, "unknown_parameter"),
        ("GET", "/audit?limit=0", None, 422, "invalid_parameter"),
        ("GET", "/tenants/NoSuch%00Name", None, 404, "not_found"),
        ("GET", "/jobs/not-a-uuid", None, 404, "not_found"),
        ("GET", "/nothing/here", None, 404, "not_found"),
        ("GET", "/tenants/", None, 404, "not_found"),
        ("DELETE", "/tenants", None, 405, "method_not_allowed"),
    ],
)
def test_what_cannot_be_done_is_said_clearly(
    tmp_path: Path, method: str, path: str, body: object, status: int, code: str
) -> None:
    async def scenario(world: World) -> None:
        refused = await world.refused(method, path, body)
        assert refused[:2] == (status, code), refused

    in_world(tmp_path, scenario)


def test_a_quota_is_a_clear_refusal(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.done("PATCH", NAMESPACE, {"topics_max": 0})
        status, code, message = await world.refused("POST", f"{NAMESPACE}/topics", {"name": "one"})
        assert (status, code) == (403, "quota_exceeded")
        assert "administrator" in message

    in_world(tmp_path, scenario)
