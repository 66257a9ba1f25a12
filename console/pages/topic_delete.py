"""Deleting a topic: what goes with it, counted, and its name to be typed. The server compares the name again."""

from ...tenants.rights import Right
from .. import topic_routes
from .page import Action, Fields, Page, Redirect, Refused, View, Visit
from .refusals import why_not
from .topic_overview import TOPIC_PATH, records_of
from .topics import TOPICS

GROUPS_NAMED = 5


class DeleteView(View):
    """Figures are None where they are not known. `groups` have offsets committed in the topic, as far as is known."""

    name: str
    partitions: int
    records: int | None
    hot_bytes: int | None
    cold_bytes: int | None
    groups: list[str]
    groups_total: int
    figures_missing_because: str | None
    manage_refused: str


async def show_delete(visit: Visit) -> DeleteView:
    detail = await topic_routes.show_topic(visit.call)
    sample = visit.call.services.sampler.latest(visit.call.namespace.id)
    groups = [] if sample is None else [group.group for group in sample.groups if detail.name in group.topics]
    return DeleteView(
        name=detail.name,
        partitions=len(detail.partitions),
        records=records_of(detail.partitions),
        hot_bytes=detail.hot_bytes,
        cold_bytes=detail.cold_bytes,
        groups=groups[:GROUPS_NAMED],
        groups_total=len(groups),
        figures_missing_because=detail.figures_missing_because,
        manage_refused=why_not(visit, Right.TOPICS_MANAGE),
    )


async def delete_topic(visit: Visit, fields: Fields) -> Redirect:
    if fields.text("confirm") != visit.path["topic"]:
        raise Refused({"confirm": "This is not the topic's name. Nothing is deleted."})
    await topic_routes.delete_topic(visit.call)
    return Redirect(TOPICS.url(tenant=visit.path["tenant"], namespace=visit.path["namespace"]), "topic-deleted")


DELETE = Page(
    name="topic_delete",
    path=f"{TOPIC_PATH}/delete",
    title="Delete {topic}",
    template="pages/topic_delete.html",
    handler=show_delete,
    needs=Right.NAMESPACE_VIEW,
    section="topics",
)
PAGES = (DELETE,)
ACTIONS = (
    Action(
        name="delete_topic",
        path=f"{TOPIC_PATH}/delete",
        page=DELETE,
        handler=delete_topic,
        needs=Right.TOPICS_MANAGE,
        dangerous=True,
    ),
)
