"""Who made and changed this topic, newest first, with what each setting was before and after."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct

from ...tenants.errors import InvalidConfig
from ...tenants.rights import Right
from ...tenants.topic_configs import DEFINITIONS
from .. import preview_routes, schemas
from ..preview_schemas import HistoryPage
from .page import Page, Query, View, Visit
from .topic_config_texts import shown
from .topic_overview import TOPIC_PATH

ROWS = 50
WHAT = {"topic.create": "made", "topic.alter": "changed", "topic.delete": "deleted"}
NOT_SET = "default"


class HistoryQuery(Query):
    """`before` continues after that entry."""

    before: int | None = None


class SettingChange(Struct, frozen=True):
    """For reading; `before` is empty where there was nothing yet."""

    name: str
    before: str
    after: str


class HistoryRow(Struct, kw_only=True):
    seq: int
    at: datetime
    actor: str
    actor_kind: str
    what: str
    changes: list[SettingChange]


class HistoryView(View):
    name: str
    rows: list[HistoryRow]
    newest: str | None
    older: str | None


async def show_history(visit: Visit, query: HistoryQuery) -> HistoryView:
    before = query.before if query.before is not None and 0 <= query.before < 2**63 else None
    asked = HistoryPage(limit=ROWS + 1, before=UNSET if before is None else before)
    found = (await preview_routes.topic_history(visit.call, asked)).entries
    entries = found[:ROWS]
    return HistoryView(
        name=visit.path["topic"],
        rows=[
            HistoryRow(
                seq=entry.seq,
                at=entry.at,
                actor=entry.actor,
                actor_kind=entry.actor_kind,
                what=WHAT.get(entry.action, entry.action),
                changes=changes_of(entry),
            )
            for entry in entries
        ],
        newest=HISTORY.url(**visit.path) if before is not None else None,
        older=HISTORY.url(**visit.path, before=entries[-1].seq) if len(found) > ROWS else None,
    )


def changes_of(entry: schemas.AuditView) -> list[SettingChange]:
    """What the entry changed: partitions, and each config that differs."""
    before, after = entry.before or {}, entry.after or {}
    was, becomes = _configs(before), _configs(after)
    changes = []
    if "partitions" in after:
        changes.append(SettingChange("partitions", str(before.get("partitions", "")), str(after["partitions"])))
    for name in sorted(was.keys() | becomes.keys()):
        if was.get(name) != becomes.get(name):
            absent = NOT_SET if entry.before is not None else ""
            changes.append(
                SettingChange(name, _read(name, was.get(name), absent), _read(name, becomes.get(name), NOT_SET))
            )
    return changes


def _configs(described: Mapping[str, Any]) -> Mapping[str, str]:
    configs = described.get("configs")
    return {str(name): str(text) for name, text in configs.items()} if isinstance(configs, dict) else {}


def _read(name: str, text: str | None, absent: str) -> str:
    """As people read it; what a release of ours wrote that knew other configs, as it was written."""
    if text is None:
        return absent
    try:
        return shown(name, text) if name in DEFINITIONS else text
    except (InvalidConfig, ValueError):
        return text


HISTORY = Page(
    name="topic_history",
    path=f"{TOPIC_PATH}/history",
    title="History of {topic}",
    template="pages/topic_history.html",
    handler=show_history,
    needs=Right.NAMESPACE_VIEW,
    query=HistoryQuery,
    section="topics",
)
PAGES = (HISTORY,)
