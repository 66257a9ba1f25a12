"""One page of a list: out of range is the nearest page there is, never a page that is empty by mistake."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import Struct

T = TypeVar("T")

ROWS = 50


class Span(Struct, kw_only=True):
    """Which part is shown, counted from 1, and where the parts before and after it are."""

    page: int
    first: int
    last: int
    total: int
    earlier: str | None
    later: str | None


def paged(items: Sequence[T], wanted: int, address: Callable[[int], str], rows: int = ROWS) -> tuple[Sequence[T], Span]:
    """The items of that page; `address` gives where a page is."""
    pages = max(1, -(-len(items) // rows))
    page = min(max(1, wanted), pages)
    start = (page - 1) * rows
    shown = items[start : start + rows]
    return shown, Span(
        page=page,
        first=start + 1 if shown else 0,
        last=start + len(shown),
        total=len(items),
        earlier=address(page - 1) if page > 1 else None,
        later=address(page + 1) if page < pages else None,
    )
