"""Templates and the headers of every page: nothing from elsewhere, no script or style without this answer's nonce.

Always true: everything a template writes is escaped; no answer is kept by a browser or a proxy.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from ... import __version__
from ...tenants.preferences import Preferences
from . import formats, static_files
from .record_text import payload_text

SIGNED_OUT = Preferences()


@cache
def environment() -> Environment:
    """Made when the first page is asked for."""
    made = Environment(
        loader=PackageLoader("coldstream.console", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "size": formats.size,
        "count": formats.count,
        "counted": formats.counted,
        "rate": formats.rate,
        "duration": formats.duration,
        "visible": formats.visible,
        "time": time_tag,
        "payload_text": payload_text,
        "pairs": lambda choices: [(choice.value, choice.label) for choice in choices],
        "same_pairs": lambda texts: [(text, text) for text in texts],
    }
    made.globals |= {"static": static_files.url_of, "version": __version__}
    return made


@pass_context
def time_tag(context: Context, then: datetime | None, absent: str = "never") -> Markup:
    """A moment as the member wants moments written; the exact one is in the element and its title."""
    if then is None:
        return Markup('<span class="quiet">{}</span>').format(absent)
    preferences: Preferences = context["preferences"]
    exact = formats.exact(then, preferences.time_zone)
    relative = formats.ago(then, formats.time_of(context["now_ms"]))
    shown, title = (exact, relative) if preferences.times == "absolute" else (relative, exact)
    stamp = then.isoformat(timespec="milliseconds")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(stamp, title, shown)


def respond(
    template: str, context: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """The page. `context` has at least preferences and now_ms."""
    nonce = secrets.token_urlsafe(16)
    content = environment().get_template(template).render(nonce=nonce, **context)
    return HTMLResponse(content, status, {**page_headers(nonce), **(headers or {})})


def page_headers(nonce: str) -> dict[str, str]:
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self'; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "X-Frame-Options": "DENY",
    }
