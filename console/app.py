"""The console's ASGI application: one function wires it."""

import secrets

import msgspec
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from .. import __version__
from ..tenants.database import Database
from ..tenants.sign_in_limits import SignInLimits
from . import (
    first_record_routes,
    grant_routes,
    key_routes,
    me_routes,
    member_routes,
    platform_routes,
    preview_routes,
    tenant_routes,
    topic_routes,
)
from .config import ConsoleConfig
from .cookies import Cookies
from .dispatch import routes_of
from .kafka import BrokerClient
from .kafka_token import read_cluster_secret
from .metrics import ConsoleMetrics
from .middleware import OPERATION, Surroundings
from .openapi import document
from .operations import Operation, Services
from .pages import routes as pages
from .pages.failure_pages import failure_page
from .records import RecordReader
from .sampler import Sampler
from .waits import Waits

OPERATIONS: tuple[Operation, ...] = (
    *me_routes.OPERATIONS,
    *platform_routes.OPERATIONS,
    *member_routes.OPERATIONS,
    *grant_routes.OPERATIONS,
    *tenant_routes.OPERATIONS,
    *topic_routes.OPERATIONS,
    *preview_routes.OPERATIONS,
    *key_routes.OPERATIONS,
    *first_record_routes.OPERATIONS,
)
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


def build_app(
    config: ConsoleConfig,
    database: Database,
    broker: BrokerClient | None = None,
    sampler: Sampler | None = None,
    waits: Waits | None = None,
) -> ASGIApp:
    """The application; whoever built the database disposes of it, runs the sampler, and closes the waits."""
    if broker is None:
        broker = BrokerClient(config.broker_host, config.broker_port, config.cluster_secret_path, config.tls_cert)
    cookies = Cookies(config.secure, _cookie_secret(config))
    services = Services(
        config,
        database,
        broker,
        sampler or Sampler(database, broker),
        cookies,
        SignInLimits(),
        RecordReader(broker.address),
        waits or Waits(),
    )
    metrics = ConsoleMetrics()
    routes = [*routes_of(OPERATIONS, services), *_machine_routes(services, metrics), *pages.routes(services)]
    # A bare router: Starlette's application would answer what nobody foresaw itself, as plain text.
    router = Router(routes, redirect_slashes=False)
    return Surroundings(router, metrics, config.request_bytes_max, failure_page)


def _cookie_secret(config: ConsoleConfig) -> bytes:
    """What every console of the platform signs with; without it, this process's own."""
    try:
        return read_cluster_secret(config.cluster_secret_path)
    except (OSError, ValueError):
        return secrets.token_bytes(32)


def _machine_routes(services: Services, metrics: ConsoleMetrics) -> list[Route]:
    """What load balancers, Prometheus and API clients ask without a token."""
    described = b""

    async def openapi(request: Request) -> Response:
        nonlocal described
        request.scope[OPERATION] = "openapi"
        described = described or msgspec.json.encode(document(OPERATIONS, __version__))
        return Response(described, media_type="application/json")

    async def healthz(request: Request) -> Response:
        request.scope[OPERATION] = "healthz"
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        request.scope[OPERATION] = "readyz"
        checks = {"database": await _reaches(services.database), "broker": await services.broker.accepts()}
        ready = all(checks.values())
        shown = {name: "ok" if good else "unreachable" for name, good in checks.items()}
        return JSONResponse({"ready": ready, "checks": shown}, 200 if ready else 503, {"Cache-Control": "no-store"})

    async def exposition(request: Request) -> Response:
        request.scope[OPERATION] = "metrics"
        return Response(metrics.exposition(), media_type=EXPOSITION)

    return [
        Route("/api/v1/openapi.json", openapi),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", exposition),
    ]


async def _reaches(database: Database) -> bool:
    try:
        async with database.read() as session:
            await session.execute(text("SELECT 1"))
    except Exception:  # whatever a driver throws: the answer is no, and the log of the request that needs it says why
        return False
    return True
