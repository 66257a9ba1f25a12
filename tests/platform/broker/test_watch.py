"""The broker follows the metadata database: what changes there holds here soon, whatever fails on the way."""

import asyncio
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from coldstream.platform.broker import watch
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.errors import ErrorCode
from coldstream.storage.errors import CorruptLog
from coldstream.tenants.actor import Actor
from coldstream.tenants.database import Database
from coldstream.tenants.scope import namespace_scope
from coldstream.tenants.tenancy import create_namespace, delete_namespace, suspend_tenant
from coldstream.tenants.topics import create_topic
from coldstream.tests.broker_in_process import InProcessBroker, make_key, prepare, revoke, with_database
from coldstream.tests.platform.broker.conftest import Bench, WilfulDisk, batch_of, produce_fields, produced, wait_until
from coldstream.tests.raw_kafka import ConnectionEnded, RawKafka
from joserfc import jwt
from joserfc.jwk import OctKey
from sqlalchemy.exc import OperationalError

PRODUCE = 9


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("watch")
    prepare(path)
    return path


@pytest.fixture(scope="module")
def bench(data_dir: Path) -> Iterator[Bench]:
    disk = WilfulDisk()
    with InProcessBroker(data_dir, disk) as broker:
        yield Bench(broker, disk)


def namespace_id(data_dir: Path, name: str, *, make: bool = False) -> UUID:
    async def find(database: Database) -> UUID:
        async with database.write() as session:
            if make:
                await create_namespace(session, Actor.local(), "default", name)
            return (await namespace_scope(session, "default", name)).id

    return with_database(data_dir, find)


def make_topic(data_dir: Path, name: str, namespace: str = "default") -> UUID:
    async def make(database: Database) -> UUID:
        async with database.write() as session:
            scope = await namespace_scope(session, "default", namespace)
            return (await create_topic(session, Actor.local(), scope.id, name, 1, {})).id

    return with_database(data_dir, make)


def console_token(data_dir: Path, namespace: UUID, role: str = "admin") -> bytes:
    secret = bytes.fromhex((data_dir / "cluster-secret").read_text().strip())
    claims = {"iss": "coldstream-console", "ns": str(namespace), "role": role, "exp": int(time.time()) + 60}
    return (
        b"n,,\x01auth=Bearer " + jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(secret)).encode() + b"\x01\x01"
    )


def sign_in_as_console(client: RawKafka, token: bytes) -> Any:
    client.ask(ApiKey.SASL_HANDSHAKE, 1, {"mechanism": "OAUTHBEARER"})
    return client.ask(ApiKey.SASL_AUTHENTICATE, 2, {"auth_bytes": token})


def is_known(client: RawKafka, topic: str) -> bool:
    (answer,) = client.ask(ApiKey.METADATA, 9, {"topics": [{"name": topic}]}).topics
    return not answer.error_code


def test_a_topic_made_elsewhere_is_served_within_a_second(bench: Bench, data_dir: Path) -> None:
    make_topic(data_dir, "elsewhere")
    began_s = time.monotonic()
    with bench.connect() as client:
        wait_until(lambda: is_known(client, "elsewhere"))
    assert time.monotonic() - began_s < 1


@pytest.mark.parametrize("error", [CorruptLog("rotten"), OSError("no"), RuntimeError("a mistake of ours")])
def test_a_look_that_fails_is_done_again_and_takes_nobody_down(
    bench: Bench, data_dir: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    follower = bench.broker.broker.services.follower
    real = follower.refresh
    failures = [error]

    async def refresh(*arguments: Any) -> None:
        if failures:
            raise failures.pop()
        await real(*arguments)

    monkeypatch.setattr(follower, "refresh", refresh)
    name = f"again-{type(error).__name__}"
    make_topic(data_dir, name)
    with bench.connect() as client:
        wait_until(lambda: is_known(client, name))
        assert is_known(client, name)
    assert bench.broker.broker.failed is not None and not bench.broker.broker.failed.done()


def test_a_key_is_cut_off_even_while_the_catalogue_cannot_be_followed(
    bench: Bench, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refresh(*_: Any) -> None:
        raise OSError("no")

    key = make_key(data_dir, "admin")
    with bench.connect() as client:
        assert client.sign_in(*key).error_code == 0
        monkeypatch.setattr(bench.broker.broker.services.follower, "refresh", refresh)
        make_topic(data_dir, "cannot-be-followed")
        revoke(data_dir, key[0])
        wait_until(lambda: not client.is_alive())
        assert not client.is_alive()


def test_a_key_that_is_revoked_while_it_signs_in_is_refused(
    bench: Bench, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = bench.broker.broker.services
    real = services.authentication.permissions_of
    key = make_key(data_dir, "admin")
    at_it, may_go_on = asyncio.Event(), asyncio.Event()

    async def permissions_of(principal: Any) -> Any:
        found = await real(principal)
        at_it.set()
        await may_go_on.wait()
        return found

    monkeypatch.setattr(services.authentication, "permissions_of", permissions_of)
    with bench.connect() as client:
        client.ask(ApiKey.SASL_HANDSHAKE, 1, {"mechanism": "PLAIN"})
        token = b"\0" + key[0].encode() + b"\0" + key[1].encode()
        client.send(client.request(ApiKey.SASL_AUTHENTICATE, 2, {"auth_bytes": token}))
        wait_until(at_it.is_set)
        seen = services.rights_version
        revoke(data_dir, key[0])
        wait_until(lambda: services.rights_version > seen)
        services.loop.call_soon_threadsafe(may_go_on.set)
        client.receive()
        with pytest.raises(ConnectionEnded):
            client.exchange(ApiKey.METADATA, 9, {"topics": None})


def test_a_sign_in_that_cannot_be_judged_is_no_refusal(
    bench: Bench, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_key(data_dir, "admin")

    async def sign_in(*_: Any) -> None:
        raise OperationalError("SELECT", {}, Exception("database is locked"))

    with bench.connect() as client:
        monkeypatch.setattr(bench.broker.broker.services.authentication, "sign_in", sign_in)
        with pytest.raises(ConnectionEnded):
            client.sign_in(*key)
    monkeypatch.undo()
    with bench.connect() as client:
        assert client.sign_in(*key).error_code == 0


def test_a_connection_of_the_console_stays_in_its_namespace(bench: Bench, data_dir: Path) -> None:
    other = namespace_id(data_dir, "console-other", make=True)
    with bench.connect() as client:
        own = console_token(data_dir, namespace_id(data_dir, "default"))
        assert sign_in_as_console(client, own).error_code == 0
        assert sign_in_as_console(client, own).error_code == 0
        answer = sign_in_as_console(client, console_token(data_dir, other))
        assert answer.error_code == ErrorCode.SASL_AUTHENTICATION_FAILED


def test_a_deleted_namespace_is_left_by_everybody_and_its_topics_go(bench: Bench, data_dir: Path) -> None:
    name = f"gone-{secrets.token_hex(4)}"
    gone = namespace_id(data_dir, name, make=True)
    topic_id = make_topic(data_dir, "doomed", name)

    async def delete(database: Database) -> None:
        async with database.write() as session:
            await delete_namespace(session, Actor.local(), "default", name, cascade=True)

    files = bench.broker.broker.services.logs.topics_dir / str(topic_id)
    with bench.connect() as client:
        sign_in_as_console(client, console_token(data_dir, gone))
        wait_until(lambda: is_known(client, "doomed"))
        view = bench.broker.broker.services.follower.namespace(gone)
        assert (
            view is not None
            and produced(client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("doomed", batch_of(b"x")))).error_code
            == ErrorCode.NONE
        )
        with_database(data_dir, delete)
        wait_until(lambda: not client.is_alive())
        assert not client.is_alive()
    assert view.topics() == []
    wait_until(lambda: not files.exists())
    assert not files.exists()


def test_anonymous_clients_leave_a_suspended_namespace_and_may_come_back(bench: Bench, data_dir: Path) -> None:
    async def suspend(database: Database, suspended: bool) -> None:
        async with database.write() as session:
            await suspend_tenant(session, Actor.local(), "default", suspended)

    with bench.connect() as client:
        assert client.ask(ApiKey.METADATA, 9, {"topics": None}).cluster_id
        with_database(data_dir, lambda database: suspend(database, True))
        try:
            wait_until(lambda: not client.is_alive())
            assert not client.is_alive()
            with bench.connect() as other, pytest.raises(ConnectionEnded):
                other.exchange(ApiKey.METADATA, 9, {"topics": None})
        finally:
            with_database(data_dir, lambda database: suspend(database, False))

    def is_served() -> bool:
        with bench.connect() as again:
            try:
                return bool(again.ask(ApiKey.METADATA, 9, {"topics": None}).cluster_id)
            except ConnectionEnded:
                return False

    wait_until(is_served)
    assert is_served()


def test_a_topic_whose_files_cannot_be_opened_is_tried_again(
    bench: Bench, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "REOPEN_EVERY_POLLS", 1)
    follower = bench.broker.broker.services.follower
    bench.disk.undirectable = True
    try:
        topic_id = make_topic(data_dir, "try-again")
        wait_until(lambda: not follower.is_complete)
        assert follower.knows_topic(topic_id) and follower.topic(topic_id) is None
    finally:
        bench.disk.undirectable = False
    with bench.connect() as client:
        wait_until(lambda: is_known(client, "try-again"))
        assert (
            produced(client.ask(ApiKey.PRODUCE, PRODUCE, produce_fields("try-again", batch_of(b"x")))).error_code
            == ErrorCode.NONE
        )
    assert follower.is_complete
