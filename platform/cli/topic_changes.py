"""`coldstream topic alter --plan` and `coldstream topic history`: a topic's changes before they are made, and after."""

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from .addresses import topic_address
from .api import Api, add_api_flags, connect
from .command import Command, Output, human_bytes, table

AMOUNTS = ("records_gone", "bytes_gone_hot", "bytes_gone_cold", "local_bytes_evicted")
HISTORY_LIMIT = 50


def plan(api: Api, topic: str, changes: Mapping[str, object], output: Output) -> int:
    """Show what the changes would do; nothing is changed."""
    document = api.post(f"{topic_address(topic)}/preview", changes)
    output.show(document, lambda: _show_plan(topic, document))
    return 0


def _show_plan(topic: str, document: Mapping[str, Any]) -> None:
    was, becomes = document["partition_count_before"], document["partition_count_after"]
    if not document["changes"] and was == becomes:
        print(f"no config of {topic} would change")
    if document["changes"]:
        rows = [(each["name"], each["before"], each["after"], each["source"]) for each in document["changes"]]
        table(("CONFIG", "BEFORE", "AFTER", "FROM"), rows)
    if was != becomes:
        print(f"partitions: {was}, then {becomes}")
    print()
    if document["missing_because"]:
        print(f"what would go is not known: {document['missing_because']}")
    else:
        _show_effect(document)
    print("nothing was changed")


def _show_effect(document: Mapping[str, Any]) -> None:
    changed = [
        each
        for each in document["partitions"]
        if each["log_start_after"] != each["log_start_before"] or each["local_bytes_evicted"]
    ]
    if changed:
        columns = ("PARTITION", "LOG START", "THEN", "RECORDS GONE", "HOT GONE", "COLD GONE", "LEAVES LOCAL DISK")
        rows = [
            (each["partition"], each["log_start_before"], each["log_start_after"], *_amounts(each)) for each in changed
        ]
        if len(changed) > 1:
            rows.append(("all", "", "", *_amounts(document["totals"])))
        table(columns, rows)
    kept = len(document["partitions"]) - len(changed)
    if kept:
        print(f"{kept} of {len(document['partitions'])} partitions keep all that they have, where they have it")
    compaction = document["compaction"]
    if compaction is not None and compaction["applies"]:
        print(
            f"compaction would remove {compaction['records_removable']} of {compaction['records']} records, "
            f"{human_bytes(compaction['bytes_removable'])}" + (f" ({compaction['note']})" if compaction["note"] else "")
        )
    print(f"as of {document['as_of']}")


def _amounts(effect: Mapping[str, Any]) -> tuple[object, ...]:
    records, *sizes = (effect[name] for name in AMOUNTS)
    return records, *(human_bytes(size) for size in sizes)


def _history_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", metavar="TENANT/NAMESPACE/TOPIC")
    parser.add_argument("--limit", type=int, default=HISTORY_LIMIT, metavar="N", help=f"at most ({HISTORY_LIMIT})")
    add_api_flags(parser)


def history(args: argparse.Namespace, output: Output) -> int:
    document = connect(args).get(f"{topic_address(args.topic)}/history", {"limit": args.limit})
    rows = [
        (entry["at"], entry["actor"], entry["action"], what)
        for entry in document["entries"]
        for what in differences(entry["before"] or {}, entry["after"] or {})
    ]
    output.show(document, lambda: table(("AT", "BY", "ACTION", "CHANGE"), rows))
    return 0


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """One line for each config and property that an audit row's two sides do not share; one empty line for none."""
    was, becomes = _flat(before), _flat(after)
    altered = before.keys() == after.keys()
    names = [name for name in sorted(was.keys() | becomes.keys()) if was.get(name) != becomes.get(name)]
    for name in names:
        if altered:
            yield f"{name}: {_shown(was, name)} -> {_shown(becomes, name)}"
        else:  # made, or deleted
            yield f"{name}: {becomes.get(name, was.get(name))}"
    if not names:
        yield ""


def _flat(side: Mapping[str, Any]) -> dict[str, Any]:
    configs = side.get("configs") or {}
    return {name: value for name, value in side.items() if name != "configs"} | configs


def _shown(side: Mapping[str, Any], name: str) -> str:
    return str(side[name]) if name in side else "(not set)"


COMMANDS = {("topic", "history"): Command(("topic", "history"), _history_flags, history)}
