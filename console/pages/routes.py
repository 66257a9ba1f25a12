"""Every page and every form of the console. Tests of rights, accessibility and pictures walk these tables."""

from starlette.routing import Route

from ..operations import Services
from . import (
    audit,
    components,
    dispatch,
    first_record,
    first_record_events,
    home,
    index,
    key_create,
    keys,
    members,
    namespace_settings,
    namespaces,
    profile,
    service_accounts,
    sign_in,
    static_files,
    tenant_members,
    tenants,
    topic_configuration,
    topic_connect,
    topic_create,
    topic_delete,
    topic_history,
    topic_overview,
    topic_preview,
    topics,
)
from .page import Action, Page

PAGES: tuple[Page, ...] = (
    *profile.PAGES,
    *topics.PAGES,
    *topic_create.PAGES,
    *topic_overview.PAGES,
    *topic_configuration.PAGES,
    *topic_preview.PAGES,
    *topic_connect.PAGES,
    *topic_history.PAGES,
    *topic_delete.PAGES,
    *home.PAGES,
    *namespace_settings.PAGES,
    *namespaces.PAGES,
    *tenants.PAGES,
    *keys.PAGES,
    *key_create.PAGES,
    *service_accounts.PAGES,
    *audit.PAGES,
    *tenant_members.PAGES,
    *members.PAGES,
    *first_record.PAGES,
)
ACTIONS: tuple[Action, ...] = (
    *profile.ACTIONS,
    *topic_create.ACTIONS,
    *topic_overview.ACTIONS,
    *topic_configuration.ACTIONS,
    *topic_preview.ACTIONS,
    *topic_delete.ACTIONS,
    *home.ACTIONS,
    *namespace_settings.ACTIONS,
    *namespaces.ACTIONS,
    *tenants.ACTIONS,
    *keys.ACTIONS,
    *key_create.ACTIONS,
    *service_accounts.ACTIONS,
    *tenant_members.ACTIONS,
    *members.ACTIONS,
    *first_record.ACTIONS,
)


def routes(services: Services) -> list[Route]:
    pages = PAGES + (components.PAGES if services.config.development else ())
    return [
        *index.routes(services),
        *sign_in.routes(services),
        *static_files.routes(),
        *first_record_events.routes(services),
        *dispatch.routes_of(pages, ACTIONS, services),
    ]
