"""Where one is, and where one can go from there: the same entries on every page of a place, by the member's rights."""

from dataclasses import dataclass

from ...tenants.rights import Right
from .page import Visit, address


@dataclass(frozen=True, slots=True)
class Entry:
    """`key` is what `g` and this letter lead to; `current` marks the page's own section."""

    label: str
    to: str
    current: bool = False
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Navigation:
    """`trail` leads from the widest place to this one."""

    trail: tuple[Entry, ...]
    entries: tuple[Entry, ...]
    label: str


# section -> (label, path, right, key)
_NAMESPACE = {
    "home": ("Home", "home", Right.NAMESPACE_VIEW, "h"),
    "topics": ("Topics", "topics", Right.NAMESPACE_VIEW, "t"),
    "keys": ("API keys", "keys", Right.NAMESPACE_VIEW, "k"),
    "accounts": ("Service accounts", "service-accounts", Right.NAMESPACE_VIEW, "s"),
    "audit": ("Audit", "audit", Right.AUDIT_VIEW, "a"),
    "settings": ("Settings", "settings", Right.TENANT_MANAGE, None),
}
_TENANT = {
    "namespaces": ("Namespaces", "namespaces", Right.TENANT_VIEW, "n"),
    "members": ("Members", "members", Right.MEMBERS_VIEW, "m"),
    "audit": ("Audit", "audit", Right.AUDIT_VIEW, "a"),
    "settings": ("Settings", "settings", Right.PLATFORM_MANAGE, None),
}
NAMESPACE_PATH, TENANT_PATH = "/n/{tenant}/{namespace}", "/tenants/{tenant}"
_TENANTS = Entry("Tenants", "/tenants", key="p")


def navigation(visit: Visit, section: str) -> Navigation:
    place = visit.call.place
    if place.namespace is not None:
        entry = place.namespace
        base = address(NAMESPACE_PATH, tenant=entry.tenant, namespace=entry.name)
        trail = (_TENANTS, _of_tenant(entry.tenant), Entry(entry.name, f"{base}/home"))
        return Navigation(trail, _entries(visit, _NAMESPACE, base, section), f"{entry.tenant}/{entry.name}")
    if place.tenant is not None:
        base = address(TENANT_PATH, tenant=place.tenant.name)
        here = (_TENANTS, _of_tenant(place.tenant.name))
        return Navigation(here, _entries(visit, _TENANT, base, section), place.tenant.name)
    return Navigation((), _platform(visit, section), "Coldstream")


def _of_tenant(name: str) -> Entry:
    return Entry(name, address(TENANT_PATH + "/namespaces", tenant=name))


def _entries(
    visit: Visit, sections: dict[str, tuple[str, str, Right, str | None]], base: str, current: str
) -> tuple[Entry, ...]:
    return tuple(
        Entry(label, f"{base}/{path}", section == current, key)
        for section, (label, path, right, key) in sections.items()
        if visit.allows(right)
    )


def _platform(visit: Visit, section: str) -> tuple[Entry, ...]:
    entries = [Entry("Tenants", "/tenants", section == "tenants", "p")]
    if visit.member.platform_admin:
        entries.append(Entry("Members", "/members", section == "members", "m"))
    entries.append(Entry("Profile", "/profile", section == "profile", None))
    return tuple(entries)
