"""What a browser shows at `/`: where clients connect, how the first topic and key are made. No sign-in, no secret."""

import secrets
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from .. import __version__
from .config import ConsoleConfig
from .middleware import OPERATION


@cache
def template() -> Template:
    """The page's template, read when it is first asked for."""
    loader = PackageLoader(__package__, "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template("front_page.html")


def front_page(request: Request, config: ConsoleConfig) -> Response:
    """The page. Nothing is loaded from elsewhere, and the policy says so."""
    request.scope[OPERATION] = "front_page"
    nonce = secrets.token_urlsafe(16)
    page = template().render(
        nonce=nonce,
        version=__version__,
        bootstrap=config.bootstrap,
        security_protocol=config.security_protocol,
    )
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return HTMLResponse(page, headers={"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"})
