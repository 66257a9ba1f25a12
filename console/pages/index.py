"""`/`: to the one place that the member has, else to the list of places."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ...tenants import tenancy
from ..authentication import authenticate
from ..failures import Failure
from ..middleware import OPERATION, request_id_of
from ..operations import Caller, Services
from .failure_pages import failure_page
from .navigation import NAMESPACE_PATH
from .page import address
from .sign_in import SIGN_IN


def routes(services: Services) -> list[Route]:
    async def index(request: Request) -> Response:
        request.scope[OPERATION] = "page.index"
        try:
            caller = await authenticate(services.database, services.cookies, request)
        except Failure as failure:
            if failure.status != 401:
                return failure_page(failure, request_id_of(request))
            return RedirectResponse(SIGN_IN, 303, {"Cache-Control": "no-store"})
        return RedirectResponse(await _first_place(services, caller), 303, {"Cache-Control": "no-store"})

    return [Route("/", index)]


async def _first_place(services: Services, caller: Caller) -> str:
    async with services.database.read() as session:
        entries = await tenancy.list_namespaces(session)
    seen = [entry for entry in entries if caller.access.sees_namespace(entry.tenant_id, entry.id)]
    if len(seen) == 1:
        return address(f"{NAMESPACE_PATH}/home", tenant=seen[0].tenant, namespace=seen[0].name)
    return "/tenants"
