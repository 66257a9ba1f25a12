"""`/dev/components`: every component in all its states, for whoever changes them. Only in development mode."""

from datetime import datetime

from ..schemas import time_of
from .page import Page, View, Visit


class ComponentsView(View):
    now: datetime
    earlier: datetime


async def show_components(visit: Visit) -> ComponentsView:
    return ComponentsView(now=time_of(visit.now_ms), earlier=time_of(visit.now_ms - 3 * 3_600_000))


COMPONENTS = Page(
    name="components",
    path="/dev/components",
    title="Components",
    template="pages/components.html",
    handler=show_components,
    needs=None,
)
PAGES = (COMPONENTS,)
