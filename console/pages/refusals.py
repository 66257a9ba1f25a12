"""What a service refuses, put at the field that it is about; and why a form would be refused from the start."""

from collections.abc import Iterator
from contextlib import contextmanager

from ...tenants.errors import TenancyError
from ...tenants.rights import Right
from .page import Refused, Visit


@contextmanager
def at_field(name: str, *kinds: type[TenancyError]) -> Iterator[None]:
    """These refusals belong to that field. Raises Refused."""
    try:
        yield
    except kinds as error:
        raise Refused({name: sentence(str(error))}) from None


def sentence(text: str) -> str:
    """A service's words as a page says them."""
    return f"{text[:1].upper()}{text[1:]}." if text and text[-1] not in ".!?" else text[:1].upper() + text[1:]


def why_not(visit: Visit, right: Right) -> str:
    """Empty when the member has the right at the visit's place, else what is missing."""
    if visit.allows(right):
        return ""
    place = visit.call.place
    return sentence(visit.call.access.why(right, place.tenant_id, place.namespace_id))
