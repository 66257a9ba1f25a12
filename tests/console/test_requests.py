"""Requests as such: who is let in, what is read, and what every answer has in common."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from coldstream.tenants.access_tokens import create_token, revoke_token
from coldstream.tenants.actor import Actor
from coldstream.tenants.members import create_member
from coldstream.tests.console.world import NAMESPACE, World, in_world


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Basic YWRtaW46YWRtaW4=", "Bearer nonsense", "Bearer cs_token_AAAAAAAAAAAA_" + "0" * 49],
)
def test_without_a_valid_token_nothing_is_told(tmp_path: Path, authorization: str | None) -> None:
    async def scenario(world: World) -> None:
        headers = {} if authorization is None else {"Authorization": authorization}
        for path in ("/api/v1/me", "/api/v1/tenants/default", "/api/v1/tenants/no-such"):
            answer = await world.http.get(path, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.json()["error"]["code"] == "unauthorized"

    in_world(tmp_path, scenario)


def test_a_revoked_token_is_refused_like_one_that_never_was(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        async with world.database.write() as session:
            member = await create_member(session, Actor.system(), "ada", None, platform_admin=True)
            token = await create_token(session, Actor.system(), member.id, "laptop")
        assert (await world.done("GET", "/me", token=token.secret))["name"] == "ada"
        async with world.database.write() as session:
            await revoke_token(session, Actor.system(), member.id, token.token.id)
        never = "cs_token_" + token.secret[9:21][::-1] + token.secret[21:]
        assert await world.refused("GET", "/me", token=token.secret) == await world.refused("GET", "/me", token=never)

    in_world(tmp_path, scenario)


def test_a_member_without_platform_rights_sees_nothing_of_it(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        async with world.database.write() as session:
            member = await create_member(session, Actor.system(), "bob", None)
            token = (await create_token(session, Actor.system(), member.id, "laptop")).secret
        assert (await world.done("GET", "/me", token=token))["platform_admin"] is False
        key = await world.done("POST", f"{NAMESPACE}/keys", {"name": "k", "role": "admin"})
        real = [f"{NAMESPACE}", f"{NAMESPACE}/topics", f"/keys/{key['id']}", "/audit", "/tenants/default"]
        assert await world.done("GET", "/tenants", token=token) == {"tenants": []}
        assert await world.done("GET", "/namespaces", token=token) == {"namespaces": []}
        absent = await world.refused("GET", "/namespaces/no/such", token=token)
        assert absent[0] == 404
        for path in real:
            assert await world.refused("GET", path, token=token) == absent
        assert await world.refused("POST", f"/keys/{key['id']}/revoke", token=token) == absent
        assert await world.refused("POST", "/tenants", {"name": "mine"}, token=token) == absent

    in_world(tmp_path, scenario)


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "invalid_json"),
        (b'{"name": "\xff"}', "application/json", 400, "invalid_json"),
        (b"[" * 100_000, "application/json", 422, "invalid_body"),
        (b'{"name": "x', "application/json", 400, "invalid_json"),
        (b'{"name": "acme"}', "text/plain", 415, "unsupported_media_type"),
        (b"name=acme", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"", "application/json", 422, "invalid_body"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(
    tmp_path: Path, content: bytes, content_type: str, status: int, code: str
) -> None:
    async def scenario(world: World) -> None:
        headers = {"Content-Type": content_type}
        refused = await world.refused("POST", "/tenants", content=content, headers=headers)
        assert refused[:2] == (status, code), refused

    in_world(tmp_path, scenario)


def test_a_body_over_the_limit_is_refused_declared_or_not(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1024

    async def scenario(world: World) -> None:
        refused = await world.refused("POST", "/tenants", content=b" " * 5000)
        assert refused[:2] == (413, "too_large")
        refused = await world.refused("POST", "/tenants", content=chunks())
        assert refused[:2] == (413, "too_large")

    in_world(tmp_path, scenario, request_bytes_max=4096)


def test_every_answer_has_the_request_id_of_its_log_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(world: World) -> None:
        given = await world.send("POST", "/tenants", json={"name": "acme"}, headers={"X-Request-Id": "mine-1"})
        assert given.headers["x-request-id"] == "mine-1"
        forged = await world.send("GET", "/me", headers={"X-Request-Id": "a b\tc"})
        assert forged.headers["x-request-id"] not in ("", "a b\tc")

    with caplog.at_level(logging.DEBUG, "coldstream.console"):
        in_world(tmp_path, scenario)
    lines = [vars(record) for record in caplog.records if record.getMessage() == "request"]
    assert [(line["request_id"], line["status"]) for line in lines][:1] == [("mine-1", 201)]


def test_what_nobody_foresaw_is_logged_and_told_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(world: World) -> None:
        def broken() -> None:
            raise RuntimeError("the secret inner reason")

        monkeypatch.setattr(world.database, "read", broken)
        answer = await world.send("GET", "/tenants")
        assert answer.status_code == 500
        assert "secret inner reason" not in answer.text
        assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]

    in_world(tmp_path, scenario)
    assert "secret inner reason" in caplog.text


def test_tokens_are_in_no_log_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(world: World) -> None:
        secret = (await world.done("POST", f"{NAMESPACE}/keys", {"name": "k", "role": "admin"}))["secret"]
        await world.refused("GET", "/me", token=world.token[:-1] + ("x" if world.token[-1] != "x" else "y"))
        text = "\n".join(str(vars(record)) for record in caplog.records)
        assert secret not in text
        assert world.token not in text

    with caplog.at_level(logging.DEBUG, "coldstream"):
        in_world(tmp_path, scenario)


def test_machines_learn_health_readiness_and_metrics_without_a_token(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        assert (await world.http.get("/healthz")).status_code == 200
        ready = await world.http.get("/readyz")
        assert (ready.status_code, ready.json()["ready"]) == (200, True)
        world.broker.unavailable = "gone"
        unready = await world.http.get("/readyz")
        assert unready.status_code == 503
        assert unready.json()["checks"] == {"database": "ok", "broker": "unreachable"}
        await world.ask("GET", "/tenants")
        for path in ("/api/v1/who/knows", "/elsewhere"):
            await world.http.get(path)
        text = (await world.http.get("/metrics")).text
        samples = [line for line in text.splitlines() if not line.startswith("#")]
        assert all(line.startswith("coldstream_") for line in samples)
        assert 'coldstream_console_requests_total{method="GET",operation="list_tenants",status="200"} 1.0' in samples
        assert 'operation="other",status="404"} 2.0' in text, "addresses that do not exist add no series"

    in_world(tmp_path, scenario)


def test_a_token_for_the_kafka_port_is_what_the_broker_reads(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        from joserfc import jwt
        from joserfc.jwk import OctKey

        given = await world.done("POST", f"{NAMESPACE}/console-token")
        namespace = await world.done("GET", NAMESPACE)
        secret = bytes.fromhex(world.config.cluster_secret_path.read_text())
        read = jwt.decode(given["token"], OctKey.import_key(secret), algorithms=["HS256"])
        assert read.header == {"alg": "HS256", "typ": "JWT"}
        now_s = (await world.database.now_ms()) / 1000
        assert (read.claims["iss"], read.claims["role"], read.claims["ns"]) == (
            "coldstream-console",
            "admin",
            namespace["id"],
        )
        assert 0 < read.claims["exp"] - now_s <= 300
        world.config.cluster_secret_path.unlink()
        assert (await world.refused("POST", f"{NAMESPACE}/console-token"))[:2] == (503, "broker_unavailable")

    in_world(tmp_path, scenario)
