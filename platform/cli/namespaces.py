"""`coldstream namespace …`"""

import argparse
from typing import Any

from .addresses import namespace_address
from .api import add_api_flags, connect, in_path
from .command import Command, Output, UsageError, fields, split_path, table


def pairs(given: list[str], flag: str = "--config") -> dict[str, str]:
    """`KEY=VALUE …` as a mapping. Raises UsageError."""
    parsed: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{flag} {text!r}: expected KEY=VALUE")
        if name in parsed:
            raise UsageError(f"{flag} {name} is given more than once")
        parsed[name] = value
    return parsed


def show(document: dict[str, Any]) -> None:
    defaults = ", ".join(f"{name}={value}" for name, value in document["defaults"].items())
    fields(
        [
            ("namespace", f"{document['tenant']}/{document['name']}"),
            ("id", document["id"]),
            ("cluster id", document["cluster_id"]),
            ("bootstrap", document["bootstrap"]),
            ("state", "suspended" if document["suspended"] else "active"),
            ("auto-create topics", "on" if document["auto_create_topics"] else "off"),
            ("topic defaults", defaults or "the platform's"),
            ("topics, at most", document["topics_max"]),
            ("partitions, at most", f"{document['partitions_max']}, {document['partitions_per_topic_max']} in a topic"),
            ("created", document["created_at"]),
        ]
    )


def _path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("namespace", metavar="TENANT/NAMESPACE")
    add_api_flags(parser)


def _create_flags(parser: argparse.ArgumentParser) -> None:
    _path(parser)
    parser.add_argument("--auto-create-topics", action="store_true", help="make topics when clients ask for them")
    parser.add_argument(
        "--default", metavar="KEY=VALUE", action="append", default=[], help="topic config for all its topics"
    )


def create(args: argparse.Namespace, output: Output) -> int:
    tenant, name = split_path(args.namespace, 2)
    defaults = pairs(args.default, "--default")
    body = {"name": name, "auto_create_topics": args.auto_create_topics, "defaults": defaults}
    document = connect(args).post(f"/namespaces/{in_path(tenant)}", body)
    output.show(document, lambda: show(document))
    return 0


def _list_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tenant", metavar="TENANT", nargs="?", help="only this tenant's")
    add_api_flags(parser)


def list_(args: argparse.Namespace, output: Output) -> int:
    document = connect(args).get("/namespaces", {"tenant": args.tenant} if args.tenant else None)
    rows = [
        (f"{entry['tenant']}/{entry['name']}", entry["cluster_id"], "suspended" if entry["suspended"] else "active")
        for entry in document["namespaces"]
    ]
    output.show(document, lambda: table(("NAMESPACE", "CLUSTER ID", "STATE"), rows))
    return 0


def show_(args: argparse.Namespace, output: Output) -> int:
    document = connect(args).get(namespace_address(args.namespace))
    output.show(document, lambda: show(document))
    return 0


def _alter_flags(parser: argparse.ArgumentParser) -> None:
    _path(parser)
    on_off = ("on", "off")
    parser.add_argument("--auto-create-topics", choices=on_off, help="make topics when clients ask for them")
    parser.add_argument("--suspended", choices=on_off, help="on stops all its keys, losing nothing")
    parser.add_argument(
        "--default", metavar="KEY=VALUE", action="append", help="topic defaults; replaces all that were set"
    )
    parser.add_argument("--no-defaults", action="store_true", help="go back to the platform's topic defaults")
    for name in ("topics-max", "partitions-max", "partitions-per-topic-max"):
        parser.add_argument(f"--{name}", type=int, metavar="N")


def alter(args: argparse.Namespace, output: Output) -> int:
    changes: dict[str, object] = {
        name: getattr(args, name)
        for name in ("topics_max", "partitions_max", "partitions_per_topic_max")
        if getattr(args, name) is not None
    }
    changes |= {
        name: getattr(args, name) == "on" for name in ("auto_create_topics", "suspended") if getattr(args, name)
    }
    if args.no_defaults and args.default:
        raise UsageError("--no-defaults and --default contradict each other")
    if args.no_defaults or args.default:
        changes["defaults"] = pairs(args.default or [], "--default")
    if not changes:
        raise UsageError("nothing to change: see `coldstream namespace alter --help`")
    document = connect(args).patch(namespace_address(args.namespace), changes)
    output.show(document, lambda: show(document))
    return 0


def _delete_flags(parser: argparse.ArgumentParser) -> None:
    _path(parser)
    parser.add_argument("--cascade", action="store_true", help="delete its topics too")


def delete(args: argparse.Namespace, output: Output) -> int:
    connect(args).delete(namespace_address(args.namespace), {"cascade": "true"} if args.cascade else None)
    output.show({"deleted": args.namespace}, lambda: print(f"deleted namespace {args.namespace}"))
    return 0


COMMANDS = {
    command.path: command
    for command in (
        Command(("namespace", "create"), _create_flags, create),
        Command(("namespace", "list"), _list_flags, list_),
        Command(("namespace", "show"), _path, show_),
        Command(("namespace", "alter"), _alter_flags, alter),
        Command(("namespace", "delete"), _delete_flags, delete),
    )
}
