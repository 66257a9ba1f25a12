"""What a browser posts, read within limits."""

from urllib.parse import parse_qs

from starlette.requests import Request

from ..failures import Failure
from .page import Fields

FIELDS_MAX = 500
FORM = "application/x-www-form-urlencoded"


async def read_form(request: Request) -> Fields:
    """Raises Failure."""
    media_type = request.headers.get("content-type", FORM).partition(";")[0].strip().lower()
    if media_type != FORM:
        raise Failure(415, "unsupported_media_type", f"a form is sent as {FORM}")
    try:
        text = (await request.body()).decode("utf-8")
        return Fields(parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX))
    except ValueError:
        raise Failure(400, "invalid_form", f"the form cannot be read: UTF-8 and at most {FIELDS_MAX} fields") from None
