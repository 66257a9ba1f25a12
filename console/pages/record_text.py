"""A record's key, value or header as a page writes it."""

from markupsafe import Markup

from ..record_schemas import PayloadView
from .formats import NOT_KNOWN, visible
from .json_text import laid_out

BYTES_IN_A_GROUP = 2


def payload_text(payload: PayloadView) -> Markup:
    """JSON laid out, bytes in groups, and everything that cannot be seen shown."""
    if payload.encoding == "null":
        return Markup.escape(NOT_KNOWN)
    if payload.encoding == "binary":
        size = 2 * BYTES_IN_A_GROUP
        return Markup.escape(" ".join(payload.text[at : at + size] for at in range(0, len(payload.text), size)))
    if payload.encoding == "json" and not payload.truncated:
        return visible(laid_out(payload.text))
    return visible(payload.text)
