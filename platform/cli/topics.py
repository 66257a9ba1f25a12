"""`coldstream topic create|list|show|alter|delete`"""

import argparse
from typing import Any

from .addresses import namespace_address, topic_address
from .api import add_api_flags, connect
from .command import Command, Output, UsageError, fields, human_bytes, split_path, table
from .namespaces import pairs


def _path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", metavar="TENANT/NAMESPACE/TOPIC")
    add_api_flags(parser)


def _configs(document: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in document["configs"].items()) or "all defaults"


def show(document: dict[str, Any]) -> None:
    fields(
        [
            ("topic", document["name"]),
            ("id", document["id"]),
            ("partitions", document["partitions"]),
            ("configs", _configs(document)),
            ("durability", document["durability"]),
            ("created", document["created_at"]),
        ]
    )


def show_detail(document: dict[str, Any]) -> None:
    show({**document, "partitions": len(document["partitions"])})
    fields([("hot", human_bytes(document["hot_bytes"])), ("cold", human_bytes(document["cold_bytes"]))])
    if document.get("figures_missing_because"):
        print(f"figures are missing: {document['figures_missing_because']}")
    print()
    names = ("partition", "log_start", "local_start", "end")
    table(
        ("PARTITION", "LOG START", "LOCAL START", "END", "HOT", "COLD"),
        [
            (
                *("-" if entry[name] is None else entry[name] for name in names),
                human_bytes(entry["hot_bytes"]),
                human_bytes(entry["cold_bytes"]),
            )
            for entry in document["partitions"]
        ],
    )


def _create_flags(parser: argparse.ArgumentParser) -> None:
    _path(parser)
    parser.add_argument("--partitions", type=int, default=1, metavar="N")
    parser.add_argument(
        "--config", metavar="KEY=VALUE", action="append", default=[], help="Kafka's names: retention.ms=30d …"
    )


def create(args: argparse.Namespace, output: Output) -> int:
    tenant, namespace, topic = split_path(args.topic, 3)
    body = {"name": topic, "partitions": args.partitions, "configs": pairs(args.config)}
    document = connect(args).post(f"{namespace_address(f'{tenant}/{namespace}')}/topics", body)
    output.show(document, lambda: show(document))
    return 0


def _list_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("namespace", metavar="TENANT/NAMESPACE")
    add_api_flags(parser)


def list_(args: argparse.Namespace, output: Output) -> int:
    document = connect(args).get(f"{namespace_address(args.namespace)}/topics")
    rows = [(entry["name"], entry["partitions"], _configs(entry)) for entry in document["topics"]]
    output.show(document, lambda: table(("TOPIC", "PARTITIONS", "CONFIGS"), rows))
    return 0


def show_(args: argparse.Namespace, output: Output) -> int:
    document = connect(args).get(topic_address(args.topic))
    output.show(document, lambda: show_detail(document))
    return 0


def _alter_flags(parser: argparse.ArgumentParser) -> None:
    _path(parser)
    parser.add_argument("--config", metavar="KEY=VALUE", action="append", default=[], help="set a config")
    parser.add_argument("--unset", metavar="KEY", action="append", default=[], help="return a config to its default")
    parser.add_argument("--partitions", type=int, metavar="N", help="grow to this many in total")
    parser.add_argument("--plan", action="store_true", help="show what would change and what would go, change nothing")


def alter(args: argparse.Namespace, output: Output) -> int:
    changes: dict[str, object] = {}
    if args.config:
        changes["configs"] = pairs(args.config)
    if args.unset:
        changes["unset"] = args.unset
    if args.partitions is not None:
        changes["partitions"] = args.partitions
    if not changes:
        raise UsageError("nothing to change: give --config, --unset or --partitions")
    if args.plan:
        from .topic_changes import plan

        return plan(connect(args), args.topic, changes, output)
    document = connect(args).patch(topic_address(args.topic), changes)
    output.show(document, lambda: show(document))
    return 0


def delete(args: argparse.Namespace, output: Output) -> int:
    connect(args).delete(topic_address(args.topic))
    output.show({"deleted": args.topic}, lambda: print(f"deleted topic {args.topic}"))
    return 0


COMMANDS = {
    command.path: command
    for command in (
        Command(("topic", "create"), _create_flags, create),
        Command(("topic", "list"), _list_flags, list_),
        Command(("topic", "show"), _path, show_),
        Command(("topic", "alter"), _alter_flags, alter),
        Command(("topic", "delete"), _path, delete),
    )
}
