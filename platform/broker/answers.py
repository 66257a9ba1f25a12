"""From a coordinator's callbacks to something a handler can await."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def setting(answered: "asyncio.Future[T]") -> Callable[[T], None]:
    """A callback that gives the future its result, unless the client has gone and nobody waits any more."""

    def settle(result: T) -> None:
        if not answered.done():
            answered.set_result(result)

    return settle
