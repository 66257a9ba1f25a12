"""The OpenAPI document and the application say the same; schemathesis holds one against the other."""

import asyncio
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
import uvicorn
from coldstream.console.app import OPERATIONS, build_app
from coldstream.console.openapi import document
from coldstream.console.server import listen
from coldstream.tenants.database import Database
from coldstream.tests.console.world import NAMESPACE, World, console_for, in_world, template
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

SPECIFICATION = document(OPERATIONS, "0")
schema = schemathesis.openapi.from_dict(SPECIFICATION)
EXAMPLES = settings(
    max_examples=3,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def test_it_is_served_and_describes_every_operation(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        served = (await world.http.get("/api/v1/openapi.json")).json()
        assert served["paths"] == SPECIFICATION["paths"]
        described = {o["operationId"] for path in served["paths"].values() for o in path.values()}
        assert described == {operation.name for operation in OPERATIONS}

    in_world(tmp_path, scenario)


def test_references_lead_somewhere_and_nothing_is_described_in_vain() -> None:
    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"].rpartition("/")[2]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    assert set(references(SPECIFICATION)) == SPECIFICATION["components"]["schemas"].keys()


def test_what_is_sent_is_closed_and_named_once() -> None:
    names = [operation.name for operation in OPERATIONS]
    assert len(set(names)) == len(names)
    for operation in OPERATIONS:
        if operation.body is not None:
            assert SPECIFICATION["components"]["schemas"][operation.body.__name__]["additionalProperties"] is False


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A real server on a thread of its own: its address and a token."""
    directory = tmp_path_factory.mktemp("openapi")
    path, token = template()
    shutil.copy(path, directory / "coldstream.db")
    config, broker = console_for(directory)
    broker.unavailable = "no broker here"
    listener = listen("127.0.0.1", 0)
    servers: list[uvicorn.Server] = []

    def serve() -> None:
        async def run() -> None:
            database = Database.open(config.database)
            app = build_app(config, database, broker)
            servers.append(uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none")))
            await servers[0].serve([listener])
            await database.dispose()

        asyncio.run(run())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    while not servers or not servers[0].started:
        time.sleep(0.01)
    httpx.post(
        f"{url}/api/v1{NAMESPACE}/topics", json={"name": "orders"}, headers={"Authorization": f"Bearer {token}"}
    ).raise_for_status()
    yield url, token
    servers[0].should_exit = True
    thread.join()
    listener.close()


@schema.parametrize()
@EXAMPLES
def test_every_answer_is_one_that_the_document_allows(case: schemathesis.Case, console: tuple[str, str]) -> None:
    url, token = console
    # Tokens are test_requests.py's; that check would send each request twice more.
    # What a schema allows a service may still refuse for its meaning (a config that is not offered, a taken name).
    excluded = [ignored_auth, positive_data_acceptance]
    headers = {"Authorization": f"Bearer {token}"}
    case.call_and_validate(base_url=url, headers=headers, excluded_checks=excluded, timeout=10)
