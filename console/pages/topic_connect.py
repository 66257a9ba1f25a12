"""How a client connects to this topic: snippets to paste, with a key's id and secret left to fill in.

Always true: no secret is shown here; keys show theirs once, on the page that answers their making.
"""

from msgspec import Struct

from ...tenants.rights import Right
from .. import snippets
from ..scopes import scope_of
from .page import Page, Query, View, Visit
from .refusals import why_not
from .topic_overview import TOPIC_PATH

DEFAULT_CLIENT = "kcat"


class ConnectQuery(Query):
    """`client` is one of those that there are snippets for."""

    client: str = DEFAULT_CLIENT


class ClientLink(Struct, frozen=True):
    """`to` leads to this page with the client chosen."""

    title: str
    to: str
    current: bool


class ConnectView(View):
    name: str
    bootstrap: str
    security_protocol: str
    mechanism: str
    tls: bool
    ca_file: str
    clients: list[ClientLink]
    snippet: snippets.Snippet
    key_refused: str
    first_record_refused: str


async def show_connect(visit: Visit, query: ConnectQuery) -> ConnectView:
    async with visit.call.database.read() as session:
        entry = await (await scope_of(session, visit.call)).topic(visit.path["topic"])
    chosen = query.client if query.client in snippets.CLIENTS else DEFAULT_CLIENT
    config = visit.call.config
    connection = snippets.Connection(
        bootstrap=config.bootstrap, security_protocol=config.security_protocol, topic=entry.name
    )
    return ConnectView(
        name=entry.name,
        bootstrap=connection.bootstrap,
        security_protocol=connection.security_protocol,
        mechanism=snippets.MECHANISM,
        tls=connection.tls,
        ca_file=snippets.CA_FILE,
        clients=[
            ClientLink(kind.title, CONNECT.url(**visit.path, client=client), client == chosen)
            for client, kind in snippets.CLIENTS.items()
        ],
        snippet=snippets.snippet(chosen, connection),
        key_refused=why_not(visit, Right.KEYS_MANAGE),
        first_record_refused=why_not(visit, Right.TOPICS_MANAGE) or why_not(visit, Right.KEYS_MANAGE),
    )


CONNECT = Page(
    name="topic_connect",
    path=f"{TOPIC_PATH}/connect",
    title="Connect to {topic}",
    template="pages/topic_connect.html",
    handler=show_connect,
    needs=Right.NAMESPACE_VIEW,
    query=ConnectQuery,
    section="topics",
)
PAGES = (CONNECT,)
